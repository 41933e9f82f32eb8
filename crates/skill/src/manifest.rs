//! The manifest that is published with a component.

use crate::{Tool, schema::MAX_SAFE_INTEGER};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;
use strict_json::Refusal;
use url::{Host, Url};

/// The largest manifest, in bytes.
pub const MAX_BYTES: usize = 256 << 10;
/// The largest memory that a skill may ask for, in bytes.
pub const MAX_MEMORY_BYTES: u64 = 256 << 20;
/// The longest time that a call may take, in milliseconds.
pub const MAX_DEADLINE_MS: u64 = 30_000;
/// The largest amount of fuel that a call may use, about one unit an instruction.
pub const MAX_FUEL: u64 = 100_000_000_000;
/// The largest key-value store of a skill, in bytes.
pub const MAX_KEY_VALUE_BYTES: u64 = 10 << 20;
const MAX_ORIGINS: usize = 20;
const MAX_EXAMPLES: usize = 100;

/// An author's description of a version of a skill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The skill's name: 2 to 60 characters out of a-z, 0-9 and single hyphens.
    pub name: String,
    /// The version (Semantic Versioning 2.0.0), without build metadata.
    pub version: String,
    /// What the skill does, in one or two sentences of at most 1,000 characters.
    pub description: String,
    /// The licence, as an SPDX expression.
    #[serde(default)]
    pub license: Option<String>,
    /// The tags, at most 10, made of a-z, 0-9 and hyphens.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The readme in Markdown, at most 100,000 characters.
    #[serde(default)]
    pub readme: Option<String>,
    /// Descriptions of tools that replace those in the component, by the tool's name.
    #[serde(default)]
    pub tools: BTreeMap<String, ToolText>,
    /// The permissions beyond computing.
    #[serde(default)]
    pub permissions: Permissions,
    /// The limits of a call.
    #[serde(default)]
    pub limits: Limits,
    /// Example calls with their results. The review makes each of them.
    #[serde(default)]
    pub examples: Vec<Example>,
}

/// The description of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolText {
    /// What the tool does.
    pub description: String,
}

/// The permissions of a skill beyond computing. It has none unless they are named here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// The origins that the skill may send requests to, such as `https://api.example.org`.
    pub http: Vec<String>,
    /// The skill's own key-value store, if it asks for one.
    pub kv: Option<KeyValue>,
    /// Whether the skill sees the real time. Otherwise the time is always the first second of 2026.
    pub clock: bool,
    /// Whether the skill gets real randomness. Otherwise it is a sequence derived from the call's arguments.
    pub random: bool,
}

/// A skill's key-value store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyValue {
    /// The largest size of all keys and values together, in bytes.
    #[serde(deserialize_with = "whole")]
    pub max_bytes: u64,
}

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The linear memory in bytes.
    #[serde(deserialize_with = "whole")]
    pub memory_bytes: u64,
    /// The fuel, about one unit an instruction.
    #[serde(deserialize_with = "whole")]
    pub fuel: u64,
    /// The wall-clock time in milliseconds.
    #[serde(deserialize_with = "whole")]
    pub deadline_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 128 << 20,
            fuel: 5_000_000_000,
            deadline_ms: 5_000,
        }
    }
}

/// An example call with its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The tool's name.
    pub tool: String,
    /// The arguments, by parameter name.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// The expected result.
    #[serde(flatten)]
    pub expected: Expected,
}

/// The expected result of an example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// A result.
    Result(Value),
    /// An error of the skill's own.
    Error(Value),
}

/// An invalid field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field, such as `permissions.http[0]`.
    pub field: String,
    /// The reason why it is invalid.
    pub detail: String,
}

