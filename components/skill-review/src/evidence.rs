//! The evidence of a review: the version under review, the results of its examples, and the findings from generated
//! calls. Everything that is kept is bounded, whatever a skill returns or writes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::reading::Reading;
use crate::values::{beginning, cut, is_same, kept};
use crate::{Decision, rules::Verdict};

/// The version under review.
#[derive(Debug, Clone, Deserialize)]
pub struct Subject {
    pub version_id: Uuid,
    pub skill_id: Uuid,
    pub name: String,
    pub version: String,
    pub digest: String,
    pub manifest: Value,
    pub tools: Vec<Tool>,
    pub facts: Value,
    pub status: String,
    pub held: bool,
    pub published_by: Uuid,
    /// The reasons of an earlier decision.
    #[serde(default)]
    pub reasons: Value,
    #[serde(default)]
    pub quality: Option<f64>,
}

/// A tool of the skill.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub description: String,
    pub input_schema: Value,
    pub output_schema: Value,
}

/// An example of the manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub tool: String,
    pub arguments: Value,
    pub expected: Ending<Value>,
}

/// The ending of a call that ran to its end.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending<T> {
    Result(T),
    Error(T),
}

impl Subject {
    /// The permissions that the skill asks for.
    pub fn permissions(&self) -> Value {
        self.manifest["permissions"].clone()
    }

    /// Whether the skill asks for origins to send requests to.
    pub fn asks_for_origins(&self) -> bool {
        let origins = self.manifest["permissions"]["http"].as_array();
        origins.is_some_and(|origins| !origins.is_empty())
    }

    /// The examples of the skill.
    pub fn examples(&self) -> Vec<Example> {
        let examples = self.manifest["examples"].as_array();
        let read = examples.into_iter().flatten().filter_map(|example| {
            // An expected null is a result too, so the presence of the field decides.
            let expected = match (example.get("result"), example.get("error")) {
                (Some(result), _) => Ending::Result(result.clone()),
                (None, error) => Ending::Error(error.cloned().unwrap_or_default()),
            };
            Some(Example {
                tool: example["tool"].as_str()?.to_owned(),
                arguments: example["arguments"].clone(),
                expected,
            })
        });
        read.collect()
    }

    /// The earlier decision, if there is one.
    pub fn decision(&self) -> Option<Decision> {
        let verdict = match self.status.as_str() {
            "in_review" if self.held => Verdict::Hold,
            "in_review" => return None,
            "rejected" => Verdict::Reject,
            _ => Verdict::Approve,
        };
        let reasons = self.reasons.as_array().into_iter().flatten();
        let reasons = reasons.filter_map(|reason| reason.as_str().map(str::to_owned));
        Some(Decision {
            verdict,
            reasons: reasons.collect(),
            quality: self.quality.unwrap_or_default(),
        })
    }
}

/// Everything that the review found out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Evidence {
    pub examples: Vec<ExampleRun>,
    /// The number of examples that were not run, because too many were wrong or the time was up.
    pub examples_left: usize,
    pub probes: Vec<ProbeRun>,
    /// The reason why the skill can't be loaded, if it can't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
    /// The reading of a language model, if one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// The reason why the review could not be finished, if it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interruption: Option<String>,
}

/// An example that was run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExampleRun {
    pub tool: String,
    pub arguments: Value,
    /// The expected ending: `{"result": …}` or `{"error": …}`.
    pub expected: Value,
    /// The actual ending in the same form, or `{"problem": code, "detail": …}`.
    pub actual: Value,
    pub is_as_expected: bool,
    /// Whether the difference is inconclusive, because the example asked for the network and the review did not provide
    /// it.
    pub is_open: bool,
    pub used: Used,
    pub usage: Value,
    pub log: String,
}

/// The calls of a tool with generated arguments.
#[derive(Debug, Clone, Serialize)]
pub struct ProbeRun {
    pub tool: String,
    /// The seed from which, together with the digest, the arguments are derived, so that anybody can repeat the calls.
    pub seed: u64,
    pub report: Report,
}

