//! Steps of which nobody knows whether their request arrived.

use std::rc::Rc;
use std::sync::Arc;

use pipeline::{Expression, FINALLY, Fault, OnUncertain, Work, evaluate};
use serde_json::{Value, json};

use crate::engine::{Engine, Frame};
use crate::error;
use crate::outgoing::{Answer, Call};
use crate::state::{Effect, More, Status};
use crate::view::View;

impl Engine {
    /// A step whose driver was lost while it was sent.
    pub(crate) fn lose(&mut self, path: &str) {
        let Some(node) = self.node(path) else {
            return;
        };
        let (verifies, on_uncertain) = (node.common.verify.is_some(), node.common.on_uncertain);
        let is_once = self
            .steps
            .get(path)
            .is_some_and(|step| step.effect == Effect::Once);
        if is_once && verifies {
            return self.change(path, More::default(), |step| {
                step.status = Status::Uncertain;
                step.answer = Value::Null;
            });
        }
        if is_once {
            return self.give_up_knowing(path, on_uncertain);
        }
        let again = More {
            wake_in_ms: Some(0.0),
            ..More::default()
        };
        self.change(path, again, |step| {
            step.status = Status::Retrying;
            step.is_due = true;
        });
    }

    /// Does as the definition says with a step whose request may or may not have arrived.
    fn give_up_knowing(&mut self, path: &str, on_uncertain: OnUncertain) {
        let is_running = self
            .steps
            .get(path)
            .is_some_and(|step| step.status == Status::Running);
        match on_uncertain {
            OnUncertain::Ask => {
                let asks = More {
                    asks: Some(true),
                    ..More::default()
                };
                self.change(path, asks, |step| {
                    step.status = Status::Uncertain;
                    step.answer = json!({"verified": false});
                });
            }
            OnUncertain::Fail => {
                let why = "Nobody knows whether the request arrived.";
                self.fail(path, error("engine-lost", why));
            }
            OnUncertain::Retry if is_running => {
                let again = More {
                    wake_in_ms: Some(0.0),
                    ..More::default()
                };
                self.change(path, again, |step| {
                    step.status = Status::Retrying;
                    step.is_due = true;
                });
            }
            OnUncertain::Retry => self.change(path, More::default(), |step| {
                step.status = Status::Ready;
            }),
        }
    }

    /// The uncertain steps about which somebody is to be asked now.
    pub(crate) fn unverified(&mut self) -> Vec<String> {
        let mut paths = self.with_status(Status::Uncertain);
        paths.retain(|path| {
            let verifies = self
                .node(path)
                .is_some_and(|node| node.common.verify.is_some());
            verifies && self.steps[path].answer.is_null() && !self.verifying.contains(path)
        });
        self.verifying.extend(paths.iter().cloned());
        paths
    }

    /// The request that finds out whether that of a step has arrived.
    ///
    /// # Errors
    /// Its input has no value.
    pub fn verification(&self, path: &str) -> Result<Call, Fault> {
        let unfit = || Fault::failed("the step is gone");
        let node = self.node(path).ok_or_else(unfit)?;
        let verify = node.common.verify.as_ref().ok_or_else(unfit)?;
        let frame = self.frame_of(path).ok_or_else(unfit)?;
        let input = evaluate(&verify.input, &self.view(&frame))?;
        Ok(Call::of(self, path, verify.what, input))
    }

    /// Decides about an uncertain step by the answer to its verification. One that somebody has decided about meanwhile
    /// stays as it is.
    pub fn decide(&mut self, path: &str, answer: Answer) {
        self.verifying.remove(path);
        let Some(node) = self.node(path) else {
            return;
        };
        let (verify, on_uncertain) = (node.common.verify.clone(), node.common.on_uncertain);
        let is_open = self
            .steps
            .get(path)
            .is_some_and(|step| step.status == Status::Uncertain);
        let (Some(verify), true) = (verify, is_open) else {
            return;
        };
        let answer = match answer {
            Answer::Output(answer) => answer,
            // That there is no such thing is an answer, too.
            Answer::Failure { error, .. }
                if error["status"].as_u64().is_some_and(|status| status < 500) =>
            {
                json!({"status": error["status"], "headers": {}, "body": null})
            }
            _ => return self.give_up_knowing(path, on_uncertain),
        };
        let Some(frame) = self.frame_of(path) else {
            return;
        };
        let view = View {
            engine: self,
            frame: &frame,
            item: Some((&answer, 0)),
            event: None,
        };
        let arrived = Expression::parse(&verify.arrived)
            .map_err(Fault::failed)
            .and_then(|arrived| arrived.decide(&view));
        let output = verify
            .value
            .as_ref()
            .map_or_else(|| Ok(answer.clone()), |value| evaluate(value, &view));
        match (arrived, output) {
            (Ok(true), Ok(output)) => self.succeed(path, output, More::default()),
            (Ok(false), _) => self.change(path, More::default(), |step| {
                step.status = Status::Ready;
            }),
            _ => self.give_up_knowing(path, on_uncertain),
        }
    }

    /// The graph in which a step stands.
    pub fn frame_of(&self, path: &str) -> Option<Rc<Frame>> {
        let mut frame = match path.strip_prefix(FINALLY) {
            Some(_) => Rc::clone(self.finally.as_ref()?),
            None => Rc::clone(&self.root),
        };
        let mut rest = path.strip_prefix(frame.prefix.as_str())?;
        while let Some((first, inner)) = rest.split_once('.') {
            let (id, at) = first.strip_suffix(']')?.split_once('[')?;
            let at: usize = at.parse().ok()?;
            let map_path = frame.path(id);
            let item = self.steps.get(&map_path)?.input["items"].get(at)?.clone();
            let Work::Map(map) = &frame.definition.nodes.get(id)?.work else {
                return None;
            };
            let definition = Arc::clone(&map.body);
            frame = Rc::new(Frame {
                prefix: format!("{map_path}[{at}]."),
                definition,
                item: Some((item, at)),
                up: Some(frame),
            });
            rest = inner;
        }
        Some(frame)
    }
}
