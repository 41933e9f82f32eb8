//! Reviews a published version of a skill: its parts, its examples, its behaviour with generated inputs, its use of
//! permissions and, if one is configured, the opinion of a language model. The review ends in a verdict by the rules in
//! [`rules`], and a signed statement.
//!
//! Running it twice does no harm, since decisions are final. No version can prevent a decision: everything that it can
//! do is bounded here, and the last attempt leaves it to a person without trying it again.

mod evidence;
mod llm;
mod permissions;
mod reading;
mod rules;
mod suspicion;
mod toolchains;
mod trial;
mod values;

use std::time::Duration;

use guest::{Db, Failure, Job, Sandbox, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use evidence::{Evidence, Subject};
use rules::{Finding, Severity, Verdict};

/// The client of the sandbox, with the name by which the sandbox knows this component.
const SANDBOX: Sandbox = Sandbox("skill-review");
/// The predicate type of the statement.
const PREDICATE: &str = "https://gather.dev/attestations/skill-review/v1";

/// The largest number of reasons; the findings contain all of them.
const MAX_REASONS: usize = 20;

/// The arguments of the job: the version to review.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    version_id: Uuid,
}

/// The decision of a review.
#[derive(Debug, Serialize, Deserialize)]
pub struct Decision {
    /// The verdict: `approve`, `reject` or `hold`.
    pub verdict: Verdict,
    /// The reasons, if the version is not approved.
    pub reasons: Vec<String>,
    /// The quality from 0 to 1.
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
/// The sandbox or the database can't be reached, which is tried again later.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Decision, Failure> {
    let subject = find(&db, job.payload.version_id).await?;
    if let Some(decision) = subject.decision() {
        return Ok(decision);
    }
    let is_last = job.attempt >= job.max_attempts;
    let mut evidence = if is_last {
        Evidence::interrupted("No attempt came to an end; the job says why.")
    } else {
        let gathered = trial::gather(&db, &subject, &job).await;
        gathered.map_err(Failure::Retry)?
    };
    if job.is_cancelled() {
        return Err(Failure::Retry("It was cancelled.".to_owned()));
    }
    let mut findings = rules::findings(&subject, &evidence);
    // A version that is rejected anyway is not read by a model, and an unfinished review has nothing to read.
    if !is_last && rules::verdict(&findings) != Verdict::Reject {
        job.progress(80, "reading");
        evidence.reading = reading::read(&subject, &evidence, job.id).await;
        findings = rules::findings(&subject, &evidence);
    }
    job.progress(95, "deciding");
    let decision = Decision {
        verdict: rules::verdict(&findings),
        reasons: reasons(&findings),
        quality: rules::quality(&subject, &evidence, &findings),
    };
    let review = Review {
        job: job.id,
        subject: &subject,
        evidence: &evidence,
        findings: &findings,
        decision: &decision,
    };
    if review.conclude(&db, is_last).await? {
        return Ok(decision);
    }
    // Another attempt or a person decided first.
    let decided = find(&db, job.payload.version_id).await?.decision();
    decided.ok_or_else(|| Failure::Retry("The decision was not taken.".to_owned()))
}

async fn find(db: &Db, version: Uuid) -> Result<Subject, Failure> {
    let found: Found = db
        .one("select under_review($1) as subject", args![version])
        .await?;
    let none = || Failure::Final("There is no such version.".to_owned());
    found.subject.ok_or_else(none)
}

/// The reasons for the author: all findings but notes, the most serious first.
fn reasons(findings: &[Finding]) -> Vec<String> {
    let of = |severity| {
        let those = findings
            .iter()
            .filter(move |finding| finding.severity == severity);
        those.map(|finding| finding.detail.clone())
    };
    let all = of(Severity::Reject).chain(of(Severity::Hold));
    all.take(MAX_REASONS).collect()
}

/// A review that has reached its decision.
struct Review<'a> {
    job: Uuid,
    subject: &'a Subject,
    evidence: &'a Evidence,
    findings: &'a [Finding],
    decision: &'a Decision,
}

