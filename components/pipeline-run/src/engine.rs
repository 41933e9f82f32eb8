//! What a run does next, from what has ended. Nothing here asks the database or anybody else.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::{Definition, Names, OnUncertain, Outcome, Schema, Verdict, evaluate, fit};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error;
use crate::outgoing::{Answer, Call};
use crate::state::{Change, Effect, More, Signal, State, Status, Step};

/// The bytes that all outputs of a run may have.
const MAX_RUN_BYTES: usize = 16 << 20;

/// The work that is left after a commit.
pub enum Plan {
    /// These steps send something.
    Send(Vec<String>),
    /// The run ends: `{status, result, error}`.
    Ending(Value),
    /// Nothing, until something happens or becomes due.
    Park,
}

/// A run that is driven.
pub struct Engine {
    pub(crate) run: Uuid,
    pub(crate) definition: Definition,
    pub(crate) names: Names,
    pub(crate) signals: Vec<Signal>,
    pub(crate) account: Uuid,
    epoch: i32,
    news: i64,
    is_late: bool,
    steps: BTreeMap<String, Step>,
    /// The statuses that the database knows.
    known: BTreeMap<String, Status>,
    changes: BTreeMap<String, More>,
    bytes: usize,
}

impl Engine {
    /// A run in this state.
    pub fn new(run: Uuid, definition: Definition, state: State) -> Self {
        let mut names = Names::new();
        names.insert("input".to_owned(), state.input.clone());
        names.insert("nodes".to_owned(), json!({}));
        let about = json!({"id": run, "pipeline": state.pipeline, "version": state.version});
        names.insert("run".to_owned(), about);
        let mut engine = Self {
            run,
            definition,
            names,
            signals: Vec::new(),
            account: state.account,
            epoch: state.epoch,
            news: 0,
            is_late: false,
            steps: BTreeMap::new(),
            known: BTreeMap::new(),
            changes: BTreeMap::new(),
            bytes: 0,
        };
        engine.load(state);
        // What was being sent when its driver was lost may have arrived.
        let lost: Vec<String> = engine.with_status(Status::Running);
        for id in lost {
            engine.lose(&id);
        }
        engine
    }

    /// Takes over a newer state. Answers that the database does not have yet stay.
    pub fn look_again(&mut self, state: State) {
        let unsaved: Vec<Step> = self
            .changes
            .keys()
            .filter_map(|id| self.steps.get(id).cloned())
            .collect();
        self.load(state);
        for step in unsaved {
            // Somebody else may have ended the step meanwhile.
            if self
                .steps
                .get(&step.path)
                .is_some_and(|known| known.status == Status::Running)
            {
                self.show(&step);
                self.steps.insert(step.path.clone(), step);
            } else {
                self.changes.remove(&step.path);
            }
        }
    }

    fn load(&mut self, state: State) {
        self.news = state.news;
        self.is_late = state.is_late;
        self.signals = state.signals;
        self.bytes = 0;
        self.known.clear();
        self.steps.clear();
        for step in state.steps {
            self.bytes += step.output.to_string().len();
            self.known.insert(step.path.clone(), step.status);
            self.show(&step);
            self.steps.insert(step.path.clone(), step);
        }
    }

    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    pub fn news(&self) -> i64 {
        self.news
    }

    /// The changes since the last commit.
    pub fn changes(&self) -> Value {
        let changes = self.changes.iter().filter_map(|(id, more)| {
            let step = self.steps.get(id)?;
            Some(Change {
                path: id.clone(),
                kind: self.definition.nodes.get(id)?.work.name(),
                was: self.known.get(id).copied(),
                status: step.status,
                effect: step.effect,
                attempts: step.attempts,
                input: step.input.clone(),
                output: step.output.clone(),
                error: step.error.clone(),
                chosen: step.chosen.clone(),
                more: more.clone(),
            })
        });
        json!(changes.collect::<Vec<_>>())
    }

    /// Notes that the database has the changes.
    pub fn committed(&mut self) {
        for id in std::mem::take(&mut self.changes).into_keys() {
            if let Some(step) = self.steps.get(&id) {
                self.known.insert(id, step.status);
            }
        }
    }

