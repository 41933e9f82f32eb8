//! What was sent to a webhook, and how it went.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// One event on its way to one webhook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// What the receiver finds in `webhook-id`: the same in each attempt.
    id: Uuid,
    /// The event; null: a test.
    event: Option<Uuid>,
    #[serde(rename = "type")]
    #[schema(example = "message.created")]
    kind: String,
    topic: Option<String>,
    state: DeliveryState,
    attempts: u32,
    /// The status of the last answer; null: there was none.
    status: Option<u16>,
    /// The head of the last answer's body.
    reply: Option<String>,
    /// Why there was no answer, or why nothing was sent.
    error: Option<String>,
    /// How long the last attempt took.
    duration_ms: Option<u32>,
    #[serde(with = "time::serde::rfc3339::option")]
    attempted_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

/// How far a delivery is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It will be sent, or sent again.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Dead,
}

/// Which deliveries to list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeliveryFilter {
    /// Only those that are so.
    #[garde(skip)]
    #[param(inline)]
    state: Option<DeliveryState>,
}

#[derive(Deserialize)]
struct Put {
    id: Option<Uuid>,
}

impl DeliveryState {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// Lists what was sent to a webhook in the last month, the newest first.
#[utoipa::path(
    get, path = "/api/webhooks/{webhook}/deliveries", tag = "webhooks", operation_id = "list_deliveries",
    params(("webhook" = Uuid, Path), DeliveryFilter, guest::PageParams),
    responses(
        (status = 200, body = Items<Delivery>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(webhook): Path<Uuid>,
    Query(filter): Query<DeliveryFilter>,
    page: Page<Uuid>,
) -> Result<Json<Items<Delivery>>> {
    let own: Option<Put> = db
        .optional(
            "select id from webhook where owner_id = $1 and id = $2",
            args![caller.id, webhook],
        )
        .await?;
    own.ok_or_else(|| Problem::not_found("webhook"))?;
    let state = filter.state.map(DeliveryState::name);
    let deliveries: Vec<Delivery> = match state {
        Some(state) => {
            db.many(
                "select id, event_id as event, type, topic, state, attempts, status, reply, error, duration_ms,
                    attempted_at, created_at, ended_at
                 from delivery where webhook_id = $1 and state = $4 and ($2::uuid is null or id < $2)
                 order by id desc limit $3",
                args![webhook, page.after, page.fetch(), state],
            )
            .await?
        }
        None => {
            db.many(
                "select id, event_id as event, type, topic, state, attempts, status, reply, error, duration_ms,
                    attempted_at, created_at, ended_at
                 from delivery where webhook_id = $1 and ($2::uuid is null or id < $2)
                 order by id desc limit $3",
                args![webhook, page.after, page.fetch()],
            )
            .await?
        }
    };
    Ok(Json(page.answer(deliveries, |delivery| delivery.id)))
}

/// Sends a delivery once more that arrived or was given up, with the same id, for another day.
#[utoipa::path(
    post, path = "/api/webhooks/deliveries/{delivery}/redeliver", tag = "webhooks", operation_id = "redeliver",
    params(("delivery" = Uuid, Path)),
    responses(
        (status = 202, body = Delivery),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`delivery-waiting`, `webhook-disabled`"),
    ),
    security(("token" = []))
)]
pub async fn redeliver(db: Db, caller: Caller, Path(delivery): Path<Uuid>) -> Result<Response> {
    let put: Put = db
        .one(
            "select case when webhooks.send_again($1, $2) is not null then $2 end as id",
            args![caller.id, delivery],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint(
            "delivery_waiting",
            Problem::conflict("delivery-waiting", "The delivery waits to be sent already."),
        )
        .on_constraint("webhook_disabled", disabled())?;
    let id = put.id.ok_or_else(|| Problem::not_found("delivery"))?;
    accepted(&db, id).await
}

/// Sends a test to a webhook: an event of the type `webhook.test`.
#[utoipa::path(
    post, path = "/api/webhooks/{webhook}/test", tag = "webhooks", operation_id = "test_webhook",
    params(("webhook" = Uuid, Path)),
    responses(
        (status = 202, body = Delivery),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`webhook-disabled`"),
    ),
    security(("token" = [])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn test(db: Db, caller: Caller, Path(webhook): Path<Uuid>) -> Result<Response> {
    let put: Put = db
        .one(
            "select webhooks.test_webhook($1, $2) as id",
            args![caller.id, webhook],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("webhook_disabled", disabled())?;
    let id = put.id.ok_or_else(|| Problem::not_found("webhook"))?;
    accepted(&db, id).await
}

async fn accepted(db: &Db, delivery: Uuid) -> Result<Response> {
    let delivery: Delivery = db
        .one(
            "select id, event_id as event, type, topic, state, attempts, status, reply, error, duration_ms,
                attempted_at, created_at, ended_at
             from delivery where id = $1",
            args![delivery],
        )
        .await?;
    Ok((StatusCode::ACCEPTED, Json(delivery)).into_response())
}

fn disabled() -> Problem {
    Problem::conflict(
        "webhook-disabled",
        "The webhook is disabled: enable it first.",
    )
}
