//! The command as a process.

use std::{
    path::Path,
    process::{Command, Output},
};

/// The command in an empty environment, at home in `home`.
pub fn gather(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gather"));
    command
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// The command, run to its end.
pub fn run(home: &Path, arguments: &[&str]) -> Output {
    gather(home, arguments).output().unwrap()
}

/// What it printed.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it complained about.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What it prints when all is well, as it must be.
pub fn succeed(home: &Path, arguments: &[&str]) -> String {
    let output = run(home, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output)
}

/// What it says when it fails, as it must.
pub fn fail(home: &Path, arguments: &[&str]) -> String {
    let output = run(home, arguments);
    assert!(
        !output.status.success(),
        "{arguments:?}: {}",
        stdout(&output)
    );
    stderr(&output)
}
