//! What a run does next, from what has ended. Nothing here asks the database or anybody else.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use pipeline::{Budget, Definition, FINALLY, Node, Schema, Values, Work, fit};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error;
use crate::outgoing::{Answer, Call};
use crate::state::{Change, Effect, More, Signal, State, Status, Step};

/// The bytes that all outputs of a run may have.
const MAX_RUN_BYTES: usize = 16 << 20;
/// The steps that a run may have.
const MAX_STEPS: usize = 100_000;

/// The work that is left.
#[derive(Debug, Default)]
pub struct Plan {
    /// These steps send something.
    pub sending: Vec<String>,
    /// Somebody is asked whether the requests of these steps have arrived.
    pub verifying: Vec<String>,
    /// Nothing is left of the budget, so that the run is paused.
    pub is_spent: bool,
    /// The run ends: `{status, result, error}`.
    pub ending: Option<Value>,
    /// Whether the end does not wait for what is being sent.
    pub is_forced: bool,
}

/// A graph that is worked on: that of the run, or that of an item of a map.
#[derive(Debug)]
pub struct Frame {
    /// What stands before the ids of its nodes in paths: nothing, or such as `each[17].`.
    pub prefix: String,
    /// The graph.
    pub definition: Arc<Definition>,
    /// The item of the map, and its place.
    pub item: Option<(Value, usize)>,
    /// The graph around it.
    pub up: Option<Rc<Frame>>,
}

/// The path of the step that stands for `finally`, whose input is how the run ends.
pub const FINALLY_STEP: &str = "finally";

impl Frame {
    /// The path of a node's step.
    pub fn path(&self, id: &str) -> String {
        format!("{}{id}", self.prefix)
    }
}

/// What the expressions of a graph can read.
pub struct View<'a> {
    /// The run.
    pub engine: &'a Engine,
    /// The graph.
    pub frame: &'a Frame,
    /// An item of a filter, and its place.
    pub item: Option<(&'a Value, usize)>,
    /// The event that a wait decides about.
    pub event: Option<&'a Value>,
}

impl Values for View<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, Value>> {
        match name {
            "input" => Some(Cow::Borrowed(&self.engine.input)),
            "run" => Some(self.engine.about()),
            "event" => self.event.map(Cow::Borrowed),
            "item" | "index" => {
                let mut frames =
                    std::iter::successors(Some(self.frame), |frame| frame.up.as_deref());
                let of_map =
                    || frames.find_map(|frame| frame.item.as_ref().map(|(item, at)| (item, *at)));
                let (item, at) = self.item.or_else(of_map)?;
                Some(if name == "item" {
                    Cow::Borrowed(item)
                } else {
                    Cow::Owned(json!(at))
                })
            }
            _ => None,
        }
    }

    fn node(&self, id: &str) -> Option<Value> {
        let mut frames = std::iter::successors(Some(self.frame), |frame| frame.up.as_deref());
        let frame = frames.find(|frame| frame.definition.nodes.contains_key(id))?;
        let step = self.engine.steps.get(&frame.path(id))?;
        Some(json!({"output": step.output, "status": step.status.name(), "error": step.error}))
    }
}

/// A run that is driven.
pub struct Engine {
    pub(crate) run: Uuid,
    pub(crate) root: Rc<Frame>,
    pub(crate) signals: Vec<Signal>,
    pub(crate) account: Uuid,
    pub(crate) steps: BTreeMap<String, Step>,
    /// What became of the items of maps, by the maps' paths: their outputs or errors as they stand in the map's output.
    pub(crate) items: BTreeMap<String, Vec<Option<Value>>>,
    /// Whether something has changed since the last look at all graphs.
    pub(crate) has_changed: bool,
    pub(crate) finally: Option<Rc<Frame>>,
    /// Whether the graph has ended, and nothing more is sent before `finally` begins.
    pub(crate) is_ending: bool,
    /// The uncertain steps that are being asked about.
    pub(crate) verifying: BTreeSet<String>,
    pub(crate) about: Value,
    pub(crate) budget: Budget,
    pub(crate) used: Budget,
    pub(crate) is_spent: bool,
    cancels: Option<Value>,
    pub(crate) stubs: Map<String, Value>,
    input: Value,
    epoch: i32,
    news: i64,
    is_late: bool,
    is_paused: bool,
    /// The statuses that the database knows.
    known: BTreeMap<String, Status>,
    changes: BTreeMap<String, More>,
    bytes: usize,
}

