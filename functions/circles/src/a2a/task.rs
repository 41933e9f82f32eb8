//! Tasks: turns as A2A tells of them.

use guest::{Caller, Db, args};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Door;
use super::rpc::Error;

/// A turn with what belongs to it.
#[derive(Debug, Deserialize)]
pub struct Task {
    pub id: Uuid,
    conversation: Uuid,
    status: String,
    reason: Option<String>,
    waiting_for: Option<String>,
    /// Of a circle: whether more turns follow that have not ended.
    goes_on: bool,
    /// What the agent has said so far.
    pub partial: Option<String>,
    changed_at: String,
    /// The message that it answers.
    cause: Option<Said>,
    /// The answers so far.
    replies: Vec<Said>,
}

#[derive(Debug, Deserialize)]
struct Said {
    id: Uuid,
    /// The id that the client gave it, if it did.
    client_id: Option<String>,
    author: String,
    body: String,
}

#[derive(Debug, Deserialize)]
struct Row {
    task: Option<Task>,
}

impl Task {
    /// Reads a task of the caller's.
    ///
    /// # Errors
    /// There is none, or it is another's.
    pub async fn find(db: &Db, caller: &Caller, door: &Door, id: Uuid) -> Result<Self, Error> {
        let row: Row = db
            .apart()
            .one(
                "select a2a_task($1, $2, $3, $4) as task",
                args![caller.id, &door.kind, door.id, id],
            )
            .await
            .map_err(Error::of_database)?;
        row.task.ok_or_else(Error::no_task)
    }

    /// The state, as A2A names it.
    pub fn state(&self) -> &'static str {
        match self.status.as_str() {
            "waiting" if self.waiting_for.as_deref() == Some("approval") => {
                "TASK_STATE_AUTH_REQUIRED"
            }
            "queued" => "TASK_STATE_SUBMITTED",
            "running" | "waiting" => "TASK_STATE_WORKING",
            _ if self.goes_on => "TASK_STATE_WORKING",
            "completed" => "TASK_STATE_COMPLETED",
            "cancelled" => "TASK_STATE_CANCELED",
            _ => "TASK_STATE_FAILED",
        }
    }

    /// Whether nothing more comes.
    pub fn has_ended(&self) -> bool {
        matches!(
            self.state(),
            "TASK_STATE_COMPLETED" | "TASK_STATE_CANCELED" | "TASK_STATE_FAILED"
        )
    }

    /// Whether whoever waits for it has to do something, or nothing more comes.
    pub fn rests(&self) -> bool {
        self.has_ended() || self.state() == "TASK_STATE_AUTH_REQUIRED"
    }

    /// The status, with the reason of an end that is not good.
    pub fn status(&self) -> Value {
        let mut status = json!({"state": self.state(), "timestamp": self.changed_at});
        if let Some(reason) = self.reason.as_ref().filter(|_| self.has_ended()) {
            status["message"] = json!({
                "messageId": format!("{}-{reason}", self.id), "contextId": self.conversation, "taskId": self.id,
                "role": "ROLE_AGENT", "parts": [{"text": format!("{}: {reason}", self.status)}],
            });
        }
        status
    }

    /// The answers, as artifacts.
    pub fn artifacts(&self) -> Vec<Value> {
        let replies = self.replies.iter();
        replies
            .map(|said| json!({"artifactId": said.id, "name": said.author, "parts": [{"text": said.body}]}))
            .collect()
    }

    /// The whole task.
    pub fn shown(&self) -> Value {
        let history: Vec<Value> = self
            .cause
            .iter()
            .map(|said| {
                let given = said
                    .client_id
                    .as_deref()
                    .and_then(|id| id.strip_prefix("a2a:"));
                json!({"messageId": given.map_or_else(|| said.id.to_string(), str::to_owned),
                    "contextId": self.conversation, "taskId": self.id, "role": "ROLE_USER",
                    "parts": [{"text": said.body}]})
            })
            .collect();
        json!({
            "id": self.id, "contextId": self.conversation, "status": self.status(), "artifacts": self.artifacts(),
            "history": history,
        })
    }

    /// A change of the status, for a stream.
    pub fn status_update(&self) -> Value {
        json!({"statusUpdate": {"taskId": self.id, "contextId": self.conversation, "status": self.status()}})
    }

    /// A piece of an artifact, for a stream.
    pub fn artifact_update(&self, artifact: &Value, is_more: bool, is_last: bool) -> Value {
        json!({"artifactUpdate": {"taskId": self.id, "contextId": self.conversation, "artifact": artifact,
            "append": is_more, "lastChunk": is_last}})
    }
}
