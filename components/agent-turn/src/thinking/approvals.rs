//! Approvals: a call that needs one waits for it, and is made once it is given.

use guest::Failure;
use serde_json::{Value, json};

use super::{Then, Thinking};
use crate::context::Step;
use crate::history::Pending;
use crate::tools::Tool;

/// The largest arguments that are shown whole to who decides, in bytes.
const MAX_SHOWN_BYTES: usize = 16_000;

/// Arguments as they are shown to who decides: whole, unless they are too long. What is approved is their digest.
fn shown(arguments: &Value) -> Value {
    let fits = |value: &Value| value.to_string().len() <= MAX_SHOWN_BYTES;
    let cuts = [usize::MAX, 4_000, 1_000, 200, 50].into_iter();
    let mut candidates = cuts.map(|most| shortened(arguments, most));
    candidates
        .find(fits)
        .unwrap_or_else(|| json!({"…": markdown::cut(&arguments.to_string(), MAX_SHOWN_BYTES / 2)}))
}

/// A value in which no text has more bytes.
fn shortened(value: &Value, most: usize) -> Value {
    match value {
        Value::String(text) if text.len() > most => json!(markdown::cut(text, most)),
        Value::Array(items) => items.iter().map(|item| shortened(item, most)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), shortened(value, most)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

impl Thinking {
    /// Asks for the approval of a call. The turn then waits, and another job goes on with it.
    pub(super) async fn request_approval(
        &mut self,
        tool: &Tool,
        pending: &Pending,
        why: &str,
    ) -> Result<Then, Failure> {
        let arguments = shown(&pending.call.arguments);
        let approval = json!({
            "question": format!("May @{} call {}?", self.context.agent.name, tool.name),
            "detail": format!("{why}\n\n{} {arguments}", tool.name),
            // The database adds the number of the step.
            "facts": {"tool": tool.name, "arguments": arguments, "why": why},
            "digest": tool.digest(&pending.call.arguments),
        });
        let begun = self
            .log
            .begin_tool(&pending.logged(), Some(approval))
            .await?;
        match begun.and_then(|begun| begun.stop) {
            Some(reason) => self.stop(&reason).await,
            None => Ok(Then::Stop),
        }
    }

    /// The reason why a call that waited for approval is not made.
    pub(super) async fn not_approved(
        &self,
        step: &Step,
        tool: &Tool,
        pending: &Pending,
    ) -> Result<Option<String>, Failure> {
        let Some(approval) = self.log.approval(step.number).await? else {
            return Ok(Some("The approval is gone.".to_owned()));
        };
        let digest = tool.digest(&pending.call.arguments);
        Ok(match approval.state.as_str() {
            "approved" if approval.digest == digest => None,
            "approved" => Some("The tool has changed since the call was approved.".to_owned()),
            "denied" => Some(match approval.reason {
                Some(reason) => format!("The call was not approved: {reason}"),
                None => "The call was not approved.".to_owned(),
            }),
            "expired" => Some("Nobody decided about the call in time.".to_owned()),
            _ => Some("The question was taken back.".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_arguments_are_shown_as_an_object_nonetheless() {
        let short = json!({"title": "News", "tags": ["a"]});
        assert_eq!(shown(&short), short);
        let body = "x".repeat(100_000);
        let long = shown(&json!({"title": "News", "body": body}));
        assert_eq!(long["title"], "News");
        assert!(
            long["body"]
                .as_str()
                .is_some_and(|body| body.len() <= 4_100)
        );
        let many: Vec<Value> = (0..10_000).map(|at| json!({"number": at})).collect();
        let many = shown(&json!({"items": many}));
        assert!(
            many.is_object() && many.to_string().len() <= MAX_SHOWN_BYTES,
            "{many}"
        );
    }
}
