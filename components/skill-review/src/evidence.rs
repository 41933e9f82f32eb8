//! What a review looks at: the examples of the manifest, made in the sandbox, and calls with generated
//! arguments.

use axum::http::StatusCode;
use guest::Job;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{Arguments, SANDBOX, reading::Reading};

/// Generated calls of each tool, each made twice.
const CALLS: u32 = 200;
/// What all generated calls of a skill may take together.
const BUDGET_MS: u64 = 12_000;
/// The least that one tool gets of it.
const LEAST_BUDGET_MS: u64 = 300;
/// Characters of a log that are kept.
const MAX_LOG: usize = 2_000;
/// Characters of a value that are kept.
const MAX_VALUE: usize = 4_000;

/// What is under review.
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
}

/// A tool of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub description: String,
    pub input_schema: Value,
    pub output_schema: Value,
}

/// An example as the manifest has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Example {
    pub tool: String,
    #[serde(default)]
    pub arguments: Value,
    pub result: Option<Value>,
    pub error: Option<Value>,
}

impl Subject {
    /// What it asks for.
    pub fn permissions(&self) -> Value {
        self.manifest["permissions"].clone()
    }

    /// Its examples.
    pub fn examples(&self) -> Vec<Example> {
        // `result: null` is a result: told apart by the field being there.
        let examples = self.manifest["examples"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let read = examples.into_iter().filter_map(|value| {
            let has_result = value.get("result").is_some();
            let mut example: Example = serde_json::from_value(value).ok()?;
            if has_result && example.result.is_none() {
                example.result = Some(Value::Null);
            }
            Some(example)
        });
        read.collect()
    }

    fn question(&self, tool: &str) -> Map<String, Value> {
        let skill = json!({"id": self.skill_id, "name": self.name, "version": self.version});
        Map::from_iter([
            ("digest".to_owned(), json!(self.digest)),
            ("tool".to_owned(), json!(tool)),
            ("skill".to_owned(), skill),
            ("account".to_owned(), json!(self.published_by)),
            ("permissions".to_owned(), self.permissions()),
            ("limits".to_owned(), self.manifest["limits"].clone()),
        ])
    }
}

/// Everything that was found out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Evidence {
    pub examples: Vec<ExampleRun>,
    pub probes: Vec<ProbeRun>,
    /// Why the skill can't be loaded, if it can't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
    /// What a language model read in it, where one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// The review could not be finished.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_interrupted: bool,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interruption: Option<String>,
}

/// An example, made.
#[derive(Debug, Clone, Serialize)]
pub struct ExampleRun {
    pub tool: String,
    pub arguments: Value,
    /// `{"result": …}` or `{"error": …}`.
    pub expected: Value,
    /// The same, or `{"problem": code, "detail": …}`.
    pub actual: Value,
    pub is_as_expected: bool,
    pub used: Value,
    pub usage: Value,
    pub log: String,
}

/// Calls with generated arguments.
#[derive(Debug, Clone, Serialize)]
pub struct ProbeRun {
    pub tool: String,
    /// What the inputs follow from, with the digest: anybody can make the same calls.
    pub seed: u64,
    pub report: Report,
}

/// What the sandbox counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub calls: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub trapped: u32,
    pub overran: u32,
    pub denied: u32,
    pub nondeterministic: u32,
    pub out_of_budget: bool,
    pub fuel: Value,
    pub duration_ms: Value,
    pub memory_bytes: u64,
    pub used: Used,
    pub findings: Vec<Value>,
}

/// What was used of what can be granted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Used {
    pub http: Vec<String>,
    pub kv: bool,
    pub clock: bool,
    pub random: bool,
}

impl Evidence {
    /// The review could not be finished in any attempt.
    pub fn interrupted(why: String) -> Self {
        Self {
            is_interrupted: true,
            interruption: Some(why),
            ..Self::default()
        }
    }

    /// For the statement.
    pub fn example_counts(&self) -> Value {
        let good = self
            .examples
            .iter()
            .filter(|example| example.is_as_expected)
            .count();
        json!({"run": self.examples.len(), "as_expected": good})
    }

    /// For the statement.
    pub fn probe_counts(&self) -> Value {
        let sum = |count: fn(&Report) -> u32| {
            self.probes
                .iter()
                .map(|probe| count(&probe.report))
                .sum::<u32>()
        };
        json!({
            "calls": sum(|r| r.calls), "trapped": sum(|r| r.trapped), "overran": sum(|r| r.overran),
            "denied": sum(|r| r.denied), "nondeterministic": sum(|r| r.nondeterministic),
        })
    }
}

/// Makes the examples and the generated calls.
///
/// # Errors
/// The sandbox can't be asked.
pub async fn gather(subject: &Subject, job: &Job<Arguments>) -> Result<Evidence, String> {
    let mut evidence = Evidence::default();
    let examples = subject.examples();
    for (at, example) in examples.iter().enumerate() {
        if job.is_cancelled() {
            return Ok(evidence);
        }
        job.progress(percent(5, 35, at, examples.len()), "running the examples");
        match run_example(subject, example).await? {
            Ok(run) => evidence.examples.push(run),
            Err(why) => {
                evidence.unusable = Some(why);
                return Ok(evidence);
            }
        }
    }
    let budget = (BUDGET_MS / subject.tools.len().max(1) as u64).max(LEAST_BUDGET_MS);
    for (at, tool) in subject.tools.iter().enumerate() {
        if job.is_cancelled() {
            return Ok(evidence);
        }
        job.progress(
            percent(35, 80, at, subject.tools.len()),
            "calling with generated inputs",
        );
        match probe(subject, &tool.name, at, budget).await? {
            Ok(run) => evidence.probes.push(run),
            Err(why) => {
                evidence.unusable = Some(why);
                return Ok(evidence);
            }
        }
    }
    Ok(evidence)
}

