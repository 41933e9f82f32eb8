//! `kill -9` of the server, the way out and the database under a hundred streams: afterwards all sums agree, and nothing
//! stays set aside.

use anyhow::{Context, Result, bail, ensure};
use e2e::{
    Database, Server,
    agents::Agent,
    build_components,
    client::Client,
    manifest, master_key,
    models::{Models, Piece, Say},
    process::Process,
    root,
};
use futures::{StreamExt, stream};
use gather::postgres::Cluster;
use reqwest::Response;
use serde_json::{Value, json};
use std::{
    fs::Permissions,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

use super::world::chat;
use crate::functions::vault::{canary::encodings, world::CANARY};

/// The streams that are open when something is killed.
const STREAMS: usize = 100;
/// The streams that begin at once.
const BEGINNING: usize = 10;
const HALF: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hal\"}}]}\n\n";

/// A platform of processes over a PostgreSQL of its own.
struct Platform {
    server: Server,
    models: Models,
    listen: String,
    egress_listen: String,
    folder: TempDir,
    cluster: Option<Cluster>,
    serving: Option<Process>,
    egress: Option<Process>,
}

fn free() -> Result<SocketAddr> {
    let port = gather::port::free(gather::port::TESTS)?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// The cluster of a folder, which is started again if it was killed.
async fn cluster(folder: &Path) -> Result<Cluster> {
    let state = folder.join("database");
    tokio::task::spawn_blocking(move || Cluster::open(&state)).await?
}

impl Platform {
    async fn start() -> Result<Self> {
        tokio::task::spawn_blocking(build_components).await??;
        let models =
            Models::start(|_, _| Say::Stream(vec![Piece::text(HALF), Piece::Hold])).await?;
        let folder = tempfile::tempdir()?;
        // PostgreSQL runs as another user where this is root.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let state = folder.path().join("state");
        e2e::share_compiled(&state)?;
        let cluster = cluster(folder.path()).await?;
        let database = Database {
            admin: cluster.url("gather"),
        };
        gather::migrate::run(&database.admin, &manifest()?, &master_key()).await?;
        let (listen, egress_listen) = (free()?.to_string(), free()?.to_string());
        let mut platform = Self {
            server: Server::elsewhere(&format!("http://{listen}"), database)?,
            models,
            listen,
            egress_listen,
            folder,
            cluster: Some(cluster),
            serving: None,
            egress: None,
        };
        platform.serve().await?;
        platform.let_out().await?;
        Ok(platform)
    }

    fn process(&self, command: &str, arguments: &[&str]) -> Result<Process> {
        let manifest = root().join("spin.toml");
        Process::start(
            command,
            &self.server.database,
            &manifest,
            self.folder.path(),
            arguments,
        )
    }

    async fn serve(&mut self) -> Result<()> {
        let egress = format!("http://{}", self.egress_listen);
        let arguments = ["--listen", &self.listen, "--egress-url", &egress];
        self.serving = Some(self.process("serve", &arguments)?);
        self.until_it_answers(&format!("{}/health/ready", self.server.url))
            .await
    }

    async fn let_out(&mut self) -> Result<()> {
        let origin = self.models.origin().to_owned();
        let arguments = [
            "--egress-listen",
            &self.egress_listen,
            "--egress-hosts",
            &origin,
        ];
        self.egress = Some(self.process("egress", &arguments)?);
        self.until_it_answers(&format!("http://{}/health", self.egress_listen))
            .await
    }

    async fn until_it_answers(&self, url: &str) -> Result<()> {
        let begin = Instant::now();
        loop {
            let answer = self.server.http.get(url).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            ensure!(
                begin.elapsed() < Duration::from_secs(240),
                "{url} is not there"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Opens the streams, each of which has said something.
    async fn streams(&self, ada: &Client) -> Result<Vec<Response>> {
        let begun = stream::iter(0..STREAMS).map(|_| async {
            let request = ada.request(&self.server, "POST", "/v1/chat/completions");
            let mut response = request.json(&chat("open/m", true)).send().await?;
            ensure!(response.status() == 200, "{}", response.text().await?);
            response.chunk().await?;
            anyhow::Ok(response)
        });
        let begun: Vec<_> = begun.buffer_unordered(BEGINNING).collect().await;
        begun.into_iter().collect()
    }

    /// Waits until no call is under way, or lets the leases lapse of those that nobody ends. Then all sums have to agree.
    async fn settled(&self, calls: usize) -> Result<()> {
        let mut database = self.server.database.connect().await?;
        let beyond: i64 = sqlx::query_scalar(
            "select count(*) from llm.call where status = 'running' and lease > now() + interval '30 seconds'",
        )
        .fetch_one(&mut database)
        .await?;
        assert_eq!(beyond, 0, "no lease lasts longer");
        let begin = Instant::now();
        loop {
            // A lease that somebody still renews would be in the future again.
            sqlx::query("update llm.call set lease = lease - interval '30 seconds' where status = 'running'")
                .execute(&mut database)
                .await?;
            let audit: Value = sqlx::query_scalar("select llm.audit()")
                .fetch_one(&mut database)
                .await?;
            assert_eq!(audit["differences"], json!([]));
            if audit["running"] == 0 {
                assert_eq!(audit["calls"], calls);
                break;
            }
            if begin.elapsed() > Duration::from_secs(60) {
                bail!("calls stay under way: {audit}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let left: i64 =
            sqlx::query_scalar("select coalesce(sum(reserved_microusd), 0)::bigint from llm.call")
                .fetch_one(&mut database)
                .await?;
        assert_eq!(left, 0, "nothing stays set aside");
        Ok(())
    }

    /// Whether a call can begin.
    async fn answers(&self, ada: &Client) -> Result<u16> {
        let request = ada.request(&self.server, "POST", "/v1/chat/completions");
        let response = request.json(&chat("open/m", true)).send().await?;
        Ok(response.status().as_u16())
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        (self.serving, self.egress) = (None, None);
        if let Some(cluster) = self.cluster.take() {
            // An error means that the server is gone.
            _ = cluster.close();
        }
    }
}

async fn priced(platform: &Platform) -> Result<Agent> {
    let server = &platform.server;
    let ada = Agent::sign_in(server, "ada", 1).await?;
    let admin = ada.with_scope(&server.database, "admin:all").await?;
    let limits = format!("/api/llm/limits/account:{}", ada.id);
    for (agent, method, path, body) in [
        (
            &ada,
            "POST",
            "/api/vault/secrets",
            json!({"name": "key", "kind": "provider", "value": CANARY}),
        ),
        (
            &ada,
            "POST",
            "/api/llm/providers",
            json!({"name": "open", "protocol": "openai", "url": platform.models.url, "secret": "vault:key"}),
        ),
        (
            &ada,
            "PUT",
            "/api/llm/prices",
            json!({"provider": "open", "model": "*", "input_microusd": 1_000_000, "output_microusd": 1_000_000}),
        ),
        (
            &admin,
            "PUT",
            limits.as_str(),
            json!({"limits": [{"period": "total", "limit_microusd": 1_000_000_000}]}),
        ),
    ] {
        let (status, answer) = agent.send(server, method, path, &body).await?;
        ensure!(status < 300, "{path}: {status} {answer}");
    }
    Ok(ada)
}

#[tokio::test]
async fn sums_agree_after_server_egress_and_database_were_killed() -> Result<()> {
    let mut platform = Platform::start().await?;
    let ada = priced(&platform).await?;

    let streams = platform.streams(&ada).await?;
    platform
        .serving
        .as_ref()
        .context("a server")?
        .signal("KILL")?;
    drop(streams);
    platform.models.until_hung_up(STREAMS).await?;
    platform.settled(STREAMS).await?;
    platform.serve().await?;

    let streams = platform.streams(&ada).await?;
    platform
        .egress
        .as_ref()
        .context("the way out")?
        .signal("KILL")?;
    // Who reads is told, and its call has ended by then.
    for response in streams {
        let text = response.text().await?;
        ensure!(
            text.contains("\"error\"") && !text.contains("[DONE]"),
            "{text}"
        );
    }
    assert_eq!(platform.answers(&ada).await?, 503);
    platform.settled(2 * STREAMS + 1).await?;
    platform.let_out().await?;

    let streams = platform.streams(&ada).await?;
    let cluster = platform.cluster.take().context("a database")?;
    let (pid, url) = (cluster.pid(), cluster.url("gather"));
    kill(pid)?;
    drop(cluster);
    drop(streams);
    platform.models.until_hung_up(3 * STREAMS).await?;
    let again = self::cluster(platform.folder.path()).await?;
    assert_eq!(again.url("gather"), url, "it listens where it did");
    platform.cluster = Some(again);
    platform.settled(3 * STREAMS + 1).await?;
    // It serves on by itself.
    let begin = Instant::now();
    while platform.answers(&ada).await? != 200 {
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "it does not serve again"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The key was used for each stream, and stands in no log and in no file, those of the database among them.
    let asked = platform.models.asked();
    let key = format!("Bearer {CANARY}");
    assert!(
        asked
            .iter()
            .all(|asked| asked.headers["authorization"] == key.as_str())
    );
    nowhere(platform.folder.path())
}

/// Checks that no file below a folder has the key, however it is written.
fn nowhere(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        match entry.file_type()? {
            kind if kind.is_dir() => nowhere(&path)?,
            kind if kind.is_file() => {
                let text = std::fs::read(&path)?;
                let text = String::from_utf8_lossy(&text);
                for encoding in encodings() {
                    ensure!(
                        !text.contains(&encoding),
                        "{encoding} in {}",
                        path.display()
                    );
                }
            }
            // Links lead to what other tests share.
            _ => {}
        }
    }
    Ok(())
}

/// Kills a process that this test has started.
fn kill(pid: i32) -> Result<()> {
    let killed = std::process::Command::new("kill")
        .args(["-s", "KILL", &pid.to_string()])
        .status()?;
    ensure!(killed.success(), "kill {pid}");
    Ok(())
}
