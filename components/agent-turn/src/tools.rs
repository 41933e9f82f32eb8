//! The tools that a persona may use, as its model is told of them.

use std::rc::Rc;

use guest::Failure;
use mcp_client::Definition;
use operations::{ENDPOINTS, Endpoint, Words};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::context::{Approval, Context};
use crate::log::{Log, OtherAgent, SkillTool, Source};
use crate::{memory, schema};

/// The length of the longest name that models accept.
const MAX_NAME: usize = 64;

/// A tool.
pub struct Tool {
    pub name: String,
    pub description: String,
    pub schema: Value,
    pub target: Target,
    approval: Approval,
    /// The digest of what the tool is beside its words, such as a skill's component.
    version: String,
}

/// What does the work of a tool.
pub enum Target {
    /// An operation of the platform.
    Operation(&'static Endpoint),
    /// A tool of a skill.
    Skill {
        skill: String,
        version: String,
        tool: String,
        is_harmless: bool,
    },
    /// A tool of a stranger's server.
    Server {
        source: Rc<Source>,
        definition: Definition,
    },
    /// Another agent of the same owner.
    Agent(Uuid),
    /// Noting something.
    Remember,
    /// Looking something up in the memory.
    LookUp,
    /// Naming the next speaker.
    Next,
    /// Reading the rest of a long result.
    Rest,
}

impl Target {
    /// Whether a call may be made again whose result was lost.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Operation(endpoint) => endpoint.is_repeatable(),
            Self::Skill { is_harmless, .. } => *is_harmless,
            Self::Server { definition, .. } => definition.is_repeatable,
            Self::Agent(_) => false,
            // The same text is noted once.
            Self::Remember | Self::LookUp | Self::Next | Self::Rest => true,
        }
    }

    /// Whether a call changes nothing, so that the model may make it anew.
    pub fn is_harmless(&self) -> bool {
        match self {
            Self::Operation(endpoint) => endpoint.reads(),
            _ => self.is_repeatable(),
        }
    }

    /// Whether a result is what strangers may have written.
    pub fn taints(&self, result: &str) -> bool {
        match self {
            Self::Operation(endpoint) => match endpoint.words() {
                Words::Own => false,
                Words::Marked => memory::is_of_strangers(result),
                Words::Anybodys => true,
            },
            Self::LookUp => memory::is_of_strangers(result),
            Self::Skill { .. } | Self::Server { .. } => true,
            // What another agent has read is its turn's to know.
            Self::Agent(_) | Self::Remember | Self::Next | Self::Rest => false,
        }
    }
}

impl Tool {
    /// The tool as models are told of it, in OpenAI's protocol.
    pub fn listed(&self) -> Value {
        json!({"type": "function", "function": {
            "name": self.name, "description": self.description, "parameters": self.schema}})
    }

    /// Whether a call has to be approved, and why. `tainted_by` names the tool that told what strangers wrote, if one did.
    pub fn asks(&self, is_tainted: bool, tainted_by: Option<&str>) -> Option<String> {
        match self.approval {
            Approval::Always => Some("Each call of this tool has to be approved.".to_owned()),
            Approval::Untrusted if is_tainted => {
                let source = tainted_by.map_or_else(
                    || "in its conversation, its circle's purpose or its memory".to_owned(),
                    |name| format!("in a result of `{name}`"),
                );
                Some(format!(
                    "The agent has read what strangers wrote, {source}, and they may want it to do this."
                ))
            }
            Approval::Untrusted | Approval::Never => None,
        }
    }

    /// The digest of exactly what is approved: the tool, its definition and the arguments.
    pub fn digest(&self, arguments: &Value) -> String {
        let whole = json!({"tool": self.listed(), "version": self.version, "arguments": arguments});
        format!("sha256:{}", hex::encode(Sha256::digest(whole.to_string())))
    }
}

/// The tools of a turn.
pub async fn of(log: &Log, context: &Context) -> Result<Vec<Tool>, Failure> {
    let mut tools = Vec::new();
    for permission in &context.persona.tools {
        match permission.what.split_once(':') {
            Some(("api", name)) => {
                let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.name == name);
                tools.extend(endpoint.map(|endpoint| of_operation(endpoint, permission.approval)));
            }
            Some(("skill", skill)) => {
                let (name, version) = match skill.split_once('@') {
                    Some((name, version)) => (name, Some(version)),
                    None => (skill, None),
                };
                let found = log.skill(name, version).await?.into_iter();
                tools.extend(found.map(|one| of_skill(one, permission.approval)));
            }
            Some(("mcp", whole)) => {
                let (name, only) = match whole.split_once('/') {
                    Some((name, tool)) => (name, Some(tool)),
                    None => (whole, None),
                };
                let secret = permission.secrets.first().map(String::as_str);
                if let Some(source) = log.source(name, secret).await? {
                    tools.extend(of_source(source, only, permission.approval));
                }
            }
            Some(("agent", name)) => {
                let found = log.agent(name).await?;
                tools.extend(found.map(|agent| of_agent(&agent, permission.approval)));
            }
            None if permission.what == "memory" => {
                let approval = permission.approval.unwrap_or(Approval::Never);
                tools.extend(of_memory(context.circle.is_some(), approval));
            }
            _ => {}
        }
    }
    let names_next = match context.mode.as_deref() {
        Some("moderated") => context.role.as_deref() == Some("moderator"),
        Some("handoff") => true,
        _ => false,
    };
    if names_next && !context.is_whisper {
        tools.push(next_speaker());
    }
    if !tools.is_empty() {
        tools.push(read_result());
    }
    Ok(tools)
}

