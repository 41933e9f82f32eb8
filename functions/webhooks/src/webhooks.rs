//! Webhooks: addresses to which events are sent.

use ::webhook::Secret;
use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{event_type, receiver, topic, topics};

/// An address to which events are sent.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// The webhook's id.
    id: Uuid,
    /// The address to which the events are sent.
    #[schema(example = "https://example.org/gather")]
    url: String,
    /// The topics whose events are sent, as long as the owner may read them.
    topics: Vec<String>,
    /// The types of events that are sent; null for all types.
    types: Option<Vec<String>>,
    /// Whether events are sent.
    state: WebhookState,
    /// The time since which the receiver has accepted nothing; null if it accepts deliveries.
    #[serde(with = "time::serde::rfc3339::option")]
    failing_since: Option<OffsetDateTime>,
    /// The time until which nothing is sent, because the receiver asked for a pause; null if there is no pause.
    #[serde(with = "time::serde::rfc3339::option")]
    retry_at: Option<OffsetDateTime>,
    /// The time at which the webhook was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// Whether anything is sent to a webhook.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebhookState {
    /// Events are sent.
    Enabled,
    /// The receiver answered 410, so nothing is sent any more.
    Gone,
    /// The receiver accepted nothing for a day, so nothing is sent any more.
    Failing,
}

/// A new webhook.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// The address, with `https` and a public host. It receives a POST with `webhook-id`, `webhook-timestamp` and `webhook-signature` for each event.
    #[garde(length(min = 1, max = 2000))]
    #[schema(example = "https://example.org/gather", max_length = 2000)]
    url: String,
    /// The topics whose events are sent: `account:me`, `channel:<id>`, `hook:<id>` and so on; `all:all` for administrators.
    #[garde(length(min = 1, max = 100), inner(custom(topic)))]
    #[schema(example = json!(["account:me"]), min_items = 1, max_items = 100)]
    topics: Vec<String>,
    /// The types of events that are sent, such as `message.created` or `message.*`; all types if absent.
    #[garde(inner(length(min = 1, max = 50), inner(custom(event_type))))]
    #[schema(example = json!(["inbox.*"]), min_items = 1, max_items = 50)]
    types: Option<Vec<String>>,
}

/// A change of a webhook. Absent fields stay as they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookChange {
    /// The new address.
    #[garde(inner(length(min = 1, max = 2000)))]
    #[schema(max_length = 2000)]
    url: Option<String>,
    /// The new topics, instead of all earlier ones.
    #[garde(inner(length(min = 1, max = 100), inner(custom(topic))))]
    #[schema(min_items = 1, max_items = 100)]
    topics: Option<Vec<String>>,
    /// The new types; an empty list means all types.
    #[garde(inner(length(max = 50), inner(custom(event_type))))]
    #[schema(max_items = 50)]
    types: Option<Vec<String>>,
}

/// A webhook with the secret that signs its deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedWebhook {
    #[serde(flatten)]
    webhook: Webhook,
    /// The secret, which is shown only once.
    #[schema(example = "whsec_…")]
    secret: String,
}

/// The secret that signs from now on.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookSecret {
    /// The secret, which is shown only once.
    #[schema(example = "whsec_…")]
    secret: String,
    /// The time until which the former secret signs too.
    #[serde(with = "time::serde::rfc3339")]
    former_until: OffsetDateTime,
}

