//! What a run does next, from what has ended. Nothing here asks the database or anybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use pipeline::{Budget, Definition, FINALLY, Fault, Node, Schema, Work, fit};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error;
use crate::outgoing::Call;
use crate::state::{Change, Effect, More, Signal, Skill, State, Status, Step};
use crate::view::View;

/// The bytes that all inputs and outputs of a run may have.
const MAX_RUN_BYTES: usize = 16 << 20;
/// What a step is told beyond that.
const TOO_LARGE: &str = "The inputs and outputs of a run may have at most 16 MiB.";
/// The steps that a run may have.
const MAX_STEPS: usize = 100_000;
/// The changes of steps after which a driver commits.
const MAX_CHANGES: usize = 1_000;

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
    /// There is more to do after a commit.
    pub goes_on: bool,
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
    is_forced: bool,
    pub(crate) stubs: Map<String, Value>,
    skills: Vec<Skill>,
    pub(crate) input: Value,
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
    pub fn new(run: Uuid, definition: Definition, mut state: State) -> Self {
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
            is_forced: false,
            stubs: state.stubs.clone(),
            skills: std::mem::take(&mut state.skills),
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
                self.bytes += step.bytes();
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
        self.is_forced = state.is_forced;
        self.signals = state.signals;
        (self.budget, self.used) = (state.budget, state.used);
        self.bytes = 0;
        self.known.clear();
        self.steps.clear();
        self.items.clear();
        for step in state.steps {
            self.bytes += step.bytes();
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
        let has_wound_up = self.begun_ending().is_some();
        let given_up = self.given_up().filter(|_| !has_wound_up);
        let ending = if let Some((status, ending)) = given_up {
            if self.finally.is_none() || self.steps.is_empty() {
                return Plan {
                    ending: Some(ending),
                    is_forced: true,
                    ..Plan::default()
                };
            }
            self.end_below("", status);
            self.wind_up(ending)
        } else if self.is_paused {
            return Plan::default();
        } else if self.steps.len() > MAX_STEPS && !has_wound_up {
            let why = error("too-many-items", "A run may have at most 100,000 steps.");
            self.wind_up(json!({"status": "failed", "result": null, "error": why}))
        } else if self.steps.is_empty()
            && let Some(why) = self.refused_input()
        {
            Some(json!({"status": "failed", "result": null, "error": why}))
        } else {
            match self.cancels.clone() {
                Some(why) if !has_wound_up => self.stop(why),
                _ => self.work(),
            }
        };
        let goes_on = may_send && ending.is_none() && !self.is_ending && self.is_full();
        if ending.is_some() || !may_send || goes_on {
            return Plan {
                ending,
                goes_on,
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

    /// The skill that an input calls, which stands with its version in the input from then on.
    pub(crate) fn pin(&self, input: &mut Value) -> Option<&Skill> {
        let asked = input.get("version").and_then(Value::as_str);
        let skill = self
            .skills
            .iter()
            .find(|skill| input["skill"] == skill.name && skill.asked.as_deref() == asked)?;
        input["version"] = json!(skill.version);
        Some(skill)
    }

    pub(crate) fn skip(&mut self, path: &str) {
        self.change(path, More::default(), |step| step.status = Status::Skipped);
    }

    /// Ends a step with an output, if that is one which may be kept.
    pub(crate) fn succeed(&mut self, path: &str, output: Value, more: More) {
        // What the attempt has used counts, whatever becomes of the output.
        let used = More {
            fuel: more.fuel,
            receipt: more.receipt.clone(),
            ..More::default()
        };
        if let Err(fault) = fit(&output) {
            return self.refuse(path, error(fault.code, fault.detail), used);
        }
        // That of an agent is the schema of the data in its answer.
        let node = self
            .node(path)
            .filter(|node| !matches!(node.work, Work::Agent(_)));
        let schema = node.and_then(|node| node.common.output.as_ref());
        let refusal = schema.and_then(|schema| Schema::new(schema).ok()?.refusal(&output));
        if let Some((at, why)) = refusal {
            let why = format_args!("The output does not fit its schema at `{at}`: {why}");
            return self.refuse(path, error("output-invalid", why), used);
        }
        self.bytes += output.to_string().len();
        if self.bytes > MAX_RUN_BYTES {
            return self.refuse(path, error("output-too-large", TOO_LARGE), used);
        }
        self.change(path, more, |step| {
            step.status = Status::Succeeded;
            step.output = output;
            step.error = Value::Null;
        });
    }

    /// Counts an input, if it is one which may be kept.
    pub(crate) fn take_in(&mut self, input: &Value) -> Result<(), Fault> {
        fit(input)?;
        self.bytes += input.to_string().len();
        if self.bytes > MAX_RUN_BYTES {
            return Err(Fault {
                code: "output-too-large",
                detail: TOO_LARGE.to_owned(),
            });
        }
        Ok(())
    }

    /// Whether nothing more is begun before a commit.
    pub(crate) fn is_full(&self) -> bool {
        self.changes.len() >= MAX_CHANGES
            || self.steps.len() > MAX_STEPS && self.begun_ending().is_none()
    }

    /// Ends a step with an error.
    pub(crate) fn fail(&mut self, path: &str, why: Value) {
        self.refuse(path, why, More::default());
    }

    fn refuse(&mut self, path: &str, why: Value, more: More) {
        let why = self.told(path, why);
        let status = if why["code"] == "timeout" {
            Status::TimedOut
        } else {
            Status::Failed
        };
        self.change(path, more, |step| {
            step.status = status;
            step.error = why;
        });
    }

    /// Cancels the steps that have not ended and whose paths begin so.
    pub(crate) fn cancel_below(&mut self, prefix: &str) {
        self.end_below(prefix, Status::Cancelled);
    }

    /// Ends the steps that have not ended and whose paths begin so.
    pub(crate) fn end_below(&mut self, prefix: &str, status: Status) {
        let below = self.steps.range(prefix.to_owned()..);
        let below = below.take_while(|(path, _)| path.starts_with(prefix));
        let open = below.filter(|(_, step)| !step.status.is_end());
        let open: Vec<String> = open.map(|(path, _)| path.clone()).collect();
        for path in open {
            self.change(&path, More::default(), |step| step.status = status);
        }
    }

    /// Whether the run is to be cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancels.is_some()
    }

    /// Whether something is being sent whose answer still counts.
    pub fn is_busy(&self) -> bool {
        let is_asked = |path: &String| {
            let step = self.steps.get(path);
            step.is_some_and(|step| step.status == Status::Uncertain)
        };
        !self.with_status(Status::Running).is_empty() || self.verifying.iter().any(is_asked)
    }

    /// The end of a run whose time is over, or that is cancelled by force, and of its open steps.
    fn given_up(&self) -> Option<(Status, Value)> {
        if self.is_late {
            let why = error("timeout", "The run has reached its time-out.");
            let ending = json!({"status": "timed_out", "result": null, "error": why});
            return Some((Status::TimedOut, ending));
        }
        let why = self.cancels.as_ref().filter(|_| self.is_forced)?;
        let ending = json!({"status": "cancelled", "result": null, "error": why});
        Some((Status::Cancelled, ending))
    }

    /// The request of a step that is being sent.
    pub fn call(&self, path: &str) -> Call {
        Call::new(self, path)
    }
}
