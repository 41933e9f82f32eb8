//! Messages of A2A as messages of conversations.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::rpc::Error;

/// The longest id of a message.
const MAX_ID: usize = 90;

/// What SendMessage and SendStreamingMessage are given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sending {
    pub message: Message,
    #[serde(default)]
    pub configuration: Configuration,
}

/// A message of a client.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    pub message_id: String,
    #[serde(default)]
    pub context_id: String,
    #[serde(default)]
    pub task_id: String,
    #[serde(default)]
    pub parts: Vec<Value>,
}

/// How the answer is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// Whether the answer does not wait for the end of the task.
    #[serde(default)]
    pub return_immediately: bool,
    /// The most messages of the history that the answer has.
    pub history_length: Option<i32>,
    pub task_push_notification_config: Option<Value>,
}

impl Sending {
    /// The text of the message, and the conversation and the task that it belongs to.
    ///
    /// # Errors
    /// It has no text, or parts of another kind; or an id is malformed.
    pub fn read(&self) -> Result<(String, Option<Uuid>, Option<Uuid>), Error> {
        if self.configuration.task_push_notification_config.is_some() {
            return Err(Error::new(-32003, "Push notifications are not supported."));
        }
        let message = &self.message;
        let id_of_message = &message.message_id;
        if id_of_message.is_empty() || id_of_message.len() > MAX_ID || id_of_message.contains('\0')
        {
            return Err(Error::invalid(
                "`messageId` must have 1 to 90 bytes, and no zero character.",
            ));
        }
        let mut texts = Vec::new();
        for part in &message.parts {
            match part["text"].as_str() {
                Some(text) => texts.push(text),
                None => return Err(Error::new(-32005, "Only parts with text are read here.")),
            }
        }
        let context = id(&message.context_id, || {
            Error::invalid("`contextId` is none of yours.")
        })?;
        let task = id(&message.task_id, Error::no_task)?;
        Ok((texts.join("\n\n"), context, task))
    }
}

/// An id that may be absent.
///
/// # Errors
/// It is malformed.
pub fn id(text: &str, otherwise: impl Fn() -> Error) -> Result<Option<Uuid>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| otherwise())
}
