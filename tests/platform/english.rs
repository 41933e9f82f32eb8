//! The English that CONTRIBUTING.md asks for, in descriptions and in the comments of the sources.

use anyhow::{Context, Result};
use e2e::root;
use std::{fs, process::Command};

/// The beginnings of texts that only their authors understand.
const RIDDLES: [&str; 24] = [
    "how a ",
    "how far ",
    "how it ",
    "how long ",
    "how many ",
    "how much ",
    "how often ",
    "nobody ",
    "none:",
    "not before",
    "only those",
    "those ",
    "to whom ",
    "what came",
    "what comes",
    "what is ",
    "what it ",
    "what was ",
    "when it ",
    "where it ",
    "who ",
    "whom ",
    "whose ",
    "why.",
];

/// The reason why a text is not in plain English, if there is one.
pub fn wording_fault(text: &str) -> Option<&'static str> {
    const NEGATIONS: [&str; 4] = ["is no ", "are no ", "is none", "are none"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let lower = words.join(" ").to_lowercase();
    // "There is no such job." and "It is no longer valid." are good English.
    let negates = |phrase: &&str| {
        let mut found = lower.match_indices(*phrase);
        found.any(|(at, _)| {
            !lower[..at].ends_with("there ") && !lower[at + phrase.len()..].starts_with("longer ")
        })
    };
    if RIDDLES.iter().any(|riddle| lower.starts_with(riddle)) {
        Some("it begins like a riddle")
    } else if NEGATIONS.iter().any(negates) {
        Some("it says \"is no\" for \"is not a\"")
    } else {
        None
    }
}

/// The doc comments of a Rust file, or the comments of an SQL file that begin a line, each with the number of its first
/// line.
fn comments(path: &str, text: &str) -> Vec<(usize, String)> {
    let markers: &[&str] = match path.ends_with(".sql") {
        true => &["--"],
        false => &["///", "//!"],
    };
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut last = 0;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        let Some(words) = markers.iter().find_map(|marker| line.strip_prefix(marker)) else {
            continue;
        };
        match found.last_mut() {
            Some((_, comment)) if last + 1 == number => {
                comment.push(' ');
                comment.push_str(words.trim());
            }
            _ => found.push((number, words.trim().to_owned())),
        }
        last = number;
    }
    found
}

#[test]
fn the_sources_are_described_in_plain_english() -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "crates", "components", "sql"])
        .current_dir(root())
        .output()?;
    let (mut checked, mut faults) = (0, Vec::new());
    for path in String::from_utf8(listed.stdout)?.lines() {
        let file = root().join(path);
        let is_source = path.ends_with(".sql") || path.contains("/src/") && path.ends_with(".rs");
        if !is_source || !file.exists() {
            continue;
        }
        let text = fs::read_to_string(file).context(path.to_owned())?;
        for (line, comment) in comments(path, &text) {
            checked += 1;
            let fault = wording_fault(&comment);
            faults.extend(fault.map(|fault| format!("{path}:{line}: {fault}: {comment:?}")));
        }
    }
    assert!(
        faults.is_empty(),
        "{} comments need another wording, see CONTRIBUTING.md, section English:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(
        checked > 1000,
        "{checked} comments: this check sees nothing"
    );
    Ok(())
}

#[test]
fn riddles_are_told_from_descriptions() {
    for bad in [
        "Why.",
        "Whose it is.",
        "To whom to send it.",
        "Only those that are so.",
        "What came from the client.",
        "How long it takes.",
        "Who may read it.",
        "A method that is no method.",
        "Two of the accounts are none.",
    ] {
        assert!(wording_fault(bad).is_some(), "{bad}");
    }
    for good in [
        "The account that owns the key.",
        "The token is no longer valid.",
        "The newest message; null if there is none.",
        "Lists the jobs whose owner is the caller.",
        "The time for which an unused connection is kept.",
    ] {
        assert_eq!(wording_fault(good), None, "{good}");
    }
    let file = "/// The first\n/// comment.\nstruct A;\n    //! The second.\n// No doc comment.\n";
    let found = comments("a.rs", file);
    assert_eq!(
        found,
        [
            (1, "The first comment.".to_owned()),
            (4, "The second.".to_owned())
        ]
    );
}
