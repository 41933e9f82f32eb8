//! The provisioner of `gather up`: a process of its own, since it alone touches a container runtime.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    announcement::Kind,
    secrets::{self, MasterKey},
};

/// Where the provisioner is found.
pub const KIND: Kind = Kind {
    file: "provisioner.address",
    usual_url: "http://127.0.0.1:8091",
};

/// The time that the process has to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
/// The pause before a process that ended is started again.
const PAUSE: Duration = Duration::from_secs(1);
/// The variables that the process inherits: nothing with a secret.
const INHERITED: [&str; 6] = [
    "PATH",
    "HOME",
    "RUST_LOG",
    "GATHER_LOG_FORMAT",
    "LANG",
    "TZ",
];

/// What a provisioner is started with.
pub struct Start<'a> {
    /// The `gather` command.
    pub program: PathBuf,
    /// The key that the component's key is derived from, which the process does not get.
    pub key: &'a MasterKey,
    /// The socket of the container runtime.
    pub socket: PathBuf,
    /// Where containers reach the platform.
    pub public_url: String,
}

/// A provisioner that is started again when it ends, until this value is dropped.
pub struct Provisioner {
    address: SocketAddr,
    keeping: JoinHandle<()>,
}

/// The key of the component that may ask.
pub fn service_key(key: &MasterKey) -> String {
    secrets::service_key(key, "provisioner", provisioner::service::CALLER)
}

impl Provisioner {
    /// Starts the process.
    ///
    /// # Errors
    /// It does not listen.
    pub async fn start(options: Start<'_>) -> Result<Self> {
        let how = How {
            program: options.program,
            key: service_key(options.key),
            socket: options.socket,
            public_url: options.public_url,
        };
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = how.run(any_port).await?;
        let address = running.address;
        let keeping = tokio::spawn(how.keep(running));
        Ok(Self { address, keeping })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Provisioner {
    fn drop(&mut self) {
        // The process ends with its standard input.
        self.keeping.abort();
    }
}

struct How {
    program: PathBuf,
    key: String,
    socket: PathBuf,
    public_url: String,
}

/// A process that listens.
struct Running {
    child: Child,
    address: SocketAddr,
    /// The process ends when this is dropped.
    _input: ChildStdin,
}

impl How {
    async fn run(&self, listen: SocketAddr) -> Result<Running> {
        let inherited = INHERITED.iter();
        let inherited = inherited.filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(&self.program)
            .args(["provisioner", "--child"])
            .env_clear()
            .envs(inherited)
            .env("GATHER_PROVISIONER_LISTEN", listen.to_string())
            .env("GATHER_PROVISIONER_KEY", &self.key)
            .env("GATHER_CONTAINER_SOCKET", &self.socket)
            .env("GATHER_PUBLIC_URL", &self.public_url)
            // Ctrl-C in a terminal is meant for this process, which ends the other one last.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the provisioner can't be started")?;
        let input = child.stdin.take().context("its input")?;
        let output = child.stdout.take().context("its output")?;
        let mut lines = BufReader::new(output).lines();
        let Ok(line) = timeout(LISTENS_WITHIN, lines.next_line()).await else {
            bail!("the provisioner does not listen within {LISTENS_WITHIN:?}");
        };
        let line = line?.context("the provisioner ended; its log says why")?;
        Ok(Running {
            child,
            address: line.parse().context("the provisioner's address")?,
            _input: input,
        })
    }

    async fn keep(self, mut running: Running) {
        let address = running.address;
        loop {
            match running.child.wait().await {
                Ok(status) => {
                    tracing::warn!(%status, "the provisioner ended, and is started again");
                }
                Err(error) => tracing::warn!(%error, "the provisioner can't be waited for"),
            }
            running = loop {
                sleep(PAUSE).await;
                match self.run(address).await {
                    Ok(running) => break running,
                    Err(error) => tracing::warn!("the provisioner is not back: {error:#}"),
                }
            };
        }
    }
}
