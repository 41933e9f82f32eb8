//! The rules of the review: what is found in the evidence, how serious it is, and what follows. Published in
//! `docs/skills.md`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::evidence::{Evidence, Report, Subject, Used};
use crate::toolchains;

/// More generated calls than this share may not trap, and not meet a limit.
const MAX_SHARE: f64 = 0.05;
/// Asking for more origins than this needs a person.
const MAX_ORIGINS: usize = 5;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable word.
    pub code: &'static str,
    pub severity: Severity,
    /// What, and what to do about it.
    pub detail: String,
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// A person has to look.
    Hold,
    /// It is rejected.
    Reject,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Approve,
    Reject,
    /// Left to a person.
    Hold,
}

impl Verdict {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Hold => "hold",
        }
    }
}

/// The most serious finding decides.
pub fn verdict(findings: &[Finding]) -> Verdict {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Reject) => Verdict::Reject,
        Some(Severity::Hold) => Verdict::Hold,
        _ => Verdict::Approve,
    }
}

/// Everything that the evidence shows.
pub fn findings(subject: &Subject, evidence: &Evidence) -> Vec<Finding> {
    let mut found = Findings::default();
    if let Some(why) = &evidence.interruption {
        found.hold(
            "interrupted",
            format!("The review could not be finished: {why} A person has to look."),
        );
        return found.0;
    }
    if let Some(why) = &evidence.unusable {
        found.reject("unusable", format!("The component can't be loaded: {why}"));
        return found.0;
    }
    found.of_examples(subject, evidence);
    for probe in &evidence.probes {
        found.of_probe(subject, &probe.tool, &probe.report);
    }
    found.of_permissions(subject, &used(evidence));
    let producers = subject.facts["producers"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.values());
    let lines: Vec<String> = producers
        .filter_map(|list| serde_json::from_value::<Vec<String>>(list.clone()).ok())
        .flatten()
        .collect();
    for fault in toolchains::known_faults(&lines) {
        found.hold("toolchain", fault);
    }
    if let Some(reading) = &evidence.reading {
        for doubt in reading.doubts() {
            found.hold("language-model", doubt);
        }
        for note in reading.notes() {
            found.note("language-model", note);
        }
    }
    found.0
}

