//! Verification of the receipts of turns, with the platform's keys alone.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use skill::statement::{Envelope, Jwks, TURN};

use crate::answer::text;
use crate::circle::VerifyTurn;
use crate::{plain, skill::verify::keys};

/// Verifies a receipt, and prints what it says.
pub fn verify(options: &VerifyTurn) -> Result<()> {
    let file = fs::read_to_string(&options.file)
        .with_context(|| format!("can't read {}", options.file.display()))?;
    let envelope: Envelope = serde_json::from_str(&file)
        .with_context(|| format!("{} is not a DSSE envelope", options.file.display()))?;
    let keys = keys(options.keys.as_deref(), options.server.as_deref())?;
    for line in checked(&envelope, &keys)? {
        say!("{}", plain::line(&line));
    }
    Ok(())
}

/// What a receipt says, line for line, if all of it holds: the signature, the chain of its steps, and the receipts of skills
/// in it.
fn checked(envelope: &Envelope, keys: &Jwks) -> Result<Vec<String>> {
    let statement = envelope.verify(keys)?;
    if statement.predicate_type != TURN {
        bail!("the statement holds, but it is about something else than a turn");
    }
    let receipt = statement
        .predicate
        .as_object()
        .context("the receipt is empty")?;
    let last = turn_receipt::check(receipt)?;
    let subject = statement
        .subject
        .first()
        .context("the statement is about nothing")?;
    let named = format!("turn:{}", text(&receipt["turn"]));
    if subject.digest.sha256 != last || subject.name != named {
        bail!("the statement is about other steps than those that it lists");
    }
    let mut lines = vec![format!(
        "✓ {named} of the agent {}: {} {}",
        text(&receipt["agent"]),
        text(&receipt["status"]),
        text(&receipt["reason"])
    )];
    let from = receipt.get("forked_from").unwrap_or(&Value::Null);
    let copied = from["after_step"].as_i64().unwrap_or_default();
    if !from.is_null() {
        lines.push(format!(
            "  forked from turn:{} after step {copied}",
            text(&from["turn"])
        ));
    }
    for step in receipt["steps"].as_array().into_iter().flatten() {
        let mut line = described(step, keys)?;
        if step["number"]
            .as_i64()
            .is_some_and(|number| number <= copied)
        {
            line.push_str("  copied");
        }
        lines.push(line);
    }
    Ok(lines)
}

fn described(step: &Value, keys: &Jwks) -> Result<String> {
    let mut line = format!(
        "{:>3}  {:<5}  {:<9}  {}",
        step["number"],
        text(&step["kind"]),
        text(&step["status"]),
        text(&step["name"])
    );
    if !step["approval"].is_null() {
        line.push_str(&format!("  approval {}", text(&step["approval"]["id"])));
    }
    if !step["receipt"].is_null() {
        let envelope: Envelope = serde_json::from_value(step["receipt"].clone())
            .context("the receipt of a skill is not a DSSE envelope")?;
        let inner = envelope.verify(keys)?;
        let subject = inner
            .subject
            .first()
            .context("the receipt of a skill is about nothing")?;
        line.push_str(&format!("  ✓ receipt of {}", subject.name));
    }
    Ok(line)
}
