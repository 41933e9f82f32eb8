//! What a persona is: its words, its tools and its limits. Tools that this platform does not have are refused by name when
//! a persona is saved.

use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Problem, Result};
use operations::ENDPOINTS;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{line, message_body, rendered, text};

/// The largest number of tools.
const MAX_TOOLS: usize = 64;

/// A persona to make, or the changes to one: absent properties stay as they are.
#[derive(Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = PersonaInput)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The persona's name, which is needed to make one: 2 to 40 characters out of a-z, 0-9 and `-`, the first not `-`.
    #[garde(inner(custom(persona_name)))]
    #[serde(skip_serializing)]
    #[schema(example = "researcher", pattern = "^[a-z0-9][a-z0-9-]{1,39}$")]
    pub name: Option<String>,
    /// The accounts that may use it; `private` if it is never given.
    #[garde(skip)]
    #[serde(skip_serializing)]
    pub visibility: Option<Visibility>,
    /// What the persona is for, in one line.
    #[garde(inner(length(chars, max = 1000), custom(line)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// How the agent is to think and speak, as its model is told.
    #[garde(inner(length(bytes, max = 65_536), custom(text)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65_536, example = "You answer in one sentence.")]
    pub instructions: Option<String>,
    /// Words for its character, such as `curious`.
    #[garde(inner(
        length(max = 50),
        inner(length(chars, min = 1, max = 100), custom(line))
    ))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traits: Option<Vec<String>>,
    /// The words with which the agent begins a new conversation with its owner, or with anybody if it is public, in Markdown, at
    /// most 16 KiB.
    #[garde(inner(custom(message_body)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Hello! What are you looking for?")]
    pub greeting: Option<String>,
    /// What the agent knows of its world, as its model is told.
    #[garde(inner(length(bytes, max = 65_536), custom(text)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 65_536)]
    pub lore: Option<String>,
    /// Examples of how the agent speaks.
    #[garde(inner(
        length(max = 20),
        inner(length(bytes, min = 1, max = 4096), custom(text))
    ))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<Vec<String>>,
    /// The alias or the name of its model, as the gateway knows it; `default` if absent. It is resolved for the agent's owner.
    #[garde(inner(length(chars, min = 1, max = 300), custom(line)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "default")]
    pub model: Option<String>,
    /// The tools that the agent may use, at most 64.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// What the agent recalls of its memory when a turn begins; nothing if absent.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Recall>,
    /// The limits of each turn.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// The accounts that may use a persona.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = PersonaVisibility)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its owner alone may use it.
    Private,
    /// Accounts that share a team with its owner.
    Team,
    /// Everybody may use it.
    Public,
}

/// A tool that an agent may use.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = PersonaTool)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// The tool: `skill:<name>`, `skill:<name>@<version>`, `api:<operation>` as the MCP server names operations,
    /// `mcp:<source>` or `mcp:<source>/<tool>` of a source of the agent's owner, `agent:<account>` for another agent of its
    /// owner, by id or name, or `memory`.
    #[garde(length(chars, min = 1, max = 200), custom(line))]
    #[serde(rename = "use")]
    #[schema(example = "api:search")]
    pub what: String,
    /// Whether the agent's owner has to approve each call. If absent, operations that change something ask once the turn has
    /// read what strangers wrote, and others never ask.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The secret, by its name, that the way out puts into the requests to a server of tools, in the place of the one that
    /// the source's headers name. It is the agent's owner's, and only tools of the kind `mcp` can have one.
    #[garde(inner(
        length(max = 1),
        inner(length(chars, min = 1, max = 100), custom(line))
    ))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 1, example = json!(["weather-key"]))]
    pub secrets: Option<Vec<String>>,
}

/// What an agent recalls of its own memory, and of its circle's, when a turn begins.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = PersonaMemory)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// The largest number of tokens that are recalled.
    #[garde(range(min = 1, max = 20_000))]
    #[schema(minimum = 1, maximum = 20_000, example = 1000)]
    recall_tokens: u32,
}

/// Whether calls of a tool have to be approved.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = PersonaToolApproval)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// No call asks.
    Never,
    /// Calls ask once the turn has read what strangers wrote.
    Untrusted,
    /// Each call asks.
    Always,
}

