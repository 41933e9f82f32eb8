//! The health of the server and of its parts.

use std::collections::BTreeMap;

use axum::Json;
use axum::response::IntoResponse;
use futures::future::join;
use guest::{Db, Result, args};
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The state of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Works.
    Healthy,
    /// Works in part.
    Degraded,
    /// Does not work.
    Unhealthy,
    /// Has not reported for 30 seconds.
    Unknown,
}

/// The health of the whole and of its parts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthStatus)]
pub struct Status {
    /// `healthy` if every part is healthy, else `degraded`.
    pub status: State,
    /// The health of each part, by its name.
    pub components: BTreeMap<String, Component>,
    /// The number of claws that run; null while the database does not answer.
    pub running_claws: Option<i64>,
    /// The services outside that were called in the last hour, by name. They do not count for `status`.
    pub outside: BTreeMap<String, Outside>,
}

/// The latest calls of a service outside: of those in the last hour the newest 500 at most.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = OutsideService)]
pub struct Outside {
    /// The number of calls.
    pub calls: u64,
    /// The number of calls that failed.
    pub failures: u64,
    /// The time at which the last call began.
    #[serde(with = "time::serde::rfc3339")]
    pub last_call_at: OffsetDateTime,
    /// The average time in milliseconds until a language model began to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub latency_ms: Option<f64>,
    /// The number of receivers of webhooks that were called.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub receivers: Option<u64>,
    /// The number of those receivers that accept nothing at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failing_receivers: Option<u64>,
}

/// The health of one part.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Component {
    /// The part's state.
    pub status: State,
    /// Further details that the part reports.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub detail: Map<String, Value>,
}

/// The answer of a process that is alive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    /// `live` or `ready`, depending on the question.
    status: &'static str,
}

/// Answers 200 while the process serves requests.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Alive)),
    extensions(("x-rate-limit" = json!("health")))
)]
pub async fn live() -> impl IntoResponse {
    fresh(Alive { status: "live" })
}

/// Answers 200 if the server can take requests; 503 while it is starting or draining, or can't reach its database.
#[utoipa::path(
    get, path = "/health/ready", tag = "health",
    responses((status = 200, body = Alive), (status = 503, description = "`database-unavailable`")),
    extensions(("x-rate-limit" = json!("health")))
)]
pub async fn ready(db: Db) -> Result<impl IntoResponse> {
    db.execute("select", args![]).await?;
    Ok(fresh(Alive { status: "ready" }))
}

/// Reports the health of each part, such as the database, the disk, the queue and the workers, and the services outside
/// that were called lately.
#[utoipa::path(
    get, path = "/api/health/status", tag = "health", responses((status = 200, body = Status)),
    extensions(("x-rate-limit" = json!("health")))
)]
pub async fn status(db: Db) -> impl IntoResponse {
    fresh(read(&db).await)
}

/// Reads the latest report of each part, the number of claws, and the calls of services outside.
pub async fn read(db: &Db) -> Status {
    let (mut status, (outside, claws)) =
        join(parts(db), join(outside(db), running_claws(db))).await;
    status.outside = outside;
    status.running_claws = claws;
    status
}

/// The services outside that were called lately; none if the database does not answer, which the parts tell.
async fn outside(db: &Db) -> BTreeMap<String, Outside> {
    #[derive(Deserialize)]
    struct Service {
        service: String,
        detail: Outside,
    }
    let called = db
        .many("select service, detail from outside()", args![])
        .await;
    let called = called.unwrap_or_else(|error| {
        guest::warn!("no calls of services outside", cause = format!("{error:?}"));
        Vec::new()
    });
    let named = |one: Service| (one.service, one.detail);
    called.into_iter().map(named).collect()
}

async fn running_claws(db: &Db) -> Option<i64> {
    #[derive(Deserialize)]
    struct Counted {
        claws: i64,
    }
    let counted: Result<Counted, _> = db.one("select running_claws() as claws", args![]).await;
    counted.ok().map(|counted| counted.claws)
}

async fn parts(db: &Db) -> Status {
    let asked = OffsetDateTime::now_utc();
    let reported = db
        .many(
            "select component, detail, case
                 when component = 'database' or reported_at > now() - interval '30 seconds' then status else 'unknown'
             end as status
             from health
             union all
             select 'database', '{}', 'healthy' where not exists (select from health where component = 'database')
             order by component",
            args![],
        )
        .await;
    let latency_ms = (OffsetDateTime::now_utc() - asked).as_seconds_f64() * 1000.0;
    if let Err(error) = &reported {
        guest::warn!("no health reports", cause = format!("{error:?}"));
    }
    summary(reported.ok(), latency_ms)
}

#[derive(Debug, Deserialize)]
struct Report {
    component: String,
    status: State,
    detail: Map<String, Value>,
}

/// Missing reports mean that the database is not healthy.
fn summary(reports: Option<Vec<Report>>, latency_ms: f64) -> Status {
    let silent = Report {
        component: "database".to_owned(),
        status: State::Unhealthy,
        detail: Map::new(),
    };
    let mut components = BTreeMap::new();
    for Report {
        component,
        status,
        mut detail,
    } in reports.unwrap_or_else(|| vec![silent])
    {
        detail.remove("status");
        if component == "database" {
            detail.insert("latency_ms".to_owned(), latency_ms.into());
        }
        components.insert(component, Component { status, detail });
    }
    let well = components
        .values()
        .all(|component| component.status == State::Healthy);
    let status = if well {
        State::Healthy
    } else {
        State::Degraded
    };
    Status {
        status,
        components,
        running_claws: None,
        outside: BTreeMap::new(),
    }
}

fn fresh(body: impl Serialize) -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], Json(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(component: &str, status: State) -> Report {
        Report {
            component: component.to_owned(),
            status,
            detail: Map::new(),
        }
    }

    #[test]
    fn one_part_degrades_the_whole() {
        assert_eq!(summary(Some(vec![]), 1.0).status, State::Healthy);
        assert_eq!(
            summary(Some(vec![report("disk", State::Healthy)]), 1.0).status,
            State::Healthy
        );
        assert_eq!(
            summary(Some(vec![report("disk", State::Unknown)]), 1.0).status,
            State::Degraded
        );
        let without = summary(None, 1.5);
        assert_eq!(without.status, State::Degraded);
        assert_eq!(without.components["database"].detail["latency_ms"], 1.5);
        assert_eq!(without.components["database"].status, State::Unhealthy);
    }
}
