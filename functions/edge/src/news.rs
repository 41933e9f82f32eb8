//! What an edge must know to judge credentials.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use garde::Validate;
use guest::{Db, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::service;

/// Where an edge's knowledge ends.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Since {
    /// The `now` of the last answer. Without it, everything is told that may still matter.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[garde(skip)]
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<OffsetDateTime>,
}

/// The keys, and what has ended or changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct EdgeNews {
    /// The time of the answer by the database's clock. The next request names it as `since`.
    #[serde(with = "time::serde::rfc3339")]
    now: OffsetDateTime,
    /// All keys that verify access tokens.
    keys: Vec<EdgeKey>,
    /// The sessions and API keys that were revoked, with some that were told before.
    revoked: Vec<Uuid>,
    /// The accounts that changed, each with its generation. Tokens of an older generation are not valid.
    #[schema(value_type = Vec<Vec<Value>>)]
    changed: Vec<(Uuid, i64)>,
}

/// A public key (RFC 8037).
#[derive(Debug, Serialize, ToSchema)]
pub struct EdgeKey {
    /// The type of key, always `OKP`.
    kty: &'static str,
    /// The curve, always `Ed25519`.
    crv: &'static str,
    /// The key's id, which tokens name.
    kid: String,
    /// The public key, encoded as base64url.
    x: String,
}

#[derive(Debug, Deserialize)]
struct Row {
    news: Found,
}

#[derive(Debug, Deserialize)]
struct Found {
    #[serde(with = "time::serde::rfc3339")]
    now: OffsetDateTime,
    keys: Vec<Key>,
    revoked: Vec<Uuid>,
    changed: Vec<(Uuid, i64)>,
}

#[derive(Debug, Deserialize)]
struct Key {
    kid: String,
    public_key: String,
}

/// Tells an edge which keys are valid, and what was revoked or changed since it asked last.
///
/// Only edges can ask: `Authorization` has a service token with the audience `edge`.
#[utoipa::path(
    get, path = "/api/edge/news", tag = "edge", operation_id = "edge_news", params(Since),
    responses(
        (status = 200, body = EdgeNews),
        (status = 401, description = "`unauthenticated`: there is no valid service token"),
        (status = 422, description = "`invalid-input`"),
    ),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn news(
    db: Db,
    headers: HeaderMap,
    Query(Since { since }): Query<Since>,
) -> Result<impl IntoResponse> {
    service::require(&headers).await?;
    let since = since.map(|since| since.format(&time::format_description::well_known::Rfc3339));
    let since = since.transpose().map_err(Problem::internal)?;
    let Row { news } = db
        .one(
            "select identity.check_in($1::text::timestamptz, null, null, 'standard', 0, false) as news",
            args![since],
        )
        .await?;
    let keys = news.keys.into_iter().map(|key| {
        let bytes = STANDARD.decode(key.public_key).map_err(Problem::internal)?;
        Ok(EdgeKey {
            kty: "OKP",
            crv: "Ed25519",
            kid: key.kid,
            x: URL_SAFE_NO_PAD.encode(bytes),
        })
    });
    let answer = EdgeNews {
        now: news.now,
        keys: keys.collect::<Result<_>>()?,
        revoked: news.revoked,
        changed: news.changed,
    };
    Ok(([(CACHE_CONTROL, "private, max-age=1")], Json(answer)))
}
