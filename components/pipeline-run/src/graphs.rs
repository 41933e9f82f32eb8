//! Goes through the graphs of a run: begins what is ready, skips what does not run, and ends maps.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use pipeline::{
    Expression, Fault, Map, Node, OnItemError, Outcome, Verdict, Work, evaluate, fit, next,
};
use serde_json::{Map as Fields, Value, json};

use crate::engine::{Engine, Frame};
use crate::error;
use crate::state::{Effect, More, Status, Step};

/// The longest list of a map.
const MAX_ITEMS: usize = 10_000;

impl Engine {
    /// Begins everything that is ready, until nothing more follows. Answers the end of the run, if it has come.
    pub fn work(&mut self) -> Option<Value> {
        (self.is_ending, self.is_spent) = (false, false);
        if let Some(ending) = self.begun_ending() {
            return self.finish(ending);
        }
        loop {
            self.has_changed = false;
            let root = Rc::clone(&self.root);
            let ending = match self.graph(&root) {
                Some(Verdict::Failed(id)) => self.failure(&id),
                Some(Verdict::Done) => self.result(),
                None if self.has_changed && !self.is_full() => continue,
                None => return None,
            };
            return self.wind_up(ending);
        }
    }

    /// Goes through a graph once. A verdict on an item's graph names the path of the step that failed.
    pub(crate) fn graph(&mut self, frame: &Rc<Frame>) -> Option<Verdict> {
        let definition = Arc::clone(&frame.definition);
        let (mut ended, mut begun) = (BTreeMap::new(), BTreeSet::new());
        for (id, node) in &definition.nodes {
            if self.is_full() {
                return None;
            }
            let path = frame.path(id);
            if self.status(&path) == Some(Status::Waiting) {
                match &node.work {
                    Work::Wait(wait) => self.check_wait(&path, wait),
                    Work::Map(map) => self.map(frame, &path, map),
                    Work::Agent(_) => self.check_answer(&path, node),
                    Work::Pipeline(_) => self.check_child(&path),
                    Work::Approval(_) => self.check_decision(&path),
                    _ => {}
                }
            }
            if let Err(fault) = self.begin_again(frame, &path, node) {
                self.fail(&path, error(fault.code, fault.detail));
            }
            match self.steps.get(&path).map(outcome) {
                Some(Some(outcome)) => drop(ended.insert(id.clone(), outcome)),
                Some(None) => drop(begun.insert(id.clone())),
                None => {}
            }
        }
        let after = next(&definition, &ended, &begun);
        if let Some(Verdict::Failed(id)) = after.verdict {
            return Some(Verdict::Failed(frame.path(&id)));
        }
        for id in &after.skipped {
            self.skip(&frame.path(id));
        }
        for id in &after.ready {
            if self.is_full() {
                return None;
            }
            self.begin(frame, id);
        }
        after.verdict
    }

    /// Begins another attempt of a step whose pause is over and that sends no request: those are sent together.
    fn begin_again(&mut self, frame: &Rc<Frame>, path: &str, node: &Node) -> Result<(), Fault> {
        let step = self.steps.get(path);
        if !step.is_some_and(|step| step.status == Status::Retrying && step.is_due) {
            return Ok(());
        }
        match &node.work {
            Work::Agent(asking) => self.ask_agent(frame, path, asking, node),
            Work::Pipeline(child) => self.start(frame, path, child, node.common.timeout_ms),
            _ => Ok(()),
        }
    }

    /// Ends a step that has reached its time-out.
    pub(crate) fn is_timed_out(&mut self, path: &str) -> bool {
        let is_late = self.steps.get(path).is_some_and(|step| step.is_late);
        if is_late {
            self.fail(path, error("timeout", "The step has reached its time-out."));
        }
        is_late
    }

    fn status(&self, path: &str) -> Option<Status> {
        self.steps.get(path).map(|step| step.status)
    }

