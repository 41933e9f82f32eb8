//! Parts that inputs and answers share: scopes, kinds, trust, sources, and the checks of texts.

use axum::http::StatusCode;
use guest::{Caller, Problem, Result};
use memory_text::credential;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// The scope for writing what everybody reads.
pub const GLOBAL: &str = "memory:global";
/// The longest content of a memory in bytes.
pub const MAX_CONTENT_BYTES: usize = 16 << 10;

/// The kind of scope that a memory belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MemoryScope)]
pub enum Scope {
    /// Everybody's: all read it, and those with the scope `memory:global` write it.
    Global,
    /// A team's, whose members have it by their roles.
    Circle,
    /// An account's own; that of an agent is also its owner's.
    Agent,
    /// A channel's: whoever may read the channel reads it, and members write it.
    Conversation,
    /// What an agent that the platform thinks for notes for itself in a conversation: it is also its owner's.
    Notes,
}

/// The kind of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MemoryKind)]
pub enum Kind {
    /// Something that is so.
    Fact,
    /// Something that somebody likes or wants.
    Preference,
    /// Something that happened.
    Event,
    /// Something to do in a certain way. It is recalled only if its trust is `own`.
    Procedure,
    /// What others come to.
    Summary,
}

/// The trust that a text has: its sources decide, and nobody can raise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MemoryTrust)]
pub enum Trust {
    /// Strangers wrote it, or had a part in it.
    Stranger,
    /// A tool or a model answered it.
    Tool,
    /// The scope's own members wrote it.
    Own,
}

/// The state of a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MemoryState)]
pub enum State {
    /// It is found.
    Active,
    /// It is kept, and neither found nor recalled.
    Archived,
    /// A newer one took its place.
    Superseded,
}

/// Something that a memory was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemorySource)]
pub struct Source {
    /// The type of source.
    #[serde(rename = "type")]
    kind: SourceKind,
    /// The source's id, up to 200 characters.
    id: String,
}

/// The type of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = MemorySourceType)]
pub enum SourceKind {
    /// A message of a channel. One by the caller, its owner or its agents is their own; any other is a stranger's.
    Message,
    /// Another memory, whose trust is inherited.
    Memory,
    /// A signed receipt of a skill's call, which is a tool's.
    SkillReceipt,
    /// A document. Nobody knows who wrote it, so it is a stranger's.
    Document,
    /// A call of a model by the caller, which is a tool's.
    Call,
}

impl Source {
    /// Checks the form of the id.
    ///
    /// # Errors
    /// The id is empty, too long, or has control characters.
    pub fn check(&self, field: &str) -> Result<()> {
        let length = self.id.chars().count();
        if !(1..=200).contains(&length) || self.id.contains(char::is_control) {
            return Err(Problem::invalid(
                format!("{field}.id"),
                "must have 1 to 200 characters, without control characters",
            ));
        }
        Ok(())
    }

    /// Reads the form `type:id`.
    ///
    /// # Errors
    /// The text has another form.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once(':').and_then(|(kind, id)| {
            let kind = serde_json::from_value(json!(kind)).ok()?;
            // Ids are compared as the database writes them.
            let id = id
                .parse::<Uuid>()
                .map_or_else(|_| id.to_owned(), |id| id.to_string());
            Some(Self { kind, id })
        });
        let source = parts.ok_or_else(|| {
            Problem::invalid("source", "must be a type and an id, such as `message:<id>`")
        })?;
        source.check("source")?;
        Ok(source)
    }

    /// The type, as it is written.
    pub fn kind(&self) -> String {
        word(self.kind)
    }

    /// The id of the source.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A value of an enumeration as it is written.
pub fn word(value: impl Serialize) -> String {
    let word = serde_json::to_value(value).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

/// Checks that a scope has an id if it needs one.
///
/// # Errors
/// The id is missing, or `global` has one.
pub fn check_scope(scope: Scope, id: Option<Uuid>) -> Result<()> {
    match (scope, id) {
        (Scope::Global, Some(_)) => {
            Err(Problem::invalid("scope_id", "must be absent for `global`"))
        }
        (Scope::Circle | Scope::Agent | Scope::Conversation | Scope::Notes, None) => {
            Err(Problem::invalid(
                "scope_id",
                "is missing: the id of the team, the account or the channel",
            ))
        }
        _ => Ok(()),
    }
}

/// Checks that the caller's token lets it change what is in a scope; the database checks the account.
///
/// # Errors
/// The scope is everybody's, and the token lacks `memory:global`.
pub fn require_write(caller: &Caller, scope: Scope) -> Result<()> {
    if scope == Scope::Global && !caller.allows(GLOBAL) {
        return Err(Problem::insufficient_scope(GLOBAL));
    }
    Ok(())
}

/// The scopes of a search, as the database reads them; none if the caller named none.
///
/// # Errors
/// The scope lacks its id, or there is an id without a scope.
pub fn scopes(scope: Option<Scope>, id: Option<Uuid>) -> Result<Option<Value>> {
    match (scope, id) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Problem::invalid("scope", "is missing beside `scope_id`")),
        (Some(scope), id) => {
            check_scope(scope, id)?;
            Ok(Some(json!([{"scope": scope, "scope_id": id}])))
        }
    }
}

/// Checks the content of a memory.
///
/// # Errors
/// It is empty, too long, or has a zero character.
pub fn check_content(text: &str) -> Result<()> {
    if text.len() > MAX_CONTENT_BYTES {
        return Err(too_large("The content may have at most 16 KiB."));
    }
    if text.trim().is_empty() {
        return Err(Problem::invalid("content", "must not be empty"));
    }
    check_text("content", text)
}

/// Checks that the database can store a text.
///
/// # Errors
/// It has a zero character.
pub fn check_text(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Problem::invalid(field, "must not contain a zero character"));
    }
    Ok(())
}

/// Checks a list of tags.
///
/// # Errors
/// There are too many, or one is too long or has control characters.
pub fn check_tags(tags: &[String]) -> Result<()> {
    let is_bad = |tag: &String| {
        tag.trim().is_empty() || tag.chars().count() > 100 || tag.contains(char::is_control)
    };
    if tags.len() > 50 || tags.iter().any(is_bad) {
        return Err(Problem::invalid(
            "tags",
            "must be at most 50, each of 1 to 100 characters without control characters",
        ));
    }
    Ok(())
}

/// Refuses texts that hold a credential.
///
/// # Errors
/// One of them does.
pub fn refuse_secrets<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<()> {
    if texts.into_iter().any(credential::is_in) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "contains-secret",
            "The text holds something of the form of a credential. Store it as a secret, and note its name here.",
        ));
    }
    Ok(())
}

/// The problem 413 for a text that is too long.
pub fn too_large(detail: &'static str) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
}
