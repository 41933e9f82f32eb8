//! The state of the queue.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use guest::{Db, Result, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The state of the queue in numbers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct QueueStatus {
    /// The number of jobs, by status and by kind.
    jobs: Counts,
    /// The time in milliseconds for which the oldest waiting job has been due; null if no job waits.
    oldest_queued_ms: Option<u64>,
    /// The workers that run jobs.
    workers: Workers,
}

/// The number of jobs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// The number of jobs by status.
    by_status: BTreeMap<String, u64>,
    /// The number of jobs by kind, then by status.
    by_kind: BTreeMap<String, BTreeMap<String, u64>>,
}

/// The workers that run jobs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Workers {
    /// The number of workers that reported within the last 15 seconds.
    alive: u64,
}

/// Reports the number of jobs by kind and status, how long the oldest one waits, and how many workers are alive.
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