/// The limits of a turn.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = PersonaLimits)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest number of calls of models and tools; 40 if absent.
    #[garde(inner(range(min = 1, max = 1000)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    steps: Option<u32>,
    /// The longest duration in milliseconds, without the time that approvals take; 15 minutes if absent.
    #[garde(inner(range(min = 1000, max = 86_400_000)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000, maximum = 86_400_000)]
    turn_ms: Option<u64>,
    /// The time in milliseconds after which an approval that nobody decided counts as denied; an hour if absent.
    #[garde(inner(range(min = 1000, max = 604_800_000)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000, maximum = 604_800_000)]
    approval_ms: Option<u64>,
    /// The largest number of tokens that models are told, over all steps.
    #[garde(inner(range(min = 1, max = 1_000_000_000)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    input_tokens: Option<u64>,
    /// The largest number of tokens that models say, over all steps.
    #[garde(inner(range(min = 1, max = 1_000_000_000)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    output_tokens: Option<u64>,
    /// The sum in millionths of a dollar after which no further step begins.
    #[garde(inner(range(min = 1, max = 1_000_000_000_000)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000_000_f64)]
    cost_microusd: Option<u64>,
    /// The number of tokens that the model takes at once; 128,000 if absent. Above 70 % of it, the oldest part of what the
    /// model would be told is summed up.
    #[garde(inner(range(min = 1000, max = 100_000_000)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000, maximum = 100_000_000, example = 128_000)]
    window_tokens: Option<u64>,
}

impl Tool {
    fn has_secret(&self) -> bool {
        self.secrets
            .as_ref()
            .is_some_and(|secrets| !secrets.is_empty())
    }
}

impl Definition {
    /// Checks that this platform has the tools, and that the caller may name their secrets.
    ///
    /// # Errors
    /// As [`Definition::check_tools`], or the caller lacks `vault:use`.
    pub fn check(&self, caller: &Caller) -> Result<()> {
        if self.tools.iter().flatten().any(Tool::has_secret) && !caller.allows("vault:use") {
            return Err(Problem::insufficient_scope("vault:use"));
        }
        self.check_tools()
    }

    /// The greeting as a message; null if there is none.
    ///
    /// # Errors
    /// It can't be shown as a message.
    pub fn greeting(&self) -> Result<Option<Value>> {
        let rendered = self.greeting.as_deref().map(rendered).transpose();
        rendered.map_err(|problem| Problem::invalid("greeting", problem.detail().to_owned()))
    }

    /// Checks that this platform has the tools.
    ///
    /// # Errors
    /// One of them is unknown or takes no secrets: 422 `persona-invalid`, which names it.
    pub fn check_tools(&self) -> Result<()> {
        if self
            .tools
            .as_ref()
            .is_some_and(|tools| tools.len() > MAX_TOOLS)
        {
            return Err(Problem::invalid("tools", "may have at most 64 items"));
        }
        for tool in self.tools.iter().flatten() {
            if !exists(&tool.what) {
                return Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "persona-invalid",
                    format!("This platform does not have the tool `{}`.", tool.what),
                ));
            }
            if tool.has_secret() && !tool.what.starts_with("mcp:") {
                return Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "persona-invalid",
                    format!(
                        "The tool `{}` takes no secrets, as only `mcp:` tools do.",
                        tool.what
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn persona_name(text: &str, _: &()) -> garde::Result {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(2..=40).contains(&text.len()) || !text.bytes().all(allowed) || text.starts_with('-') {
        return Err(garde::Error::new(
            "must be 2 to 40 of a-z, 0-9 and `-`, and not begin with `-`",
        ));
    }
    if text.parse::<Uuid>().is_ok() {
        return Err(garde::Error::new("must not have the form of an id"));
    }
    Ok(())
}

/// Whether a tool can exist. Whether a skill, a source or an agent does is looked up when a turn begins, since they come
/// and go.
fn exists(tool: &str) -> bool {
    match tool.split_once(':') {
        None => tool == "memory",
        Some(("agent", name)) => !name.is_empty(),
        Some(("mcp", whole)) => {
            let (source, tool) = whole.split_once('/').unwrap_or((whole, "all"));
            !source.is_empty() && !tool.is_empty()
        }
        Some(("api", operation)) => ENDPOINTS.iter().any(|one| one.name == operation),
        Some(("skill", skill)) => {
            let (name, version) = skill.split_once('@').unwrap_or((skill, "1"));
            !name.is_empty() && !version.is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_of_kinds_that_this_platform_has() {
        for good in [
            "api:search",
            "skill:adder",
            "skill:adder@1.0.0",
            "mcp:x",
            "mcp:x/y",
            "agent:bob",
            "memory",
        ] {
            assert!(exists(good), "{good}");
        }
        for bad in [
            "api:nothing",
            "skill:",
            "skill:a@",
            "mcp:",
            "mcp:/y",
            "a2a:x",
            "agent:",
            "memories",
            "",
        ] {
            assert!(!exists(bad), "{bad}");
        }
    }
}
