//! The permission to read a topic, for gateways and caches elsewhere.

use axum::Json;
use guest::{Caller, Db, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::topic::{TopicParam, not_found};

/// The caller's permission to read a topic.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TopicAccess {
    /// The time at which to ask again. An `access.changed` event on the topic calls for it sooner.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
    /// The accounts that the caller has blocked or muted, whose words and actions a gateway leaves out.
    without: Vec<Uuid>,
}

/// Says whether the caller may read a topic.
#[utoipa::path(
    get, path = "/api/events/access", tag = "events", params(TopicParam),
    responses(
        (status = 200, body = TopicAccess),
        (status = 404, description = "`not-found`: the topic does not exist, or the caller may not read it"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = []))
)]
pub async fn access(
    db: Db,
    caller: Caller,
    Query(topic): Query<TopicParam>,
) -> Result<Json<TopicAccess>> {
    let until = db
        .optional(
            "select now() + interval '1 minute' as until, coalesce(shunned($1), '{}') as without
             where may_read($1, $2, $3)",
            args![caller.id, topic.of(&caller), caller.allows(guest::ALL)],
        )
        .await?;
    until.map(Json).ok_or_else(not_found)
}
