//! How the queue does.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use guest::{Db, Result, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The queue in numbers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct QueueStatus {
    jobs: Counts,
    /// How long the job that waits longest has been due; null where none waits.
    oldest_queued_ms: Option<u64>,
    workers: Workers,
}

/// How many jobs there are.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// By status.
    by_status: BTreeMap<String, u64>,
    /// By kind, then by status.
    by_kind: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Those who work.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Workers {
    /// Workers that were heard of within the last 15 seconds.
    alive: u64,
}

/// How many jobs there are by kind and status, how long the oldest waits, and how many workers live.
#[utoipa::path(
    get, path = "/api/status", tag = "jobs", responses((status = 200, body = QueueStatus)),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn status(db: Db) -> Result<impl IntoResponse> {
    let status: QueueStatus = db
        .one(
            "select jsonb_build_object('by_status', s -> 'by_status', 'by_kind', s -> 'by_kind') as jobs,
                    s -> 'oldest_queued_ms' as oldest_queued_ms,
                    jsonb_build_object('alive', s -> 'workers') as workers
             from summary(interval '15 seconds') s",
            args![],
        )
        .await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(status)))
}
