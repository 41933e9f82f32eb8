//! The jobs that ended in the last day, hour by hour, for charts.

use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use guest::{Caller, Db, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::jobs::owner;

/// The jobs that ended in the last 24 hours.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobHistory {
    /// The hours, the oldest first. Of more than 20,000 jobs the latest count, so the oldest hours may lack some.
    hours: Vec<Hour>,
}

/// The jobs that ended within one hour.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = JobHour)]
pub struct Hour {
    /// The time at which the hour begins.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// The number of jobs that succeeded.
    succeeded: u64,
    /// The number of jobs that died.
    dead: u64,
    /// The number of jobs that were cancelled.
    cancelled: u64,
    /// The median time in milliseconds from when a job was due until it ended; null if none ended.
    median_ms: Option<f64>,
    /// The time in milliseconds within which 95 % of the jobs ended after they were due; null if none ended.
    p95_ms: Option<f64>,
}

/// Counts the caller's jobs that ended in the last 24 hours, by the hour, with the time that they took. Admins see all
/// jobs.
#[utoipa::path(
    get, path = "/api/jobs/history", tag = "jobs", operation_id = "job_history",
    responses((status = 200, body = JobHistory)),
    security(("token" = []))
)]
pub async fn history(db: Db, caller: Caller) -> Result<impl IntoResponse> {
    let hours = db
        .many(
            "with ended as (
                 (select status, finished_at, greatest(created_at, run_at) as due from job_view
                  where $1::uuid is null and finished_at > now() - interval '24 hours'
                  order by finished_at desc limit 20000)
                 union all
                 (select status, finished_at, greatest(created_at, run_at) from job_view
                  where owner_id = $1 and finished_at > now() - interval '24 hours'
                  order by finished_at desc limit 20000)
             ), timed as (
                 select status, floor(extract(epoch from now() - finished_at) / 3600)::integer as ago,
                     greatest(extract(epoch from finished_at - due) * 1000, 0) as ms
                 from ended
             )
             select now() - make_interval(hours => h.ago + 1) as at,
                 count(*) filter (where t.status = 'succeeded') as succeeded,
                 count(*) filter (where t.status = 'dead') as dead,
                 count(*) filter (where t.status = 'cancelled') as cancelled,
                 round((percentile_cont(0.5) within group (order by t.ms))::numeric, 1) as median_ms,
                 round((percentile_cont(0.95) within group (order by t.ms))::numeric, 1) as p95_ms
             from generate_series(0, 23) h (ago) left join timed t on t.ago = h.ago
             group by h.ago order by h.ago desc",
            args![owner(&caller)],
        )
        .await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(JobHistory { hours })))
}
