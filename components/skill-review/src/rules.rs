//! The rules of the review: what is found in the evidence, how serious it is, and what follows. Published in
//! `docs/skills.md`.

use serde::{Deserialize, Serialize};

use crate::evidence::{Evidence, ExampleRun, ProbeRun, Report, Subject, cut};
use crate::permissions::explains_differences;
use crate::{suspicion, toolchains};

/// More generated calls than this share may not trap, and not meet a limit.
const MAX_SHARE: f64 = 0.05;
/// With fewer calls a share says too little.
const MIN_CALLS: u32 = 20;

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

/// Findings, as they come.
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

    /// Worth knowing.
    pub fn note(&mut self, code: &'static str, detail: String) {
        self.add(code, Severity::Note, &detail);
    }

    /// A person has to look.
    pub fn hold(&mut self, code: &'static str, detail: String) {
        self.add(code, Severity::Hold, &detail);
    }

    /// Reason enough to reject.
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

    /// Examples that did not get the network that they asked for: a tool that none shows is left to a person.
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
        self.of_share("overruns", report.overran, judged, format!("`{tool}` meets a limit (time, fuel, memory or output) in {} of {judged} calls with generated arguments. Bound the work, or ask for more in `limits`.", report.overran));
        if judged < calls {
            let without = report.without_network;
            self.note("without-network", format!("`{tool}` asks for an origin in {without} of {calls} calls with generated arguments, which reach none. How these ended is not held against it."));
        }
        if report.denied > 0 {
            self.reject("denied", format!("`{tool}` reaches for what the manifest does not ask for in {} of {calls} calls. Ask for it in `permissions`, or leave it.", report.denied));
        }
        if report.nondeterministic > 0 && !explains_differences(subject) {
            self.reject("nondeterministic", format!("`{tool}` ends otherwise, or uses other fuel, in {} of {calls} calls that are made twice, with no permission that explains it.", report.nondeterministic));
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

    /// What some calls may do, and not many.
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
            self.hold("talks-to-reader", format!("Its texts talk to a reviewer or to a model: “{words}”. Say what the skill does, and nothing else."));
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

/// 0 to 1: 0.4 for examples (the share of tools that have a true one), 0.3 for generated calls that neither
/// trap nor meet a limit, 0.15 for described tools, 0.1 for a readme of 200 characters, 0.05 for a licence.
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
