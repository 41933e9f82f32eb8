//! The rules of the review: the findings in the evidence, their severity, and the verdict. They are published in
//! `docs/skills.md`.

use serde::{Deserialize, Serialize};

use crate::evidence::{Evidence, ExampleRun, ProbeRun, Report, Subject};
use crate::permissions::explains_differences;
use crate::values::cut;
use crate::{suspicion, toolchains};

/// The largest share of generated calls that may trap or reach a limit.
const MAX_SHARE: f64 = 0.05;
/// The number of calls below which a share says too little.
const MIN_CALLS: u32 = 20;

/// A finding of the review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stable code of the finding.
    pub code: &'static str,
    pub severity: Severity,
    /// The fault, and what to do about it.
    pub detail: String,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information.
    Note,
    /// A person must decide.
    Hold,
    /// The version is rejected.
    Reject,
}

/// The verdict of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Approve,
    Reject,
    /// Left to a person.
    Hold,
}

impl Verdict {
    /// The verdict as JSON spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Hold => "hold",
        }
    }
}

/// The verdict, which the most serious finding decides.
pub fn verdict(findings: &[Finding]) -> Verdict {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Reject) => Verdict::Reject,
        Some(Severity::Hold) => Verdict::Hold,
        _ => Verdict::Approve,
    }
}

/// All findings in the evidence.
pub fn findings(subject: &Subject, evidence: &Evidence) -> Vec<Finding> {
    let mut found = Findings::default();
    if let Some(why) = &evidence.interruption {
        let detail = format!("The review could not be finished: {why} A person has to look.");
        found.hold("interrupted", detail);
        return found.0;
    }
    if let Some(why) = &evidence.unusable {
        found.reject("unusable", format!("The component can't be loaded: {why}"));
        return found.0;
    }
    found.of_examples(subject, evidence);
    for tool in &subject.tools {
        match evidence.probes.iter().find(|probe| probe.tool == tool.name) {
            Some(probe) if probe.report.calls > 0 => found.of_probe(subject, probe),
            _ => {
                let name = &tool.name;
                found.hold("untested", format!("The skill is so slow that no generated call of `{name}` could be made in the time there is."));
            }
        }
    }
    found.of_permissions(subject, evidence);
    found.of_texts(subject, evidence);
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

/// The findings so far.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, code: &'static str, severity: Severity, detail: &str) {
        self.0.push(Finding {
            code,
            severity,
            detail: cut(detail),
        });
    }

    /// Adds a finding for information.
    pub fn note(&mut self, code: &'static str, detail: String) {
        self.add(code, Severity::Note, &detail);
    }

    /// Adds a finding that a person must decide about.
    pub fn hold(&mut self, code: &'static str, detail: String) {
        self.add(code, Severity::Hold, &detail);
    }

    /// Adds a finding that rejects the version.
    pub fn reject(&mut self, code: &'static str, detail: String) {
        self.add(code, Severity::Reject, &detail);
    }

    fn of_examples(&mut self, subject: &Subject, evidence: &Evidence) {
        let wrong = |run: &&ExampleRun| !run.is_as_expected && !run.is_open;
        for run in evidence.examples.iter().filter(wrong) {
            if run.met_deadline() {
                self.hold(
                    "example-late",
                    format!(
                        "An example of `{}` with the arguments {} does not end in its time.",
                        run.tool, run.arguments
                    ),
                );
                continue;
            }
            self.reject("example-differs", format!(
                "An example of `{}` with the arguments {} answers {}, not {}.{} Correct the example or the skill.",
                run.tool, run.arguments, run.actual, run.expected, run.refusals()
            ));
        }
        if evidence.examples_left > 0 {
            let left = evidence.examples_left;
            self.reject("examples-not-run", format!("{left} examples were not run: those before them took too long together, or too many were wrong. Correct them, or give fewer."));
        }
        let examples = subject.examples();
        for tool in &subject.tools {
            let name = &tool.name;
            self.of_open_examples(name, evidence);
            if !examples.iter().any(|example| example.tool == *name) {
                self.note("no-example", format!("The tool `{name}` has no example."));
            }
            if tool.description.is_empty() {
                self.note(
                    "no-description",
                    format!("The tool `{name}` has no description."),
                );
            }
        }
    }

    /// Adds findings about examples that did not get the network that they asked for. If no example shows a tool, a
    /// person must decide.
    fn of_open_examples(&mut self, tool: &str, evidence: &Evidence) {
        let runs = || evidence.examples.iter().filter(|run| run.tool == tool);
        let open = runs().filter(|run| run.is_open).count();
        if open == 0 {
            return;
        }
        let detail = format!(
            "Examples of `{tool}` that ask for the network and did not get all of it: {open}. Only a skill's first five examples reach an origin, once each, with five requests."
        );
        if runs().any(|run| run.is_as_expected) {
            self.note("examples-open", detail);
        } else {
            self.hold("examples-open", detail);
        }
    }

    fn of_probe(&mut self, subject: &Subject, probe: &ProbeRun) {
        let (tool, report) = (&probe.tool, &probe.report);
        let (calls, judged) = (report.calls, report.judged());
        self.of_share("traps", report.trapped, judged, format!("`{tool}` traps in {} of {judged} calls with generated arguments. Answer with an error instead (`result<…, string>`).", report.trapped));
        self.of_share("overruns", report.overran, judged, format!("`{tool}` reaches a limit (time, fuel, memory or output) in {} of {judged} calls with generated arguments. Bound the work, or ask for more in `limits`.", report.overran));
        if judged < calls {
            let without = report.without_network;
            self.note("without-network", format!("`{tool}` asks for an origin in {without} of {calls} calls with generated arguments, which reach none. How these ended is not held against it."));
        }
        if report.denied > 0 {
            self.reject("denied", format!("`{tool}` uses something that the manifest does not ask for in {} of {calls} calls. Ask for it in `permissions`, or do without.", report.denied));
        }
        if report.nondeterministic > 0 && !explains_differences(subject) {
            self.reject("nondeterministic", format!("`{tool}` ends differently, or uses another amount of fuel, in {} of {calls} calls that were made twice, and no permission explains it.", report.nondeterministic));
        }
        if report.out_of_budget {
            self.note(
                "slow",
                format!(
                    "`{tool}` is slow: only {calls} generated calls were made in the time there is."
                ),
            );
        }
    }

    /// Adds a finding whose severity depends on the share of calls.
    fn of_share(&mut self, code: &'static str, count: u32, calls: u32, detail: String) {
        if count == 0 {
            return;
        }
        let is_often = f64::from(count) > MAX_SHARE * f64::from(calls);
        match (is_often, calls >= MIN_CALLS || count == calls) {
            (true, true) => self.reject(code, detail),
            (true, false) => self.hold(code, detail),
            (false, _) => self.note(code, detail),
        }
    }

    fn of_texts(&mut self, subject: &Subject, evidence: &Evidence) {
        if let Some(words) = suspicion::address(subject, evidence) {
            self.hold("talks-to-reader", format!("Its texts address a reviewer or a model: “{words}”. Say what the skill does, and nothing else."));
        }
        if let Some(hidden) = suspicion::hidden_character(subject) {
            self.hold(
                "hidden-text",
                format!(
                    "Its texts hold characters that nobody sees (U+{:04X}). Leave them out.",
                    u32::from(hidden)
                ),
            );
        }
        let producers = subject.facts["producers"].as_object().into_iter().flatten();
        let lines: Vec<String> = producers
            .filter_map(|(_, list)| serde_json::from_value::<Vec<String>>(list.clone()).ok())
            .flatten()
            .collect();
        for fault in toolchains::known_faults(&lines) {
            self.hold("toolchain", fault);
        }
    }
}

