//! The work of nodes that needs nobody else: conditions, values, merges, waits and questions.

use std::collections::BTreeMap;
use std::rc::Rc;

use pipeline::{
    Approval, Do, Expression, Fault, Filter, Node, OnTimeout, Until, Wait, Work, evaluate, ids,
    taken,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::engine::{Engine, Frame};
use crate::error;
use crate::graphs::outcome;
use crate::state::{Effect, More, Skill, Status};
use crate::view::View;

/// The largest list that a filter goes through.
const MAX_ITEMS: usize = 10_000;
/// The time for a decision, unless the definition says another: a week.
const DECISION_MS: u64 = 7 * 86_400_000;
/// The longest wait: a year.
const MAX_WAIT_MS: f64 = 366.0 * 86_400_000.0;

impl Engine {
    /// Begins a node. What only computes ends at once.
    pub fn begin(&mut self, frame: &Rc<Frame>, id: &str) {
        let Some(node) = frame.definition.nodes.get(id) else {
            return;
        };
        let path = frame.path(id);
        if self.has_spent() {
            return;
        }
        if let Err(fault) = self.try_begin(frame, &path, id, node) {
            self.fail(&path, error(fault.code, fault.detail));
        }
    }

    fn try_begin(
        &mut self,
        frame: &Rc<Frame>,
        path: &str,
        id: &str,
        node: &Node,
    ) -> Result<(), Fault> {
        if let Some(when) = &node.common.when
            && !decide(when, &self.view(frame))?
        {
            self.skip(path);
            return Ok(());
        }
        if let Some(output) = self.stubs.get(path).cloned() {
            if let Work::Condition(_) = node.work {
                let chosen = output["case"].as_str().map(str::to_owned);
                self.change(path, More::default(), |step| step.chosen = chosen);
            }
            self.succeed(path, output, More::default());
            return Ok(());
        }
        match &node.work {
            Work::Condition(condition) => {
                let mut chosen = condition.otherwise.clone();
                for case in &condition.cases {
                    if decide(&case.when, &self.view(frame))? {
                        chosen = case.name.clone();
                        break;
                    }
                }
                let output = json!({"case": chosen});
                self.change(path, More::default(), |step| step.chosen = Some(chosen));
                self.succeed(path, output, More::default());
            }
            Work::Transform(transform) => {
                let value = evaluate(&transform.value, &self.view(frame))?;
                self.succeed(path, value, More::default());
            }
            Work::Compute(compute) => {
                let arguments = evaluate(&compute.arguments, &self.view(frame))?;
                let mut input =
                    json!({"skill": compute.skill, "tool": compute.tool, "arguments": arguments});
                if let Some(version) = &compute.version {
                    input["version"] = json!(version);
                }
                self.pin(&mut input);
                self.take_in(&input)?;
                self.change(path, More::default(), |step| step.input = input);
            }
            Work::Filter(filter) => {
                let output = self.sorted_out(frame, filter)?;
                self.succeed(path, output, More::default());
            }
            Work::Merge(merge) => {
                let value = match &merge.value {
                    Some(value) => evaluate(value, &self.view(frame))?,
                    None => self.branches(frame, id),
                };
                self.succeed(path, value, More::default());
            }
            Work::Map(map) => self.begin_map(frame, path, map, node.common.timeout_ms)?,
            Work::Wait(wait) => self.wait(frame, path, wait, node.common.timeout_ms)?,
            Work::Approval(approval) => self.ask(frame, path, approval, node.common.timeout_ms)?,
            Work::Agent(asking) => self.ask_agent(frame, path, asking, node)?,
            Work::Pipeline(child) => self.start(frame, path, child, node.common.timeout_ms)?,
            Work::Action(action) => {
                let mut input = evaluate(&action.input, &self.view(frame))?;
                self.take_in(&input)?;
                match action.what {
                    Do::Notify => return self.notify(path, input),
                    Do::Event => return self.emit(path, input),
                    _ => {}
                }
                let is_skill = action.what == Do::Skill;
                // Whoever has neither of these can reach nobody and keep nothing.
                let may_act = |skill: &Skill| {
                    let acts = |name: &String| ["http", "kv"].contains(&name.as_str());
                    skill.permissions.iter().any(acts)
                };
                let acts = is_skill && self.pin(&mut input).is_none_or(may_act);
                let effect = match (node.common.effect, action.what) {
                    // Whoever posts a message names it, so that posting it again does nothing.
                    (_, Do::Message) => Effect::Repeatable,
                    (Some(pipeline::Effect::Once), _) => Effect::Once,
                    (None, Do::Skill) if acts => Effect::Once,
                    (None, Do::Http | Do::Api) if ["POST", "PATCH"].contains(&method(&input)) => {
                        Effect::Once
                    }
                    _ => Effect::Repeatable,
                };
                self.change(path, More::default(), |step| {
                    step.effect = effect;
                    step.input = input;
                });
            }
        }
        Ok(())
    }

    fn emit(&mut self, path: &str, input: Value) -> Result<(), Fault> {
        let text = |name: &str| input[name].as_str().filter(|text| text.len() <= 200);
        let (Some(kind), Some(topic)) = (text("type"), text("topic")) else {
            return Err(Fault::failed("`type` and `topic` must be texts"));
        };
        if !kind.starts_with("custom.") {
            return Err(Fault::failed("`type` must begin with `custom.`"));
        }
        let data = &input["data"];
        if !(data.is_object() || data.is_null()) || data.to_string().len() > 64 << 10 {
            return Err(Fault::failed("`data` must be an object of 64 KiB at most"));
        }
        let event = json!({"type": kind, "topic": topic, "data": data});
        self.change(path, More::default(), |step| {
            step.effect = Effect::Inside;
            step.input = input.clone();
        });
        let more = More {
            event: Some(event),
            ..More::default()
        };
        self.succeed(path, json!({"type": kind, "topic": topic}), more);
        Ok(())
    }

    fn notify(&mut self, path: &str, input: Value) -> Result<(), Fault> {
        let to = ids(&input["to"]).ok_or_else(|| Fault::failed("`to` must be ids of accounts"))?;
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        if text("title").is_empty() {
            return Err(Fault::failed("`title` must be a text"));
        }
        let told = json!({"to": to, "title": text("title"), "body": text("body")});
        self.change(path, More::default(), |step| {
            step.effect = Effect::Inside;
            step.input = input;
        });
        let more = More {
            notify: Some(told),
            ..More::default()
        };
        self.succeed(path, json!({"to": to}), more);
        Ok(())
    }

    /// Begins a wait. What has happened already ends it at once.
    fn wait(
        &mut self,
        frame: &Rc<Frame>,
        path: &str,
        wait: &Wait,
        timeout_ms: Option<u64>,
    ) -> Result<(), Fault> {
        let mut first: Option<(usize, f64)> = None;
        let mut events = Vec::new();
        for (at, until) in wait.any.iter().enumerate() {
            let pause = match until {
                Until::For { for_ms } => evaluate(for_ms, &self.view(frame))?
                    .as_f64()
                    .ok_or_else(|| Fault::failed("`for_ms` must be a number"))?,
                Until::Until { until } => remaining(
                    &Expression::parse(until)
                        .map_err(Fault::failed)?
                        .evaluate(&self.view(frame))?,
                )?,
                Until::Event { event, topic, .. } => {
                    events.push(json!({"which": at, "type": event, "topic": topic}));
                    continue;
                }
                Until::Signal { .. } => continue,
            };
            if !(..=MAX_WAIT_MS).contains(&pause) {
                return Err(Fault::failed("a wait takes a year at most"));
            }
            if first.is_none_or(|(_, shortest)| pause < shortest) {
                first = Some((at, pause.max(0.0)));
            }
        }
        let more = More {
            wake_in_ms: first.map(|(_, pause)| pause),
            subscribe: (!events.is_empty()).then(|| json!(events)),
            give_up_in_ms: timeout_ms.map(|ms| ms as f64),
            ..More::default()
        };
        self.change(path, more, |step| {
            step.status = Status::Waiting;
            step.input = json!({"first": first.map(|(at, _)| at)});
            step.is_due = first.is_some_and(|(_, pause)| pause <= 0.0);
        });
        self.check_wait(path, wait);
        Ok(())
    }

    /// Ends a wait for which something has happened.
    pub fn check_wait(&mut self, path: &str, wait: &Wait) {
        let Some(step) = self.steps.get(path).cloned() else {
            return;
        };
        if step.answer.is_object() {
            return self.answered(path, &step.answer);
        }
        let wanted = |name: &str| {
            wait.any
                .iter()
                .position(|until| matches!(until, Until::Signal { signal } if signal == name))
        };
        let found = self.signals.iter().enumerate();
        let found = found
            .filter_map(|(place, signal)| Some((place, wanted(&signal.name)?)))
            .next();
        if let Some((place, which)) = found {
            let signal = self.signals.remove(place);
            let more = More {
                signal: Some(signal.id),
                ..More::default()
            };
            self.succeed(path, json!({"which": which, "data": signal.data}), more);
        } else if step.is_due && !step.input["first"].is_null() {
            self.succeed(
                path,
                json!({"which": step.input["first"], "data": null}),
                More::default(),
            );
        } else if step.is_late {
            self.fail(path, error("timeout", "The step has reached its time-out."));
        }
    }

    fn ask(
        &mut self,
        frame: &Rc<Frame>,
        path: &str,
        approval: &Approval,
        timeout_ms: Option<u64>,
    ) -> Result<(), Fault> {
        let who = evaluate(&approval.who, &self.view(frame))?;
        let who = ids(&who).filter(|who| !who.is_empty());
        let who = who.ok_or_else(|| Fault::failed("`who` must be ids of accounts and teams"))?;
        let text = |template: &Value, most: usize| -> Result<String, Fault> {
            let value = evaluate(template, &self.view(frame))?;
            let text = value.as_str().map_or_else(
                || {
                    if value.is_null() {
                        String::new()
                    } else {
                        value.to_string()
                    }
                },
                str::to_owned,
            );
            Ok(text.chars().take(most).collect())
        };
        let (question, detail) = (
            text(&approval.question, 500)?,
            text(&approval.detail, 20_000)?,
        );
        if question.is_empty() {
            return Err(Fault::failed("`question` must be a text"));
        }
        let digest =
            Sha256::digest(json!([self.run, path, question, detail, approval.form]).to_string());
        let asked = json!({
            "who": who, "question": question, "detail": detail, "digest": format!("sha256:{}", hex::encode(digest)),
            "need": approval.need, "form": approval.form, "self": approval.by_self,
            "within_ms": timeout_ms.unwrap_or(DECISION_MS),
        });
        let on_timeout = if approval.on_timeout == OnTimeout::Deny {
            "deny"
        } else {
            "fail"
        };
        let more = More {
            approval: Some(asked),
            ..More::default()
        };
        self.change(path, more, |step| {
            step.status = Status::Waiting;
            step.effect = Effect::Inside;
            step.input = json!({"who": who, "question": question, "on_timeout": on_timeout});
        });
        Ok(())
    }

    /// Ends a step whose approval has been decided, or has expired.
    pub(crate) fn check_decision(&mut self, path: &str) {
        let answer = self.steps.get(path).map(|step| step.answer.clone());
        if let Some(answer) = answer.filter(|answer| !answer.is_null()) {
            self.answered(path, &answer);
        }
    }

    /// Ends a step with an answer that was found elsewhere: its output, or a fault.
    fn answered(&mut self, path: &str, answer: &Value) {
        match answer.get("fault") {
            Some(fault) => self.fail(path, fault.clone()),
            None => self.succeed(path, answer.clone(), More::default()),
        }
    }

    /// The items of a list, by whether an expression is true for them.
    fn sorted_out(&self, frame: &Frame, filter: &Filter) -> Result<Value, Fault> {
        let items = Expression::parse(&filter.items)
            .map_err(Fault::failed)?
            .evaluate(&self.view(frame))?;
        let condition = Expression::parse(&filter.condition).map_err(Fault::failed)?;
        let Value::Array(items) = items else {
            return Err(Fault::failed("`items` must be a list"));
        };
        if items.len() > MAX_ITEMS {
            return Err(Fault {
                code: "too-many-items",
                detail: format!("A list may have at most {MAX_ITEMS} items."),
            });
        }
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for (at, item) in items.into_iter().enumerate() {
            let view = View {
                engine: self,
                frame,
                item: Some((&item, at)),
                event: None,
            };
            let is_kept = condition.decide(&view)?;
            if is_kept {
                kept.push(item);
            } else {
                dropped.push(item);
            }
        }
        Ok(json!({"kept": kept, "dropped": dropped}))
    }

    /// The outputs of the branches that were taken, by their nodes.
    fn branches(&self, frame: &Frame, id: &str) -> Value {
        let definition = &frame.definition;
        let edges = definition.edges.iter().filter(|edge| edge.to == id);
        let mut out = Map::new();
        for edge in edges {
            let step = self.steps.get(&frame.path(&edge.from));
            let ended = step.and_then(|step| Some((edge.from.clone(), outcome(step)?)));
            let ended = BTreeMap::from_iter(ended);
            if let Some(step) = step
                && taken(definition, edge, &ended) == Some(true)
            {
                out.insert(edge.from.clone(), step.output.clone());
            }
        }
        Value::Object(out)
    }
}

/// The method of a request.
pub fn method(input: &Value) -> &str {
    input["method"].as_str().unwrap_or("GET")
}

fn decide(expression: &str, view: &View<'_>) -> Result<bool, Fault> {
    Expression::parse(expression)
        .map_err(Fault::failed)?
        .decide(view)
}

/// The milliseconds until a time.
fn remaining(value: &Value) -> Result<f64, Fault> {
    let time = value
        .as_str()
        .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let time = time.ok_or_else(|| Fault::failed("`until` must be a time in RFC 3339"))?;
    Ok((time - OffsetDateTime::now_utc()).as_seconds_f64() * 1000.0)
}