/// What all calls used together.
fn used(evidence: &Evidence) -> Used {
    let mut sum = Used::default();
    let of_examples = evidence
        .examples
        .iter()
        .filter_map(|run| serde_json::from_value(run.used.clone()).ok());
    for used in of_examples.chain(
        evidence
            .probes
            .iter()
            .map(|probe| probe.report.used.clone()),
    ) {
        sum.http.extend(used.http);
        sum.kv |= used.kv;
        sum.clock |= used.clock;
        sum.random |= used.random;
    }
    sum
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, code: &'static str, severity: Severity, detail: String) {
        self.0.push(Finding {
            code,
            severity,
            detail,
        });
    }

    fn note(&mut self, code: &'static str, detail: String) {
        self.add(code, Severity::Note, detail);
    }

    fn hold(&mut self, code: &'static str, detail: String) {
        self.add(code, Severity::Hold, detail);
    }

    fn reject(&mut self, code: &'static str, detail: String) {
        self.add(code, Severity::Reject, detail);
    }

    fn of_examples(&mut self, subject: &Subject, evidence: &Evidence) {
        for run in evidence.examples.iter().filter(|run| !run.is_as_expected) {
            let detail = format!(
                "An example of `{}` with the arguments {} answers {}, not {}. Correct the example or the skill.",
                run.tool, run.arguments, run.actual, run.expected
            );
            self.reject("example-differs", detail.chars().take(2_000).collect());
        }
        for tool in &subject.tools {
            if !evidence.examples.iter().any(|run| run.tool == tool.name) {
                self.note(
                    "no-example",
                    format!("The tool `{}` has no example.", tool.name),
                );
            }
            if tool.description.is_empty() {
                self.note(
                    "no-description",
                    format!("The tool `{}` has no description.", tool.name),
                );
            }
        }
    }

    fn of_probe(&mut self, subject: &Subject, tool: &str, report: &Report) {
        let share = |count: u32| f64::from(count) / f64::from(report.calls.max(1));
        let calls = report.calls;
        if share(report.trapped) > MAX_SHARE {
            let n = report.trapped;
            self.reject("traps", format!("`{tool}` traps in {n} of {calls} calls with generated arguments. Answer with an error instead (`result<…, string>`)."));
        } else if report.trapped > 0 {
            self.note(
                "traps",
                format!(
                    "`{tool}` traps in {} of {calls} calls with generated arguments.",
                    report.trapped
                ),
            );
        }
        if share(report.overran) > MAX_SHARE {
            let n = report.overran;
            self.reject("overruns", format!("`{tool}` meets a limit (time, fuel, memory or output) in {n} of {calls} calls with generated arguments. Bound the work, or ask for more in `limits`."));
        }
        if report.denied > 0 {
            self.reject("denied", format!("`{tool}` reaches for what the manifest does not ask for in {} of {calls} calls. Ask for it in `permissions`, or leave it.", report.denied));
        }
        let permissions = subject.permissions();
        let may_differ = grants(&permissions).any(|(_, granted)| granted);
        if report.nondeterministic > 0 && !may_differ {
            self.reject("nondeterministic", format!("`{tool}` ends otherwise, or uses other fuel, in {} of {calls} calls that are made twice, with no permission that explains it.", report.nondeterministic));
        }
        if report.out_of_budget {
            self.note(
                "slow",
                format!(
                    "`{tool}` is slow: only {calls} generated calls were made in the time there is."
                ),
            );
            if calls == 0 {
                self.hold(
                    "untested",
                    format!("`{tool}` is so slow that no generated call could be made."),
                );
            }
        }
    }

    fn of_permissions(&mut self, subject: &Subject, used: &Used) {
        let permissions = subject.permissions();
        let imports = subject.facts["imports"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let imports_any = |prefix: &str| {
            imports
                .iter()
                .filter_map(Value::as_str)
                .any(|import| import.starts_with(prefix))
        };
        let origins = permissions["http"].as_array().map_or(0, Vec::len);
        let has_kv = !permissions["kv"].is_null();
        if origins > 0 && !imports_any("wasi:http/") {
            self.reject("unused-permission", "It asks for `http` and can't send requests: the component imports no wasi:http. Leave the permission out.".to_owned());
        }
        if has_kv && !imports_any("wasi:keyvalue/") {
            self.reject("unused-permission", "It asks for `kv` and can't use it: the component imports no wasi:keyvalue. Leave the permission out.".to_owned());
        }
        if origins > MAX_ORIGINS {
            self.hold("many-origins", format!("It asks for {origins} origins."));
        }
        if let Some(plain) = permissions["http"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .find(|origin| origin.starts_with("http://"))
        {
            self.hold(
                "plain-http",
                format!("It asks for {plain}, which is not encrypted."),
            );
        }
        if origins > 0 && has_kv {
            self.hold("keeps-and-sends", "It asks for `http` and `kv`: it could keep what callers give it and send it elsewhere.".to_owned());
        }
        let unused = [
            ("http", origins > 0 && used.http.is_empty()),
            ("kv", has_kv && !used.kv),
            ("clock", permissions["clock"] == true && !used.clock),
            ("random", permissions["random"] == true && !used.random),
        ];
        for (name, is_unused) in unused {
            if is_unused {
                self.note(
                    "permission-not-seen",
                    format!("It asks for `{name}` and no call of the review used it."),
                );
            }
        }
    }
}

/// The permissions after which calls may differ.
fn grants(permissions: &Value) -> impl Iterator<Item = (&'static str, bool)> {
    let http = permissions["http"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    let granted = [
        ("http", http),
        ("kv", !permissions["kv"].is_null()),
        ("clock", permissions["clock"] == true),
        ("random", permissions["random"] == true),
    ];
    granted.into_iter()
}

/// 0 to 1: 0.4 for examples (the share of tools that have a true one), 0.3 for generated calls that neither
/// trap nor meet a limit, 0.15 for described tools, 0.1 for a readme of 200 characters, 0.05 for a licence.
pub fn quality(subject: &Subject, evidence: &Evidence, findings: &[Finding]) -> f64 {
    if verdict(findings) == Verdict::Reject || evidence.is_interrupted {
        return 0.0;
    }
    let tools = subject.tools.len().max(1) as f64;
    let share = |count: usize| count as f64 / tools;
    let shown = subject
        .tools
        .iter()
        .filter(|tool| {
            evidence
                .examples
                .iter()
                .any(|run| run.tool == tool.name && run.is_as_expected)
        })
        .count();
    let described = subject
        .tools
        .iter()
        .filter(|tool| !tool.description.is_empty())
        .count();
    let calls: u32 = evidence.probes.iter().map(|probe| probe.report.calls).sum();
    let bad: u32 = evidence
        .probes
        .iter()
        .map(|probe| probe.report.trapped + probe.report.overran)
        .sum();
    let robust = if calls == 0 {
        0.0
    } else {
        1.0 - f64::from(bad.min(calls)) / f64::from(calls)
    };
    let readme = subject.manifest["readme"]
        .as_str()
        .map_or(0, |readme| readme.chars().count());
    let has_readme = f64::from(u8::from(readme >= 200));
    let has_licence = f64::from(u8::from(subject.manifest["license"].is_string()));
    let sum = 0.4 * share(shown)
        + 0.3 * robust
        + 0.15 * share(described)
        + 0.1 * has_readme
        + 0.05 * has_licence;
    (sum * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{ExampleRun, ProbeRun, Tool};
    use serde_json::json;
    use uuid::Uuid;

    fn subject(permissions: Value, imports: Value) -> Subject {
        Subject {
            version_id: Uuid::nil(),
            skill_id: Uuid::nil(),
            name: "a".into(),
            version: "1.0.0".into(),
            digest: "sha256:00".into(),
            manifest: json!({"permissions": permissions, "license": "MIT", "readme": "x".repeat(200)}),
            tools: vec![Tool {
                name: "t".into(),
                description: "Does.".into(),
                input_schema: json!({}),
                output_schema: json!({}),
            }],
            facts: json!({"imports": imports, "producers": {}}),
            status: "in_review".into(),
            held: false,
            published_by: Uuid::nil(),
        }
    }

    fn evidence(change: impl FnOnce(&mut Report)) -> Evidence {
        let mut report = Report {
            calls: 200,
            succeeded: 200,
            ..Report::default()
        };
        change(&mut report);
        let run = ExampleRun {
            tool: "t".into(),
            arguments: json!({}),
            expected: json!({"result": 1}),
            actual: json!({"result": 1}),
            is_as_expected: true,
            used: json!({}),
            usage: json!({}),
            log: String::new(),
        };
        Evidence {
            examples: vec![run],
            probes: vec![ProbeRun {
                tool: "t".into(),
                seed: 1,
                report,
            }],
            ..Evidence::default()
        }
    }

    fn nothing() -> Value {
        json!({"http": [], "kv": null, "clock": false, "random": false})
    }

    fn decide(subject: &Subject, evidence: &Evidence) -> (Verdict, Vec<&'static str>) {
        let found = findings(subject, evidence);
        (
            verdict(&found),
            found.iter().map(|finding| finding.code).collect(),
        )
    }

    #[test]
    fn a_good_skill_is_approved() {
        let (subject, evidence) = (subject(nothing(), json!([])), evidence(|_| ()));
        assert_eq!(decide(&subject, &evidence), (Verdict::Approve, vec![]));
        assert_eq!(quality(&subject, &evidence, &[]), 1.0);
    }

    #[test]
    fn each_fault_is_rejected_with_its_reason() {
        let subject = subject(nothing(), json!([]));
        type Change = fn(&mut Report);
        let cases: [(&str, Change); 4] = [
            ("traps", |r| r.trapped = 11),
            ("overruns", |r| r.overran = 11),
            ("denied", |r| r.denied = 1),
            ("nondeterministic", |r| r.nondeterministic = 1),
        ];
        for (code, change) in cases {
            let evidence = evidence(change);
            assert_eq!(decide(&subject, &evidence), (Verdict::Reject, vec![code]));
            assert_eq!(
                quality(&subject, &evidence, &findings(&subject, &evidence)),
                0.0
            );
        }
        assert_eq!(
            decide(&subject, &evidence(|r| r.trapped = 10)).0,
            Verdict::Approve,
            "one in twenty may trap"
        );
        let mut lying = evidence(|_| ());
        lying.examples[0].is_as_expected = false;
        assert_eq!(decide(&subject, &lying).0, Verdict::Reject);
        let unusable = Evidence {
            unusable: Some("too large".into()),
            ..Evidence::default()
        };
        assert_eq!(
            decide(&subject, &unusable),
            (Verdict::Reject, vec!["unusable"])
        );
    }

    #[test]
    fn what_explains_a_difference_allows_it() {
        let mut permissions = nothing();
        permissions["random"] = json!(true);
        let evidence = evidence(|r| {
            r.nondeterministic = 200;
            r.used.random = true;
        });
        assert_eq!(
            decide(&subject(permissions, json!([])), &evidence).0,
            Verdict::Approve
        );
    }

    #[test]
    fn asking_for_too_much_is_a_persons_business_or_refused() {
        let asks = |http: Value, kv: Value, imports: Value| {
            let mut permissions = nothing();
            permissions["http"] = http;
            permissions["kv"] = kv;
            let evidence = evidence(|r| {
                r.used.http = vec!["https://a.org".into()];
                r.used.kv = true;
            });
            decide(&subject(permissions, imports), &evidence)
        };
        let (http, kv) = (
            json!(["wasi:http/types@0.2.0"]),
            json!(["wasi:keyvalue/store@0.2.0-draft2"]),
        );
        let both = json!(["wasi:http/types@0.2.0", "wasi:keyvalue/store@0.2.0-draft2"]);
        assert_eq!(
            asks(json!(["https://a.org"]), json!(null), http.clone()).0,
            Verdict::Approve
        );
        assert_eq!(
            asks(json!(["https://a.org"]), json!(null), json!([])),
            (Verdict::Reject, vec!["unused-permission"])
        );
        assert_eq!(
            asks(json!([]), json!({"max_bytes": 9}), json!([])),
            (Verdict::Reject, vec!["unused-permission"])
        );
        assert_eq!(
            asks(json!([]), json!({"max_bytes": 9}), kv).0,
            Verdict::Approve
        );
        assert_eq!(
            asks(json!(["https://a.org"]), json!({"max_bytes": 9}), both),
            (Verdict::Hold, vec!["keeps-and-sends"])
        );
        assert_eq!(
            asks(json!(["http://a.org"]), json!(null), http),
            (Verdict::Hold, vec!["plain-http"])
        );
    }

    #[test]
    fn what_could_not_be_finished_is_a_persons_business() {
        let evidence = Evidence::interrupted("The sandbox can't be reached.".into());
        assert_eq!(
            decide(&subject(nothing(), json!([])), &evidence),
            (Verdict::Hold, vec!["interrupted"])
        );
    }
}
