//! Drives a run of a pipeline. What has been done stands in the database, so a run goes on after any crash from its last
//! commit; whoever drove it before changes nothing any more. A run that waits for something holds no job.

mod answers;
mod asking;
mod awaited;
mod children;
mod ending;
mod engine;
mod graphs;
mod outgoing;
mod state;
mod trigger;
mod uncertain;
mod view;
mod work;

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use guest::task::{Ticker, Waited, sleep};
use guest::{Db, Failure, Job, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use engine::{Engine, Plan};
use outgoing::{Answer, Call};
use pipeline::{Definition, Fault, Names, evaluate};
use state::State;

/// The time after which another job goes on, so that no run keeps the others waiting.
const SLICE: Duration = Duration::from_secs(30);
/// The time after which a driver that waits for answers looks whether something else has happened.
const LOOK: Duration = Duration::from_secs(1);

/// The number of times in a row that a commit is tried again.
const MOST_FAILURES: u32 = 10;

/// The runs of a pipeline with a concurrency key, of which another one may go on.
#[derive(Debug, Deserialize)]
pub struct Queue {
    pipeline: Uuid,
    key: String,
}

/// The arguments of the job: the run to drive, a conversation in which all may be said, an approval that has been decided,
/// or an event that a trigger waits for.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    run: Option<Uuid>,
    conversation: Option<Uuid>,
    decided: Option<Uuid>,
    admits: Option<Queue>,
    forces: Option<Uuid>,
    argument: Option<Subscriber>,
    #[serde(default)]
    event: Value,
}

/// What waits for an event: a trigger, or a step that waits.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Subscriber {
    /// A trigger.
    Trigger {
        /// The trigger's id.
        trigger: Uuid,
    },
    /// A step of a run.
    Step(awaited::Step),
}

/// What the job has done.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The number of commits.
    commits: u32,
}

#[derive(Deserialize)]
struct Taken {
    taken: Option<Beginning>,
}

#[derive(Deserialize)]
struct Beginning {
    definition: Value,
    #[serde(flatten)]
    state: State,
}

#[derive(Deserialize)]
struct Committed {
    committed: Reply,
}

#[derive(Deserialize)]
struct Reply {
    held: bool,
    #[serde(default)]
    goes_on: bool,
    state: Option<State>,
}

/// Drives a run until it ends, waits, or has had its slice, or decides about an event.
///
/// # Errors
/// The database can't be reached, which is tried again later.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Summary, Failure> {
    let summary = Summary { commits: 0 };
    if let Some(queue) = &job.payload.admits {
        db.execute(
            "select admit_next($1, $2)",
            args![queue.pipeline, &queue.key],
        )
        .await?;
        return Ok(summary);
    }
    if let Some(run) = job.payload.forces {
        db.execute("select force($1)", args![run]).await?;
        return Ok(summary);
    }
    match &job.payload.argument {
        Some(Subscriber::Trigger { trigger }) => {
            trigger::decide(&db, &job, *trigger).await?;
            return Ok(summary);
        }
        Some(Subscriber::Step(step)) => {
            awaited::decide(&db, &job, step).await?;
            return Ok(summary);
        }
        None => {}
    }
    if let Some(approval) = job.payload.decided {
        db.execute("select approval_decided($1, true)", args![approval])
            .await?;
        return Ok(summary);
    }
    if let Some(conversation) = job.payload.conversation {
        db.execute("select answered($1)", args![conversation])
            .await?;
        return Ok(summary);
    }
    let unfit = || Failure::Final("The arguments name neither a run nor a trigger.".to_owned());
    let run = job.payload.run.ok_or_else(unfit)?;
    let taken: Taken = db
        .one("select take($1, $2) as taken", args![run, job.id])
        .await?;
    let Some(beginning) = taken.taken else {
        return Ok(summary);
    };
    let definition = pipeline::check(&beginning.definition).definition;
    let unfit = || Failure::Final("The definition of the run can't be read.".to_owned());
    let definition = definition.ok_or_else(unfit)?;
    if !admitted(&db, run, &definition, &beginning.state).await? {
        return Ok(summary);
    }
    let engine = Engine::new(run, definition, beginning.state);
    drive(db, run, engine).await
}

