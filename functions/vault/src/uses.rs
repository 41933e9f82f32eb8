//! Uses: what a secret was put into, and what it was refused for.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Moment, Page, Path, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::grants::managed;

/// One use of a secret, or one refusal.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SecretUseRecord)]
pub struct Record {
    /// The id of the use.
    id: Uuid,
    /// The time of the use.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// The account whose request it was; null for the platform itself.
    by: Option<Uuid>,
    /// The component that sent the request, such as `vault` or `llm`.
    component: String,
    /// The owner or the subject of the grant by whose right the secret was used; null if it was refused.
    on_behalf_of: Option<String>,
    /// The origin that the request was for, or `claw:<id>` if the value was handed to that claw's program.
    #[schema(example = "https://api.example.org")]
    origin: String,
    /// The method of the request.
    method: String,
    /// The path of the request, without its query.
    path: String,
    /// The status of the answer; null if there was none.
    status: Option<u16>,
    /// The version of the value; null if there was none.
    version: Option<u32>,
    /// The problem code of the refusal; null if the secret was used.
    refused: Option<String>,
}

/// The filter of the list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// The time of the earliest use that is listed.
    #[garde(skip)]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Moment>,
}

/// Lists the uses of a secret and the refusals, the newest first. Nothing in this list is ever changed.
#[utoipa::path(
    get, path = "/api/vault/secrets/{secret}/uses", tag = "vault", operation_id = "list_secret_uses",
    params(
        ("secret" = String, Path, description = "The secret's id or, for its owner, its name."),
        Filter,
        guest::PageParams,
    ),
    responses(
        (status = 200, body = Items<Record>),
        (status = 403, description = "`forbidden`: the caller may only use the secret"),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = ["vault:use"]))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(secret): Path<String>,
    Query(filter): Query<Filter>,
    page: Page<Uuid>,
) -> Result<Json<Items<Record>>> {
    let id = managed(&db, &caller, secret).await?;
    let uses: Vec<Record> = db
        .many(
            "select u.id, u.at, u.account_id as by, u.component, u.subject as on_behalf_of, u.origin, u.method, u.path,
                    u.status, u.version, u.refused
             from vault.use u
             where u.secret_id = $1 and ($2::text is null or u.at >= $2::text::timestamptz)
             and ($3::uuid is null or u.id < $3) order by u.id desc limit $4",
            args![id, filter.since, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(uses, |used| used.id)))
}