/// The quality from 0 to 1: 0.4 for examples (the share of tools with a true one), 0.3 for generated calls that neither
/// trap nor reach a limit, 0.15 for described tools, 0.1 for a readme of 200 characters, 0.05 for a licence.
pub fn quality(subject: &Subject, evidence: &Evidence, findings: &[Finding]) -> f64 {
    if verdict(findings) == Verdict::Reject || evidence.interruption.is_some() {
        return 0.0;
    }
    let tools = subject.tools.len().max(1) as f64;
    let share = |count: usize| count as f64 / tools;
    let is_shown = |name: &str| {
        let mut runs = evidence.examples.iter();
        runs.any(|run| run.tool == name && run.is_as_expected)
    };
    let shown = subject.tools.iter().filter(|tool| is_shown(&tool.name));
    let described = subject
        .tools
        .iter()
        .filter(|tool| !tool.description.is_empty());
    let reports = || evidence.probes.iter().map(|probe| &probe.report);
    let made: u32 = reports().map(|report| report.calls).sum();
    let judged: u32 = reports().map(Report::judged).sum();
    let bad: u32 = reports()
        .map(|report| report.trapped + report.overran)
        .sum();
    let robust = match (made, judged) {
        (0, _) => 0.0,
        (_, 0) => 1.0,
        _ => 1.0 - f64::from(bad.min(judged)) / f64::from(judged),
    };
    let readme = subject.manifest["readme"].as_str().unwrap_or_default();
    let has_readme = f64::from(u8::from(readme.chars().count() >= 200));
    let has_licence = f64::from(u8::from(subject.manifest["license"].is_string()));
    let sum = 0.4 * share(shown.count())
        + 0.3 * robust
        + 0.15 * share(described.count())
        + 0.1 * has_readme
        + 0.05 * has_licence;
    (sum * 1000.0).round() / 1000.0
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
