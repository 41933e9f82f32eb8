//! Verification of signed statements offline, with the platform's keys.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use skill::statement::{Envelope, Jwks, Statement};

use super::Verify;
use crate::{agent::Client, plain};

/// Verifies every statement in a file, and prints their content.
pub fn verify(options: &Verify) -> Result<()> {
    let text = fs::read_to_string(&options.file)
        .with_context(|| format!("can't read {}", options.file.display()))?;
    let value: Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is not JSON", options.file.display()))?;
    let envelopes = envelopes(&value)?;
    if envelopes.is_empty() {
        bail!(
            "{} holds no signed statement: a DSSE envelope, or an answer with a `receipt` or `items` of them",
            options.file.display()
        );
    }
    let keys = keys(options.keys.as_deref(), options.server.as_deref())?;
    let digest = match &options.component {
        Some(path) => Some(skill::digest::of_bytes(
            &fs::read(path).with_context(|| format!("can't read {}", path.display()))?,
        )),
        None => None,
    };
    for envelope in envelopes {
        let statement = envelope.verify(&keys)?;
        let about = &statement
            .subject
            .first()
            .context("the statement is about nothing")?
            .digest
            .sha256;
        if digest
            .as_ref()
            .is_some_and(|digest| digest.trim_start_matches("sha256:") != about)
        {
            bail!("the statement holds, but it is about another component: sha256:{about}");
        }
        check_answer(&value, &statement)?;
        describe(&statement);
    }
    Ok(())
}

/// Whether the result or error beside a receipt is the one that the receipt states.
fn check_answer(answer: &Value, statement: &Statement) -> Result<()> {
    let output = ["result", "error"]
        .into_iter()
        .find_map(|name| answer.get(name));
    let (Some(output), Some(_)) = (output, answer.get("receipt")) else {
        return Ok(());
    };
    let stated = statement.predicate["output"]["sha256"].as_str();
    if stated != Some(skill::digest::of_json(output)?.as_str()) {
        bail!(
            "the receipt holds, but it is about another answer than the one that stands beside it"
        );
    }
    Ok(())
}

/// The platform's keys, from a file or from a server.
pub fn keys(file: Option<&Path>, server: Option<&str>) -> Result<Jwks> {
    let value = match (file, server) {
        (Some(path), _) => {
            let text = fs::read_to_string(path)
                .with_context(|| format!("can't read {}", path.display()))?;
            serde_json::from_str(&text)
                .with_context(|| format!("{} is not JSON", path.display()))?
        }
        (None, Some(server)) => Client::new(server)?.get_openly("/.well-known/jwks.json")?,
        (None, None) => bail!(
            "give the platform's keys: --keys FILE (what its /.well-known/jwks.json answers), or --server to fetch them"
        ),
    };
    serde_json::from_value(value).context("these are not keys: a JWKS was expected")
}

/// Finds all envelopes: a single one, the receipt of an answer, or the items of a list.
fn envelopes(value: &Value) -> Result<Vec<Envelope>> {
    let found = match (value.get("receipt"), value["items"].as_array()) {
        (Some(receipt), _) => std::slice::from_ref(receipt),
        (None, Some(items)) => items,
        (None, None) if value.get("payload").is_some() => std::slice::from_ref(value),
        (None, None) => &[],
    };
    let read = |value: &Value| {
        serde_json::from_value(value.clone())
            .context("one of the statements is not a DSSE envelope")
    };
    found.iter().map(read).collect()
}

fn describe(statement: &Statement) {
    let kind = statement
        .predicate_type
        .rsplit('/')
        .nth(1)
        .unwrap_or_default();
    for subject in &statement.subject {
        let subject = format!("{} (sha256:{})", subject.name, subject.digest.sha256);
        say!("✓ {} of {}", plain::line(kind), plain::line(&subject));
    }
    for line in plain::pretty_json(&statement.predicate).lines() {
        say!("    {line}");
    }
}
