//! What a schedule says: its times, its action, and what happens when they do not fit.

use calendar::{Code, Plan, Spec};
use garde::Validate;
use guest::{Problem, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use uuid::Uuid;

/// A schedule to be made: its action, and one of `cron`, `every_ms` and `at`.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// The name, for people.
    #[garde(length(chars, min = 1, max = 100))]
    #[schema(min_length = 1, max_length = 100, example = "Nightly report")]
    pub name: String,
    /// The action at each time.
    #[garde(skip)]
    pub action: Action,
    /// The IANA name of the time zone in which cron expressions are read.
    #[garde(length(max = 100))]
    #[serde(default = "utc")]
    #[schema(max_length = 100, example = "Europe/Berlin")]
    pub timezone: String,
    /// Cron expressions with five fields, or six with seconds; each adds its times.
    #[garde(length(max = 20))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20, example = json!(["0 6 * * MON-FRI"]))]
    pub cron: Vec<String>,
    /// The interval in milliseconds, at least 1,000.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000)]
    pub every_ms: Option<i64>,
    /// Fixed times in RFC 3339.
    #[garde(length(max = 1000))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1000)]
    pub at: Vec<String>,
    /// The first time that counts.
    #[garde(skip)]
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub starts_at: Option<OffsetDateTime>,
    /// The last time that counts.
    #[garde(skip)]
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub ends_at: Option<OffsetDateTime>,
    /// The longest random delay of a firing, in milliseconds.
    #[garde(range(min = 0, max = 86_400_000))]
    #[serde(default)]
    #[schema(minimum = 0, maximum = 86_400_000)]
    pub jitter_ms: i64,
    /// What happens while the work of the last time goes on.
    #[garde(skip)]
    #[serde(default)]
    pub overlap: Overlap,
    /// What happens to times that were missed.
    #[garde(dive)]
    #[serde(default)]
    pub catch_up: CatchUp,
    /// The number of failures in a row after which the schedule is paused; never if absent.
    #[garde(inner(range(min = 1, max = 1000)))]
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    pub pause_after_failures: Option<i32>,
}

fn utc() -> String {
    "UTC".to_owned()
}

/// What a schedule does.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = ScheduledAction)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Has an agent do a task: one that the platform thinks for, and that the owner may ask.
    RunTask {
        /// The id or the name of the agent that does the task.
        agent: String,
        /// The task for the agent.
        prompt: String,
    },
    /// Starts a run of one of the owner's pipelines.
    ExecutePipeline {
        /// The pipeline's id, or its name.
        pipeline: String,
        /// The version; the active one if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<i32>,
        /// The input of the run.
        #[serde(default)]
        #[schema(value_type = Object, nullable)]
        input: Value,
    },
    /// Writes to the inboxes of accounts: of the owner, and of those that share a team with it.
    SendNotification {
        /// The accounts that are notified.
        to: Vec<Uuid>,
        /// The title of the notification.
        title: String,
        /// The text of the notification.
        #[serde(default)]
        body: String,
    },
    /// Sends a request: to the platform's own API if `url` is a path, else to another host through the way out.
    CallApi {
        /// The method of the request.
        #[serde(default = "get")]
        method: String,
        /// The path or the address.
        url: String,
        /// Headers, for other hosts.
        #[serde(default)]
        #[schema(value_type = Object, nullable)]
        headers: Value,
        /// The body, as JSON.
        #[serde(default)]
        #[schema(value_type = Object, nullable)]
        body: Value,
    },
}

fn get() -> String {
    "GET".to_owned()
}

/// What happens when a schedule is due while the work of the last time goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// This time is skipped.
    #[default]
    Skip,
    /// One time waits for its turn, others are skipped.
    Queue,
    /// The earlier work is cancelled.
    Cancel,
    /// Both go on.
    Allow,
}

/// What happens to times that were missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CatchUp {
    /// The number of missed times that still fire, the latest ones.
    #[garde(range(min = 0, max = 100))]
    #[schema(minimum = 0, maximum = 100)]
    pub max: i32,
    /// The age up to which they do, in milliseconds.
    #[garde(range(min = 0))]
    #[schema(minimum = 0)]
    pub within_ms: i64,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self {
            max: 1,
            within_ms: 86_400_000,
        }
    }
}

