//! Tries a skill out in the sandbox: runs its examples, and calls its tools with generated arguments. The total effort
//! for strangers' code is bounded here; the sandbox bounds each call.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bytes::Bytes;
use guest::{Db, Job, Problem, args};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::evidence::{Answer, Evidence, Example, ExampleRun, ProbeRun, Report, Subject};
use crate::values::{cut, kept};
use crate::{Arguments, SANDBOX, pause};

/// The number of generated calls of each tool, each made twice.
const CALLS: u32 = 200;
/// The time for all generated calls of a skill.
const PROBES_TIME: Duration = Duration::from_secs(12);
/// The time for all examples of a skill. The last one may exceed it.
const EXAMPLES_TIME: Duration = Duration::from_secs(120);
/// The time for all examples including waits for a busy sandbox, after which the attempt is given up.
const EXAMPLES_WAIT: Duration = Duration::from_secs(300);
/// The number of examples, from the first, that may reach the origins that the skill asks for, once each, since those
/// are strangers too.
const NETWORK_EXAMPLES: usize = 5;
/// The number of wrong examples after which no more are run.
const MAX_WRONG: usize = 5;
/// The number of waits for a busy sandbox in one attempt, and the length of each.
const MAX_PAUSES: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);
/// The codes of endings that the skill causes. The platform causes any other problem.
const ENDINGS: [&str; 9] = [
    "invalid-arguments",
    "permission-denied",
    "skill-deadline",
    "skill-failed",
    "skill-fuel",
    "skill-memory",
    "skill-output",
    "skill-trapped",
    "unknown-tool",
];

/// The reason why gathering evidence stopped.
#[derive(Debug, PartialEq, Eq)]
enum Stopped {
    /// The skill can't be loaded, which is evidence too.
    Unusable(String),
    /// The sandbox has no free permit and has not begun the call.
    Busy,
    /// The platform could not do its part.
    Failed(String),
}

/// The time that steps share. Time that one step leaves goes to the others.
#[derive(Debug)]
struct Budget {
    left: Duration,
    steps: u32,
}

impl Budget {
    fn new(whole: Duration, steps: usize) -> Self {
        Self {
            left: whole,
            steps: u32::try_from(steps).unwrap_or(u32::MAX),
        }
    }

    /// The time for the next step; `None` if nothing is left.
    fn share(&self) -> Option<Duration> {
        let share = self.left / self.steps.max(1);
        (!share.is_zero()).then_some(share)
    }

    fn spend(&mut self, taken: Duration) {
        self.left = self.left.saturating_sub(taken);
        self.steps = self.steps.saturating_sub(1);
    }
}

/// Whether an example is to be run, or its outcome in an earlier attempt.
#[derive(Debug, Deserialize)]
struct Begun {
    is_first: bool,
    outcome: Option<ExampleRun>,
}

struct Trial<'a> {
    db: &'a Db,
    subject: &'a Subject,
    job: &'a Job<Arguments>,
    pauses: u32,
}

/// Runs the examples and the generated calls. If the job is cancelled, returns the evidence so far.
///
/// # Errors
/// The platform could not do its part, which is tried again later.
pub async fn gather(db: &Db, subject: &Subject, job: &Job<Arguments>) -> Result<Evidence, String> {
    let mut evidence = Evidence::default();
    let mut trial = Trial {
        db,
        subject,
        job,
        pauses: 0,
    };
    match trial.run(&mut evidence).await {
        Ok(()) => Ok(evidence),
        Err(Stopped::Unusable(why)) => {
            evidence.unusable = Some(cut(&why));
            Ok(evidence)
        }
        Err(Stopped::Busy) => Err("The sandbox is busy.".to_owned()),
        Err(Stopped::Failed(why)) => Err(why),
    }
}

