//! Tasks: turns as A2A tells of them.

use guest::{Caller, Db, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Door;
use super::rpc::Error;

/// The states of tasks (A2A 1.0, `TaskState`), of which ours have some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    #[serde(rename = "TASK_STATE_UNSPECIFIED")]
    Unspecified,
    #[serde(rename = "TASK_STATE_SUBMITTED")]
    Submitted,
    #[serde(rename = "TASK_STATE_WORKING")]
    Working,
    #[serde(rename = "TASK_STATE_COMPLETED")]
    Completed,
    #[serde(rename = "TASK_STATE_FAILED")]
    Failed,
    #[serde(rename = "TASK_STATE_CANCELED")]
    Canceled,
    #[serde(rename = "TASK_STATE_INPUT_REQUIRED")]
    InputRequired,
    #[serde(rename = "TASK_STATE_REJECTED")]
    Rejected,
    #[serde(rename = "TASK_STATE_AUTH_REQUIRED")]
    AuthRequired,
}

/// What a client is told while a call is not approved yet.
const WAITS: &str =
    "waiting: A call of a tool has to be approved by whoever answers for the agent.";

/// What a client wants to be shown of a task.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// Whether it wants the answers.
    pub artifacts: bool,
    /// The most messages of the history.
    pub history: usize,
}

impl Shown {
    /// Everything.
    pub const ALL: Self = Self {
        artifacts: true,
        history: usize::MAX,
    };
}

/// A turn with what belongs to it.
#[derive(Debug, Deserialize)]
pub struct Task {
    pub id: Uuid,
    pub conversation: Uuid,
    status: String,
    reason: Option<String>,
    pub state: State,
    /// What the agent has said so far.
    pub partial: Option<String>,
    /// The number of the step that says it.
    pub step: Option<i32>,
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

    /// Whether nothing more comes.
    pub fn has_ended(&self) -> bool {
        matches!(
            self.state,
            State::Completed | State::Canceled | State::Failed
        )
    }

    /// Whether whoever waits for it has to do something, or nothing more comes.
    pub fn rests(&self) -> bool {
        self.has_ended() || self.state == State::AuthRequired
    }

    /// The status, with the reason of an end that is not good, or what is waited for.
    pub fn status(&self) -> Value {
        let mut status = json!({"state": self.state, "timestamp": self.changed_at});
        let said = match &self.reason {
            Some(reason) if self.has_ended() => {
                Some((reason.as_str(), format!("{}: {reason}", self.status)))
            }
            _ if self.state == State::AuthRequired => Some(("approval", WAITS.to_owned())),
            _ => None,
        };
        if let Some((id, text)) = said {
            status["message"] = json!({
                "messageId": format!("{}-{id}", self.id), "contextId": self.conversation, "taskId": self.id,
                "role": "ROLE_AGENT", "parts": [{"text": text}],
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

    /// The task as a client wants to be shown it.
    pub fn shown(&self, wanted: Shown) -> Value {
        let history: Vec<Value> = self
            .cause
            .iter()
            .take(wanted.history)
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
        let mut shown =
            json!({"id": self.id, "contextId": self.conversation, "status": self.status()});
        // What is not wanted is left out, and not empty (A2A 1.0, 3.1.4).
        if wanted.artifacts {
            shown["artifacts"] = json!(self.artifacts());
        }
        if wanted.history > 0 {
            shown["history"] = json!(history);
        }
        shown
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
