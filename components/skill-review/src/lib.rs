//! Reviews a published version of a skill: what it is made of, whether its examples are true, how it
//! behaves with generated inputs, whether it uses what it asks for, and, where one is configured, what a
//! language model reads in it. Ends in a verdict by the rules in [`rules`], and a signed statement.
//!
//! Running twice does no harm: what is decided stays decided.

mod evidence;
mod llm;
mod reading;
mod rules;
mod toolchains;

use guest::{Db, Failure, Job, Sandbox, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use evidence::{Evidence, Subject};
use rules::{Finding, Severity, Verdict};

/// As the sandbox knows us.
const SANDBOX: Sandbox = Sandbox("skill-review");
/// What the statement is.
const PREDICATE: &str = "https://gather.dev/attestations/skill-review/v1";

/// Which version.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    version_id: Uuid,
}

/// What was decided.
#[derive(Debug, Serialize, Deserialize)]
pub struct Decision {
    /// `approve`, `reject` or `hold`.
    pub verdict: Verdict,
    /// Why, where it is not approved.
    pub reasons: Vec<String>,
    /// 0 to 1.
    pub quality: f64,
}

#[derive(Debug, Deserialize)]
struct Found {
    subject: Option<Subject>,
}

#[derive(Debug, Deserialize)]
struct Decided {
    decided: bool,
}

/// Reviews one version.
///
/// # Errors
/// The sandbox or the database can't be reached: then again later. In the last attempt the version is left
/// to a person instead, so that none waits for ever.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Decision, Failure> {
    let found: Found = db
        .one(
            "select under_review($1) as subject",
            args![job.payload.version_id],
        )
        .await?;
    let subject = found
        .subject
        .ok_or_else(|| Failure::Final("There is no such version.".to_owned()))?;
    if subject.status != "in_review" || subject.held {
        return Err(Failure::Final("It is decided about already.".to_owned()));
    }
    let gathered = evidence::gather(&subject, &job).await;
    let mut evidence = match gathered {
        Ok(evidence) => evidence,
        Err(why) if job.attempt >= job.max_attempts => Evidence::interrupted(why),
        Err(why) => return Err(Failure::Retry(why)),
    };
    if job.is_cancelled() {
        return Err(Failure::Retry("It was cancelled.".to_owned()));
    }
    if !evidence.is_interrupted {
        job.progress(80, "reading");
        evidence.reading = reading::read(&subject, &evidence).await;
    }
    job.progress(95, "deciding");
    let findings = rules::findings(&subject, &evidence);
    let decision = Decision {
        verdict: rules::verdict(&findings),
        reasons: reasons(&findings),
        quality: rules::quality(&subject, &evidence, &findings),
    };
    conclude(&db, &job, &subject, &evidence, &findings, &decision).await?;
    Ok(decision)
}

fn reasons(findings: &[Finding]) -> Vec<String> {
    let serious = findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note);
    serious.map(|finding| finding.detail.clone()).collect()
}

/// Signs what was found, and writes it down with the decision.
async fn conclude(
    db: &Db,
    job: &Job<Arguments>,
    subject: &Subject,
    evidence: &Evidence,
    findings: &[Finding],
    decision: &Decision,
) -> Result<(), Failure> {
    let reviewed_at = OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default();
    let review = json!({
        "verdict": decision.verdict,
        "reasons": decision.reasons,
        "quality": decision.quality,
        "findings": findings,
        "evidence": evidence,
        "reviewer": reviewer(),
        "reviewed_at": reviewed_at,
        "job_id": job.id,
    });
    let predicate = json!({
        "skill": subject.name,
        "version": subject.version,
        "reviewer": reviewer(),
        "reviewed_at": reviewed_at,
        "job_id": job.id,
        "manifest": {"sha256": digest(&subject.manifest)},
        "evidence": {"sha256": digest(&json!(evidence))},
        "examples": evidence.example_counts(),
        "probes": evidence.probe_counts(),
        "permissions": subject.permissions(),
        "language_model": evidence.reading.as_ref().map(|reading| json!({
            "provider": reading.provider, "model": reading.model, "verdict": reading.verdict,
        })),
        "findings": findings,
        "verdict": decision.verdict,
        "quality": decision.quality,
    });
    let envelope = attest(subject, predicate).await?;
    let decided: Decided = db
        .one(
            "select decide($1, $2, $3, $4, $5, null) as decided",
            args![
                subject.version_id,
                decision.verdict.as_str(),
                review,
                decision.quality,
                envelope
            ],
        )
        .await?;
    if !decided.decided {
        return Err(Failure::Final(
            "Somebody else has decided about it meanwhile.".to_owned(),
        ));
    }
    Ok(())
}

fn reviewer() -> Value {
    json!({"component": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
}

/// The SHA-256 of a value's JSON, whose fields are in order.
fn digest(value: &Value) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(value.to_string()) {
        _ = write!(text, "{byte:02x}");
    }
    text
}

async fn attest(subject: &Subject, predicate: Value) -> Result<Value, Failure> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": format!("{}@{}", subject.name, subject.version),
            "digest": {"sha256": subject.digest.trim_start_matches("sha256:")},
        }],
        "predicateType": PREDICATE,
        "predicate": predicate,
    });
    let answer = SANDBOX
        .ask("/attest", &json!({"statement": statement}), None)
        .await;
    let answer = answer
        .map_err(|problem| Failure::Retry(format!("Signing failed ({}).", problem.code())))?;
    let parsed: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    match &parsed["envelope"] {
        Value::Null => Err(Failure::Retry(format!(
            "Signing failed ({}).",
            answer.status()
        ))),
        envelope => Ok(envelope.clone()),
    }
}

guest::export_job!(super::run);
