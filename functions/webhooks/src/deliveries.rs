//! The deliveries of a webhook, with their results.

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

use crate::input::receiver;

/// One event on its way to one webhook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The delivery's id, which each attempt sends as `webhook-id`.
    id: Uuid,
    /// The event's id; null for a test.
    event: Option<Uuid>,
    /// The type of the event.
    #[serde(rename = "type")]
    #[schema(example = "message.created")]
    kind: String,
    /// The topic of the event; null for a test.
    topic: Option<String>,
    /// The progress of the delivery.
    state: DeliveryState,
    /// The number of attempts so far.
    attempts: u32,
    /// The HTTP status of the last answer; null if there was none.
    status: Option<u16>,
    /// The beginning of the last answer's body.
    reply: Option<String>,
    /// The reason for which there was no answer, or nothing was sent.
    error: Option<String>,
    /// The duration of the last attempt in milliseconds.
    duration_ms: Option<u32>,
    /// The time of the last attempt.
    #[serde(with = "time::serde::rfc3339::option")]
    attempted_at: Option<OffsetDateTime>,
    /// The time at which the delivery was enqueued.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time at which the delivery was accepted or given up.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

/// The progress of a delivery.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// The delivery will be sent, or sent again.
    Waiting,
    /// The receiver accepted the delivery.
    Delivered,
    /// The delivery was given up.
    Dead,
}

/// The deliveries to list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeliveryFilter {
    /// Lists only deliveries in this state.
    #[garde(skip)]
    #[param(inline)]
    state: Option<DeliveryState>,
}

#[derive(Deserialize)]
struct Target {
    url: String,
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

/// Lists the deliveries of a webhook in the last month, the newest first.
#[utoipa::path(
    get, path = "/api/webhooks/{webhook}/deliveries", tag = "webhooks", operation_id = "list_deliveries",
    params(("webhook" = Uuid, Path, description = "The webhook's id"), DeliveryFilter, guest::PageParams),
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

/// Sends an accepted or given-up delivery again with the same id, for another day.
#[utoipa::path(
    post, path = "/api/webhooks/deliveries/{delivery}/redeliver", tag = "webhooks", operation_id = "redeliver",
    params(("delivery" = Uuid, Path, description = "The delivery's id")),
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
            Problem::conflict(
                "delivery-waiting",
                "The delivery is already waiting to be sent.",
            ),
        )
        .on_constraint("webhook_disabled", disabled())?;
    let id = put.id.ok_or_else(|| Problem::not_found("delivery"))?;
    accepted(&db, id).await
}

/// Sends a test event of the type `webhook.test` to a webhook.
#[utoipa::path(
    post, path = "/api/webhooks/{webhook}/test", tag = "webhooks", operation_id = "test_webhook",
    params(("webhook" = Uuid, Path, description = "The webhook's id")),
    responses(
        (status = 202, body = Delivery),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`webhook-disabled`"),
        (status = 422, description = "`invalid-input`: the webhook's address is in a private network"),
    ),
    security(("token" = [])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn test(db: Db, caller: Caller, Path(webhook): Path<Uuid>) -> Result<Response> {
    let target: Option<Target> = db
        .optional(
            "select url from webhook where owner_id = $1 and id = $2",
            args![caller.id, webhook],
        )
        .await?;
    let target = target.ok_or_else(|| Problem::not_found("webhook"))?;
    // The operator may vouch for fewer hosts than when the webhook was made.
    receiver(&target.url).await?;
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
