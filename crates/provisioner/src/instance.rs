//! An instance of a claw: what it is made of, and how it is.

use std::collections::BTreeMap;

use outgoing::Origin;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Problem;

/// The memory that an instance may have, in bytes.
const MEMORY: (u64, u64) = (16 << 20, 1 << 40);
/// The computing time that an instance may have, in thousandths of a core.
const CPU: (u32, u32) = (10, 256_000);
/// The scratch space that an instance may have, in bytes.
const DISK: (u64, u64) = (1 << 20, 1 << 40);
/// The processes and threads that an instance may have.
const PIDS: (u32, u32) = (8, 4_096);
/// The usual number of processes and threads.
const USUAL_PIDS: u32 = 256;
/// The largest number of variables and arguments, and of bytes in one.
const MAX_ENTRIES: usize = 256;
const MAX_BYTES: usize = 32 << 10;
/// The largest number of origins of an instance.
const MAX_ORIGINS: usize = 64;

/// What an instance is made of. The template of the claw says it, but for the environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specification {
    /// The claw.
    pub id: Uuid,
    /// The number of this making of the claw; a newer one replaces an older one.
    pub generation: u32,
    /// The image, by its digest: `name@sha256:…`, or `sha256:…`, the id of an image.
    pub image: String,
    /// The program and its arguments, in place of the image's own.
    #[serde(default)]
    pub command: Vec<String>,
    /// The computing time, in thousandths of a core.
    pub cpu_millis: u32,
    /// The memory, in bytes.
    pub memory_bytes: u64,
    /// The scratch space at each of `/tmp`, `/var/tmp` and `/run`, in bytes. It counts as memory.
    pub disk_bytes: u64,
    /// The number of processes and threads.
    #[serde(default = "usual_pids")]
    pub pids: u32,
    /// The origins that it may reach, besides the platform.
    #[serde(default)]
    pub egress: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether `/var/lib/claw` outlives the container, until the claw is removed.
    #[serde(default)]
    pub volume: bool,
}

fn usual_pids() -> u32 {
    USUAL_PIDS
}

impl Specification {
    /// Checks the values.
    ///
    /// # Errors
    /// 422 `image-not-pinned` if the image is not named by its digest, 422 `invalid-input` for anything else.
    pub fn check(&self) -> Result<(), Problem> {
        if !is_pinned(&self.image) {
            return Err(Problem::new(
                http::StatusCode::UNPROCESSABLE_ENTITY,
                "image-not-pinned",
                "An image is named by its digest, such as registry.example/claw@sha256:….",
            ));
        }
        let within = |name: &str, value: u64, (least, most): (u64, u64)| match value {
            value if (least..=most).contains(&value) => Ok(()),
            _ => Err(Problem::invalid(format!(
                "`{name}` must be from {least} to {most}."
            ))),
        };
        within("generation", self.generation.into(), (1, u32::MAX.into()))?;
        within("memory_bytes", self.memory_bytes, MEMORY)?;
        within("disk_bytes", self.disk_bytes, DISK)?;
        let wide = |(least, most): (u32, u32)| (least.into(), most.into());
        within("cpu_millis", self.cpu_millis.into(), wide(CPU))?;
        within("pids", self.pids.into(), wide(PIDS))?;
        let is_text = |text: &str| text.len() <= MAX_BYTES && !text.contains('\0');
        if self.command.len() > MAX_ENTRIES || !self.command.iter().all(|text| is_text(text)) {
            return Err(Problem::invalid("`command` is too long."));
        }
        let is_variable = |(name, value): (&String, &String)| is_name(name) && is_text(value);
        if self.env.len() > MAX_ENTRIES || !self.env.iter().all(is_variable) {
            return Err(Problem::invalid(
                "`env` has a name that is not of letters, digits and `_`, or is too long.",
            ));
        }
        if self.egress.len() > MAX_ORIGINS {
            return Err(Problem::invalid("`egress` is too long."));
        }
        self.origins().map(|_| ())
    }

