//! Forgets the memories that a selector means and all that came of them, and has the erasure stated with a signature of the
//! attestation key. The statement names ids and counts, and never a text.
//!
//! The erasure is one transaction, and its counts are kept, so another attempt states the same.

use guest::{Db, Failure, Job, Sandbox, args};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The client of the sandbox, with the name by which the sandbox knows this component.
const SANDBOX: Sandbox = Sandbox("memory-forget");
/// The predicate type of the statement.
const PREDICATE: &str = "https://gather.dev/attestations/memory-erasure/v1";
/// The number of ids that the statement names; a digest stands for all of them.
const MAX_NAMED: usize = 1_000;

/// The arguments of the job.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    /// The selector: `ids`, `source`, `author`, or `scope` and `scope_id`.
    selector: Value,
    /// Whether the account's token lets it forget what is everybody's.
    everybodys: bool,
    /// Whether only the counts are wanted.
    dry_run: bool,
}

/// The result of the job.
#[derive(Debug, Serialize)]
pub struct Forgotten {
    /// Whether nothing was forgotten, and the counts tell only what would be.
    dry_run: bool,
    /// The numbers of memories, versions, blocks, kept answers and captured calls.
    counts: Value,
    /// The ids of the memories, 1,000 at most.
    ids: Vec<Uuid>,
    /// The signed statement of the erasure: a DSSE envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Erased {
    counts: Value,
    ids: Vec<Uuid>,
    erased_at: String,
}

/// Forgets, and has it stated.
///
/// # Errors
/// The database or the sandbox can't be reached, which is tried again later.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Forgotten, Failure> {
    let account = job
        .owner
        .ok_or_else(|| Failure::Final("Nobody asked for it.".to_owned()))?;
    let arguments = &job.payload;
    let erased: Erased = db
        .one(
            "select counts, ids, erased_at from forget($1, $2, $3, $4, $5)",
            args![
                job.id,
                account,
                arguments.everybodys,
                arguments.selector.clone(),
                arguments.dry_run
            ],
        )
        .await?;
    let statement = match arguments.dry_run {
        true => None,
        false => Some(attest(&statement(job.id, account, &erased)).await?),
    };
    Ok(Forgotten {
        dry_run: arguments.dry_run,
        ids: named(&erased.ids),
        counts: erased.counts,
        statement,
    })
}

/// The first of many ids.
fn named(ids: &[Uuid]) -> Vec<Uuid> {
    ids.iter().take(MAX_NAMED).copied().collect()
}

/// The in-toto statement of an erasure. Its subject is the list of all ids, one in each line.
fn statement(job: Uuid, account: Uuid, erased: &Erased) -> Value {
    let lines: String = erased.ids.iter().map(|id| format!("{id}\n")).collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "memories", "digest": {"sha256": hex::encode(Sha256::digest(lines))}}],
        "predicateType": PREDICATE,
        "predicate": {
            "job_id": job,
            "account_id": account,
            "erased_at": erased.erased_at,
            "counts": erased.counts,
            "ids": named(&erased.ids),
            "component": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
        },
    })
}

/// Has a statement signed.
async fn attest(statement: &Value) -> Result<Value, Failure> {
    let failed = |why: String| {
        Failure::Retry(format!(
            "It is forgotten; signing the statement failed ({why})."
        ))
    };
    let answer = SANDBOX
        .ask("/attest", &json!({"statement": statement}), None)
        .await
        .map_err(|problem| failed(problem.code().to_owned()))?;
    let mut parsed: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    match parsed["envelope"].take() {
        envelope if answer.status() == StatusCode::OK && !envelope.is_null() => Ok(envelope),
        _ => Err(failed(answer.status().as_u16().to_string())),
    }
}

guest::export_job!(super::run);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_stands_for_all_ids_and_names_some() {
        let erased = Erased {
            counts: json!({"memories": 1_001}),
            ids: (0..1_001).map(Uuid::from_u128).collect(),
            erased_at: "2026-01-01T00:00:00Z".to_owned(),
        };
        let made = statement(Uuid::nil(), Uuid::nil(), &erased);
        let ids = made["predicate"]["ids"].as_array().expect("ids");
        assert_eq!(ids.len(), MAX_NAMED);
        let fewer = Erased {
            ids: named(&erased.ids),
            ..erased
        };
        assert_ne!(
            statement(Uuid::nil(), Uuid::nil(), &fewer)["subject"],
            made["subject"]
        );
    }
}