#[derive(Deserialize)]
struct Made {
    id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

#[derive(Deserialize)]
struct Rotated {
    version: Option<u32>,
}

fn not_found() -> Problem {
    Problem::not_found("webhook")
}

/// Sends events to an address of the caller's choice.
///
/// Each event is one POST of `{id, type, topic, timestamp, actor, data}`, signed according to Standard Webhooks. The
/// receiver accepts it with any status from 200 to 299 within 10 s. Events that it does not accept are sent again for a
/// day, with growing pauses or when `Retry-After` says. Redirects are not followed, and private addresses are not
/// reached. The secret is shown once, so `Idempotency-Key` is not honoured.
#[utoipa::path(
    post, path = "/api/webhooks", tag = "webhooks", operation_id = "create_webhook", request_body = NewWebhook,
    responses(
        (status = 201, body = CreatedWebhook, headers(("Location" = String))),
        (status = 409, description = "`too-many-webhooks`"),
        (status = 422, description = "`invalid-input`: some of the input was refused, or the caller can't read a topic"),
    ),
    security(("token" = [])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Input(new): Input<NewWebhook>,
) -> Result<Created<CreatedWebhook>> {
    let url = receiver(&new.url).await?;
    let topics = topics(&caller, new.topics);
    let made: Made = db
        .one(
            "select webhooks.create_webhook($1, $2, $3, $4, $5) as id",
            args![caller.id, caller.allows(guest::ALL), url, topics, new.types],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("webhook_topics", unreadable())
        .on_constraint(
            "webhook_count",
            Problem::conflict(
                "too-many-webhooks",
                "An account can have 50 webhooks. Delete one first.",
            ),
        )?;
    let id = made.id.ok_or_else(not_found)?;
    let created = CreatedWebhook {
        webhook: one(&db, &caller, id).await?,
        secret: Secret::of_webhook(&crate::key().await?, id, 1).text(),
    };
    Ok(Created::at(format!("/api/webhooks/{id}"), created))
}

/// Events of a topic that the caller can't read would never be sent, so the topic is refused.
fn unreadable() -> Problem {
    Problem::invalid("topics", "names a topic that you can't read")
}

async fn one(db: &Db, caller: &Caller, id: Uuid) -> Result<Webhook> {
    find(db, caller, id, false).await?.ok_or_else(not_found)
}

/// Reads one of the caller's webhooks, or for an administrator anybody's, whose address is then cut behind its host.
async fn find(db: &Db, caller: &Caller, id: Uuid, is_admin: bool) -> Result<Option<Webhook>> {
    let found = db
        .optional(
            "select id, case when owner_id = $1 then url else webhooks.place(url) end as url, topics, types,
                    coalesce(disabled, 'enabled') as state, failing_since, retry_at, created_at
             from webhook where id = $2 and (owner_id = $1 or $3)",
            args![caller.id, id, is_admin],
        )
        .await?;
    Ok(found)
}

/// Lists the caller's webhooks, the newest first.
#[utoipa::path(
    get, path = "/api/webhooks", tag = "webhooks", operation_id = "list_webhooks", params(guest::PageParams),
    responses((status = 200, body = Items<Webhook>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<Webhook>>> {
    let webhooks: Vec<Webhook> = db
        .many(
            "select id, url, topics, types, coalesce(disabled, 'enabled') as state, failing_since, retry_at, created_at
             from webhook where owner_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3",
            args![caller.id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(webhooks, |webhook| webhook.id)))
}

/// Reads one of the caller's webhooks.
#[utoipa::path(
    get, path = "/api/webhooks/{webhook}", tag = "webhooks", operation_id = "get_webhook",
    params(("webhook" = Uuid, Path, description = "The webhook's id")),
    responses((status = 200, body = Webhook), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(webhook): Path<Uuid>) -> Result<Json<Webhook>> {
    one(&db, &caller, webhook).await.map(Json)
}

/// Changes the address, topics or types of a webhook. Waiting deliveries go to the new address.
#[utoipa::path(
    patch, path = "/api/webhooks/{webhook}", tag = "webhooks", operation_id = "change_webhook",
    params(("webhook" = Uuid, Path, description = "The webhook's id")), request_body = WebhookChange,
    responses(
        (status = 200, body = Webhook),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = []))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(webhook): Path<Uuid>,
    Input(change): Input<WebhookChange>,
) -> Result<Json<Webhook>> {
    let url = match change.url {
        Some(url) => Some(receiver(&url).await?),
        None => None,
    };
    let topics = change.topics.map(|given| topics(&caller, given));
    let changed: Done = db
        .one(
            "select webhooks.change_webhook($1, $2, $3, $4, $5, $6) as done",
            args![
                caller.id,
                caller.allows(guest::ALL),
                webhook,
                url,
                topics,
                change.types
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("webhook_topics", unreadable())?;
    if !changed.done {
        return Err(not_found());
    }
    one(&db, &caller, webhook).await.map(Json)
}

/// Deletes a webhook and its deliveries, including the waiting ones.
#[utoipa::path(
    delete, path = "/api/webhooks/{webhook}", tag = "webhooks", operation_id = "delete_webhook",
    params(("webhook" = Uuid, Path, description = "The webhook's id")),
    responses((status = 204, description = "The webhook was deleted"), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn delete(db: Db, caller: Caller, Path(webhook): Path<Uuid>) -> Result<StatusCode> {
    let deleted: Done = db
        .one(
            "select webhooks.delete_webhook($1, $2) as done",
            args![caller.id, webhook],
        )
        .await?;
    if !deleted.done {
        return Err(not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Enables a webhook that was disabled, or ends the pause that its receiver asked for. Administrators can do this for
/// everybody.
#[utoipa::path(
    post, path = "/api/webhooks/{webhook}/enable", tag = "webhooks", operation_id = "enable_webhook",
    params(("webhook" = Uuid, Path, description = "The webhook's id")),
    responses((status = 200, body = Webhook), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn enable(db: Db, caller: Caller, Path(webhook): Path<Uuid>) -> Result<Json<Webhook>> {
    let is_admin = caller.allows(guest::ALL);
    let enabled: Done = db
        .one(
            "select webhooks.enable_webhook($1, $2, $3) as done",
            args![caller.id, webhook, is_admin],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())?;
    if !enabled.done {
        return Err(not_found());
    }
    let found = find(&db, &caller, webhook, is_admin).await?;
    found.map(Json).ok_or_else(not_found)
}

/// Gives a webhook a new secret. For a day the former secret signs too, so that the receiver has time to change over.
#[utoipa::path(
    post, path = "/api/webhooks/{webhook}/rotate", tag = "webhooks", operation_id = "rotate_webhook",
    params(("webhook" = Uuid, Path, description = "The webhook's id")),
    responses(
        (status = 200, body = WebhookSecret),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`too-many-secrets`"),
    ),
    security(("token" = [])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn rotate(
    db: Db,
    caller: Caller,
    Path(webhook): Path<Uuid>,
) -> Result<Json<WebhookSecret>> {
    let rotated: Rotated = db
        .one(
            "select webhooks.rotate_secret($1, $2) as version",
            args![caller.id, webhook],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint(
            "secret_count",
            Problem::conflict(
                "too-many-secrets",
                "This webhook has five valid secrets already. A replaced secret is valid for a day.",
            ),
        )?;
    let version = rotated.version.ok_or_else(not_found)?;
    Ok(Json(WebhookSecret {
        secret: Secret::of_webhook(&crate::key().await?, webhook, version).text(),
        former_until: OffsetDateTime::now_utc() + time::Duration::DAY,
    }))
}