impl Engine {
    /// A run in this state.
    pub fn new(run: Uuid, definition: Definition, state: State) -> Self {
        let finally = definition.finally.clone();
        let root = Rc::new(Frame {
            prefix: String::new(),
            definition: Arc::new(definition),
            item: None,
            up: None,
        });
        let finally = finally.map(|definition| {
            Rc::new(Frame {
                prefix: FINALLY.to_owned(),
                definition,
                item: None,
                up: Some(Rc::clone(&root)),
            })
        });
        let mut engine = Self {
            run,
            root,
            finally,
            is_ending: false,
            budget: Budget::default(),
            used: Budget::default(),
            is_spent: false,
            cancels: None,
            stubs: state.stubs.clone(),
            verifying: BTreeSet::new(),
            input: state.input.clone(),
            about: json!({"id": run, "pipeline": state.pipeline, "version": state.version}),
            signals: Vec::new(),
            account: state.account,
            epoch: state.epoch,
            news: 0,
            is_late: false,
            is_paused: false,
            steps: BTreeMap::new(),
            items: BTreeMap::new(),
            has_changed: false,
            known: BTreeMap::new(),
            changes: BTreeMap::new(),
            bytes: 0,
        };
        engine.load(state);
        // What was being sent when its driver was lost may have arrived.
        for path in engine.with_status(Status::Running) {
            engine.lose(&path);
        }
        engine
    }

    /// Takes over a newer state. Changes that the database does not have yet stay.
    pub fn look_again(&mut self, state: State) {
        let unsaved: Vec<Step> = self
            .changes
            .keys()
            .filter_map(|path| self.steps.get(path).cloned())
            .collect();
        let before = std::mem::take(&mut self.known);
        self.load(state);
        for step in unsaved {
            // Somebody else may have ended the step meanwhile.
            if self.known.get(&step.path) == before.get(&step.path) {
                self.bytes += step.output.to_string().len();
                self.steps.insert(step.path.clone(), step);
            } else {
                self.changes.remove(&step.path);
            }
        }
    }

