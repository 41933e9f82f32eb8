//! A disk that is really full: a small file system of its own, with the database's cluster on it.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{Database, Server, agents::Agent, manifest, master_key};
use gather::{migrate, postgres::Cluster};
use serde_json::json;
use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Room for a fresh cluster (its log of 16 MiB pieces included), and little more.
const MEBIBYTES: u32 = 200;

/// A file system in memory.
struct Disk(TempDir);

impl Disk {
    /// `None` where this user may mount none.
    fn new() -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={MEBIBYTES}m"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        Ok(mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(folder)))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file until nothing more fits.
    fn fill(&self) -> Result<()> {
        let mut filler = File::create(self.path().join("filler"))?;
        for piece in [1 << 20, 4 << 10, 1] {
            while filler.write_all(&vec![0; piece]).is_ok() {}
        }
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.path().join("filler"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(
            Command::new("umount")
                .arg("--lazy")
                .arg(self.path())
                .status(),
        );
    }
}

#[tokio::test]
async fn writes_fail_clearly_and_nothing_is_lost() -> Result<()> {
    let Some(disk) = Disk::new()? else {
        println!("skipped: this user may not mount a file system");
        return Ok(());
    };
    let state = disk.path().join("state");
    let cluster = tokio::task::spawn_blocking(move || Cluster::open(&state)).await??;
    let admin = cluster.url("gather");
    migrate::run(&admin, &manifest()?, &master_key()).await?;
    let server = Server::over(Database { admin }).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    disk.fill()?;

    // What still fits into the pages there are is taken; then each is refused.
    let (mut taken, mut refused) = (0, 0);
    let began = Instant::now();
    for number in 0.. {
        let answer = register(&server, &format!("agent-{number}")).await?;
        let status = answer.status().as_u16();
        if status == 201 {
            taken += 1;
            refused = 0;
        } else {
            let problem: serde_json::Value = answer.json().await?;
            assert_eq!(
                (status, problem["code"].as_str()),
                (503, Some("database-unavailable")),
                "{problem:#}"
            );
            refused += 1;
        }
        if refused == 5 {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{taken} were taken"
        );
    }
    assert_eq!(server.get("/health/live").await?.status(), 200);
    let (status, me) = ada.get(&server, "/api/agents/me").await?;
    assert_eq!(
        (status, &me["name"]),
        (200, &json!("ada")),
        "what is there can be read"
    );

    disk.empty()?;
    let answer = register(&server, "agent-again").await?;
    assert_eq!(answer.status(), 201, "with room again, all goes on");
    let there: i64 = sqlx::query_scalar("select count(*) from identity.agent")
        .fetch_one(&mut server.database.connect().await?)
        .await
        .context("counting")?;
    assert_eq!(
        there,
        taken + 2,
        "what was answered is there, and nothing else"
    );
    drop(server);
    // It outlives who started it, and would keep the disk busy.
    tokio::task::spawn_blocking(move || cluster.close()).await??;
    Ok(())
}

/// Registers an agent that takes some room.
async fn register(server: &Server, name: &str) -> Result<reqwest::Response> {
    let key = ed25519_compact::KeyPair::generate();
    let agent = json!({
        "name": name, "description": "x".repeat(1000), "public_key": BASE64_STANDARD.encode(&key.pk[..]),
    });
    let request = server
        .http
        .post(format!("{}/api/agents/register", server.url));
    Ok(request.json(&agent).send().await?)
}
