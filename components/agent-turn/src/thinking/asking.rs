//! Asking other agents: those of one answer are asked side by side.

use guest::Failure;
use serde_json::{Value, json};

use super::{Then, Thinking, checked};
use crate::history::Pending;
use crate::reply;
use crate::tools::{Target, Tool};

/// The number of agents that are asked at once.
const AT_ONCE: usize = 8;

impl Thinking {
    /// Asks another agent, and those whom the same answer asks next. The turn then waits, and another job goes on with it
    /// when all have ended.
    pub(super) async fn ask_agents(
        &mut self,
        tools: &[Tool],
        pending: &Pending,
    ) -> Result<Then, Failure> {
        let Some(first) = question(tools, pending) else {
            return self
                .refuse(pending, "failed", "The message is empty.")
                .await;
        };
        let next = self.history.next_after(pending);
        let next = next.map_while(|pending| self.unasked(tools, &pending));
        let questions: Vec<Value> = [first].into_iter().chain(next).take(AT_ONCE).collect();
        let Some(asked) = self.log.ask_agents(json!(questions)).await? else {
            return Ok(Then::Stop);
        };
        self.steps += asked.count;
        match (asked.stop, asked.refused) {
            (Some(reason), _) => self.stop(&reason).await,
            (_, Some(why)) => self.refuse(pending, "failed", &why).await,
            _ => Ok(Then::Stop),
        }
    }

    /// The question of a call to another agent that waits for nothing and needs no approval.
    fn unasked(&self, tools: &[Tool], pending: &Pending) -> Option<Value> {
        let tool = tools.iter().find(|tool| tool.name == pending.call.name)?;
        let tainted_by = self.history.tainted_by();
        let is_free = tool.asks(self.context.tainted, tainted_by).is_none();
        question(tools, pending).filter(|_| is_free)
    }
}

/// The question of a call to another agent; `None` if it is another call, or can't be made.
fn question(tools: &[Tool], pending: &Pending) -> Option<Value> {
    let tool = tools.iter().find(|tool| tool.name == pending.call.name);
    let (tool, arguments) = checked(tool, pending).ok()?;
    let Target::Agent(agent) = tool.target else {
        return None;
    };
    let text = arguments.get("message").and_then(Value::as_str);
    let message = reply::message(text.unwrap_or_default())?;
    Some(json!({"asked": pending.logged(), "agent": agent, "message": message}))
}
