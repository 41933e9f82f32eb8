//! `tests/main.rs`: each file of `tests` is a module of the one test program.

use anyhow::Result;
use e2e::root;
use std::fs;

/// Files that are not modules of the test program.
const OTHERS: [&str; 3] = ["command", "lib", "main"];

pub fn modules() -> Result<String> {
    let harness = fs::read_to_string(root().join("tests/lib.rs"))?;
    let mut modules = Vec::new();
    for entry in fs::read_dir(root().join("tests"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".rs") else {
            continue;
        };
        if !OTHERS.contains(&name) && !harness.contains(&format!("\npub mod {name};\n")) {
            modules.push(format!("mod {name};\n"));
        }
    }
    modules.sort();
    Ok(format!(
        "//! The end-to-end tests: one program, a module for each file. Generated: see tests/generated.rs.\n\n{}",
        modules.concat()
    ))
}
