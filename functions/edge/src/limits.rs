//! Shares of the accounts' limits, for requests that pass an edge.

use axum::Json;
use axum::http::HeaderMap;
use garde::Validate;
use guest::{Db, Input, Result, account_quota, args};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::service;

/// The time for which a share is valid where there are no limits.
const WITHOUT_LIMITS: Duration = Duration::MINUTE;

/// The shares that an edge wants.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedShares {
    /// An entry for each account.
    #[garde(length(min = 1, max = 100), dive)]
    #[schema(min_items = 1, max_items = 100)]
    leases: Vec<WantedShare>,
}

/// The share of an account's limit that an edge wants.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedShare {
    /// The account whose limit is shared.
    #[garde(skip)]
    account: Uuid,
    /// The number of requests that are about to be made.
    #[garde(range(min = 1, max = 10_000))]
    #[schema(minimum = 1, maximum = 10_000)]
    want: u32,
}

/// The shares that an edge gets.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantedShares {
    /// An entry for each account.
    leases: Vec<GrantedShare>,
}

/// The share of an account's limit that an edge gets.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct GrantedShare {
    /// The account whose limit is shared.
    account: Uuid,
    /// The number of requests that the edge may let pass. It may differ from what was wanted; 0 if the limit is reached.
    granted: u32,
    /// The time at which the share ends.
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

#[derive(Debug, Deserialize)]
struct Row {
    leases: Vec<GrantedShare>,
}

/// Takes shares of accounts' limits, so that an edge can refuse what is over the limit by itself.
///
/// All shares of a minute together never exceed the largest number of requests that an account may make. The server
/// counts the requests that reach it once more, for itself.
#[utoipa::path(
    post, path = "/api/edge/limits", tag = "edge", operation_id = "edge_limits", request_body = WantedShares,
    responses(
        (status = 200, body = GrantedShares),
        (status = 401, description = "`unauthenticated`: there is no valid service token"),
        (status = 422, description = "`invalid-input`"),
    ),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn limits(
    db: Db,
    headers: HeaderMap,
    Input(wanted): Input<WantedShares>,
) -> Result<Json<GrantedShares>> {
    service::require(&headers).await?;
    let Some(quota) = account_quota().await else {
        let until = OffsetDateTime::now_utc() + WITHOUT_LIMITS;
        let leases = wanted.leases.into_iter().map(|one| GrantedShare {
            account: one.account,
            granted: one.want,
            until,
        });
        return Ok(Json(GrantedShares {
            leases: leases.collect(),
        }));
    };
    let accounts: Vec<_> = wanted
        .leases
        .iter()
        .map(|one| one.account.to_string())
        .collect();
    let quota = i32::try_from(quota).unwrap_or(i32::MAX);
    let Row { leases } = db
        .one(
            "select lease($1::text[]::uuid[], $2) as leases",
            args![accounts, quota],
        )
        .await?;
    Ok(Json(GrantedShares { leases }))
}