impl Review<'_> {
    /// Signs the findings and stores them with the decision. Returns whether the version was still undecided. With
    /// `is_last`, a decision is stored even without a signature; it can only be to hold.
    async fn conclude(&self, db: &Db, is_last: bool) -> Result<bool, Failure> {
        let now = OffsetDateTime::now_utc().format(&Rfc3339);
        let reviewed_at = now.unwrap_or_default();
        let envelope = match self.attest(&reviewed_at).await {
            Err(why) if is_last => {
                guest::warn!("held without a statement", cause = why);
                None
            }
            signed => Some(signed.map_err(Failure::Retry)?),
        };
        let decided: Decided = db
            .one(
                "select decide($1, $2, $3, $4, $5, null) as decided",
                args![
                    self.subject.version_id,
                    self.decision.verdict.as_str(),
                    self.shown(&reviewed_at),
                    self.decision.quality,
                    envelope
                ],
            )
            .await?;
        Ok(decided.decided)
    }

    /// The review as shown with the version.
    fn shown(&self, reviewed_at: &str) -> Value {
        json!({
            "verdict": self.decision.verdict,
            "reasons": self.decision.reasons,
            "quality": self.decision.quality,
            "findings": self.findings,
            "evidence": self.evidence,
            "reviewer": reviewer(),
            "reviewed_at": reviewed_at,
            "job_id": self.job,
        })
    }

    /// The predicate that is signed.
    fn predicate(&self, reviewed_at: &str) -> Value {
        let (subject, evidence) = (self.subject, self.evidence);
        json!({
            "skill": subject.name,
            "version": subject.version,
            "reviewer": reviewer(),
            "reviewed_at": reviewed_at,
            "job_id": self.job,
            "manifest": {"sha256": digest(&subject.manifest)},
            "facts": {"sha256": digest(&subject.facts)},
            "evidence": {"sha256": digest(&json!(evidence))},
            "examples": evidence.example_counts(),
            "probes": evidence.probe_counts(),
            "permissions": subject.permissions(),
            "language_model": evidence.reading.as_ref().map(|reading| json!({
                "provider": reading.provider, "model": reading.model, "verdict": reading.verdict,
            })),
            "findings": self.findings,
            "verdict": self.decision.verdict,
            "quality": self.decision.quality,
        })
    }

    async fn attest(&self, reviewed_at: &str) -> Result<Value, String> {
        let subject = self.subject;
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{
                "name": format!("{}@{}", subject.name, subject.version),
                "digest": {"sha256": subject.digest.trim_start_matches("sha256:")},
            }],
            "predicateType": PREDICATE,
            "predicate": self.predicate(reviewed_at),
        });
        let question = json!({"statement": statement});
        let answer = SANDBOX.ask("/attest", &question, None).await;
        let answer = answer.map_err(|problem| format!("Signing failed ({}).", problem.code()))?;
        let mut parsed: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        match parsed["envelope"].take() {
            Value::Null => Err(format!("Signing failed ({}).", answer.status().as_u16())),
            envelope => Ok(envelope),
        }
    }
}

fn reviewer() -> Value {
    json!({"component": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
}

/// The SHA-256 of a value's JSON, whose fields are sorted.
fn digest(value: &Value) -> String {
    hex::encode(Sha256::digest(value.to_string()))
}

/// Waits for a time.
#[cfg(target_family = "wasm")]
async fn pause(time: Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    spin_sdk::wasip3::clocks::monotonic_clock::wait_for(nanoseconds).await;
}

/// Returns at once in native builds, which have no host's clock.
#[cfg(not(target_family = "wasm"))]
async fn pause(_: Duration) {}

guest::export_job!(super::run);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_serious_ones_first_and_not_many() {
        let finding = |severity, detail: &str| Finding {
            code: "x",
            severity,
            detail: detail.to_owned(),
        };
        let mut findings = vec![
            finding(Severity::Note, "note"),
            finding(Severity::Hold, "hold"),
            finding(Severity::Reject, "reject"),
        ];
        assert_eq!(reasons(&findings), ["reject", "hold"]);
        findings.extend((0..100).map(|_| finding(Severity::Reject, "reject")));
        assert_eq!(reasons(&findings).len(), MAX_REASONS);
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_fields() {
        let read = |text| serde_json::from_str::<Value>(text).map(|value| digest(&value));
        let (one, other) = (read(r#"{"a": 1, "b": [2]}"#), read(r#"{"b":[2],"a":1}"#));
        assert_eq!(one.expect("JSON"), other.expect("JSON"));
    }
}
