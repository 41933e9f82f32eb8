//! What an attempt at a turn knows when it begins, as the database says it.

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// An account, with its name.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    pub id: Uuid,
    pub name: String,
    pub kind: String,
}

/// What an attempt at a turn knows when it begins.
#[derive(Debug, Deserialize)]
pub struct Context {
    pub turn: Uuid,
    /// The attempt whose writes count.
    pub holder: String,
    /// The channel of the conversation.
    pub channel: Uuid,
    pub circle: Option<Uuid>,
    pub company: Company,
    /// The place of what the agent notes for itself here; null: it has no memory.
    pub notebook: Option<Uuid>,
    pub is_whisper: bool,
    /// Whether the turn has read what strangers wrote.
    pub tainted: bool,
    /// The message that the turn answers.
    pub cause: Option<Uuid>,
    /// What woke the turn, where no message did.
    pub prompt: Option<String>,
    /// The number of the last message before it.
    pub cause_seq: i64,
    /// The memories that were recalled when the turn began, as text; null: nothing was asked for yet.
    pub recalled: Option<String>,
    /// The agents and circles whose limits have to hold, beside the owner's.
    pub pays: Vec<String>,
    pub agent: Account,
    pub owner: Account,
    /// What the owner may do: the agent never may more.
    pub scopes: Vec<String>,
    pub persona: Persona,
    /// The JSON Schema that the answer has to fit.
    pub output: Option<Value>,
    pub limits: Limits,
    pub role: Option<String>,
    pub mode: Option<String>,
    pub circle_name: Option<String>,
    pub purpose: Option<String>,
    /// Whether the agent's owner wrote the purpose.
    pub is_own_purpose: bool,
    pub members: Vec<Account>,
    pub steps: Vec<Step>,
}

impl Context {
    /// The circle's purpose, if somebody else than the agent's owner wrote it.
    pub fn strange_purpose(&self) -> Option<&str> {
        let purpose = self.purpose.as_deref().filter(|text| !text.is_empty());
        purpose.filter(|_| !self.is_own_purpose)
    }
}

/// The company of a turn, which hears what the agent says.
#[derive(Debug, Default, Deserialize)]
pub struct Company {
    /// Whether only the owner hears it, and agents of the same owner.
    pub is_own: bool,
    /// Whether only members of the turn's circle hear it.
    pub is_circle: bool,
}

/// What the agent is.
#[derive(Debug, Default, Deserialize)]
pub struct Persona {
    pub name: String,
    pub description: Option<String>,
    pub instructions: Option<String>,
    #[serde(default)]
    pub traits: Vec<String>,
    pub lore: Option<String>,
    #[serde(default)]
    pub examples: Vec<String>,
    pub model: Option<String>,
    #[serde(default)]
    pub tools: Vec<Permission>,
    pub memory: Option<Recall>,
}

/// The limits of a turn that are not the database's to hold.
#[derive(Debug, Deserialize)]
pub struct Limits {
    /// The number of tokens that the model takes at once.
    pub window_tokens: usize,
}

/// What an agent recalls when a turn begins.
#[derive(Debug, Deserialize)]
pub struct Recall {
    pub recall_tokens: u32,
}

/// A tool that the persona may use.
#[derive(Debug, Deserialize)]
pub struct Permission {
    #[serde(rename = "use")]
    pub what: String,
    pub approval: Option<Approval>,
    /// The name of the secret for requests to a server, if one is named.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// Whether calls of a tool have to be approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    Never,
    Untrusted,
    Always,
}

/// A step that began, as it is stored.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Step {
    pub number: i32,
    pub kind: String,
    pub status: String,
    pub name: Option<String>,
    pub of_step: Option<i32>,
    pub call: Option<i32>,
    pub text: Option<String>,
    pub calls: Option<Vec<Call>>,
    pub read_seq: Option<i64>,
    pub fingerprint: Option<String>,
    /// Whether strangers' words are in it.
    #[serde(default)]
    pub tainted: bool,
    pub begun_at: Option<String>,
}

/// A call of a tool that a model asks for.
#[derive(Debug, Clone, PartialEq, Deserialize, serde::Serialize)]
pub struct Call {
    pub name: String,
    /// The arguments; null if they are not an object.
    pub arguments: Value,
}

impl Step {
    pub fn is_model(&self) -> bool {
        self.kind == "model"
    }

    pub fn is_tool(&self) -> bool {
        self.kind == "tool"
    }

    pub fn has_ended(&self) -> bool {
        self.status != "started"
    }
}
