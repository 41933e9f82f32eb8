//! The end of a run: with its result or an error, after `finally`.

use std::borrow::Cow;
use std::rc::Rc;

use pipeline::{FINALLY, Schema, Verdict, Work, evaluate, fit};
use serde_json::{Value, json};

use crate::engine::{Engine, FINALLY_STEP};
use crate::error;
use crate::state::{Effect, More, Status};

/// The time of `finally`, unless the definition says another.
const FINALLY_MS: u64 = 60_000;

impl Engine {
    /// What expressions know as `run`. In `finally`, also how the run ends.
    pub fn about(&self) -> Cow<'_, Value> {
        let Some(step) = self.steps.get(FINALLY_STEP) else {
            return Cow::Borrowed(&self.about);
        };
        let mut about = self.about.clone();
        about["status"] = step.input["status"].clone();
        about["error"] = step.input["error"].clone();
        Cow::Owned(about)
    }

    /// Whether a step is about to be sent.
    pub fn is_sent(&self, path: &str) -> bool {
        let step = self.steps.get(path);
        step.is_some_and(|step| step.status == Status::Running)
    }

    /// Whether nothing is left of the budget, so that nothing more is begun.
    pub fn has_spent(&mut self) -> bool {
        // What ends the run has its own bounds.
        if self.begun_ending().is_some() {
            return false;
        }
        let over = |used: Option<u64>, most: Option<u64>| {
            most.is_some_and(|most| used.unwrap_or_default() >= most)
        };
        let (used, most) = (self.used, self.budget);
        let steps = u64::try_from(self.steps.len()).ok();
        self.is_spent |= over(used.cost, most.cost)
            || over(used.tokens, most.tokens)
            || over(used.fuel, most.fuel)
            || over(steps, most.steps);
        self.is_spent
    }

    /// How the run ends, if its graph has ended and `finally` has begun.
    pub fn begun_ending(&self) -> Option<Value> {
        self.steps.get(FINALLY_STEP).map(|step| step.input.clone())
    }

    /// Ends a run that is to be cancelled, when what is being sent has been answered and the runs that it has started have
    /// ended. Nothing is begun but `finally`.
    pub fn stop(&mut self, why: Value) -> Option<Value> {
        let is_child = |path: &String| {
            let node = self.node(path);
            node.is_some_and(|node| matches!(node.work, Work::Pipeline(_)))
        };
        let mut children = self.with_status(Status::Waiting);
        children.retain(is_child);
        for path in &children {
            self.check_child(path);
        }
        let is_open = |path: &String| self.steps[path].status == Status::Waiting;
        let waits = children.iter().any(is_open);
        self.is_ending = waits || !self.with_status(Status::Running).is_empty();
        if self.is_ending {
            return None;
        }
        self.wind_up(json!({"status": "cancelled", "result": null, "error": why}))
    }

    /// Begins `finally`, if there is one. What is being sent is recorded before.
    pub fn wind_up(&mut self, ending: Value) -> Option<Value> {
        if self.finally.is_none() {
            return Some(ending);
        }
        if !self.with_status(Status::Running).is_empty() {
            self.is_ending = true;
            return None;
        }
        self.cancel_below("");
        let input = ending.clone();
        let given = self.finally.as_ref();
        let within = given.and_then(|finally| finally.definition.timeout_ms);
        let more = More {
            give_up_in_ms: Some(within.unwrap_or(FINALLY_MS) as f64),
            ..More::default()
        };
        self.change(FINALLY_STEP, more, |step| {
            step.status = Status::Waiting;
            step.effect = Effect::Inside;
            step.input = input;
        });
        self.finish(ending)
    }

    /// Works on `finally`. Answers the end of the run, if it has come: a failure of `finally` fails what had succeeded.
    pub fn finish(&mut self, ending: Value) -> Option<Value> {
        let frame = Rc::clone(self.finally.as_ref()?);
        let status = self.steps.get(FINALLY_STEP).map(|step| step.status);
        if status == Some(Status::TimedOut)
            || status == Some(Status::Waiting) && self.is_timed_out(FINALLY_STEP)
        {
            self.end_below(FINALLY, Status::TimedOut);
            return Some(if ending["status"] == "succeeded" {
                self.failure(FINALLY_STEP)
            } else {
                ending
            });
        }
        let failed = loop {
            self.has_changed = false;
            match self.graph(&frame) {
                Some(Verdict::Failed(path)) => break Some(path),
                Some(Verdict::Done) => break None,
                None if self.has_changed && !self.is_full() => {}
                None => return None,
            }
        };
        let Some(path) = failed else {
            self.change(FINALLY_STEP, More::default(), |step| {
                step.status = Status::Succeeded;
            });
            return Some(ending);
        };
        let why = self.error_of(&path);
        self.change(FINALLY_STEP, More::default(), |step| {
            step.status = Status::Failed;
            step.error = why;
        });
        Some(if ending["status"] == "succeeded" {
            self.failure(&path)
        } else {
            ending
        })
    }

    /// An error of a step as it is told: of a node that is private without its details.
    pub(crate) fn told(&self, path: &str, why: Value) -> Value {
        if self.node(path).is_some_and(|node| node.common.private) {
            return json!({"code": why["code"], "detail": "Its details are private."});
        }
        why
    }

    /// The end of a run that this step has failed.
    pub(crate) fn failure(&self, path: &str) -> Value {
        json!({"status": "failed", "result": null, "error": self.error_of(path)})
    }

    /// The error of a step, which names it.
    pub(crate) fn error_of(&self, path: &str) -> Value {
        let mut why = self
            .steps
            .get(path)
            .map(|step| step.error.clone())
            .unwrap_or_default();
        why = self.told(path, why);
        if why["step"].is_null() {
            let detail = why["detail"].as_str().unwrap_or_default();
            why["detail"] = json!(format!("Step `{path}`: {detail}"));
            why["step"] = json!(path);
        }
        why
    }

    /// The end of a run all of whose nodes have ended.
    pub(crate) fn result(&self) -> Value {
        let failed = |why: Value| json!({"status": "failed", "result": null, "error": why});
        let definition = &self.root.definition;
        let result = match evaluate(&definition.result, &self.view(&self.root)) {
            Ok(result) => result,
            Err(fault) => {
                let why = format_args!("The result: {}", fault.detail);
                return failed(error(fault.code, why));
            }
        };
        if let Err(fault) = fit(&result) {
            return failed(error(fault.code, fault.detail));
        }
        let schema = definition.output.as_ref();
        match schema.and_then(|schema| Schema::new(schema).ok()?.refusal(&result)) {
            Some((path, why)) => failed(error(
                "output-invalid",
                format_args!("The result does not fit its schema at `{path}`: {why}"),
            )),
            None => json!({"status": "succeeded", "result": result, "error": null}),
        }
    }
}
