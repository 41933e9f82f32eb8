//! What claws are made of, as requests say it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The most secrets, and the most variables, of a claw.
const MAX_NAMES: usize = 50;
/// The largest value of a variable, in bytes.
const MAX_VALUE: usize = 4_096;

/// An account, as claws name it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawAccount)]
pub struct Account {
    /// The account's id.
    pub id: Uuid,
    /// The account's name.
    #[schema(example = "ada")]
    pub name: String,
    /// The kind of account: `agent` or `user`.
    pub kind: String,
}

/// The most that may be spent in a period.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawBudget)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The limit in millionths of a dollar.
    #[schema(minimum = 0)]
    limit_microusd: u64,
    /// The period: `day`, `month` or `total`.
    period: Period,
}

/// The period of a budget.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawBudgetPeriod)]
#[serde(rename_all = "lowercase")]
enum Period {
    /// From midnight to midnight, UTC.
    Day,
    /// A calendar month, UTC.
    Month,
    /// All time together.
    Total,
}

/// What becomes of a claw whose time is over.
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

/// What a claw does while more is written to it.
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

/// What wakes a claw.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawTrigger)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// `direct`: a message in a direct channel with it; `mention`: a message that names it, or answers it, in a channel.
    on: TriggerKind,
}

/// The kind of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawTriggerKind)]
#[serde(rename_all = "lowercase")]
enum TriggerKind {
    /// A message in a direct channel with it.
    Direct,
    /// A message in a channel that names it, or answers it.
    Mention,
}

/// The triggers of a claw that names none.
pub fn usual_triggers() -> Vec<Trigger> {
    let kinds = [TriggerKind::Direct, TriggerKind::Mention];
    kinds.map(|on| Trigger { on }).into()
}

/// Checks what wakes a claw.
pub fn check_triggers(triggers: &[Trigger], _: &()) -> garde::Result {
    if triggers.len() > 20 {
        return Err(garde::Error::new("may be 20 at most"));
    }
    Ok(())
}

/// Checks a budget: the sum has to fit into the ledger.
pub fn storable(budget: &Budget, _: &()) -> garde::Result {
    if i64::try_from(budget.limit_microusd).is_err() {
        return Err(garde::Error::new("is too large"));
    }
    Ok(())
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