impl Manifest {
    /// Reads and checks a manifest. `memory_bytes`, `fuel` and `deadline_ms` may be in `permissions` too.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<FieldError>> {
        let one = |field: String, detail: String| vec![FieldError { field, detail }];
        if json.len() > MAX_BYTES {
            return Err(one(
                "manifest".to_owned(),
                format!("may have at most {MAX_BYTES} bytes"),
            ));
        }
        let refused = |refusal: Refusal| match refusal {
            Refusal::Invalid { path, detail } => one(Refusal::below("manifest", &path), detail),
            Refusal::Malformed(what) => one("manifest".to_owned(), format!("is not JSON: {what}")),
        };
        // The manifest is signed by its digest, so all readers must read it alike.
        let mut value: Value = strict_json::read_unique(json).map_err(refused)?;
        if has_zeros(&value) {
            let detail = "must not contain a zero character".to_owned();
            return Err(one("manifest".to_owned(), detail));
        }
        lift_limits(&mut value);
        let manifest: Self = strict_json::from_value(value).map_err(refused)?;
        let errors = manifest.check();
        if errors.is_empty() {
            Ok(manifest)
        } else {
            Err(errors)
        }
    }

    fn check(&self) -> Vec<FieldError> {
        let mut errors = Checks::default();
        errors.require(
            is_name(&self.name),
            "name",
            "must be 2-60 of a-z, 0-9 and single hyphens between them",
        );
        errors.require(self.semver().is_some(), "version", "must be a semantic version such as 1.2.3 or 1.2.3-beta.1, without build metadata, 60 characters at most");
        errors.length(&self.description, 1, 1_000, "description");
        if let Some(license) = &self.license {
            errors.length(license, 1, 200, "license");
        }
        errors.require(self.tags.len() <= 10, "tags", "may be 10 at most");
        for (at, tag) in self.tags.iter().enumerate() {
            let plain = (1..=30).contains(&tag.len())
                && tag
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            errors.require(
                plain,
                &format!("tags[{at}]"),
                "must be 1-30 of a-z, 0-9 and hyphens",
            );
        }
        if let Some(readme) = &self.readme {
            errors.length(readme, 0, 100_000, "readme");
        }
        for (name, tool) in &self.tools {
            errors.length(
                &tool.description,
                1,
                2_000,
                &format!("tools.{name}.description"),
            );
        }
        errors.require(
            self.examples.len() <= MAX_EXAMPLES,
            "examples",
            "may be 100 at most",
        );
        self.check_permissions(&mut errors);
        errors.0
    }

    fn check_permissions(&self, errors: &mut Checks) {
        let permissions = &self.permissions;
        errors.require(
            permissions.http.len() <= MAX_ORIGINS,
            "permissions.http",
            "may be 20 origins at most",
        );
        for (at, origin) in permissions.http.iter().enumerate() {
            if let Err(detail) = check_origin(origin) {
                errors.require(false, &format!("permissions.http[{at}]"), detail);
            }
        }
        if let Some(kv) = permissions.kv {
            errors.require(
                (1..=MAX_KEY_VALUE_BYTES).contains(&kv.max_bytes),
                "permissions.kv.max_bytes",
                "must be between 1 and 10485760",
            );
        }
        let limits = self.limits;
        errors.require(
            (65_536..=MAX_MEMORY_BYTES).contains(&limits.memory_bytes),
            "limits.memory_bytes",
            "must be between 65536 and 268435456",
        );
        errors.require(
            (1..=MAX_FUEL).contains(&limits.fuel),
            "limits.fuel",
            "must be between 1 and 100000000000",
        );
        errors.require(
            (1..=MAX_DEADLINE_MS).contains(&limits.deadline_ms),
            "limits.deadline_ms",
            "must be between 1 and 30000",
        );
    }

    /// Checks that the manifest fits these tools, and returns the fields that do not.
    #[must_use]
    pub fn check_against(&self, tools: &[Tool]) -> Vec<FieldError> {
        let known = |name: &str| tools.iter().any(|tool| tool.name == name);
        let names = || {
            tools
                .iter()
                .map(|tool| tool.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut errors = Checks::default();
        for name in self.tools.keys().filter(|name| !known(name)) {
            errors.require(
                false,
                &format!("tools.{name}"),
                &format!("is not a tool of the component, which has: {}", names()),
            );
        }
        for (at, example) in self.examples.iter().enumerate() {
            if !known(&example.tool) {
                errors.require(
                    false,
                    &format!("examples[{at}].tool"),
                    &format!("is not a tool of the component, which has: {}", names()),
                );
            }
        }
        errors.0
    }

    /// Replaces the descriptions of tools by those in the manifest.
    pub fn describe(&self, tools: &mut [Tool]) {
        for tool in tools {
            if let Some(text) = self.tools.get(&tool.name) {
                tool.description.clone_from(&text.description);
            }
        }
    }

    /// The parsed version; `None` if it is malformed.
    #[must_use]
    pub fn semver(&self) -> Option<semver::Version> {
        let version = semver::Version::parse(&self.version).ok()?;
        (version.build.is_empty() && self.version.len() <= 60).then_some(version)
    }
}

/// A text whose byte order is the precedence of versions (SemVer 2.0.0, section 11).
#[must_use]
pub fn precedence(version: &semver::Version) -> String {
    let mut text = format!(
        "{:020}.{:020}.{:020}",
        version.major, version.minor, version.patch
    );
    if version.pre.is_empty() {
        text.push('~');
        return text;
    }
    text.push('-');
    for (at, identifier) in version.pre.split('.').enumerate() {
        if at > 0 {
            text.push(' ');
        }
        // Numeric identifiers come before alphanumeric ones.
        if identifier.bytes().all(|byte| byte.is_ascii_digit()) {
            text.push_str(&format!("0{identifier:0>60}"));
        } else {
            text.push('1');
            text.push_str(identifier);
        }
    }
    text
}

#[derive(Default)]
struct Checks(Vec<FieldError>);

impl Checks {
    fn require(&mut self, holds: bool, field: &str, detail: &str) {
        if !holds {
            self.0.push(FieldError {
                field: format!("manifest.{field}"),
                detail: detail.to_owned(),
            });
        }
    }

    fn length(&mut self, text: &str, least: usize, most: usize, field: &str) {
        let holds = (least..=most).contains(&text.chars().count()) && !text.contains('\0');
        self.require(
            holds,
            field,
            &format!("must have {least} to {most} characters"),
        );
    }
}

fn is_name(name: &str) -> bool {
    (2..=60).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Checks an origin: scheme, host, optionally a port, and nothing else.
fn check_origin(origin: &str) -> Result<(), &'static str> {
    let form = "must be an origin such as https://api.example.org or https://api.example.org:8443, without path and wildcard";
    let url = Url::parse(origin).map_err(|_| form)?;
    let is_http = matches!(url.scheme(), "http" | "https");
    if !is_http || url.origin().ascii_serialization() != origin || origin.contains('*') {
        return Err(form);
    }
    match url.host() {
        Some(Host::Domain(name))
            if name == "localhost" || name.ends_with(".localhost") || !name.contains('.') =>
        {
            Err("names a machine in a private network, which skills may not reach")
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => Err("must name a host, not an address"),
        Some(Host::Domain(_)) => Ok(()),
        None => Err(form),
    }
}

/// Reads an integer as defined by JSON Schema: 5.0 and 5e9 are integers too.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = Number::deserialize(deserializer)?;
    let of_float = || {
        let float = number.as_f64()?;
        let is_exact = float.fract() == 0.0 && (0.0..=MAX_SAFE_INTEGER as f64).contains(&float);
        is_exact.then_some(float as u64)
    };
    let whole = number.as_u64().or_else(of_float);
    whole.ok_or_else(|| D::Error::custom("must be a whole number, not below zero"))
}

/// Whether a text in the value has a zero character, which PostgreSQL does not store.
fn has_zeros(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_zeros),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || has_zeros(value)),
        _ => false,
    }
}

/// Moves limits out of `permissions`, which may contain them directly or as `limits`.
fn lift_limits(manifest: &mut Value) {
    let Some(permissions) = manifest
        .get_mut("permissions")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let mut lifted = match permissions.remove("limits") {
        Some(Value::Object(limits)) => limits,
        Some(other) => {
            permissions.insert("limits".to_owned(), other);
            return;
        }
        None => Map::new(),
    };
    for name in ["memory_bytes", "fuel", "deadline_ms"] {
        if let Some(value) = permissions.remove(name) {
            lifted.insert(name.to_owned(), value);
        }
    }
    if permissions.get("http").is_some_and(Value::is_null) {
        permissions.remove("http");
    }
    if lifted.is_empty() {
        return;
    }
    if let Some(manifest) = manifest.as_object_mut() {
        let limits = manifest
            .entry("limits")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(limits) = limits.as_object_mut() {
            for (name, value) in lifted {
                limits.entry(name).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
