//! `gather secret` as its user meets it.

use super::canary::encodings;
use super::target::{Target, ok};
use super::world::CANARY;
use anyhow::{Context, Result};
use e2e::{Server, command};
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

/// An agent with a home of its own.
struct Shell<'a> {
    home: TempDir,
    server: &'a Server,
}

impl Shell<'_> {
    /// Runs a command, with something on its standard input.
    async fn run(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut child = Command::new(command()?)
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("GATHER_SERVER", &self.server.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("an input")?;
        // Whoever refuses its arguments reads nothing.
        _ = stdin.write_all(input.as_bytes()).await;
        if !arguments.iter().any(|argument| argument.contains("Canary")) {
            nowhere_in_processes();
        }
        drop(stdin);
        Ok(child.wait_with_output().await?)
    }

    /// Runs a command that succeeds; what it prints.
    async fn succeed(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.run(arguments, input).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        let told = String::from_utf8(output.stdout)?;
        assert!(
            !told.contains("Canary") && !said.contains("Canary"),
            "{told}{said}"
        );
        Ok(told)
    }
}

/// Checks that the value stands in the arguments and in the environment of no process of this machine.
fn nowhere_in_processes() {
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        for file in ["cmdline", "environ"] {
            // Others' can't be read, and some end meanwhile.
            let text = std::fs::read(process.path().join(file)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            for encoding in encodings() {
                let path = process.path();
                assert!(!text.contains(&encoding), "{} {file}", path.display());
            }
        }
    }
}

#[tokio::test]
async fn lists_are_complete() -> Result<()> {
    let server = Server::start().await?;
    let shell = Shell {
        home: tempfile::tempdir()?,
        server: &server,
    };
    shell
        .succeed(&["agent", "register", "--name", "ada"], "")
        .await?;
    server
        .database
        .execute(
            "insert into vault.secret (id, account_id, name, kind)
             select platform.uuid_v7(), a.id, 'secret-' || n, 'opaque' from identity.account a, generate_series(1, 230) n;
             insert into vault.use (secret_id, component, origin, method, path)
             select s.id, 'x', 'https://a.example', 'GET', '/' from vault.secret s, generate_series(1, 101)
             where s.name = 'secret-1'",
        )
        .await?;
    let told = shell.succeed(&["secret", "list"], "").await?;
    assert_eq!(told.lines().count(), 230);
    assert!(told.contains("secret-1 ") && told.contains("secret-230 "));
    let told = shell.succeed(&["secret", "list", "--json"], "").await?;
    let listed: Value = serde_json::from_str(&told)?;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(230));
    assert_eq!(listed["next"], Value::Null);
    // Of a history the newest are shown, and that there are more.
    let told = shell.succeed(&["secret", "uses", "secret-1"], "").await?;
    assert_eq!(told.lines().count(), 101);
    assert!(
        told.trim_end().ends_with("Older ones are not shown."),
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn secrets_are_set_rotated_granted_and_looked_after_by_commands() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let shell = Shell {
        home: tempfile::tempdir()?,
        server: &server,
    };
    shell
        .succeed(&["agent", "register", "--name", "ada"], "")
        .await?;
    let set = [
        "secret",
        "set",
        "github",
        "--origin",
        &target.origin,
        "--header",
        "x-key",
    ];
    let told = shell.succeed(&set, &format!("{CANARY}\n")).await?;
    assert!(told.contains("Stored github as"), "{told}");
    let listed = shell.succeed(&["secret", "list", "--json"], "").await?;
    let listed: Value = serde_json::from_str(&listed)?;
    assert_eq!(
        listed["items"][0]["use"]["place"],
        json!({"header": "x-key", "format": "{}"})
    );
    let told = shell
        .succeed(
            &["secret", "rotate", "github", "--overlap", "10m"],
            "other-Canary-2",
        )
        .await?;
    assert!(told.contains("github has version 2"), "{told}");
    let account = listed["items"][0]["account_id"]
        .as_str()
        .context("an owner")?;
    let subject = format!("account:{account}");
    shell
        .succeed(&["secret", "grant", "github", &subject, "--calls", "7"], "")
        .await?;
    shell
        .succeed(&["secret", "grant", "github", &subject, "--end"], "")
        .await?;
    let told = shell.succeed(&["secret", "uses", "github"], "").await?;
    assert_eq!(told.trim(), "None.");

    let refused = shell.run(&["secret", "set", "other", CANARY], "").await?;
    let said = String::from_utf8(refused.stderr)?;
    assert!(!refused.status.success());
    assert!(
        said.contains("standard input") && !said.contains("Canary"),
        "{said}"
    );
    let refused = shell
        .run(&["secret", "set", "other"], "line\nCanary-break\n")
        .await?;
    let said = String::from_utf8(refused.stderr)?;
    assert!(!refused.status.success());
    assert!(
        said.contains("printable ASCII") && !said.contains("Canary"),
        "{said}"
    );
    Ok(())
}
