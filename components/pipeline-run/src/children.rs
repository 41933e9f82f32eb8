//! Nodes that run another pipeline: its run is started in the commit, and the step waits for its end.

use std::rc::Rc;

use pipeline::{Child, Fault, evaluate};
use serde_json::{Value, json};

use crate::engine::{Engine, Frame};
use crate::error;
use crate::state::{Effect, More, Status};

impl Engine {
    /// Starts a run of another pipeline in the commit.
    pub(crate) fn start(
        &mut self,
        frame: &Rc<Frame>,
        path: &str,
        child: &Child,
        timeout_ms: Option<u64>,
    ) -> Result<(), Fault> {
        let input = evaluate(&child.input, &self.view(frame))?;
        self.take_in(&input)?;
        let started = json!({"pipeline": child.pipeline, "version": child.version, "input": input, "waits": child.wait});
        let more = More {
            child: Some(started),
            give_up_in_ms: timeout_ms.map(|ms| ms as f64),
            ..More::default()
        };
        self.change(path, more, |step| {
            step.status = Status::Waiting;
            step.effect = Effect::Inside;
            step.attempts += 1;
            step.input = input;
            step.answer = Value::Null;
            step.is_due = false;
        });
        Ok(())
    }

    /// Ends a step whose run has ended, or that has waited for too long. A run that has failed counts as an attempt.
    pub(crate) fn check_child(&mut self, path: &str) {
        let Some(step) = self.steps.get(path) else {
            return;
        };
        let (answer, attempts) = (step.answer.clone(), step.attempts);
        if answer.is_null() {
            self.is_timed_out(path);
            return;
        }
        let detail = answer["detail"].as_str().unwrap_or_default();
        let why = error("child-failed", detail);
        let is_cancelled = answer["status"] == "cancelled";
        if answer["status"] == "succeeded" {
            self.succeed(path, answer["result"].clone(), More::default());
        } else if is_cancelled && self.is_cancelled() {
            self.change(path, More::default(), |step| {
                step.status = Status::Cancelled;
            });
        } else if is_cancelled || self.is_cancelled() {
            // What somebody has cancelled is not begun again.
            self.fail(path, why);
        } else {
            self.retry(path, attempts, why, 0);
        }
    }
}