/// The milliseconds since 1970 of a time.
pub fn ms_of(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The time of so many milliseconds since 1970, in RFC 3339.
pub fn text_of(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_default()
}

impl NewSchedule {
    /// The times of the schedule, of which intervals are counted from `anchor`.
    ///
    /// # Errors
    /// 422 `invalid-cron`, `invalid-timezone` or `invalid-input`.
    pub fn plan(&self, anchor: i64) -> Result<(Spec, Plan)> {
        let mut at = Vec::with_capacity(self.at.len());
        for (place, text) in self.at.iter().enumerate() {
            let time = OffsetDateTime::parse(text, &Rfc3339);
            let unfit = |_| Problem::invalid(format!("at[{place}]"), "must be a time in RFC 3339");
            at.push(ms_of(time.map_err(unfit)?));
        }
        let spec = Spec {
            cron: self.cron.clone(),
            every_ms: self.every_ms,
            at,
            timezone: self.timezone.clone(),
            starts_at: self.starts_at.map(ms_of),
            ends_at: self.ends_at.map(ms_of),
            anchor: self.starts_at.map_or(anchor, ms_of),
            jitter_ms: self.jitter_ms,
        };
        let plan = Plan::new(spec.clone()).map_err(|refusal| {
            let code = match refusal.code {
                Code::Cron => "invalid-cron",
                Code::Zone => "invalid-timezone",
                Code::Shape => return Problem::invalid(refusal.field, refusal.detail),
            };
            let detail = format!("`{}` {}", refusal.field, refusal.detail);
            Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, code, detail)
        })?;
        Ok((spec, plan))
    }

    /// Checks the action, except for what only the database knows.
    ///
    /// # Errors
    /// 422 `invalid-input`.
    pub fn check_action(&self) -> Result<()> {
        let refuse = |field: &str, why: &str| Err(Problem::invalid(format!("action.{field}"), why));
        match &self.action {
            Action::RunTask { prompt, .. } => {
                if prompt.trim().is_empty() || prompt.len() > 16 << 10 {
                    return refuse("prompt", "must have 1 to 16,384 bytes");
                }
                fit_texts(&[prompt])
            }
            Action::ExecutePipeline { input, .. } => {
                pipeline::fit(input).map_err(|fault| Problem::invalid("action.input", fault.detail))
            }
            Action::SendNotification { to, title, body } => {
                if to.is_empty() || to.len() > 100 {
                    return refuse("to", "must name 1 to 100 accounts");
                }
                if title.is_empty() || title.chars().count() > 200 || body.chars().count() > 5_000 {
                    return refuse(
                        "title",
                        "must have 1 to 200 characters, and the body 5,000 at most",
                    );
                }
                fit_texts(&[title, body])
            }
            Action::CallApi {
                method,
                url,
                headers,
                body,
            } => {
                if !["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"].contains(&method.as_str()) {
                    return refuse("method", "must be a method of HTTP in upper case");
                }
                let path = url.split('?').next().unwrap_or_default();
                let is_own =
                    path.starts_with("/api/") && !path.contains("..") && !path.contains("//");
                if url.len() > 2_000 || !(is_own || pipeline::origin(url).is_some()) {
                    return refuse(
                        "url",
                        "must be a path that begins with /api/, or an address of the web",
                    );
                }
                if !(headers.is_null()
                    || headers
                        .as_object()
                        .is_some_and(|all| all.values().all(Value::is_string)))
                {
                    return refuse("headers", "must be an object of texts");
                }
                fit_texts(&[url])?;
                for value in [headers, body] {
                    pipeline::fit(value)
                        .map_err(|fault| Problem::invalid("action.body", fault.detail))?;
                }
                Ok(())
            }
        }
    }
}

fn fit_texts(texts: &[&String]) -> Result<()> {
    for text in texts {
        pipeline::fit(&Value::from(text.as_str()))
            .map_err(|fault| Problem::invalid("action", fault.detail))?;
    }
    Ok(())
}
