//! Toolchains with known faults in the code that they produce. A component names its tools in its `producers` section;
//! that is the author's claim, so an entry here is a reason to look, not a proof.
//!
//! The list contains faults that can harm a component's own callers: in the standard library that becomes part of the
//! component, and reachable where a panic ends the call. Faults of build tools, of other platforms, and those that
//! require a caught panic are left out. The versions are those of the RustSec advisory database.

use semver::Version;

/// A fault of a toolchain.
struct Advisory {
    /// The tool's name in `producers`.
    tool: &'static str,
    /// The first version with the fault, and the first without it.
    from: Version,
    fixed: Version,
    /// The id of the advisory.
    id: &'static str,
    /// The effect on components.
    why: &'static str,
}

static ADVISORIES: [Advisory; 5] = [
    Advisory {
        tool: "rustc",
        from: Version::new(1, 28, 0),
        fixed: Version::new(1, 52, 0),
        id: "CVE-2020-36323",
        why: "joining strings may show uninitialised memory, which an earlier part of the call has left",
    },
    Advisory {
        tool: "rustc",
        from: Version::new(1, 48, 0),
        fixed: Version::new(1, 49, 0),
        id: "CVE-2020-36318",
        why: "VecDeque::make_contiguous may free an element twice",
    },
    Advisory {
        tool: "rustc",
        from: Version::new(1, 20, 0),
        fixed: Version::new(1, 50, 0),
        id: "CVE-2021-28875",
        why: "read_to_end may write beyond its buffer",
    },
    Advisory {
        tool: "rustc",
        from: Version::new(1, 14, 0),
        fixed: Version::new(1, 52, 0),
        id: "CVE-2021-28879",
        why: "a Zip iterator that is used again may write beyond a buffer",
    },
    Advisory {
        tool: "rustc",
        from: Version::new(1, 0, 0),
        fixed: Version::new(1, 53, 0),
        id: "CVE-2021-29922",
        why: "IP addresses with leading zeros are read as others, so that a skill's own check of an address can be passed by",
    },
];

/// Finds known faults of the tools that made a component, from lines such as `rustc 1.95.0 (59807616e 2026-04-14)`.
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
        // A nightly counts as the release that it leads to.
        let release = Version::new(version.major, version.minor, version.patch);
        let affected = ADVISORIES.iter().filter(|advisory| {
            advisory.tool == tool && advisory.from <= release && release < advisory.fixed
        });
        found.extend(affected.map(|advisory| {
            format!(
                "It was made with {tool} {version}: {} ({}). Build it with {} or newer.",
                advisory.why, advisory.id, advisory.fixed
            )
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_affected_versions_are_told() {
        let count = |text: &str| known_faults(&[text.to_owned()]).len();
        assert_eq!(count("rustc 1.48.0 (7eac88abb 2020-11-16)"), 5);
        assert_eq!(count("rustc 1.51.0 (2fd73fabe 2021-03-23)"), 3);
        assert_eq!(count("rustc 1.51.0-nightly (2fd73fabe 2021-01-23)"), 3);
        assert_eq!(count("rustc 1.53.0 (53cb7b09b 2021-06-17)"), 0);
        assert_eq!(count("rustc 1.95.0 (59807616e 2026-04-14)"), 0);
        assert_eq!(count("clang 18.1.2"), 0);
        assert_eq!(count("rustc"), 0);
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "(rustc )?\\PC{0,40}") {
            known_faults(&[line]);
        }
    }
}