impl Trial<'_> {
    async fn run(&mut self, evidence: &mut Evidence) -> Result<(), Stopped> {
        self.job.progress(2, "loading");
        self.load().await?;
        self.run_examples(evidence).await?;
        self.run_probes(evidence).await
    }

    /// Loads the skill, so that compiling it does not use up a tool's time.
    async fn load(&mut self) -> Result<(), Stopped> {
        if let Some(tool) = self.subject.tools.first() {
            self.probe(&tool.name, 0, 0, Duration::ZERO).await?;
        }
        Ok(())
    }

    async fn run_examples(&mut self, evidence: &mut Evidence) -> Result<(), Stopped> {
        let examples = self.subject.examples();
        let began = Instant::now();
        let (mut wrong, mut taken) = (0, Duration::ZERO);
        for (at, example) in examples.iter().enumerate() {
            if began.elapsed() > EXAMPLES_WAIT {
                return Err(Stopped::Failed("The sandbox is too busy.".to_owned()));
            }
            if self.job.is_cancelled() || wrong == MAX_WRONG || taken > EXAMPLES_TIME {
                evidence.examples_left = examples.len() - at;
                return Ok(());
            }
            self.job.progress(
                percent(5, 35, at, examples.len()),
                &format!("running example {} of {}", at + 1, examples.len()),
            );
            let run = if at < NETWORK_EXAMPLES && self.subject.asks_for_origins() {
                self.run_once(at, example).await?
            } else {
                self.run_example(example, false).await?
            };
            wrong += usize::from(!run.is_as_expected && !run.is_open);
            taken += run.took();
            evidence.examples.push(run);
        }
        Ok(())
    }

    /// Runs an example that may reach an origin, unless an earlier attempt of the review has. The outcome of that
    /// attempt is kept; if it was lost, the example is run without the network.
    async fn run_once(&mut self, at: usize, example: &Example) -> Result<ExampleRun, Stopped> {
        let (version, number) = (
            self.subject.version_id,
            i32::try_from(at).unwrap_or(i32::MAX),
        );
        let begun: Begun = self
            .db
            .one(
                "select is_first, outcome from begin_example($1, $2)",
                args![version, number],
            )
            .await
            .map_err(no_database)?;
        match begun.outcome {
            Some(run) => return Ok(run),
            None if !begun.is_first => return self.run_example(example, false).await,
            None => {}
        }
        let run = self.run_example(example, true).await;
        let outcome = match &run {
            Ok(run) => Some(json!(run)),
            Err(Stopped::Busy | Stopped::Unusable(_)) => None,
            // How far the call got is unknown.
            Err(Stopped::Failed(_)) => return run,
        };
        self.db
            .execute(
                "select end_example($1, $2, $3)",
                args![version, number, outcome],
            )
            .await
            .map_err(no_database)?;
        run
    }

    async fn run_example(
        &mut self,
        example: &Example,
        network: bool,
    ) -> Result<ExampleRun, Stopped> {
        let mut question = self.question(&example.tool);
        question.insert("arguments".to_owned(), example.arguments.clone());
        question.insert("evidence".to_owned(), json!(true));
        question.insert("network".to_owned(), json!(network));
        let (status, body) = self.ask("/invoke", &question).await?;
        let answer = read(&body)?;
        Ok(ExampleRun::new(example, &answer, status == StatusCode::OK))
    }

    async fn run_probes(&mut self, evidence: &mut Evidence) -> Result<(), Stopped> {
        let tools = &self.subject.tools;
        let mut budget = Budget::new(PROBES_TIME, tools.len());
        for (at, tool) in tools.iter().enumerate() {
            let Some(share) = budget.share().filter(|_| !self.job.is_cancelled()) else {
                return Ok(());
            };
            self.job.progress(
                percent(35, 80, at, tools.len()),
                &format!("calling {} with generated arguments", tool.name),
            );
            let seed = seed(&self.subject.digest, at);
            let report = self.probe(&tool.name, CALLS, seed, share).await?;
            budget.spend(Duration::from_millis(report.elapsed_ms));
            evidence.probes.push(ProbeRun {
                tool: tool.name.clone(),
                seed,
                report,
            });
        }
        Ok(())
    }

    async fn probe(
        &mut self,
        tool: &str,
        calls: u32,
        seed: u64,
        budget: Duration,
    ) -> Result<Report, Stopped> {
        let mut question = self.question(tool);
        question.insert("calls".to_owned(), json!(calls));
        question.insert("seed".to_owned(), json!(seed));
        let milliseconds = u64::try_from(budget.as_millis()).unwrap_or(u64::MAX);
        question.insert("budget_ms".to_owned(), json!(milliseconds));
        let (status, body) = self.ask("/probe", &question).await?;
        if status != StatusCode::OK {
            let code = read(&body)?.code;
            return Err(Stopped::Failed(format!(
                "The sandbox refuses to try the tool {tool} ({code})."
            )));
        }
        let mut report: Report = serde_json::from_slice(&body).map_err(|error| {
            Stopped::Failed(format!("The sandbox's report can't be read: {error}."))
        })?;
        for finding in &mut report.findings {
            *finding = kept(&finding.to_string());
        }
        Ok(report)
    }

    fn question(&self, tool: &str) -> Map<String, Value> {
        let subject = self.subject;
        let skill =
            json!({"id": subject.skill_id, "name": subject.name, "version": subject.version});
        Map::from_iter([
            ("digest".to_owned(), json!(subject.digest)),
            ("tool".to_owned(), json!(tool)),
            ("skill".to_owned(), skill),
            ("account".to_owned(), json!(subject.published_by)),
            ("permissions".to_owned(), subject.permissions()),
            ("limits".to_owned(), subject.manifest["limits"].clone()),
        ])
    }

    /// Asks the sandbox, and waits while it is busy.
    async fn ask(
        &mut self,
        path: &str,
        question: &Map<String, Value>,
    ) -> Result<(StatusCode, Bytes), Stopped> {
        loop {
            let answer = SANDBOX.ask(path, question, None).await.map_err(|problem| {
                Stopped::Failed(format!(
                    "The sandbox can't be reached ({}).",
                    problem.code()
                ))
            })?;
            let (parts, body) = answer.into_parts();
            match judge(parts.status, &body)? {
                Heard::Answer => return Ok((parts.status, body)),
                Heard::Busy if self.pauses < MAX_PAUSES && !self.job.is_cancelled() => {
                    self.pauses += 1;
                    pause(PAUSE).await;
                }
                Heard::Busy => return Err(Stopped::Busy),
            }
        }
    }
}