/// The sandbox's report about generated calls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub calls: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub trapped: u32,
    pub overran: u32,
    pub denied: u32,
    /// The number of calls that asked for an origin, which generated calls do not reach. Their endings do not count
    /// against the skill.
    pub without_network: u32,
    pub nondeterministic: u32,
    pub elapsed_ms: u64,
    pub out_of_budget: bool,
    pub fuel: Value,
    pub duration_ms: Value,
    pub memory_bytes: u64,
    pub used: Used,
    pub findings: Vec<Value>,
}

/// The permissions that calls used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Used {
    pub http: Vec<String>,
    /// The requests that were not sent or not answered.
    pub refused: Vec<RefusedRequest>,
    pub kv: bool,
    pub clock: bool,
    pub random: bool,
}

/// A request that was not sent or not answered, with the sandbox's code for the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRequest {
    pub origin: String,
    pub reason: String,
}

/// The sandbox's answer to a call. Its values stay unparsed, since not all of them are kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer<'a> {
    #[serde(borrow)]
    pub result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub errors: Option<&'a RawValue>,
    pub code: String,
    pub detail: String,
    pub used: Used,
    pub usage: Value,
    pub log: String,
}

impl Evidence {
    /// The evidence of a review that no attempt could finish.
    pub fn interrupted(why: &str) -> Self {
        Self {
            interruption: Some(why.to_owned()),
            ..Self::default()
        }
    }

    /// The numbers of examples for the statement.
    pub fn example_counts(&self) -> Value {
        let good = self.examples.iter().filter(|run| run.is_as_expected);
        json!({"run": self.examples.len(), "as_expected": good.count(), "not_run": self.examples_left})
    }

    /// The sums of the reports for the statement.
    pub fn probe_counts(&self) -> Value {
        let sum = |count: fn(&Report) -> u32| {
            let counts = self.probes.iter().map(|probe| count(&probe.report));
            counts.sum::<u32>()
        };
        json!({
            "tools": self.probes.len(),
            "calls": sum(|r| r.calls), "trapped": sum(|r| r.trapped), "overran": sum(|r| r.overran),
            "denied": sum(|r| r.denied),
            "without_network": sum(|r| r.without_network), "nondeterministic": sum(|r| r.nondeterministic),
        })
    }
}

impl ExampleRun {
    /// Compares the expected ending with the actual one; `answered` means that the call returned a result.
    pub fn new(example: &Example, answer: &Answer, answered: bool) -> Self {
        let null = |raw: Option<&RawValue>| raw.map_or("null", RawValue::get).to_owned();
        let (actual, is_as_expected) = if answered {
            let text = null(answer.result);
            let same = matches!(&example.expected, Ending::Result(value) if is_same(value, &text));
            (json!({"result": kept(&text)}), same)
        } else if answer.code == "skill-failed" {
            let text = null(answer.error);
            let same = matches!(&example.expected, Ending::Error(value) if is_same(value, &text));
            (json!({"error": kept(&text)}), same)
        } else {
            let mut problem = json!({"problem": answer.code, "detail": cut(&answer.detail)});
            if let Some(errors) = answer.errors {
                problem["errors"] = kept(errors.get());
            }
            (problem, false)
        };
        Self {
            tool: example.tool.clone(),
            arguments: kept(&example.arguments.to_string()),
            expected: match &example.expected {
                Ending::Result(value) => json!({"result": kept(&value.to_string())}),
                Ending::Error(value) => json!({"error": kept(&value.to_string())}),
            },
            actual,
            is_as_expected,
            is_open: !is_as_expected && answer.used.lacked_network(),
            used: answer.used.clone(),
            usage: answer.usage.clone(),
            log: beginning(&answer.log),
        }
    }
}

impl Used {
    /// Whether a call asked for a network that was granted but that the review did not provide.
    fn lacked_network(&self) -> bool {
        let by_review = ["no-network", "too-many-requests", "no-room"];
        let mut refused = self.refused.iter();
        refused.any(|refused| by_review.contains(&refused.reason.as_str()))
    }

    /// Whether a call asked for an origin that was granted.
    pub fn asked_for_origin(&self) -> bool {
        let mut refused = self.refused.iter();
        !self.http.is_empty() || refused.any(|refused| refused.reason != "not-granted")
    }
}

impl Report {
    /// The number of calls whose ending says something about the skill.
    pub fn judged(&self) -> u32 {
        self.calls.saturating_sub(self.without_network)
    }
}

