//! Leases on the events of topics, which gateways push to an edge.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Db, Input, Path, Problem, Result, args, hex_key, required_variable, variable};
use position::{Position, Snapshot};
use public_address::{is_public, is_public_name};
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use utoipa::ToSchema;

use crate::service;

/// The time after which a lease that was not renewed ends.
const LEASE_MS: i32 = 90_000;

/// A lease on the events of a topic.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicLease {
    /// The address that events are posted to: public and `https`, or one that the operator lists.
    #[garde(length(min = 1, max = 1000))]
    #[schema(
        example = "https://edge.example.org/edge/topics/feed:all",
        min_length = 1,
        max_length = 1000
    )]
    callback: String,
    /// The position up to which the edge has the topic's events. Without it, it gets those that come.
    #[serde(default)]
    #[garde(inner(length(min = 1, max = 60_000)))]
    #[schema(max_length = 60_000)]
    have: Option<String>,
}

/// A lease that was granted.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantedTopicLease {
    /// The position after which events are pushed.
    position: String,
    /// The time in milliseconds after which the lease ends unless it is renewed.
    lease_ms: i32,
}

#[derive(Debug, Deserialize)]
struct Now {
    snapshot: String,
    epoch: i64,
    at: i64,
    kept_since: i64,
}

#[derive(Debug, Deserialize)]
struct Row {
    now: Now,
}

/// Begins or renews a lease on a topic, whose events are then posted to the callback.
///
/// Each request to the callback has a service token with the audience `edge-push` and the body `{topic, after, position,
/// events, revoke?}`. The edge answers 200 `{have}`; it answers 409 `gap` with `have` if `after` is not where it stands,
/// and the events are sent again from there. If `after` is null, the history between is lost, and so may be changes of
/// rights. Beside its frame, an event names in `of` the account whose words or actions it shows, which is not told to
/// readers who have blocked that; and in `audience`, if it has one, the only accounts that may be told of it.
#[utoipa::path(
    put, path = "/api/edge/topics/{topic}", tag = "edge", operation_id = "lease_edge_topic",
    params(("topic" = String, Path, description = "The topic, such as `feed:all`.")), request_body = TopicLease,
    responses(
        (status = 200, body = GrantedTopicLease),
        (status = 401, description = "`unauthenticated`: there is no valid service token"),
        (status = 422, description = "`invalid-input`"),
    ),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn lease(
    db: Db,
    headers: HeaderMap,
    Path(topic): Path<String>,
    Input(wanted): Input<TopicLease>,
) -> Result<Json<GrantedTopicLease>> {
    service::require(&headers).await?;
    let callback = callback(&wanted.callback).await?;
    let key = required_variable("position_key").await?;
    let key = hex_key(&key)
        .ok_or_else(|| Problem::internal("the variable `position_key` must be 64 hex digits"))?;
    let Row { now } = db.one("select events.now() as now", args![]).await?;
    let is_kept = |text: &String| {
        Position::open(&key, text)
            .is_some_and(|one| one.epoch == now.epoch && one.at_ms >= now.kept_since)
    };
    let position = match wanted.have.filter(is_kept) {
        Some(have) => have,
        None => here(&now)?.seal(&key),
    };
    let topic_form = Problem::invalid("topic", "must be `<kind>:<id>`, such as `feed:all`");
    db.execute(
        "insert into topic (topic, callback, position, lease_ends_at)
         values ($1, $2, $3, now() + $4::integer * interval '1 millisecond')
         on conflict (topic) do update set
            callback = excluded.callback, position = excluded.position, lease_ends_at = excluded.lease_ends_at",
        args![topic, callback, position.as_str(), LEASE_MS],
    )
    .await
    .on_constraint("topic_form", topic_form)?;
    Ok(Json(GrantedTopicLease {
        position,
        lease_ms: LEASE_MS,
    }))
}

/// Ends a lease on a topic. A lease that has ended already is not an error.
#[utoipa::path(
    delete, path = "/api/edge/topics/{topic}", tag = "edge", operation_id = "release_edge_topic",
    params(("topic" = String, Path, description = "The topic, such as `feed:all`.")),
    responses(
        (status = 204, description = "Nothing more is pushed."),
        (status = 401, description = "`unauthenticated`: there is no valid service token"),
    ),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn release(db: Db, headers: HeaderMap, Path(topic): Path<String>) -> Result<StatusCode> {
    service::require(&headers).await?;
    db.execute("delete from topic where topic = $1", args![topic])
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The position of a reader that begins now.
fn here(now: &Now) -> Result<Position> {
    let after: Snapshot = now.snapshot.parse().map_err(Problem::internal)?;
    Ok(Position {
        epoch: now.epoch,
        at_ms: now.at,
        after,
        within: None,
    })
}

async fn callback(text: &str) -> Result<String> {
    let origins = variable("edge_origins").await;
    let origins = origins.as_deref().unwrap_or_default();
    parse_callback(text, origins).map_err(|why| Problem::invalid("callback", why))
}

fn parse_callback(text: &str, origins: &str) -> std::result::Result<String, &'static str> {
    let url =
        Url::parse(text).map_err(|_| "must be an address such as https://example.org/push")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a name or a password in it");
    }
    if url.fragment().is_some() {
        return Err("must not have a part behind `#`");
    }
    let origin = url.origin().ascii_serialization();
    if origins.split(',').any(|listed| listed.trim() == origin) {
        return Ok(url.into());
    }
    if url.scheme() != "https" {
        return Err("must begin with https://");
    }
    let is_public = match url.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(name)) => is_public_name(name),
        None => false,
    };
    match is_public {
        true => Ok(url.into()),
        false => Err("must not be in a private network, unless the operator lists its origin"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_public_unless_the_operator_lists_them() {
        let listed = "http://127.0.0.1:8787, https://edge.internal";
        for (address, accepted) in [
            ("https://edge.example.org/push", true),
            ("http://127.0.0.1:8787/push", true),
            ("https://edge.internal/push", true),
            ("http://edge.example.org/push", false),
            ("https://127.0.0.1/push", false),
            ("http://127.0.0.1:8788/push", false),
            ("https://169.254.169.254/", false),
            ("https://[::1]/", false),
            ("https://localhost/", false),
            ("https://ada@edge.example.org/", false),
            ("https://edge.example.org/#x", false),
            ("ftp://edge.example.org/", false),
            ("edge.example.org", false),
        ] {
            assert_eq!(
                parse_callback(address, listed).is_ok(),
                accepted,
                "{address}"
            );
        }
        assert!(parse_callback("http://127.0.0.1:8787/push", "").is_err());
    }
}
