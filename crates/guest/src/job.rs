//! Jobs, from inside the component that runs them. The contract is `gather:jobs/worker` in `wit/`.
//!
//! ```ignore
//! async fn run(db: Db, job: Job<Arguments>) -> Result<Summary, Failure> { … }
//! guest::export_job!(run);
//! ```

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{Db, Problem, db, required_variable};

/// One attempt at a job. Earlier attempts may have stopped at any point, so the work should use the job's id as its key
/// to be safe to repeat.
#[derive(Debug, Clone)]
pub struct Job<P> {
    /// The job's id, the same in every attempt.
    pub id: Uuid,
    /// The attempt's number, beginning with 1.
    pub attempt: u32,
    /// The number of the last attempt, after which the job is dead.
    pub max_attempts: u32,
    /// The account that owns the job; `None` for the platform's own jobs.
    pub owner: Option<Uuid>,
    /// The arguments of the job.
    pub payload: P,
    control: Control,
}

/// The reason why an attempt failed. The job's owner reads it, so it must not contain secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Try again after the host's growing delay.
    Retry(String),
    /// Try again after this time.
    RetryAfter(Duration, String),
    /// Never try again.
    Final(String),
}

/// The functions of the host that a job can call.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Control {
    pub progress: fn(u8, &str),
    pub cancelled: fn() -> bool,
}

/// A job as the host passes it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    pub id: &'a str,
    pub attempt: u32,
    pub max_attempts: u32,
    pub owner: Option<&'a str>,
    pub payload: &'a str,
    pub control: Control,
}

impl<P> Job<P> {
    /// Reports the job's progress: 0 to 100 percent, and a few words.
    pub fn progress(&self, percent: u8, note: &str) {
        (self.control.progress)(percent, note);
    }

    /// Whether the job was cancelled. It then has a few seconds to end cleanly.
    pub fn is_cancelled(&self) -> bool {
        (self.control.cancelled)()
    }
}

impl From<db::Error> for Failure {
    /// The log gets the cause; the owner only learns that the database failed.
    fn from(error: db::Error) -> Self {
        let problem = Problem::from(error);
        Self::Retry(format!("The database failed ({}).", problem.code()))
    }
}

/// Runs a component's work for the host. [`crate::export_job!`] calls this.
///
/// # Errors
/// The work's own failure. Arguments that do not fit and results that can't be written as JSON are final.
pub async fn run<P, R, W>(given: Given<'_>, work: W) -> Result<String, Failure>
where
    P: DeserializeOwned,
    R: Serialize,
    W: AsyncFnOnce(Db, Job<P>) -> Result<R, Failure>,
{
    let unfit = |what: &str| Failure::Final(format!("The {what} do not fit this kind of job."));
    let payload = {
        let mut json = serde_json::Deserializer::from_str(given.payload);
        serde_path_to_error::deserialize(&mut json)
            // The error's text could quote the payload, so only the path is repeated.
            .map_err(|error| unfit(&format!("arguments (at `{}`)", error.path())))?
    };
    let owner = given.owner.map(str::parse).transpose();
    let job = Job {
        id: given.id.parse().map_err(|_| unfit("ids"))?,
        attempt: given.attempt,
        max_attempts: given.max_attempts,
        owner: owner.map_err(|_| unfit("ids"))?,
        payload,
        control: given.control,
    };
    let url = required_variable("database_url")
        .await
        .map_err(|problem| Failure::Retry(format!("Not configured ({}).", problem.code())))?;
    let result = work(Db::of_job(url), job).await?;
    serde_json::to_string(&result)
        .map_err(|error| Failure::Final(format!("The result can't be written as JSON: {error}.")))
}

/// Exports a job: `guest::export_job!(run)`, where `run` is `async fn(Db, Job<Arguments>) -> Result<Summary, Failure>`.
/// For crates in `components/`.
///
/// In native builds this expands to nothing, so that the crate links into tests.
// The bindings are generated in the component's crate. If they were generated here, every function would import the
// interfaces of jobs.
#[macro_export]
macro_rules! export_job {
    ($run:path) => {
        #[cfg(target_os = "wasi")]
        mod exported {
            mod bindings {
                #![allow(missing_docs, reason = "generated")]
                $crate::exported::wit_bindgen::generate!({
                    path: "../../wit",
                    world: "gather:jobs/core",
                    runtime_path: "guest::exported::wit_bindgen::rt",
                });
            }
            use bindings::gather::jobs::{control, types};
            use $crate::job::{Control, Failure};

            struct Component;
            bindings::export!(Component with_types_in bindings);

            impl bindings::Guest for Component {
                async fn run(job: types::Job) -> Result<String, types::Failure> {
                    let given = $crate::job::Given {
                        id: &job.id,
                        attempt: job.attempt,
                        max_attempts: job.max_attempts,
                        owner: job.owner.as_deref(),
                        payload: &job.payload,
                        control: Control {
                            progress: control::progress,
                            cancelled: control::cancelled,
                        },
                    };
                    let done = $crate::job::run(given, $run).await;
                    done.map_err(|failure| {
                        let (message, retry) = match failure {
                            Failure::Retry(message) => (message, types::Retry::Later),
                            Failure::RetryAfter(after, message) => {
                                let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                                (message, types::Retry::AfterMs(ms))
                            }
                            Failure::Final(message) => (message, types::Retry::Never),
                        };
                        types::Failure { message, retry }
                    })
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_do_not_fit_are_final_and_not_quoted() {
        #[derive(Debug, serde::Deserialize)]
        struct Arguments {
            #[expect(dead_code, reason = "only its type matters here")]
            count: u32,
        }
        let id = Uuid::nil().to_string();
        let work = async |_, _: Job<Arguments>| Ok(());
        let given = Given {
            id: &id,
            attempt: 1,
            max_attempts: 5,
            owner: None,
            payload: r#"{"count": "s3cret"}"#,
            control: Control {
                progress: |_, _| (),
                cancelled: || false,
            },
        };
        let run = run(given, work);
        let Err(Failure::Final(message)) = futures::executor::block_on(run) else {
            panic!("not final");
        };
        assert!(
            message.contains("count") && !message.contains("s3cret"),
            "{message}"
        );
    }
}
