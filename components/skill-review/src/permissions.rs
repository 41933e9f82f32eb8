//! The permissions that a skill asks for, compared with those that it can use and has used.

use serde_json::Value;

use crate::evidence::{Evidence, Subject, Used};
use crate::rules::Findings;

/// The number of origins above which a person must decide.
const MAX_ORIGINS: usize = 5;

/// A permission: whether the skill asks for it, the interface that it must import, and whether it was used.
struct Permission {
    name: &'static str,
    asked: bool,
    interface: &'static str,
    used: bool,
}

/// Whether the skill asks for a permission that lets two equal calls end differently.
pub fn explains_differences(subject: &Subject) -> bool {
    listed(subject, &Used::default())
        .iter()
        .any(|one| one.asked)
}

fn listed(subject: &Subject, used: &Used) -> [Permission; 4] {
    let permissions = subject.permissions();
    let one = |name, asked, interface, used| Permission {
        name,
        asked,
        interface,
        used,
    };
    [
        one(
            "http",
            subject.asks_for_origins(),
            "wasi:http/",
            used.asked_for_origin(),
        ),
        one(
            "kv",
            permissions["kv"].is_object(),
            "wasi:keyvalue/",
            used.kv,
        ),
        one(
            "clock",
            permissions["clock"] == true,
            "wasi:clocks/",
            used.clock,
        ),
        one(
            "random",
            permissions["random"] == true,
            "wasi:random/",
            used.random,
        ),
    ]
}

fn origins(permissions: &Value) -> impl Iterator<Item = &str> {
    let list = permissions["http"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// The permissions that all calls together used.
fn used(evidence: &Evidence) -> Used {
    let of_examples = evidence.examples.iter().map(|run| &run.used);
    let of_probes = evidence.probes.iter().map(|probe| &probe.report.used);
    let mut sum = Used::default();
    for used in of_examples.chain(of_probes) {
        sum.http.extend(used.http.iter().cloned());
        sum.refused.extend(used.refused.iter().cloned());
        sum.kv |= used.kv;
        sum.clock |= used.clock;
        sum.random |= used.random;
    }
    sum
}

impl Findings {
    /// Adds the findings about permissions.
    pub fn of_permissions(&mut self, subject: &Subject, evidence: &Evidence) {
        let imports = subject.facts["imports"].as_array();
        let imports: Vec<_> = imports
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for permission in listed(subject, &used(evidence)) {
            let Permission {
                name, interface, ..
            } = permission;
            let is_imported = imports.iter().any(|import| import.starts_with(interface));
            match (permission.asked, is_imported) {
                (true, false) => {
                    let package = interface.trim_end_matches('/');
                    self.reject("unused-permission", format!("It asks for `{name}` but can't use it: the component does not import {package}. Leave the permission out."));
                }
                (true, true) if !permission.used => self.note(
                    "permission-not-seen",
                    format!("It asks for `{name}` but no call of the review used it."),
                ),
                // Clocks and random numbers exist without a permission, but are not real.
                (false, true) if matches!(name, "http" | "kv") => self.note(
                    "import-without-permission",
                    format!("It imports {interface}… but does not ask for `{name}`: using it is refused."),
                ),
                _ => (),
            }
        }
        self.of_breadth(&subject.permissions());
    }

    fn of_breadth(&mut self, permissions: &Value) {
        let count = origins(permissions).count();
        if count > MAX_ORIGINS {
            self.hold("many-origins", format!("It asks for {count} origins."));
        }
        if let Some(plain) = origins(permissions).find(|origin| origin.starts_with("http://")) {
            self.hold(
                "plain-http",
                format!("It asks for {plain}, which is not encrypted."),
            );
        }
        if count > 0 && permissions["kv"].is_object() {
            self.hold("keeps-and-sends", "It asks for `http` and `kv`: it could keep what callers give it and send it elsewhere.".to_owned());
        }
    }
}
