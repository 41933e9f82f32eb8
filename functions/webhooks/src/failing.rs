//! The webhooks of all accounts whose receivers accept nothing, for administrators.

use axum::Json;
use guest::{Db, Items, Page, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::webhooks::WebhookState;

/// A webhook whose receiver accepts nothing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FailingWebhook {
    /// The webhook's id.
    id: Uuid,
    /// The account that owns the webhook.
    owner: Owner,
    /// The scheme, host and port of the receiver. The rest of the address may be a secret of the owner.
    #[schema(example = "https://example.org")]
    origin: String,
    /// Whether events are sent.
    state: WebhookState,
    /// The time since which the receiver has accepted nothing; null if the receiver said that it is gone.
    #[serde(with = "time::serde::rfc3339::option")]
    failing_since: Option<OffsetDateTime>,
    /// The number of failures in a row.
    failures: u32,
}

/// The account that owns a webhook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookOwner)]
pub struct Owner {
    /// The account's id.
    id: Uuid,
    /// The account's name.
    name: String,
}

/// Lists the webhooks of all accounts whose receivers accept nothing, the newest first.
#[utoipa::path(
    get, path = "/api/webhooks/failing", tag = "webhooks", operation_id = "list_failing_webhooks",
    params(guest::PageParams),
    responses((status = 200, body = Items<FailingWebhook>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["admin:all"]))
)]
pub async fn list(db: Db, page: Page<Uuid>) -> Result<Json<Items<FailingWebhook>>> {
    let failing: Vec<FailingWebhook> = db
        .many(
            "select id, owner, origin, state, failing_since, failures from webhooks.failing($1, $2)",
            args![page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(failing, |webhook| webhook.id)))
}
