//! Servers as processes of their own.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use bench::load::signed;
use e2e::{Database, replace_variable, variables};
use ed25519_compact::KeyPair;
use host::{Application, ApplicationOptions, Host, Limits, Options};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A server that ends with this value.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start until it listened.
    pub ready: Duration,
    child: Child,
}

impl Server {
    /// Our host with a manifest.
    pub async fn host(manifest: &Path, database: &Database, options: &[&str]) -> Result<Self> {
        let mut arguments = vec![
            "serve-host".to_owned(),
            manifest.to_string_lossy().into_owned(),
            database.admin.to_string(),
        ];
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        Self::start(&arguments).await
    }

    /// The native twin.
    pub async fn native(database: &Database) -> Result<Self> {
        Self::start(&["serve-native".to_owned(), database.admin.to_string()]).await
    }

    async fn start(arguments: &[String]) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("stdout")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        Ok(Self {
            address: line.context("the server did not start")?.parse()?,
            ready: started.elapsed(),
            child,
        })
    }

    /// Resident memory in MB.
    pub fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!(
            "/proc/{}/status",
            self.child.id().context("ended")?
        ))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: u64 = line
            .and_then(|l| l.split_whitespace().next())
            .context("VmRSS")?
            .parse()?;
        Ok(kilobytes / 1000)
    }

    /// Registers the agent if it is not known, and signs in.
    pub async fn sign_in(&self, pair: &KeyPair) -> Result<String> {
        let key = BASE64_STANDARD.encode(*pair.pk);
        let http = e2e::http().build()?;
        let post = async |path: &str, body: Value| -> Result<Value> {
            let request = http
                .post(format!("http://{}{path}", self.address))
                .json(&body);
            Ok(request.send().await?.json().await?)
        };
        post(
            "/api/agents/register",
            json!({ "name": "bench", "public_key": key }),
        )
        .await?;
        let given = post("/api/agents/challenge", json!({ "public_key": key })).await?;
        let challenge = given["challenge"].as_str().context("challenge")?;
        let tokens = post("/api/agents/authenticate", signed(pair, challenge)).await?;
        Ok(tokens["access_token"]
            .as_str()
            .context("access_token")?
            .to_owned())
    }
}

/// Runs the host until the process is killed: manifest, database, options.
pub async fn serve_host(arguments: &[String]) -> Result<()> {
    let database = arguments[1].parse()?;
    let mut limits = Limits::default();
    if arguments
        .iter()
        .any(|argument| argument == "--instance-reuse=1")
    {
        limits.instance_reuse = 1;
    }
    let state = tempfile::tempdir()?;
    let mut told = variables(&database, "http://bench", "http://bench", "http://bench")?;
    // The limits count, and let everything through.
    let unlimited = "strict=10000000,standard=10000000";
    replace_variable(&mut told, "rate_limits", unlimited)?;
    let application = Application::new(ApplicationOptions {
        limits,
        ..e2e::application_options(arguments[0].as_ref(), state.path(), told)?
    });
    let options = Options {
        listen: "127.0.0.1:0".parse()?,
        metrics_listen: None,
        public_metrics: true,
        workers: None,
        native: host::NativeRoutes::default(),
    };
    let application = application.await?;
    let host = Host::start(&application, options).await?;
    println!("{}", host.address());
    std::future::pending().await
}
