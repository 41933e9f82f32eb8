//! Nodes that ask an agent or a circle: the question is part of the commit, and the step waits until all is said.

use std::rc::Rc;

use pipeline::{Asking, Fault, Node, Schema, evaluate};
use serde_json::{Value, json};

use crate::engine::{Engine, Frame};
use crate::error;
use crate::state::{Effect, More, Status};

/// The longest prompt.
const MAX_PROMPT_BYTES: usize = 256 << 10;
/// The reasons for which another turn may do better.
const TEMPORARY: [&str; 2] = ["provider-failed", "stuck"];

impl Engine {
    /// Asks an agent or a circle in the commit.
    pub fn ask_agent(
        &mut self,
        frame: &Rc<Frame>,
        path: &str,
        asking: &Asking,
        node: &Node,
    ) -> Result<(), Fault> {
        let prompt = match evaluate(&asking.prompt, &self.view(frame))? {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        if prompt.len() > MAX_PROMPT_BYTES {
            return Err(Fault {
                code: "agent-failed",
                detail: "The prompt has more than 256 KiB.".to_owned(),
            });
        }
        self.take_in(&json!(prompt))?;
        let message = markdown::message(&prompt);
        let mut message = message.ok_or_else(|| Fault::failed("`prompt` must be a text"))?;
        let named = asking.addressee();
        let (kind, name) = named.ok_or_else(|| Fault::failed("nobody is named"))?;
        if kind != "circle" {
            // There is nobody else whom the prompt could mention.
            message["names"] = json!([]);
        }
        let task = json!({"prompt": prompt, "output": node.common.output, "tools": asking.tools,
            "max_turns": asking.max_turns});
        let asked = json!({"kind": kind, "name": name, "message": message, "task": task});
        let input = json!({kind: name, "prompt": prompt});
        let more = More {
            ask: Some(asked),
            give_up_in_ms: node.common.timeout_ms.map(|ms| ms as f64),
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

    /// Ends a step whose answer has come, or that has waited for too long.
    pub fn check_answer(&mut self, path: &str, node: &Node) {
        let Some(step) = self.steps.get(path) else {
            return;
        };
        let (answer, attempts) = (step.answer.clone(), step.attempts);
        if answer.is_null() {
            self.is_timed_out(path);
            return;
        }
        if answer["status"] != "completed" {
            let reason = answer["reason"].as_str();
            let status = answer["status"].as_str().unwrap_or_default();
            let why = reason.map(|reason| format!(" ({reason})"));
            let mut error = error(
                "agent-failed",
                format_args!(
                    "The agent's turn is {status}{}.",
                    why.as_deref().unwrap_or_default()
                ),
            );
            error["reason"] = answer["reason"].clone();
            return if reason.is_some_and(|reason| TEMPORARY.contains(&reason)) {
                self.retry(path, attempts, error, 0)
            } else {
                self.fail(path, error)
            };
        }
        let text = answer["text"].as_str().unwrap_or_default();
        match data(text, node.common.output.as_ref()) {
            Ok(data) => {
                let output = json!({"text": text, "data": data, "usage": answer["usage"]});
                self.succeed(path, output, More::default());
            }
            Err(why) => self.retry(path, attempts, error("output-invalid", why), 0),
        }
    }
}

/// The data that a text says: JSON that fits the schema; null if there is none.
fn data(text: &str, schema: Option<&Value>) -> Result<Value, String> {
    let Some(schema) = schema else {
        return Ok(Value::Null);
    };
    let text = text.trim();
    // Models like to put JSON into a block of code.
    let inner = text
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
        .map(|block| block.strip_prefix("json").unwrap_or(block));
    let data: Value = serde_json::from_str(inner.unwrap_or(text))
        .map_err(|_| "The answer is not JSON.".to_owned())?;
    match Schema::new(schema)?.refusal(&data) {
        Some((at, why)) => Err(format!(
            "The answer does not fit its schema at `{at}`: {why}"
        )),
        None => Ok(data),
    }
}