    /// Does everything that can be done without sending.
    pub fn advance(&mut self) -> Plan {
        if self.is_late {
            return Plan::Ending(json!({"status": "timed_out", "result": null,
                "error": error("timeout", "The run has reached its time-out.")}));
        }
        loop {
            for id in self.with_status(Status::Waiting) {
                self.check_wait(&id);
            }
            let (mut ended, mut begun) = (BTreeMap::new(), BTreeSet::new());
            for (id, step) in &self.steps {
                match outcome(step) {
                    Some(outcome) => drop(ended.insert(id.clone(), outcome)),
                    None => drop(begun.insert(id.clone())),
                }
            }
            let next = pipeline::next(&self.definition, &ended, &begun);
            match next.verdict {
                Some(Verdict::Failed(id)) => return Plan::Ending(self.failure(&id)),
                Some(Verdict::Done) => {
                    next.skipped.iter().for_each(|id| self.skip(id));
                    return Plan::Ending(self.result());
                }
                None if next.ready.is_empty() && next.skipped.is_empty() => break,
                None => {}
            }
            next.skipped.iter().for_each(|id| self.skip(id));
            next.ready.iter().for_each(|id| self.begin(id));
        }
        let mut sending = self.with_status(Status::Ready);
        let due = self.with_status(Status::Retrying).into_iter();
        sending.extend(due.filter(|id| self.steps[id].is_due));
        for id in &sending {
            self.change(id, More::default(), |step| {
                step.status = Status::Running;
                step.attempts += 1;
                step.is_due = false;
            });
        }
        if sending.is_empty() {
            Plan::Park
        } else {
            Plan::Send(sending)
        }
    }

    fn with_status(&self, status: Status) -> Vec<String> {
        let steps = self.steps.iter().filter(|(_, step)| step.status == status);
        steps.map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn step(&self, id: &str) -> Option<&Step> {
        self.steps.get(id)
    }

    /// Changes a step, which is made if it is new.
    pub(crate) fn change(&mut self, id: &str, more: More, change: impl FnOnce(&mut Step)) {
        let step = self.steps.entry(id.to_owned()).or_insert_with(|| Step {
            path: id.to_owned(),
            status: Status::Ready,
            effect: Effect::Pure,
            attempts: 0,
            input: Value::Null,
            output: Value::Null,
            error: Value::Null,
            chosen: None,
            is_due: false,
            is_late: false,
        });
        change(step);
        let step = step.clone();
        self.show(&step);
        self.changes.insert(id.to_owned(), more);
    }

    /// Lets expressions read a step.
    fn show(&mut self, step: &Step) {
        if let Some(Value::Object(nodes)) = self.names.get_mut("nodes") {
            let shown =
                json!({"output": step.output, "status": step.status.name(), "error": step.error});
            nodes.insert(step.path.clone(), shown);
        }
    }

    fn skip(&mut self, id: &str) {
        self.change(id, More::default(), |step| step.status = Status::Skipped);
    }

    /// Ends a step with an output, if that is one which may be kept.
    pub(crate) fn succeed(&mut self, id: &str, output: Value, more: More) {
        if let Err(fault) = fit(&output) {
            return self.fail(id, error(fault.code, fault.detail));
        }
        let schema = self
            .definition
            .nodes
            .get(id)
            .and_then(|node| node.common.output.as_ref());
        let refusal = schema.and_then(|schema| Schema::new(schema).ok()?.refusal(&output));
        if let Some((path, why)) = refusal {
            return self.fail(
                id,
                error(
                    "output-invalid",
                    format_args!("The output does not fit its schema at `{path}`: {why}"),
                ),
            );
        }
        self.bytes += output.to_string().len();
        if self.bytes > MAX_RUN_BYTES {
            return self.fail(
                id,
                error(
                    "output-too-large",
                    "The outputs of a run may have at most 16 MiB.",
                ),
            );
        }
        self.change(id, more, |step| {
            step.status = Status::Succeeded;
            step.output = output;
            step.error = Value::Null;
        });
    }

    /// Ends a step with an error.
    pub(crate) fn fail(&mut self, id: &str, why: Value) {
        let status = if why["code"] == "timeout" {
            Status::TimedOut
        } else {
            Status::Failed
        };
        self.change(id, More::default(), |step| {
            step.status = status;
            step.error = why;
        });
    }

    /// A step whose driver was lost while it was sent.
    fn lose(&mut self, id: &str) {
        let Some(node) = self.definition.nodes.get(id) else {
            return;
        };
        let is_once = self
            .steps
            .get(id)
            .is_some_and(|step| step.effect == Effect::Once);
        match node.common.on_uncertain {
            OnUncertain::Ask if is_once => {
                self.change(id, More::default(), |step| step.status = Status::Uncertain);
            }
            OnUncertain::Fail if is_once => {
                self.fail(
                    id,
                    error("engine-lost", "Nobody knows whether the request arrived."),
                );
            }
            _ => {
                let again = More {
                    wake_in_ms: Some(0.0),
                    ..More::default()
                };
                self.change(id, again, |step| {
                    step.status = Status::Retrying;
                    step.is_due = true;
                });
            }
        }
    }

    /// The request of a step that is being sent.
    pub fn call(&self, id: &str) -> Call<'_> {
        Call::new(self, id)
    }

