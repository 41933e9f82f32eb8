//! The gateway as clients find it that others have written: npm's `ws` and PyPI's `websockets`.

use anyhow::{Context, Result, bail, ensure};
use e2e::{Server, agents::Agent, root};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// The folder with the clients; `None`: they can't be installed here.
async fn installed() -> Result<Option<PathBuf>> {
    let folder = root().join("target/websockets");
    std::fs::create_dir_all(&folder)?;
    for file in ["package.json", "client.mjs", "client.py"] {
        std::fs::copy(
            root()
                .join("tests/functions/realtime/websockets")
                .join(file),
            folder.join(file),
        )?;
    }
    let pip = folder.join("venv/bin/pip").display().to_string();
    let steps: [(&str, &[&str]); 3] = [
        ("npm", &["install", "--no-audit", "--no-fund", "--silent"]),
        ("python3", &["-m", "venv", "venv"]),
        (&pip, &["install", "--quiet", "websockets==15.0.1"]),
    ];
    for (program, arguments) in steps {
        let status = Command::new(program)
            .args(arguments)
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

#[tokio::test]
async fn clients_of_others_find_what_the_protocol_promises() -> Result<()> {
    let Some(folder) = installed().await? else {
        return Ok(());
    };
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let url = format!("{}/ws", server.url.replacen("http", "ws", 1));
    for (program, script) in [
        (PathBuf::from("node"), "client.mjs"),
        (folder.join("venv/bin/python"), "client.py"),
    ] {
        let run = Command::new(&program)
            .arg(folder.join(script))
            .args([&url, &ada.token])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ran = timeout(Duration::from_secs(300), run).await;
        let ran = ran.with_context(|| format!("{script} does not end"))??;
        let said = [ran.stdout, ran.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(said.contains("all is well"), "{script}: {said}");
    }
    Ok(())
}
