//! Toolchains with known faults in what they produce. A component tells in its `producers` section what made
//! it; that is the author's word, so an entry here is a reason to look, not a proof.

use semver::{Version, VersionReq};

/// A fault of a toolchain.
struct Advisory {
    /// As `producers` names the tool.
    tool: &'static str,
    /// Versions that have the fault.
    affected: &'static str,
    /// Where to read more.
    id: &'static str,
    /// What it does to components.
    why: &'static str,
}

const ADVISORIES: &[Advisory] = &[
    Advisory {
        tool: "rustc",
        affected: "<1.52.0",
        id: "CVE-2020-36323",
        why: "its standard library may expose uninitialised bytes where strings are joined",
    },
    Advisory {
        tool: "rustc",
        affected: "<1.52.0",
        id: "CVE-2021-31162",
        why: "its standard library may free a vector's elements twice where one of them panics",
    },
];

/// What is known about the tools that made a component: lines such as `rustc 1.95.0 (59807616e 2026-04-14)`.
pub fn known_faults(lines: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let (Some(tool), Some(version)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(version) = Version::parse(version.trim_start_matches('v')) else {
            continue;
        };
        for advisory in ADVISORIES.iter().filter(|advisory| advisory.tool == tool) {
            let is_affected = VersionReq::parse(advisory.affected)
                .is_ok_and(|affected| affected.matches(&version));
            if is_affected {
                found.push(format!(
                    "It was made with {tool} {version}: {} ({}).",
                    advisory.why, advisory.id
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_affected_versions_are_told() {
        let lines = |text: &str| known_faults(&[text.to_owned()]).len();
        assert_eq!(lines("rustc 1.51.0 (2fd73fabe 2021-03-23)"), 2);
        assert_eq!(lines("rustc 1.95.0 (59807616e 2026-04-14)"), 0);
        assert_eq!(lines("clang 18.1.2"), 0);
        assert_eq!(lines("rustc"), 0);
        assert!(
            ADVISORIES
                .iter()
                .all(|advisory| VersionReq::parse(advisory.affected).is_ok())
        );
    }
}
