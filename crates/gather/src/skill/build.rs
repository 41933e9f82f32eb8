//! Builds a skill's component with the tools of its language, and puts the comments of its WIT into it.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Language, project::Project, show};

/// Builds `skill.wasm`, and prints its tools.
pub fn build(folder: &Path) -> Result<()> {
    let project = Project::open(folder)?;
    let built = match project.language()? {
        Language::Rust => rust(&project)?,
        Language::Python => python(&project)?,
        Language::Js => js(&project)?,
    };
    let component =
        fs::read(&built).with_context(|| format!("the build made no {}", built.display()))?;
    let component = skill::embed_docs(&component, &project.folder.join("wit"))
        .context("the comments of the WIT can't be put into the component")?;
    fs::write(project.component(), &component)
        .with_context(|| format!("can't write {}", project.component().display()))?;
    if built != project.component() && built.parent() == Some(&project.folder) {
        fs::remove_file(&built)?;
    }
    let inspection = skill::inspect(&component)?;
    say!(
        "Built {} ({} kB).\n",
        project.component().display(),
        component.len() / 1000
    );
    show::print(&inspection);
    let errors = project.manifest()?.check_against(&inspection.tools);
    if !errors.is_empty() {
        return Err(super::project::explain(errors));
    }
    Ok(())
}

fn rust(project: &Project) -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--target",
            "wasm32-wasip2",
            "--message-format",
            "json-render-diagnostics",
        ])
        .current_dir(&project.folder)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo is not there; install Rust from https://rustup.rs")?;
    if !output.status.success() {
        bail!("cargo failed; if it lacks the target: rustup target add wasm32-wasip2");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let files = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            Some(
                message["filenames"]
                    .as_array()?
                    .iter()
                    .filter_map(Value::as_str)
                    .map(PathBuf::from)
                    .collect::<Vec<_>>(),
            )
        })
        .flatten();
    let mut wasm = files.filter(|file| file.extension() == Some(OsStr::new("wasm")));
    wasm.next_back()
        .context("cargo made no component; does Cargo.toml have crate-type = [\"cdylib\"]?")
}

fn python(project: &Project) -> Result<PathBuf> {
    let folder = &project.folder;
    installed(folder, ".venv", &["requirements.txt"], || {
        let missing = "python3 (3.10 or newer, with venv) is not there; install it, on Debian: apt install python3-venv";
        step(folder, "python3", &["-m", "venv", ".venv"], missing)?;
        step(
            folder,
            ".venv/bin/pip",
            &["install", "--quiet", "-r", "requirements.txt"],
            "pip is not in .venv",
        )
    })?;
    let built = folder.join("component.wasm");
    step(
        folder,
        ".venv/bin/componentize-py",
        &[
            "-d",
            "wit",
            "-w",
            "skill",
            "componentize",
            "app",
            "-o",
            "component.wasm",
        ],
        "remove .venv and build again",
    )?;
    Ok(built)
}

fn js(project: &Project) -> Result<PathBuf> {
    let folder = &project.folder;
    let missing = "node and npm (20 or newer) are not there; install them from https://nodejs.org";
    installed(
        folder,
        "node_modules",
        &["package.json", "package-lock.json"],
        || {
            step(
                folder,
                "npm",
                &["install", "--no-audit", "--no-fund", "--silent"],
                missing,
            )
        },
    )?;
    step(folder, "node", &["build.mjs"], missing)?;
    Ok(folder.join("component.wasm"))
}

/// Installs the dependencies of a skill, unless `into` has them all: the digest of the installed lists is
/// written there at the end of an installation.
fn installed(
    folder: &Path,
    into: &str,
    lists: &[&str],
    install: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let asked = || {
        let texts = lists
            .iter()
            .map(|list| fs::read(folder.join(list)).unwrap_or_default());
        skill::digest::of_bytes(&texts.collect::<Vec<_>>().concat())
    };
    let done = folder.join(into).join(".installed-by-gather");
    if fs::read_to_string(&done).is_ok_and(|digest| digest == asked()) {
        return Ok(());
    }
    say!("Installing what {} asks for into {into} …", lists[0]);
    install()?;
    // Again, since an installation may write its own list of what it chose.
    fs::write(&done, asked()).with_context(|| format!("can't write {}", done.display()))
}

/// Runs a program of the build. `missing` is the advice if the program is missing.
fn step(folder: &Path, program: &str, arguments: &[&str], missing: &'static str) -> Result<()> {
    let path = if program.contains('/') {
        folder.join(program)
    } else {
        program.into()
    };
    let output = Command::new(path)
        .args(arguments)
        .current_dir(folder)
        // Python finds what is installed there, and not what is active in the shell.
        .env("VIRTUAL_ENV", folder.join(".venv"))
        .output()
        .context(missing)?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!(
        "{program} {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&said).trim()
    )
}