    fn load(&mut self, state: State) {
        self.news = state.news;
        self.is_late = state.is_late;
        self.is_paused = state.is_paused;
        self.cancels = state.cancels;
        self.signals = state.signals;
        (self.budget, self.used) = (state.budget, state.used);
        self.bytes = 0;
        self.known.clear();
        self.steps.clear();
        self.items.clear();
        for step in state.steps {
            self.bytes += step.output.to_string().len();
            self.known.insert(step.path.clone(), step.status);
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
        let changes = self.changes.iter().filter_map(|(path, more)| {
            let step = self.steps.get(path)?;
            let was = self.known.get(path).copied();
            // It is asked when an attempt begins, and told when it has ended.
            let is_attempt = (was == Some(Status::Running)) != (step.status == Status::Running);
            let breaker = self.node(path).and_then(|node| node.common.breaker);
            Some(Change {
                path: path.clone(),
                kind: match path.as_str() {
                    FINALLY_STEP => FINALLY_STEP,
                    path => self.node(path)?.work.name(),
                },
                was,
                status: step.status,
                effect: step.effect,
                attempts: step.attempts,
                input: step.input.clone(),
                output: step.output.clone(),
                error: step.error.clone(),
                chosen: step.chosen.clone(),
                answer: step.answer.clone(),
                breaker: breaker.filter(|_| is_attempt),
                more: more.clone(),
            })
        });
        json!(changes.collect::<Vec<_>>())
    }

    /// Notes that the database has the changes.
    pub fn committed(&mut self) {
        for path in std::mem::take(&mut self.changes).into_keys() {
            if let Some(step) = self.steps.get(&path) {
                self.known.insert(path, step.status);
            }
        }
    }

    /// Does everything that can be done without sending. Steps are sent only if `may_send`.
    pub fn advance(&mut self, may_send: bool) -> Plan {
        if self.is_late {
            return Plan {
                ending: Some(json!({"status": "timed_out", "result": null,
                    "error": error("timeout", "The run has reached its time-out.")})),
                is_forced: true,
                ..Plan::default()
            };
        }
        if self.is_paused {
            return Plan::default();
        }
        if self.steps.is_empty()
            && let Some(why) = self.refused_input()
        {
            let ending = Some(json!({"status": "failed", "result": null, "error": why}));
            return Plan {
                ending,
                ..Plan::default()
            };
        }
        let ending = match self.cancels.clone() {
            Some(why) if self.begun_ending().is_none() => self.stop(why),
            _ => self.work(),
        };
        if ending.is_some() || !may_send {
            return Plan {
                ending,
                ..Plan::default()
            };
        }
        if self.is_spent {
            return Plan {
                is_spent: true,
                ..Plan::default()
            };
        }
        if self.is_ending {
            return Plan::default();
        }
        let verifying = self.unverified();
        let mut sending = self.with_status(Status::Ready);
        let due = self.with_status(Status::Retrying).into_iter();
        let is_sent = |step: &Step| step.is_due && step.effect != Effect::Inside;
        sending.extend(due.filter(|path| is_sent(&self.steps[path])));
        for path in &sending {
            self.change(path, More::default(), |step| {
                step.status = Status::Running;
                step.attempts += 1;
                step.is_due = false;
            });
        }
        Plan {
            sending,
            verifying,
            ..Plan::default()
        }
    }

    /// A run that a schedule, an event or another run has started has an input that nobody has checked.
    fn refused_input(&self) -> Option<Value> {
        let schema = Schema::new(self.root.definition.input.as_ref()?).ok()?;
        let (path, why) = schema.refusal(&self.input)?;
        Some(error(
            "invalid-input",
            format_args!("The input does not fit its schema at `{path}`: {why}"),
        ))
    }

    pub(crate) fn with_status(&self, status: Status) -> Vec<String> {
        let steps = self.steps.iter().filter(|(_, step)| step.status == status);
        steps.map(|(path, _)| path.clone()).collect()
    }

    pub(crate) fn node(&self, path: &str) -> Option<&Node> {
        self.root.definition.node(path)
    }

    pub(crate) fn view<'a>(&'a self, frame: &'a Frame) -> View<'a> {
        View {
            engine: self,
            frame,
            item: None,
            event: None,
        }
    }

    /// Changes a step, which is made if it is new.
    pub(crate) fn change(&mut self, path: &str, more: More, change: impl FnOnce(&mut Step)) {
        let step = self
            .steps
            .entry(path.to_owned())
            .or_insert_with(|| Step::new(path));
        change(step);
        self.changes.insert(path.to_owned(), more);
        self.has_changed = true;
    }

    pub(crate) fn skip(&mut self, path: &str) {
        self.change(path, More::default(), |step| step.status = Status::Skipped);
    }

    /// Ends a step with an output, if that is one which may be kept.
    pub(crate) fn succeed(&mut self, path: &str, output: Value, more: More) {
        if let Err(fault) = fit(&output) {
            return self.fail(path, error(fault.code, fault.detail));
        }
        // That of an agent is the schema of the data in its answer.
        let node = self
            .node(path)
            .filter(|node| !matches!(node.work, Work::Agent(_)));
        let schema = node.and_then(|node| node.common.output.as_ref());
        let refusal = schema.and_then(|schema| Schema::new(schema).ok()?.refusal(&output));
        if let Some((at, why)) = refusal {
            let why = format_args!("The output does not fit its schema at `{at}`: {why}");
            return self.fail(path, error("output-invalid", why));
        }
        self.bytes += output.to_string().len();
        if self.bytes > MAX_RUN_BYTES || self.steps.len() > MAX_STEPS {
            let why = "The outputs of a run may have at most 16 MiB, and a run 100,000 steps.";
            return self.fail(path, error("output-too-large", why));
        }
        self.change(path, more, |step| {
            step.status = Status::Succeeded;
            step.output = output;
            step.error = Value::Null;
        });
    }

    /// Ends a step with an error.
    pub(crate) fn fail(&mut self, path: &str, why: Value) {
        let why = self.told(path, why);
        let status = if why["code"] == "timeout" {
            Status::TimedOut
        } else {
            Status::Failed
        };
        self.change(path, More::default(), |step| {
            step.status = status;
            step.error = why;
        });
    }

    /// Cancels the steps that have not ended and whose paths begin so.
    pub(crate) fn cancel_below(&mut self, prefix: &str) {
        let below = self.steps.range(prefix.to_owned()..);
        let below = below.take_while(|(path, _)| path.starts_with(prefix));
        let open = below.filter(|(_, step)| !step.status.is_end());
        let open: Vec<String> = open.map(|(path, _)| path.clone()).collect();
        for path in open {
            self.change(&path, More::default(), |step| {
                step.status = Status::Cancelled
            });
        }
    }

    /// The request of a step that is being sent.
    pub fn call(&self, path: &str) -> Call {
        Call::new(self, path)
    }

    /// Records the answer to a request. An answer to a step that was cancelled meanwhile is dropped.
    pub fn record(&mut self, path: &str, answer: Answer) {
        let Some(step) = self.steps.get(path) else {
            return;
        };
        if step.status != Status::Running {
            return;
        }
        let (is_once, attempts) = (step.effect == Effect::Once, step.attempts);
        match answer {
            // What may be sent again counts as an attempt that has failed.
            Answer::Unknown if !is_once => {
                let error = error("timeout", "There was no answer in time, or it broke off.");
                self.retry(path, attempts, error, 0);
            }
            Answer::Unknown => self.lose(path),
            Answer::Output(output) => self.succeed(path, output, More::default()),
            Answer::OfSkill { output, fuel } => {
                let spent = self.used.fuel.unwrap_or_default();
                self.used.fuel = Some(spent.saturating_add(fuel));
                let more = More {
                    fuel: Some(fuel),
                    ..More::default()
                };
                self.succeed(path, output, more);
            }
            Answer::Failure {
                error,
                retry: false,
                ..
            } => self.fail(path, error),
            Answer::Failure {
                error, after_ms, ..
            } => self.retry(path, attempts, error, after_ms),
        }
    }

    /// Has a failed attempt repeated, if there are attempts left.
    pub(crate) fn retry(&mut self, path: &str, attempts: u32, error: Value, after_ms: u64) {
        let retries = self.node(path).map(|node| node.common.retry.clone());
        let Some(retries) =
            retries.filter(|retries| attempts < retries.attempts && retries.allow(&error))
        else {
            return self.fail(path, error);
        };
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let pause =
            retries.first_ms as f64 * retries.factor.powi(exponent) * self.jitter(path, attempts);
        let pause = pause.min(retries.max_ms as f64).max(after_ms as f64);
        let later = More {
            wake_in_ms: Some(pause),
            ..More::default()
        };
        let error = self.told(path, error);
        self.change(path, later, |step| {
            step.status = Status::Retrying;
            step.error = error;
        });
    }

    /// A factor from 0.8 to 1.2 that spreads repetitions, and is the same whenever it is asked for.
    fn jitter(&self, path: &str, attempts: u32) -> f64 {
        let hash = Sha256::digest(format!("{}/{path}/{attempts}", self.run));
        0.8 + f64::from(hash[0]) / 255.0 * 0.4
    }
}
