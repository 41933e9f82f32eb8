//! The checks of actions and agents: what they reach, and what a definition lets them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::forms::origin;
use super::{Check, SkillUse};
use crate::definition::{Asking, Definition, Do, Node, Permissions, Verify, Work};

/// The scopes that a definition may ask for.
const SCOPES: [&str; 7] = [
    "asset:generate",
    "chat:create",
    "kb:read",
    "kb:write",
    "llm:call",
    "skills:call",
    "social:write",
];

impl Check {
    pub(super) fn permissions(&mut self, permissions: &Permissions) {
        for (at, scope) in permissions.scopes.iter().enumerate() {
            if !SCOPES.contains(&scope.as_str()) {
                self.problem(
                    format!("permissions.scopes[{at}]"),
                    "permission",
                    format!("`{scope}` is not a scope that runs can have"),
                );
            }
        }
        for (at, given) in permissions.http.iter().enumerate() {
            if origin(given).as_ref() != Some(given) {
                self.problem(
                    format!("permissions.http[{at}]"),
                    "shape",
                    "must be an origin, such as https://example.org",
                );
            }
        }
    }

    /// Checks an action, or a request that finds out whether another one arrived.
    pub(super) fn action(&mut self, what: Do, input: &Value, path: &str, definition: &Definition) {
        let needed: &[&str] = match what {
            Do::Api => &["path"],
            Do::Http => &["url"],
            Do::Notify => &["to", "title"],
            Do::Message => &["channel", "body"],
            Do::Event => &["type", "topic"],
            Do::Skill => &["skill", "tool"],
        };
        // An expression of the whole input has its fields when it runs.
        let is_plain = input
            .as_object()
            .is_some_and(|fields| !(fields.len() == 1 && fields.contains_key("$")));
        for name in needed
            .iter()
            .filter(|name| is_plain && input.get(**name).is_none())
        {
            self.problem(format!("{path}.input.{name}"), "shape", "is missing");
        }
        let permissions = &definition.permissions;
        let refused = match what {
            _ if self.any_permissions => None,
            Do::Http if permissions.http.is_empty() => {
                Some("needs an origin in `permissions.http`")
            }
            Do::Api if permissions.scopes.is_empty() => {
                Some("needs a scope in `permissions.scopes`")
            }
            Do::Message
                if !permissions
                    .scopes
                    .iter()
                    .any(|scope| scope == "chat:create") =>
            {
                Some("needs `chat:create` in `permissions.scopes`")
            }
            Do::Skill
                if !permissions
                    .scopes
                    .iter()
                    .any(|scope| scope == "skills:call") =>
            {
                Some("needs `skills:call` in `permissions.scopes`")
            }
            _ => None,
        };
        if let Some(detail) = refused {
            self.problem(format!("{path}.do"), "permission", detail);
        }
        if what == Do::Skill
            && let Some(name) = input["skill"].as_str()
        {
            let text = |field: &str| input[field].as_str().map(str::to_owned);
            let called = SkillUse {
                name: name.to_owned(),
                version: text("version"),
                tool: text("tool").map(|tool| (format!("{path}.input.tool"), tool)),
                is_pure: false,
            };
            self.skills.insert(format!("{path}.input.skill"), called);
        }
        if what == Do::Http
            && !self.any_permissions
            && let Some(url) = input["url"].as_str()
            && !origin(url).is_some_and(|origin| permissions.http.contains(&origin))
        {
            self.problem(
                format!("{path}.input.url"),
                "permission",
                "is not at an origin of `permissions.http`",
            );
        }
    }

    pub(super) fn verify(
        &mut self,
        verify: &Verify,
        node: &Node,
        path: &str,
        known: &BTreeSet<String>,
        definition: &Definition,
    ) {
        let at = format!("{path}.verify");
        let is_outgoing = matches!(&node.work, Work::Action(action) if action.what.is_outgoing());
        if !is_outgoing || !matches!(verify.what, Do::Http | Do::Api) {
            let why = "must be a request by `http` or `api`, of an action that sends one";
            self.problem(&at, "shape", why);
        }
        let method = verify
            .input
            .get("method")
            .map_or(Some("GET"), Value::as_str);
        if !method.is_some_and(|method| ["GET", "HEAD"].contains(&method)) {
            self.problem(format!("{at}.input.method"), "shape", "must be GET or HEAD");
        }
        self.template(&verify.input, &format!("{at}.input"), known);
        self.action(verify.what, &verify.input, &at, definition);
        self.expression(&verify.arrived, &format!("{at}.arrived"), known);
        if let Some(value) = &verify.value {
            self.template(value, &format!("{at}.value"), known);
        }
    }

    pub(super) fn asking(&mut self, asking: &Asking, path: &str, known: &BTreeSet<String>) {
        self.template(&asking.prompt, &format!("{path}.prompt"), known);
        match asking.addressee() {
            Some((kind, name)) => {
                let place = format!("{path}.{kind}");
                self.asked.insert(place, (kind, name.clone()));
            }
            None => self.problem(
                path,
                "shape",
                "must have either an `agent`, a `claw` or a `circle`",
            ),
        }
        if asking
            .max_turns
            .is_some_and(|turns| !(1..=1000).contains(&turns))
        {
            self.problem(format!("{path}.max_turns"), "shape", "must be 1 to 1,000");
        }
        if asking.tools.as_ref().is_some_and(|tools| tools.len() > 64) {
            self.problem(format!("{path}.tools"), "shape", "must be 64 at most");
        }
    }
}