    /// Begins a map, whose items are fixed from then on.
    pub(crate) fn begin_map(
        &mut self,
        frame: &Rc<Frame>,
        path: &str,
        map: &Map,
        timeout_ms: Option<u64>,
    ) -> Result<(), Fault> {
        let items = Expression::parse(&map.fields.items)
            .map_err(Fault::failed)?
            .evaluate(&self.view(frame))?;
        let Value::Array(list) = &items else {
            return Err(Fault::failed("`items` must be a list"));
        };
        if list.len() > MAX_ITEMS {
            return Err(Fault {
                code: "too-many-items",
                detail: format!("A list may have at most {MAX_ITEMS} items."),
            });
        }
        let more = More {
            give_up_in_ms: timeout_ms.map(|ms| ms as f64),
            ..More::default()
        };
        self.take_in(&items)?;
        self.change(path, more, |step| {
            step.status = Status::Waiting;
            step.effect = Effect::Inside;
            step.input = json!({"items": items});
        });
        Ok(())
    }

    /// Works on the items of a map, and ends it if all have ended.
    fn map(&mut self, frame: &Rc<Frame>, path: &str, map: &Map) {
        if self.is_timed_out(path) {
            return self.cancel_below(&format!("{path}["));
        }
        let Some(Value::Array(items)) =
            self.steps.get(path).map(|step| step.input["items"].clone())
        else {
            return;
        };
        let mut done = self
            .items
            .remove(path)
            .unwrap_or_else(|| vec![None; items.len()]);
        let mut busy = 0;
        for (at, item) in items.into_iter().enumerate() {
            if done[at].is_some() {
                continue;
            }
            if busy == map.fields.parallel || self.is_full() {
                break;
            }
            match self.item(frame, path, map, (item, at)) {
                None => busy += 1,
                Some(Ok(output)) => done[at] = Some(json!({"output": output})),
                Some(Err(why)) if map.fields.on_item_error == OnItemError::Collect => {
                    self.cancel_below(&format!("{path}[{at}]."));
                    done[at] = Some(json!({"error": why}));
                }
                Some(Err(why)) => {
                    self.cancel_below(&format!("{path}["));
                    return self.fail(path, why);
                }
            }
        }
        if done.iter().all(Option::is_some) {
            let output = done.into_iter().flatten().collect();
            self.succeed(path, Value::Array(output), More::default());
        } else {
            self.items.insert(path.to_owned(), done);
        }
    }

    /// Works on an item of a map. Answers its output or its error, if it has ended.
    fn item(
        &mut self,
        up: &Rc<Frame>,
        path: &str,
        map: &Map,
        item: (Value, usize),
    ) -> Option<Result<Value, Value>> {
        let frame = Rc::new(Frame {
            prefix: format!("{path}[{}].", item.1),
            definition: Arc::clone(&map.body),
            item: Some(item),
            up: Some(Rc::clone(up)),
        });
        // What only computes ends at once, so that the next item has its turn.
        loop {
            let before = std::mem::take(&mut self.has_changed);
            let verdict = self.graph(&frame);
            let goes_on = self.has_changed && verdict.is_none() && !self.is_full();
            self.has_changed |= before;
            match verdict {
                Some(Verdict::Done) => {
                    let output = self.output(&frame);
                    return Some(output.map_err(|fault| error(fault.code, fault.detail)));
                }
                Some(Verdict::Failed(failed)) => return Some(Err(self.error_of(&failed))),
                None if goes_on => {}
                None => return None,
            }
        }
    }

    /// The output of an item: the graph's result, or the outputs of the nodes that nothing follows.
    fn output(&self, frame: &Frame) -> Result<Value, Fault> {
        let definition = &frame.definition;
        if !definition.result.is_null() {
            let result = evaluate(&definition.result, &self.view(frame))?;
            return fit(&result).map(|()| result);
        }
        let output = |id: &String| {
            let step = self.steps.get(&frame.path(id));
            step.map(|step| step.output.clone()).unwrap_or_default()
        };
        let last = definition.last_nodes();
        Ok(match last.as_slice() {
            [only] => output(only),
            several => {
                let outputs = several.iter().map(|id| ((*id).clone(), output(id)));
                Value::Object(outputs.collect::<Fields<_, _>>())
            }
        })
    }
}

/// The ending of a step; `None` if it has not ended.
pub(crate) fn outcome(step: &Step) -> Option<Outcome> {
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