fn percent(from: usize, to: usize, at: usize, of: usize) -> u8 {
    u8::try_from(from + (to - from) * at / of.max(1)).unwrap_or(99)
}

/// Asks the sandbox; the inner error says why the skill can't be loaded.
async fn ask(
    path: &str,
    question: Map<String, Value>,
) -> Result<Result<(StatusCode, Value), String>, String> {
    let answer = SANDBOX.ask(path, &question, None).await;
    let answer =
        answer.map_err(|problem| format!("The sandbox can't be reached ({}).", problem.code()))?;
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let code = body["code"].as_str().unwrap_or_default();
    match (answer.status().as_u16(), code) {
        (_, "skill-unusable") => Ok(Err(body["detail"].as_str().unwrap_or_default().to_owned())),
        (500 | 503 | 401 | 403, "internal" | "sandbox-busy" | "unauthenticated" | "forbidden") => {
            Err(format!("The sandbox can't answer ({code})."))
        }
        _ => Ok(Ok((answer.status(), body))),
    }
}

async fn run_example(
    subject: &Subject,
    example: &Example,
) -> Result<Result<ExampleRun, String>, String> {
    let mut question = subject.question(&example.tool);
    question.insert("arguments".to_owned(), example.arguments.clone());
    question.insert("evidence".to_owned(), json!(true));
    let (status, body) = match ask("/invoke", question).await? {
        Ok(answer) => answer,
        Err(why) => return Ok(Err(why)),
    };
    let expected = match (&example.result, &example.error) {
        (Some(result), _) => json!({"result": result}),
        (None, error) => json!({"error": error}),
    };
    let actual = if status == StatusCode::OK {
        json!({"result": body["result"]})
    } else if body["code"] == "skill-failed" {
        json!({"error": body["error"]})
    } else {
        json!({"problem": body["code"], "detail": body["detail"], "errors": body["errors"]})
    };
    let log: String = body["log"]
        .as_str()
        .unwrap_or_default()
        .replace('\0', "\u{fffd}")
        .chars()
        .take(MAX_LOG)
        .collect();
    Ok(Ok(ExampleRun {
        tool: example.tool.clone(),
        arguments: bounded(example.arguments.clone()),
        is_as_expected: same(&expected, &actual),
        expected: bounded(expected),
        actual: bounded(actual),
        used: body["used"].clone(),
        usage: body["usage"].clone(),
        log,
    }))
}

async fn probe(
    subject: &Subject,
    tool: &str,
    at: usize,
    budget: u64,
) -> Result<Result<ProbeRun, String>, String> {
    // Below 2^53, so that it can be read everywhere.
    let digits = subject
        .digest
        .trim_start_matches("sha256:")
        .get(..12)
        .unwrap_or("0");
    let seed = u64::from_str_radix(digits, 16)
        .unwrap_or(0)
        .wrapping_add(at as u64);
    let mut question = subject.question(tool);
    question.insert("calls".to_owned(), json!(CALLS));
    question.insert("seed".to_owned(), json!(seed));
    question.insert("budget_ms".to_owned(), json!(budget));
    let (status, body) = match ask("/probe", question).await? {
        Ok(answer) => answer,
        Err(why) => return Ok(Err(why)),
    };
    if status != StatusCode::OK {
        return Err(format!(
            "The sandbox refuses to try the tool {tool} ({}).",
            body["code"]
        ));
    }
    let mut report: Report = serde_json::from_value(body)
        .map_err(|error| format!("The sandbox's report can't be read: {error}."))?;
    report.findings = report.findings.into_iter().map(bounded).collect();
    Ok(Ok(ProbeRun {
        tool: tool.to_owned(),
        seed,
        report,
    }))
}

/// Whether two values are the same; numbers by their value, whatever their form.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

/// A value that is too long to be kept, or has what PostgreSQL's JSON can't hold (zero characters), becomes
/// the beginning of its text.
fn bounded(value: Value) -> Value {
    let text = value.to_string().replace("\\u0000", "\\\\u0000");
    if text.len() <= MAX_VALUE && !text.contains("\\\\u0000") {
        return value;
    }
    let beginning: String = text.chars().take(MAX_VALUE).collect();
    json!({"beginning": beginning, "bytes": text.len()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(same(
            &json!({"result": [1, 2.5]}),
            &json!({"result": [1.0, 2.5]})
        ));
        assert!(!same(&json!({"result": 1}), &json!({"result": 2})));
        assert!(!same(&json!({"result": 1}), &json!({"error": 1})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(!same(&json!("1"), &json!(1)));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let kept = bounded(json!("x".repeat(1_000_000)));
        assert!(kept.to_string().len() < 2 * MAX_VALUE);
        assert_eq!(kept["bytes"], 1_000_002);
        assert_eq!(bounded(json!([1])), json!([1]));
        assert!(!bounded(json!(["a\0b"])).to_string().contains("[\"a\\u0000"));
    }

    #[test]
    fn an_expected_null_is_a_result() {
        let subject = Subject {
            version_id: Uuid::nil(),
            skill_id: Uuid::nil(),
            name: "a".into(),
            version: "1.0.0".into(),
            digest: "sha256:00".into(),
            manifest: json!({"examples": [{"tool": "t", "arguments": {}, "result": null}, {"tool": "t", "error": "no"}]}),
            tools: Vec::new(),
            facts: json!({}),
            status: "in_review".into(),
            held: false,
            published_by: Uuid::nil(),
        };
        let examples = subject.examples();
        assert_eq!(examples[0].result, Some(Value::Null));
        assert_eq!(
            (examples[1].result.clone(), examples[1].error.clone()),
            (None, Some(json!("no")))
        );
    }
}
