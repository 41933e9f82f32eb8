//! Processes of the `gather` command, for the tests that kill them.

use crate::Database;
use anyhow::{Context, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// A process of the command, which is killed with this value.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command, such as `worker`, over a database. Its log and its state are in a folder.
    ///
    /// # Errors
    /// The command is not there.
    pub fn start(
        command: &str,
        database: &Database,
        manifest: &Path,
        folder: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let log = folder.join(format!("{}.log", Uuid::now_v7()));
        let state = folder.join("state");
        crate::share_compiled(&state)?;
        let child = Command::new(crate::command()?)
            .arg(command)
            .args(arguments)
            .env("DATABASE_URL", database.admin.as_str())
            .env("GATHER_MASTER_KEY", crate::MASTER_KEY)
            .env("GATHER_MANIFEST", manifest)
            .env("GATHER_STATE_DIR", &state)
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .context("gather-for-tests, which is built with the tests")?;
        Ok(Self { child, log })
    }

    /// Sends a signal, such as `KILL` or `TERM`.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status()?;
        if !sent.success() {
            bail!("kill -s {name} {id}: {sent}");
        }
        Ok(())
    }

    /// What it has logged so far.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Waits until its log has a text.
    ///
    /// # Errors
    /// The text is not there within the limit.
    pub async fn says(&self, text: &str, limit: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let log = std::fs::read_to_string(&self.log)?;
            if log.contains(text) {
                return Ok(());
            }
            if started.elapsed() > limit {
                bail!("no {text:?} within {limit:?}: {log}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end within the limit.
    pub async fn ended(&mut self, limit: Duration) -> Result<std::process::ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > limit {
                bail!("still there after {limit:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
