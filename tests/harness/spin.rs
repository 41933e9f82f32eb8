//! Real Spin in front of a test's database, where `GATHER_TESTS_SPIN` names its program: `spin`, or one that takes
//! what `spin up` takes. `docs/spin.md` says what differs there.

use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fs::{File, create_dir_all, read_to_string},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child, Command};

/// How long Spin may take to compile the functions and to listen.
const STARTS_WITHIN: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// Spin's program, if the tests are to run through it.
#[must_use]
pub fn program() -> Option<PathBuf> {
    std::env::var_os("GATHER_TESTS_SPIN").map(PathBuf::from)
}

/// Why a test can't run through Spin. Each has its section in `docs/spin.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The test is about a limit that our host enforces.
    Limits,
    /// The test is about our host's own endpoints, logs or shutdown.
    Operation,
    /// The test is about a malformed request, which Spin's server answers itself.
    Malformed,
}

impl Difference {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Limits, Self::Operation, Self::Malformed];

    /// The heading of its section in `docs/spin.md`.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Limits => "No limits of the host",
            Self::Operation => "Nothing of the host's own",
            Self::Malformed => "Malformed requests",
        }
    }

    /// Whether Spin is in front, so that a test of this must not run.
    #[must_use]
    pub fn shows(self) -> bool {
        let shows = program().is_some();
        if shows {
            println!("not through Spin: {}", self.heading());
        }
        shows
    }
}

/// A running Spin. It ends when this is dropped.
pub struct Spin {
    _child: Child,
}

impl Spin {
    /// Serves a manifest, and waits until the functions answer.
    ///
    /// # Errors
    /// It ends, or does not answer in time.
    pub async fn start(
        program: &Path,
        manifest: &Path,
        listen: SocketAddr,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let folder = crate::root().join("target/spin");
        create_dir_all(&folder)?;
        let log = folder.join(format!("{}.log", listen.port()));
        let output = File::create(&log)?;
        let variables = variables
            .iter()
            .map(|(name, value)| (format!("SPIN_VARIABLE_{}", name.to_uppercase()), value));
        let is_spins_own = program.file_name().is_some_and(|name| name == "spin");
        let mut child = Command::new(program)
            .args(is_spins_own.then_some("up"))
            .arg("--from")
            .arg(manifest)
            .args(["--listen", &listen.to_string()])
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("GATHER_TESTS_SPIN: {}", program.display()))?;
        let client = crate::http().build()?;
        let alive = format!("http://{listen}/health/live");
        let began = tokio::time::Instant::now();
        while began.elapsed() < STARTS_WITHIN {
            if let Some(status) = child.try_wait()? {
                let said = read_to_string(&log).unwrap_or_default();
                bail!("Spin ended with {status}: {said}");
            }
            if client.get(&alive).send().await.is_ok() {
                return Ok(Self { _child: child });
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("Spin does not answer; its log is {}", log.display());
    }
}
