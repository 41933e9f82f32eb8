//! `gather secret` as its user meets it.

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