impl ExampleRun {
    /// Describes the requests that were not sent or not answered, for people.
    pub fn refusals(&self) -> String {
        let refused = self.used.refused.iter();
        let told = refused
            .map(|refused| format!(" Its request to {}: {}.", refused.origin, refused.reason));
        told.collect()
    }

    /// The time of the call in the sandbox, without waiting for a permit.
    pub fn took(&self) -> Duration {
        let milliseconds = self.usage["duration_ms"].as_f64().unwrap_or_default();
        Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default()
    }

    /// Whether the call reached its deadline, which may be the machine's fault.
    pub fn met_deadline(&self) -> bool {
        self.actual["problem"] == "skill-deadline"
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::values::MAX_LOG_LINES;

    /// A version under review.
    pub fn subject(manifest: Value) -> Subject {
        Subject {
            version_id: Uuid::nil(),
            skill_id: Uuid::nil(),
            name: "a".into(),
            version: "1.0.0".into(),
            digest: "sha256:00".into(),
            manifest,
            tools: Vec::new(),
            facts: json!({}),
            status: "in_review".into(),
            held: false,
            published_by: Uuid::nil(),
            reasons: Value::Null,
            quality: None,
        }
    }

    fn run(expected: Ending<Value>, answer: &str, answered: bool) -> ExampleRun {
        let example = Example {
            tool: "t".into(),
            arguments: json!({}),
            expected,
        };
        let answer = serde_json::from_str(answer).expect("an answer");
        ExampleRun::new(&example, &answer, answered)
    }

    #[test]
    fn an_example_is_compared_with_how_the_call_ended() {
        let result = |value| Ending::Result(value);
        assert!(run(result(json!(3)), r#"{"result": 3.0}"#, true).is_as_expected);
        assert!(run(result(Value::Null), r#"{"result": null}"#, true).is_as_expected);
        assert!(!run(result(json!(3)), r#"{"result": 4}"#, true).is_as_expected);
        let failed = r#"{"code": "skill-failed", "error": "no"}"#;
        assert!(run(Ending::Error(json!("no")), failed, false).is_as_expected);
        assert!(!run(result(json!("no")), failed, false).is_as_expected);
        let trapped = run(
            Ending::Error(Value::Null),
            r#"{"code": "skill-trapped", "detail": "unreachable"}"#,
            false,
        );
        assert!(
            !trapped.is_as_expected,
            "a trap is not an error of the skill's own"
        );
        assert_eq!(
            trapped.actual,
            json!({"problem": "skill-trapped", "detail": "unreachable"})
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let long = format!(
            r#"{{"result": {}, "log": {}}}"#,
            json!("x".repeat(2_000_000)),
            json!("y\n".repeat(50_000))
        );
        let run = run(Ending::Result(json!("x")), &long, true);
        assert!(!run.is_as_expected);
        assert_eq!(run.actual["result"]["bytes"], 2_000_002);
        assert_eq!(run.log.lines().count(), MAX_LOG_LINES);
        assert!(json!(run).to_string().len() < 5_000);
        assert_eq!(kept("[1]"), json!([1]));
    }

    #[test]
    fn an_expected_null_is_a_result() {
        let subject = subject(
            json!({"examples": [{"tool": "t", "arguments": {}, "result": null}, {"tool": "t", "error": "no"}]}),
        );
        let expected: Vec<_> = subject.examples().into_iter().map(|e| e.expected).collect();
        assert_eq!(
            expected,
            [Ending::Result(Value::Null), Ending::Error(json!("no"))]
        );
    }

    #[test]
    fn what_was_decided_is_told_again() {
        let mut subject = subject(json!({}));
        assert!(subject.decision().is_none());
        subject.held = true;
        subject.reasons = json!(["It asks for much."]);
        let decision = subject.decision().expect("held");
        assert_eq!(
            (decision.verdict, decision.reasons.len()),
            (Verdict::Hold, 1)
        );
        (subject.held, subject.status, subject.reasons) = (false, "yanked".into(), Value::Null);
        assert_eq!(
            subject.decision().map(|d| d.verdict),
            Some(Verdict::Approve)
        );
    }
}