fn no_database(error: guest::db::Error) -> Stopped {
    let code = Problem::from(error).code();
    Stopped::Failed(format!("The database can't be asked ({code})."))
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// An answer about the skill.
    Answer,
    /// The sandbox has too many calls at the moment.
    Busy,
}

/// Classifies an answer. Only endings that the sandbox names count against a skill.
fn judge(status: StatusCode, body: &[u8]) -> Result<Heard, Stopped> {
    if status == StatusCode::OK {
        return Ok(Heard::Answer);
    }
    let answer = read(body)?;
    match answer.code.as_str() {
        code if ENDINGS.contains(&code) => Ok(Heard::Answer),
        "sandbox-busy" => Ok(Heard::Busy),
        "skill-unusable" => Err(Stopped::Unusable(answer.detail)),
        code => Err(Stopped::Failed(format!(
            "The sandbox can't answer ({} {code}).",
            status.as_u16()
        ))),
    }
}

fn read(body: &[u8]) -> Result<Answer<'_>, Stopped> {
    serde_json::from_slice(body)
        .map_err(|_| Stopped::Failed("The sandbox's answer can't be read.".to_owned()))
}

/// Derives the seed from the digest and the tool's index. It is below 2^53, so that all JSON readers represent it
/// exactly.
fn seed(digest: &str, at: usize) -> u64 {
    let digits = digest.trim_start_matches("sha256:").get(..12);
    let start = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    start.unwrap_or_default().wrapping_add(at as u64)
}

fn percent(from: usize, to: usize, at: usize, of: usize) -> u8 {
    u8::try_from(from + (to - from) * at / of.max(1)).unwrap_or(99)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_the_sandbox_names_is_held_against_a_skill() {
        let check = |status, body: &str| {
            judge(
                StatusCode::from_u16(status).expect("a status"),
                body.as_bytes(),
            )
        };
        assert_eq!(check(200, "{}"), Ok(Heard::Answer));
        for (status, code) in [
            (422, "skill-failed"),
            (502, "skill-trapped"),
            (403, "permission-denied"),
        ] {
            assert_eq!(
                check(status, &json!({"code": code}).to_string()),
                Ok(Heard::Answer)
            );
        }
        assert_eq!(check(503, r#"{"code": "sandbox-busy"}"#), Ok(Heard::Busy));
        let unusable = check(422, r#"{"code": "skill-unusable", "detail": "too large"}"#);
        assert_eq!(unusable, Err(Stopped::Unusable("too large".into())));
        for (status, body) in [
            (500, r#"{"code": "internal"}"#),
            (401, r#"{"code": "unauthenticated"}"#),
            (404, r#"{"code": "not-found"}"#),
            (502, "<html>Bad Gateway</html>"),
            (504, ""),
            (422, "{}"),
        ] {
            assert!(
                matches!(check(status, body), Err(Stopped::Failed(_))),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn the_seed_follows_from_the_digest() {
        assert_eq!(seed("sha256:00000000000fabc", 1), 16);
        assert!(seed(&format!("sha256:{}", "f".repeat(64)), 200) < 1 << 53);
        assert_eq!(seed("none", 0), 0);
    }

    proptest! {
        #[test]
        fn steps_never_get_more_than_there_is(steps in 0_usize..300, taken in prop::collection::vec(0_u64..20_000, 0..300)) {
            let whole = Duration::from_secs(12);
            let mut budget = Budget::new(whole, steps);
            let mut spent = Duration::ZERO;
            for taken in taken {
                let Some(share) = budget.share() else {
                    prop_assert!(spent + Duration::from_micros(1) > whole || spent >= whole);
                    return Ok(());
                };
                prop_assert!(share <= whole.saturating_sub(spent));
                let taken = Duration::from_millis(taken);
                budget.spend(taken);
                spent += taken;
            }
        }
    }
}
