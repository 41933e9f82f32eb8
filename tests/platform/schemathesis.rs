//! Schemathesis sends what the OpenAPI document allows, and more, to every operation about accounts: as nobody, an agent, a
//! person, an admin, and as one whose sessions end. No 5xx, no answer that is not documented, none that does not fit.

use anyhow::{Context, Result, bail};
use e2e::{
    Server,
    people::{PASSWORD, Person},
    root,
};
use std::path::PathBuf;
use tokio::process::Command;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,documented";
const TAGS: [&str; 8] = [
    "agents",
    "authentication",
    "sessions",
    "users",
    "accounts",
    "keys",
    "teams",
    "audit",
];
/// After these nobody is signed in: they are tried with a session for each call.
const ENDS: [&str; 4] = [
    "accounts_leave",
    "sessions_end_all",
    "sessions_end_current",
    "sessions_end",
];

/// The program; `None`: it can't be installed here.
async fn installed() -> Result<Option<PathBuf>> {
    let folder = root().join("target/schemathesis");
    std::fs::create_dir_all(&folder)?;
    let venv = folder.join("venv").display().to_string();
    let pip = folder.join("venv/bin/pip").display().to_string();
    let steps: [(&str, &[&str]); 2] = [
        ("python3", &["-m", "venv", &venv]),
        (
            &pip,
            &[
                "install",
                "--quiet",
                "schemathesis==4.32.5",
                "cryptography==46.0.3",
            ],
        ),
    ];
    for (program, arguments) in steps {
        let status = Command::new(program).args(arguments).status().await;
        if !status.is_ok_and(|status| status.success()) {
            let why = format!("{program} {} does not work here", arguments.join(" "));
            if std::env::var_os("GATHER_TESTS_SKIP_NONE").is_some() {
                bail!("nothing may be skipped: {why}");
            }
            eprintln!("skipped: {why}");
            return Ok(None);
        }
    }
    Ok(Some(folder.join("venv/bin/schemathesis")))
}

#[tokio::test]
async fn every_operation_about_accounts_answers_as_it_is_documented() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    let Some(program) = installed().await? else {
        return Ok(());
    };
    let server = Server::told(&[("rate_limits", "off")]).await?;
    Person::register(&server, "person").await?;
    Person::register(&server, "comes-and-goes").await?;
    for admin in ["operator", "another"] {
        Person::register(&server, admin)
            .await?
            .into_admin(&server)
            .await?;
    }
    let mut runs = Vec::new();
    for (who, name) in [
        ("nobody", ""),
        ("agent", ""),
        ("user", "person"),
        ("user", "operator"),
        ("ends", "comes-and-goes"),
    ] {
        let mut command = Command::new(&program);
        command
            .arg("run")
            .arg(format!("{}/openapi.json", server.url))
            .args([
                "--checks",
                CHECKS,
                "--seed",
                "7",
                "--workers",
                "1",
                "--max-examples",
                "8",
            ])
            .args([
                "--generation-database",
                "none",
                "--continue-on-failure",
                "--warnings",
                "off",
                "--no-color",
            ])
            .current_dir(root().join("tests/platform/schemathesis"))
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("GATHER_SERVER", &server.url)
            .env("GATHER_AS", if who == "ends" { "user" } else { who })
            .env("GATHER_EMAIL", format!("{name}@example.org"))
            .env("GATHER_PASSWORD", PASSWORD)
            .kill_on_drop(true);
        if who == "ends" {
            command.env("GATHER_SIGN_IN", "always");
            command.args(ENDS.iter().flat_map(|id| ["--include-operation-id", id]));
        } else {
            command.args(TAGS.iter().flat_map(|tag| ["--include-tag", tag]));
            command.args(ENDS.iter().flat_map(|id| ["--exclude-operation-id", id]));
        }
        runs.push((
            format!("{who} {name}"),
            tokio::spawn(async move { command.output().await }),
        ));
    }
    for (who, run) in runs {
        let output = run.await?.with_context(|| who.clone())?;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "as {who}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(text.contains("generated"), "as {who}: {text}");
    }
    Ok(())
}