    /// The origins that it may reach.
    ///
    /// # Errors
    /// One is not an origin.
    pub fn origins(&self) -> Result<Vec<Origin>, Problem> {
        let origins = self.egress.iter().map(|text| text.parse());
        let origins: Result<_, &str> = origins.collect();
        origins.map_err(|expected| Problem::invalid(format!("`egress`: {expected}.")))
    }
}

fn is_pinned(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (Some(name), digest),
        None => (None, image),
    };
    let is_name = |name: &str| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"./:_-".contains(&b);
        name.len() <= 255
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(is_plain)
    };
    let is_hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let digits = digest.strip_prefix("sha256:");
    digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(is_hexadecimal))
        && name.is_none_or(is_name)
}

fn is_name(name: &str) -> bool {
    let first_is_letter = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.len() <= 128 && first_is_letter && name.bytes().all(is_plain)
}

/// How an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its container is made, and was not started.
    Created,
    /// Its program runs.
    Running,
    /// Its program stands still, in memory.
    Paused,
    /// Its program ended.
    Exited,
}

/// Why the program of an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It used more memory than it has.
    OutOfMemory,
    /// It was killed: since it did not end when it was stopped, or for the want of memory, of which not all runtimes tell.
    Killed,
    /// It ended by itself, or when it was stopped.
    Exited,
    /// It could not be started.
    StartFailed,
}

/// A line of an instance's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The time at which it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub at: time::OffsetDateTime,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The text, without its end of line.
    pub text: String,
}

/// An instance, as it is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The claw.
    pub id: Uuid,
    /// The number of its making.
    pub generation: u32,
    /// The state of its program.
    pub state: State,
    /// Whether it has a volume.
    pub volume: bool,
    /// The status with which its program ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The reason why its program ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What the runtime says about the end of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The last lines of its output, if its program ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<Line>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_by_their_digests() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for good in [
            digest.clone(),
            format!("claw@{digest}"),
            format!("registry.example:5000/team/claw_a@{digest}"),
        ] {
            assert!(is_pinned(&good), "{good}");
        }
        for bad in [
            String::new(),
            "claw".to_owned(),
            "claw:latest".to_owned(),
            format!("@{digest}"),
            format!("-v@{digest}"),
            format!("claw@{digest}0"),
            format!("claw@{}", digest.to_uppercase()),
            format!("claw@{digest}@{digest}"),
            format!("claw?x@{digest}"),
            "claw@sha512:00".to_owned(),
        ] {
            assert!(!is_pinned(&bad), "{bad}");
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_its_name() {
        let good = serde_json::json!({
            "id": Uuid::nil(), "generation": 1, "image": format!("sha256:{}", "0".repeat(64)),
            "cpu_millis": 100, "memory_bytes": 64 << 20, "disk_bytes": 1 << 20,
            "egress": ["https://api.example.org"], "env": {"A_1": "x"},
        });
        let check = |field: &str, value: serde_json::Value| {
            let mut changed = good.clone();
            if !field.is_empty() {
                changed[field] = value;
            }
            let specification: Specification = serde_json::from_value(changed).unwrap();
            specification.check()
        };
        assert_eq!(check("", serde_json::Value::Null), Ok(()));
        for (field, value) in [
            ("generation", serde_json::json!(0)),
            ("memory_bytes", serde_json::json!(1)),
            ("disk_bytes", serde_json::json!(0)),
            ("cpu_millis", serde_json::json!(1)),
            ("pids", serde_json::json!(1_000_000)),
            ("egress", serde_json::json!(["api.example.org"])),
            ("env", serde_json::json!({"A=B": "x"})),
            ("env", serde_json::json!({"A": "x\0"})),
            ("command", serde_json::json!(["x\0"])),
        ] {
            let problem = check(field, value).unwrap_err();
            assert_eq!(problem.code, "invalid-input");
            assert!(problem.detail.contains(field), "{field}: {problem:?}");
        }
    }
}
