//! The work of nodes that needs nobody else: conditions, values, merges, waits and questions.

use pipeline::{
    Approval, Definition, Do, Edge, Expression, Fault, Names, Node, OnTimeout, Until, Wait, Work,
    evaluate, ids,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::engine::Engine;
use crate::error;
use crate::state::{Effect, More, Status};

/// The largest list that a filter goes through.
const MAX_ITEMS: usize = 10_000;
/// The time for a decision, unless the definition says another: a week.
const DECISION_MS: u64 = 7 * 86_400_000;
/// The longest wait: a year.
const MAX_WAIT_MS: f64 = 366.0 * 86_400_000.0;

impl Engine {
    /// Begins a node. What only computes ends at once.
    pub fn begin(&mut self, id: &str) {
        let Some(node) = self.definition.nodes.get(id).cloned() else {
            return;
        };
        match self.try_begin(id, &node) {
            Ok(()) => {}
            Err(fault) => self.fail(id, error(fault.code, fault.detail)),
        }
    }

    fn try_begin(&mut self, id: &str, node: &Node) -> Result<(), Fault> {
        if let Some(when) = &node.common.when
            && !decide(when, &self.names)?
        {
            self.change(id, More::default(), |step| step.status = Status::Skipped);
            return Ok(());
        }
        match &node.work {
            Work::Condition(condition) => {
                let mut chosen = condition.otherwise.clone();
                for case in &condition.cases {
                    if decide(&case.when, &self.names)? {
                        chosen = case.name.clone();
                        break;
                    }
                }
                let output = json!({"case": chosen});
                self.change(id, More::default(), |step| step.chosen = Some(chosen));
                self.succeed(id, output, More::default());
            }
            Work::Transform(transform) => {
                let value = evaluate(&transform.value, &self.names)?;
                self.succeed(id, value, More::default());
            }
            Work::Filter(filter) => {
                let output = sorted_out(&filter.items, &filter.condition, &self.names)?;
                self.succeed(id, output, More::default());
            }
            Work::Merge(merge) => {
                let value = match &merge.value {
                    Some(value) => evaluate(value, &self.names)?,
                    None => branches(&self.definition, id, &self.names),
                };
                self.succeed(id, value, More::default());
            }
            Work::Wait(wait) => self.wait(id, wait, node.common.timeout_ms)?,
            Work::Approval(approval) => self.ask(id, approval, node.common.timeout_ms)?,
            Work::Action(action) => {
                let input = evaluate(&action.input, &self.names)?;
                if action.what == Do::Notify {
                    return self.notify(id, input);
                }
                let effect = match (node.common.effect, action.what) {
                    (Some(pipeline::Effect::Once), _) | (None, Do::Skill) => Effect::Once,
                    (None, _) if ["POST", "PATCH"].contains(&method(&input)) => Effect::Once,
                    _ => Effect::Repeatable,
                };
                self.change(id, More::default(), |step| {
                    step.effect = effect;
                    step.input = input;
                });
            }
        }
        Ok(())
    }

    fn notify(&mut self, id: &str, input: Value) -> Result<(), Fault> {
        let to = ids(&input["to"]).ok_or_else(|| Fault::failed("`to` must be ids of accounts"))?;
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        if text("title").is_empty() {
            return Err(Fault::failed("`title` must be a text"));
        }
        let told = json!({"to": to, "title": text("title"), "body": text("body")});
        self.change(id, More::default(), |step| {
            step.effect = Effect::Inside;
            step.input = input;
        });
        let more = More {
            notify: Some(told),
            ..More::default()
        };
        self.succeed(id, json!({"to": to}), more);
        Ok(())
    }

    /// Begins a wait. What has happened already ends it at once.
    fn wait(&mut self, id: &str, wait: &Wait, timeout_ms: Option<u64>) -> Result<(), Fault> {
        let mut first: Option<(usize, f64)> = None;
        for (at, until) in wait.any.iter().enumerate() {
            let pause = match until {
                Until::For { for_ms } => evaluate(for_ms, &self.names)?
                    .as_f64()
                    .ok_or_else(|| Fault::failed("`for_ms` must be a number"))?,
                Until::Until { until } => remaining(
                    &Expression::parse(until)
                        .map_err(Fault::failed)?
                        .evaluate(&self.names)?,
                )?,
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
            give_up_in_ms: timeout_ms.map(|ms| ms as f64),
            ..More::default()
        };
        self.change(id, more, |step| {
            step.status = Status::Waiting;
            step.input = json!({"first": first.map(|(at, _)| at)});
            step.is_due = first.is_some_and(|(_, pause)| pause <= 0.0);
        });
        self.check_wait(id);
        Ok(())
    }

    /// Ends a wait for which something has happened.
    pub fn check_wait(&mut self, id: &str) {
        let Some(Work::Wait(wait)) = self.definition.nodes.get(id).map(|node| &node.work) else {
            return;
        };
        let Some(step) = self.step(id).cloned() else {
            return;
        };
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
            self.succeed(id, json!({"which": which, "data": signal.data}), more);
        } else if step.is_due && !step.input["first"].is_null() {
            self.succeed(
                id,
                json!({"which": step.input["first"], "data": null}),
                More::default(),
            );
        } else if step.is_late {
            self.fail(id, error("timeout", "The step has reached its time-out."));
        }
    }

    fn ask(&mut self, id: &str, approval: &Approval, timeout_ms: Option<u64>) -> Result<(), Fault> {
        let who = evaluate(&approval.who, &self.names)?;
        let who = ids(&who).filter(|who| !who.is_empty());
        let who = who.ok_or_else(|| Fault::failed("`who` must be ids of accounts and teams"))?;
        let text = |template: &Value, most: usize| -> Result<String, Fault> {
            let value = evaluate(template, &self.names)?;
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
            Sha256::digest(json!([self.run, id, question, detail, approval.form]).to_string());
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
        self.change(id, more, |step| {
            step.status = Status::Waiting;
            step.effect = Effect::Inside;
            step.input = json!({"who": who, "question": question, "on_timeout": on_timeout});
        });
        Ok(())
    }
}

/// The method of a request.
pub fn method(input: &Value) -> &str {
    input["method"].as_str().unwrap_or("GET")
}

fn decide(expression: &str, names: &Names) -> Result<bool, Fault> {
    Expression::parse(expression)
        .map_err(Fault::failed)?
        .decide(names)
}

/// The milliseconds until a time.
fn remaining(value: &Value) -> Result<f64, Fault> {
    let time = value
        .as_str()
        .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let time = time.ok_or_else(|| Fault::failed("`until` must be a time in RFC 3339"))?;
    Ok((time - OffsetDateTime::now_utc()).as_seconds_f64() * 1000.0)
}

/// The items of a list, by whether an expression is true for them.
fn sorted_out(items: &str, condition: &str, names: &Names) -> Result<Value, Fault> {
    let items = Expression::parse(items)
        .map_err(Fault::failed)?
        .evaluate(names)?;
    let condition = Expression::parse(condition).map_err(Fault::failed)?;
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
    let mut names = names.clone();
    for (at, item) in items.into_iter().enumerate() {
        names.insert("item".to_owned(), item.clone());
        names.insert("index".to_owned(), json!(at));
        let part = if condition.decide(&names)? {
            &mut kept
        } else {
            &mut dropped
        };
        part.push(item);
    }
    Ok(json!({"kept": kept, "dropped": dropped}))
}

/// The outputs of the branches that have succeeded, by their nodes.
fn branches(definition: &Definition, id: &str, names: &Names) -> Value {
    let mut out = Map::new();
    let into = |edge: &&Edge| edge.to == id;
    for edge in definition.edges.iter().filter(into) {
        let node = &names["nodes"][&edge.from];
        if node["status"] == "succeeded" {
            out.insert(edge.from.clone(), node["output"].clone());
        }
    }
    Value::Object(out)
}