    /// Records the answer to a request.
    pub fn record(&mut self, id: &str, answer: Answer) {
        let is_once = self
            .steps
            .get(id)
            .is_some_and(|step| step.effect == Effect::Once);
        match answer {
            // What may be sent again counts as an attempt that has failed.
            Answer::Unknown if !is_once => self.record(
                id,
                Answer::Failure {
                    error: error("timeout", "There was no answer in time, or it broke off."),
                    retry: true,
                    after_ms: 0,
                },
            ),
            Answer::Output(output) => self.succeed(id, output, More::default()),
            Answer::Unknown => self.lose(id),
            Answer::Failure {
                error,
                retry,
                after_ms,
            } => {
                let retries = self
                    .definition
                    .nodes
                    .get(id)
                    .map(|node| node.common.retry.clone());
                let attempts = self.steps.get(id).map_or(0, |step| step.attempts);
                let left = retries.filter(|retries| retry && attempts < retries.attempts);
                let Some(retries) = left else {
                    return self.fail(id, error);
                };
                let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
                let pause = retries.first_ms as f64
                    * retries.factor.powi(exponent)
                    * self.jitter(id, attempts);
                let pause = pause.min(retries.max_ms as f64).max(after_ms as f64);
                let later = More {
                    wake_in_ms: Some(pause),
                    ..More::default()
                };
                self.change(id, later, |step| {
                    step.status = Status::Retrying;
                    step.error = error;
                });
            }
        }
    }

    /// A factor from 0.8 to 1.2 that spreads repetitions, and is the same whenever it is asked for.
    fn jitter(&self, id: &str, attempts: u32) -> f64 {
        let hash = Sha256::digest(format!("{}/{id}/{attempts}", self.run));
        0.8 + f64::from(hash[0]) / 255.0 * 0.4
    }

    fn failure(&self, id: &str) -> Value {
        let mut why = self
            .steps
            .get(id)
            .map(|step| step.error.clone())
            .unwrap_or_default();
        why["detail"] = json!(format!(
            "Step `{id}`: {}",
            why["detail"].as_str().unwrap_or_default()
        ));
        why["step"] = json!(id);
        json!({"status": "failed", "result": null, "error": why})
    }

    fn result(&self) -> Value {
        let failed = |why: Value| json!({"status": "failed", "result": null, "error": why});
        let result = match evaluate(&self.definition.result, &self.names) {
            Ok(result) => result,
            Err(fault) => {
                return failed(error(
                    fault.code,
                    format_args!("The result: {}", fault.detail),
                ));
            }
        };
        let result_fits = fit(&result).map_err(|fault| error(fault.code, fault.detail));
        if let Err(why) = result_fits {
            return failed(why);
        }
        let schema = self.definition.output.as_ref();
        match schema.and_then(|schema| Schema::new(schema).ok()?.refusal(&result)) {
            Some((path, why)) => failed(error(
                "output-invalid",
                format_args!("The result does not fit its schema at `{path}`: {why}"),
            )),
            None => json!({"status": "succeeded", "result": result, "error": null}),
        }
    }
}

/// The ending of a step; `None` if it has not ended.
fn outcome(step: &Step) -> Option<Outcome> {
    match step.status {
        Status::Succeeded => Some(Outcome::Succeeded(step.chosen.clone())),
        Status::Failed | Status::TimedOut | Status::Cancelled => Some(Outcome::Failed),
        Status::Skipped => Some(Outcome::Skipped),
        Status::Ready
        | Status::Running
        | Status::Retrying
        | Status::Waiting
        | Status::Uncertain => None,
    }
}