fn of_operation(endpoint: &'static Endpoint, approval: Option<Approval>) -> Tool {
    let listed = endpoint.listed();
    let default = if endpoint.reads() {
        Approval::Never
    } else {
        Approval::Untrusted
    };
    Tool {
        name: endpoint.name.to_owned(),
        description: listed["description"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        schema: endpoint.input_schema(),
        target: Target::Operation(endpoint),
        approval: approval.unwrap_or(default),
        version: String::new(),
    }
}

fn of_skill(tool: SkillTool, approval: Option<Approval>) -> Tool {
    Tool {
        name: name(&format!("{}__{}", tool.skill, tool.tool)),
        description: tool.description.unwrap_or_default(),
        schema: tool.input_schema,
        target: Target::Skill {
            skill: tool.skill,
            version: tool.version,
            tool: tool.tool,
            is_harmless: tool.is_harmless,
        },
        approval: approval.unwrap_or(Approval::Never),
        version: tool.digest,
    }
}

/// The tools of a server that were accepted: all of them, or one.
fn of_source(
    source: Source,
    only: Option<&str>,
    approval: Option<Approval>,
) -> impl Iterator<Item = Tool> {
    let source = Rc::new(source);
    let wanted = source.tools.clone().into_iter();
    // What can't be checked is not offered.
    let wanted = wanted.filter(move |one| {
        only.is_none_or(|only| only == one.name) && schema::is_usable(&one.input_schema)
    });
    wanted
        .map(move |definition| Tool {
            name: name(&format!("mcp__{}__{}", source.name, definition.name)),
            description: definition.description.clone(),
            schema: definition.input_schema.clone(),
            version: definition.digest.clone(),
            // What it does is a stranger's to say.
            approval: approval.unwrap_or(Approval::Untrusted),
            target: Target::Server {
                source: source.clone(),
                definition,
            },
        })
        .collect::<Vec<_>>()
        .into_iter()
}

fn of_agent(agent: &OtherAgent, approval: Option<Approval>) -> Tool {
    let what = agent.description.as_deref().unwrap_or_default();
    Tool {
        name: name(&format!("ask_{}", agent.name)),
        description: format!(
            "Asks the agent @{} and waits for its answer. {what}",
            agent.name
        ),
        schema: json!({"type": "object", "properties": {"message": {"type": "string", "minLength": 1,
            "description": "The question, with all that the agent has to know; it knows nothing of this conversation."}},
            "required": ["message"], "additionalProperties": false}),
        target: Target::Agent(agent.id),
        approval: approval.unwrap_or(Approval::Never),
        version: agent.id.to_string(),
    }
}

fn of_memory(has_circle: bool, approval: Approval) -> [Tool; 2] {
    let mut noted = json!({"content": {"type": "string", "minLength": 1,
        "description": "What to remember, in a sentence that can be understood alone."}});
    if has_circle {
        noted["shared"] = json!({"type": "boolean", "description": "Whether all members of the circle are to know it."});
    }
    [
        Tool {
            name: "remember".to_owned(),
            description: "Notes something for later conversations.".to_owned(),
            schema: json!({"type": "object", "properties": noted, "required": ["content"], "additionalProperties": false}),
            target: Target::Remember,
            approval,
            version: String::new(),
        },
        Tool {
            name: "look_up".to_owned(),
            description: "Finds what was noted before, by words and by meaning.".to_owned(),
            schema: json!({"type": "object", "properties": {"query": {"type": "string", "minLength": 1, "maxLength": 1000}},
                "required": ["query"], "additionalProperties": false}),
            target: Target::LookUp,
            approval: Approval::Never,
            version: String::new(),
        },
    ]
}

/// A name that models accept, which follows from the whole one.
fn name(whole: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let plain: String = whole
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    if plain.len() <= MAX_NAME && plain == whole {
        return plain;
    }
    let digest = hex::encode(Sha256::digest(whole));
    format!(
        "{}_{}",
        &plain[..plain.len().min(MAX_NAME - 17)],
        &digest[..16]
    )
}

fn next_speaker() -> Tool {
    Tool {
        name: "next_speaker".to_owned(),
        description: "Names the member who speaks next.".to_owned(),
        schema: json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
            "additionalProperties": false}),
        target: Target::Next,
        approval: Approval::Never,
        version: String::new(),
    }
}

fn read_result() -> Tool {
    Tool {
        name: "read_result".to_owned(),
        description: "Reads on in a long result of an earlier call.".to_owned(),
        schema: json!({"type": "object", "properties": {
                "step": {"type": "integer", "minimum": 1}, "offset": {"type": "integer", "minimum": 0}},
            "required": ["step", "offset"], "additionalProperties": false}),
        target: Target::Rest,
        approval: Approval::Never,
        version: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_models_accept() {
        assert_eq!(name("adder__add"), "adder__add");
        let long = name(&"a".repeat(100));
        assert!(
            long.len() <= MAX_NAME && long != name(&"a".repeat(101)),
            "{long}"
        );
        assert!(
            name("a.b")
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        );
    }

    #[test]
    fn arguments_of_every_operation_can_be_checked() {
        for endpoint in ENDPOINTS.iter() {
            let tool = of_operation(endpoint, None);
            assert!(schema::is_usable(&tool.schema), "{}", tool.name);
        }
    }

    #[test]
    fn what_changes_something_asks_once_strangers_were_read() {
        let post = ENDPOINTS
            .iter()
            .find(|one| one.name == "create_post")
            .expect("an operation");
        let tool = of_operation(post, None);
        assert!(tool.asks(false, None).is_none() && tool.asks(true, None).is_some());
        let why = tool.asks(true, Some("search")).unwrap_or_default();
        assert!(
            why.contains("strangers wrote, in a result of `search`"),
            "{why}"
        );
        let other = tool.digest(&json!({"a": 1}));
        assert_ne!(other, tool.digest(&json!({"a": 2})));
    }
}
