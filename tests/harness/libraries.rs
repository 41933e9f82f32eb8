//! Clients and libraries that others have written, installed with npm and pip into the target folder.

use crate::root;
use anyhow::{Context, Result, bail, ensure};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{process::Command, sync::Mutex, time::timeout};

/// Installs what the `package.json` of a folder of the tests names, with packages of PyPI, if any, in a virtual environment
/// `venv` beside it. Answers the folder `name` in the target folder, with copies of the tests' files; `None` if it can't be
/// installed here.
///
/// # Errors
/// A file can't be copied, or it can't be installed where `GATHER_TESTS_SKIP_NONE` is set.
pub async fn installed(name: &str, files: &str, packages: &[&str]) -> Result<Option<PathBuf>> {
    // Tests of one folder would install into each other's.
    static INSTALLING: Mutex<()> = Mutex::const_new(());
    let _installing = INSTALLING.lock().await;
    let folder = root().join("target").join(name);
    std::fs::create_dir_all(&folder)?;
    for file in std::fs::read_dir(root().join(files))? {
        let file = file?;
        std::fs::copy(file.path(), folder.join(file.file_name()))?;
    }
    let pip = folder.join("venv/bin/pip").display().to_string();
    let steps: [(&str, &[&str]); 3] = [
        ("npm", &["install", "--no-audit", "--no-fund", "--silent"]),
        ("python3", &["-m", "venv", "venv"]),
        (&pip, &[&["install", "--quiet"][..], packages].concat()),
    ];
    let steps = if packages.is_empty() {
        &steps[..1]
    } else {
        &steps
    };
    for (program, arguments) in steps {
        let status = Command::new(program)
            .args(*arguments)
            .current_dir(&folder)
            .status()
            .await;
        if !status.is_ok_and(|status| status.success()) {
            let why = format!("{program} {} does not work here", arguments.join(" "));
            if std::env::var_os("GATHER_TESTS_SKIP_NONE").is_some() {
                bail!("nothing may be skipped: {why}");
            }
            eprintln!("skipped: {why}");
            return Ok(None);
        }
    }
    Ok(Some(folder))
}

/// Installs the libraries of webhooks: Standard Webhooks' own, and GitHub's.
///
/// # Errors
/// As [`installed`].
pub async fn webhook_libraries() -> Result<Option<PathBuf>> {
    let files = "tests/functions/webhooks/libraries";
    installed("webhook-libraries", files, &["standardwebhooks==1.1.0"]).await
}

/// Runs a script in the language that its name ends with, and answers what it prints.
///
/// # Errors
/// It fails, or does not end within five minutes.
pub async fn run(folder: &Path, script: &str, arguments: &[&str]) -> Result<String> {
    let program = if script.ends_with(".py") {
        folder.join("venv/bin/python")
    } else {
        PathBuf::from("node")
    };
    let run = Command::new(program)
        .arg(folder.join(script))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = timeout(Duration::from_secs(300), run).await;
    let ran = ran.with_context(|| format!("{script} does not end"))??;
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    ensure!(
        ran.status.success(),
        "{script}: {said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    Ok(said)
}