/// Drives a run until it ends, waits, or has had its slice. A commit that fails is tried again with the answers that have
/// come meanwhile, since whoever took the run over could not know whether its requests have arrived.
async fn drive(mut db: Db, run: Uuid, mut engine: Engine) -> Result<Summary, Failure> {
    let mut summary = Summary { commits: 0 };
    let began = Instant::now();
    let mut ticker = Ticker::new(LOOK);
    let mut flying = FuturesUnordered::new();
    let (mut sending, mut verifying, mut failures) = (Vec::new(), Vec::new(), 0);
    loop {
        let may_send = began.elapsed() < SLICE;
        let Plan {
            sending: ready,
            verifying: uncertain,
            is_spent,
            ending,
            is_forced,
            goes_on,
        } = engine.advance(may_send);
        sending.extend(ready);
        verifying.extend(uncertain);
        let sends = !(flying.is_empty() && sending.is_empty() && verifying.is_empty());
        let is_idle = !(goes_on || sends && engine.is_busy());
        // What is being sent is recorded before the run ends, so that its last state is known.
        let ending = ending.filter(|_| is_idle || is_forced);
        let parks = is_idle && ending.is_none();
        let committed: Result<Committed, _> = db
            .one(
                "select commit($1, $2, $3, $4, $5, $6, $7, $8) as committed",
                args![
                    run,
                    engine.epoch(),
                    engine.news(),
                    engine.changes(),
                    ending,
                    parks,
                    parks && !may_send,
                    is_spent
                ],
            )
            .await;
        let has_more = match committed {
            Ok(Committed { committed: reply }) => {
                (summary.commits, failures) = (summary.commits + 1, 0);
                if !(reply.held && reply.goes_on) {
                    note_all_late(&db, run, flying).await?;
                    return Ok(summary);
                }
                engine.committed();
                let has_news = reply.state.is_some();
                if let Some(state) = reply.state {
                    engine.look_again(state);
                }
                // A breaker may have held back some of them.
                for path in sending.drain(..).filter(|path| engine.is_sent(path)) {
                    let call = engine.call(&path);
                    flying.push(sent(path, Ok(call), false));
                }
                for path in verifying.drain(..) {
                    let call = engine.verification(&path);
                    flying.push(sent(path, call, true));
                }
                has_news || goes_on
            }
            Err(error) if failures == MOST_FAILURES => return Err(error.into()),
            Err(error) => {
                guest::warn!("a commit is tried again", cause = format!("{error:?}"));
                failures += 1;
                // The connection may have broken.
                db = db.apart();
                if flying.is_empty() {
                    sleep(LOOK).await;
                }
                false
            }
        };
        if has_more {
            continue;
        }
        if let Waited::Ready(Some((path, answer, verifies))) = ticker.beside(flying.next()).await {
            let outcome = answer.outcome();
            if verifies {
                engine.decide(&path, answer);
            } else if !engine.record(&path, answer) {
                note_late(&db, run, &path, outcome).await?;
            }
        }
    }
}

#[derive(Deserialize)]
struct Admitted {
    admitted: bool,
}

/// Whether a run goes on, by the limit of its concurrency key. One that does not is parked or has ended.
async fn admitted(
    db: &Db,
    run: Uuid,
    definition: &Definition,
    state: &State,
) -> Result<bool, Failure> {
    let Some(concurrency) = &definition.concurrency else {
        return Ok(true);
    };
    if state.is_admitted || state.is_late || state.is_paused {
        return Ok(true);
    }
    let names = Names::from_iter([("input".to_owned(), state.input.clone())]);
    let key = match evaluate(&concurrency.key, &names) {
        Ok(Value::String(text)) => Ok(text),
        Ok(other) => Ok(other.to_string()),
        Err(fault) => Err(error(fault.code, fault.detail)),
    };
    let (key, fault) = match key {
        Ok(key) => (Some(key), None),
        Err(fault) => (None, Some(fault)),
    };
    let answer: Admitted = db
        .one(
            "select admit($1, $2, $3, $4, $5, $6) as admitted",
            args![
                run,
                state.epoch,
                key,
                i32::try_from(concurrency.limit).unwrap_or(i32::MAX),
                json!(concurrency.on_limit).as_str(),
                fault
            ],
        )
        .await?;
    Ok(answer.admitted)
}

/// Notes all that comes too late.
async fn note_all_late(
    db: &Db,
    run: Uuid,
    mut flying: FuturesUnordered<impl Future<Output = (String, Answer, bool)>>,
) -> Result<(), Failure> {
    while let Some((path, answer, _)) = flying.next().await {
        note_late(db, run, &path, answer.outcome()).await?;
    }
    Ok(())
}

/// Notes what comes too late for a step that has been ended meanwhile.
async fn note_late(db: &Db, run: Uuid, path: &str, outcome: &str) -> Result<(), Failure> {
    db.execute("select note_late($1, $2, $3)", args![run, path, outcome])
        .await?;
    Ok(())
}

/// Sends a request of a step, or one that verifies it.
async fn sent(path: String, call: Result<Call, Fault>, verifies: bool) -> (String, Answer, bool) {
    let answer = match call {
        Ok(call) => outgoing::send(call).await,
        Err(_) => Answer::Unknown,
    };
    (path, answer, verifies)
}

/// The error of a step or of a run.
fn error(code: &str, detail: impl std::fmt::Display) -> Value {
    // Texts of others have characters that the database does not store.
    let detail: String = detail.to_string().chars().take(500).collect();
    let detail = detail.replace('\0', "\u{fffd}");
    json!({"code": code, "detail": detail})
}

guest::export_job!(super::run);
