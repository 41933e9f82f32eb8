//! What claws are made of, as requests say it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The most secrets, and the most variables, of a claw.
const MAX_NAMES: usize = 50;
/// The largest value of a variable, in bytes.
const MAX_VALUE: usize = 4_096;

/// The end of a claw whose time is over.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawExpiry)]
#[serde(rename_all = "lowercase")]
pub enum Expiry {
    /// It waits, and its turns with it.
    Pause,
    /// It ends its turns, and begins none.
    Stop,
    /// It is gone. What it wrote stays.
    Delete,
}

/// The way in which a claw takes what is written while it thinks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawOnBusy)]
#[serde(rename_all = "lowercase")]
pub enum OnBusy {
    /// It finishes its turn, and answers in another.
    Queue,
    /// It is told before its next step.
    Steer,
    /// Its turn is cancelled, and another begins.
    Interrupt,
}

/// A trigger, which wakes a claw.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawTrigger)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// `direct`: a message in a direct channel with it; `mention`: a message that names it, or answers it, in a channel;
    /// `event`: an event; `schedule`: a time, at which its owner's schedule writes to it, so that it listens to direct
    /// messages too.
    pub on: TriggerKind,
    /// Of an event: its topic, which the claw may read; every topic that it may read if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "channel:0192f5c0-0000-7000-8000-000000000000")]
    topic: Option<String>,
    /// Of an event: its type, `message.created`, or `message.*` for all that begin so; every type if absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    /// Of a schedule: its times in five fields, as cron has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0 9 * * 1-5")]
    pub cron: Option<String>,
    /// Of a schedule: the time zone of its times; UTC if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Europe/Zurich")]
    pub timezone: Option<String>,
    /// Of an event or a schedule: what it is told then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// The kind of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawTriggerKind)]
#[serde(rename_all = "lowercase")]
pub enum TriggerKind {
    /// A message in a direct channel with it.
    Direct,
    /// An event that it waits for.
    Event,
    /// A message in a channel that names it, or answers it.
    Mention,
    /// A time that has come.
    Schedule,
}

/// The triggers of a claw that names none.
pub fn usual_triggers() -> Vec<Trigger> {
    let kinds = [TriggerKind::Direct, TriggerKind::Mention];
    kinds.map(Trigger::of).into()
}

/// Checks what wakes a claw.
pub fn check_triggers(triggers: &[Trigger], _: &()) -> garde::Result {
    if triggers.len() > 20 {
        return Err(garde::Error::new("may be 20 at most"));
    }
    triggers.iter().try_for_each(Trigger::check)
}

impl Trigger {
    fn of(on: TriggerKind) -> Self {
        Self {
            on,
            topic: None,
            event_type: None,
            cron: None,
            timezone: None,
            prompt: None,
        }
    }

    /// Checks that it has what its kind needs, and nothing else.
    fn check(&self) -> garde::Result {
        let is_event = self.on == TriggerKind::Event;
        let is_schedule = self.on == TriggerKind::Schedule;
        let fault = if is_event != (self.topic.is_some() || self.event_type.is_some()) {
            "must have a topic or a type if it is an event, and not otherwise"
        } else if is_schedule != self.cron.is_some() || !is_schedule && self.timezone.is_some() {
            "must have times in `cron` if it is a schedule, and not otherwise"
        } else if self.prompt.is_some() && !is_event && !is_schedule {
            "may have a prompt if it is an event or a schedule"
        } else if !self.topic.as_deref().is_none_or(is_topic) {
            "must have a topic such as `channel:<id>`"
        } else if !self.event_type.as_deref().is_none_or(is_event_type) {
            "must have a type such as `message.created`, or `message.*`"
        } else if !self.prompt.as_deref().is_none_or(is_prompt) {
            "must have a prompt of at most 8 KiB, without a zero character"
        } else {
            return Ok(());
        };
        Err(garde::Error::new(fault))
    }
}

fn is_topic(text: &str) -> bool {
    let (kind, id) = text.split_once(':').unwrap_or_default();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !kind.is_empty()
        && kind.bytes().all(|byte| byte.is_ascii_lowercase())
        && (1..=100).contains(&id.len())
        && id.bytes().all(is_word)
}

/// Types are lower-case words between points and hyphens; `.*` may end them.
fn is_event_type(text: &str) -> bool {
    let body = text.strip_suffix(".*").unwrap_or(text);
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_plain);
    text.len() <= 100
        && body.starts_with(|first: char| first.is_ascii_lowercase())
        && body.split(['.', '-']).all(is_word)
}

fn is_prompt(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 8_192 && !text.contains('\0')
}

/// Checks the name of an account.
pub fn account_name(text: &str, _: &()) -> garde::Result {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(3..=40).contains(&text.len()) || !text.bytes().all(allowed) || text.parse::<Uuid>().is_ok()
    {
        return Err(garde::Error::new(
            "must be 3 to 40 of a-z, 0-9 and `-`, not in the form of an id",
        ));
    }
    Ok(())
}

/// Checks what names a persona.
pub fn persona_ref(text: &str, _: &()) -> garde::Result {
    let (name, version) = text.split_once('@').unwrap_or((text, "1"));
    let is_version =
        (1..=6).contains(&version.len()) && version.bytes().all(|byte| byte.is_ascii_digit());
    if name.is_empty() || name.len() > 60 || name.contains('\0') || !is_version {
        return Err(garde::Error::new(
            "must be an id or a name, or `<name>@<version>`",
        ));
    }
    Ok(())
}

/// Checks a name or an id.
pub fn reference(text: &str, _: &()) -> garde::Result {
    if text.is_empty() || text.len() > 100 || text.contains('\0') {
        return Err(garde::Error::new("must be an id or a name"));
    }
    Ok(())
}

/// Checks the secrets: each name stands for a secret of the vault.
pub fn check_secrets(named: &BTreeMap<String, String>, _: &()) -> garde::Result {
    names(named)?;
    let is_fit = |value: &String| {
        let name = value.strip_prefix("vault:");
        name.is_some_and(|name| reference(name, &()).is_ok())
    };
    if !named.values().all(is_fit) {
        return Err(garde::Error::new("must have values such as `vault:<name>`"));
    }
    Ok(())
}

/// Checks the variables.
pub fn check_env(named: &BTreeMap<String, String>, _: &()) -> garde::Result {
    names(named)?;
    let is_fit = |value: &String| value.len() <= MAX_VALUE && !value.contains('\0');
    if !named.values().all(is_fit) {
        return Err(garde::Error::new(
            "must have values of at most 4 KiB, without a zero character",
        ));
    }
    Ok(())
}

fn names(named: &BTreeMap<String, String>) -> garde::Result {
    let is_fit = |name: &String| {
        let first = name.bytes().next();
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        name.len() <= 100
            && first.is_some_and(|byte| !byte.is_ascii_digit())
            && name.bytes().all(allowed)
            && !name.starts_with("GATHER_")
    };
    if named.len() > MAX_NAMES || !named.keys().all(is_fit) {
        return Err(garde::Error::new(
            "may have 50 names of A-Z, 0-9 and `_`, which don't begin with a digit or `GATHER_`",
        ));
    }
    Ok(())
}
