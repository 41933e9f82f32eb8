//! `tests/main.rs`: each file in a room of `tests` is a module of the one test program.

use anyhow::{Result, ensure};
use e2e::root;
use std::{
    fs,
    path::{Path, PathBuf},
};

pub fn modules() -> Result<String> {
    let mut text =
        "//! The end-to-end tests: one program, a module for each file. Generated: see tests/platform/generated.\n"
            .to_owned();
    for (name, path) in entries(&root().join("tests"))? {
        ensure!(
            !is_source(&path) || name == "main",
            "tests/{name}.rs is in no room, such as tests/functions, and would not run"
        );
        let room = folder(&path, 1)?;
        if !room.is_empty() {
            text.push_str(&format!("\nmod {name} {{\n{room}}}\n"));
        }
    }
    Ok(text)
}

/// The modules of a folder and of those in it. A package of its own and the library have none in this program.
fn folder(path: &Path, depth: usize) -> Result<String> {
    let mut text = String::new();
    let is_other = || {
        ["Cargo.toml", "lib.rs"]
            .iter()
            .any(|f| path.join(f).exists())
    };
    if !path.is_dir() || is_other() {
        return Ok(text);
    }
    let indent = "    ".repeat(depth);
    for (name, path) in entries(path)? {
        if is_source(&path) {
            text.push_str(&format!("{indent}pub(crate) mod {name};\n"));
            continue;
        }
        let modules = folder(&path, depth + 1)?;
        if !modules.is_empty() {
            text.push_str(&format!(
                "{indent}pub(crate) mod {name} {{\n{modules}{indent}}}\n"
            ));
        }
    }
    Ok(text)
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// The paths in a folder, in the order of their names, which come without what follows a dot.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        all.push((name.into_owned(), path));
    }
    all.sort();
    Ok(all)
}
