//! The history of a claw.

use axum::Json;
use guest::{Caller, Db, Items, Page, Path, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::claws::{Status, found};

/// A change of the status of a claw.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ClawTransition {
    /// The change's id.
    id: Uuid,
    /// The time of the change.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// The status before; null: it was made.
    from: Option<Status>,
    /// The status after.
    to: Status,
    /// The cause: a request such as `stop`, or `provisioned`, `expired`, `idle`, `suspended`, or an error.
    cause: String,
}

/// Lists the changes of a claw's status, the newest first.
#[utoipa::path(
    get, path = "/api/claws/{claw}/history", tag = "claws", operation_id = "claw_history",
    params(("claw" = String, Path, description = "The claw's id or name."), guest::PageParams),
    responses(
        (status = 200, body = Items<ClawTransition>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(claw): Path<String>,
    page: Page<Uuid>,
) -> Result<Json<Items<ClawTransition>>> {
    let claw = found(&db, &caller, &claw).await?;
    let changes: Vec<ClawTransition> = db
        .many(
            "select id, at, from_status as \"from\", to_status as \"to\", cause from change
             where claw_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
            args![claw, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(
        page.answer(changes, |change: &ClawTransition| change.id),
    ))
}
