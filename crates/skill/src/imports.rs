//! The imports that a component may have: WASI as compilers' standard libraries use it, outgoing HTTP and a key-value
//! store. All of them link; a skill that uses something that was not granted is refused at that moment, or finds it
//! inert.

/// The interfaces of WASI 0.2, by package.
const WASI_0_2: &[(&str, &[&str])] = &[
    ("wasi:io", &["error", "poll", "streams"]),
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", &["monotonic-clock", "wall-clock"]),
    ("wasi:filesystem", &["types", "preopens"]),
    ("wasi:random", &["random", "insecure", "insecure-seed"]),
    (
        "wasi:sockets",
        &[
            "network",
            "instance-network",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
            "ip-name-lookup",
        ],
    ),
    ("wasi:http", &["types", "outgoing-handler"]),
];

/// The interfaces of WASI 0.3, by package.
const WASI_0_3: &[(&str, &[&str])] = &[
    (
        "wasi:cli",
        &[
            "types",
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", &["types", "monotonic-clock", "system-clock"]),
    ("wasi:filesystem", &["types", "preopens"]),
    ("wasi:random", &["random", "insecure", "insecure-seed"]),
    ("wasi:sockets", &["types", "ip-name-lookup"]),
    ("wasi:http", &["types", "client"]),
];

/// The interfaces of the key-value store, as Spin and others link it.
const KEY_VALUE: (&str, &[&str]) = ("wasi:keyvalue", &["store", "atomics", "batch"]);
/// The version of the key-value store. Versions of a draft are not compatible with each other.
const KEY_VALUE_VERSION: &str = "0.2.0-draft2";

/// The version of WASI that an import belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wasi {
    /// WASI 0.2.
    P2,
    /// WASI 0.3.
    P3,
}

/// The version of WASI of an import such as `wasi:io/poll@0.2.3`; `None` if the sandbox does not have it.
#[must_use]
pub fn allowed(import: &str) -> Option<Wasi> {
    let (path, version) = import.split_once('@')?;
    let (package, interface) = path.split_once('/')?;
    if package == KEY_VALUE.0 {
        return (version == KEY_VALUE_VERSION && KEY_VALUE.1.contains(&interface))
            .then_some(Wasi::P2);
    }
    let version = semver::Version::parse(version).ok()?;
    let (list, wasi) = match (version.major, version.minor) {
        (0, 2) => (WASI_0_2, Wasi::P2),
        (0, 3) => (WASI_0_3, Wasi::P3),
        _ => return None,
    };
    let known = list.iter().find(|(name, _)| *name == package)?;
    (version.pre.is_empty() && known.1.contains(&interface)).then_some(wasi)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_sandbox_has_is_allowed() {
        for import in [
            "wasi:io/poll@0.2.0",
            "wasi:io/poll@0.2.12",
            "wasi:http/outgoing-handler@0.2.4",
            "wasi:keyvalue/store@0.2.0-draft2",
        ] {
            assert_eq!(allowed(import), Some(Wasi::P2), "{import}");
        }
        assert_eq!(allowed("wasi:cli/types@0.3.0"), Some(Wasi::P3));
        for import in [
            "evil:corp/root",
            "evil:corp/root@0.2.0",
            "wasi:io/poll",
            "wasi:io/poll@0.4.0",
            "wasi:http/incoming-handler@0.2.0",
            "wasi:io/poll@0.2.0-rc-2023-11-10",
            "wasi:nn/tensor@0.2.0",
            "poll",
            "wasi:keyvalue/store@0.2.0",
        ] {
            assert_eq!(allowed(import), None, "{import}");
        }
    }
}
