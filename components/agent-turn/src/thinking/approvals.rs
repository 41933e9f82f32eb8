//! Approvals: a call that needs one waits for it, and is made once it is given.

use guest::Failure;
use serde_json::json;

use super::{Then, Thinking};
use crate::context::Step;
use crate::history::Pending;
use crate::tools::Tool;

impl Thinking {
    /// Asks for the approval of a call. The turn then waits, and another job goes on with it.
    pub(super) async fn request_approval(
        &mut self,
        tool: &Tool,
        pending: &Pending,
        why: &str,
    ) -> Result<Then, Failure> {
        let arguments = pending.call.arguments.to_string();
        let detail = json!({
            "step": pending.of_step, "tool": tool.name, "arguments": markdown::cut(&arguments, 16_000), "why": why,
        });
        let approval = json!({
            "question": format!("May @{} call {}?", self.context.agent.name, tool.name),
            "detail": detail.to_string(),
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
