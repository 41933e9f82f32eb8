//! The sandbox: within `gather up`, or as a process of its own, `gather sandbox`.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use sandbox::{
    CallerGrant, Options, Runner, Storage, Work,
    service::{Service, ServiceOptions},
};
use sqlx::postgres::PgPoolOptions;
use url::Url;

use crate::{
    manifest::{Manifest, SANDBOX_ROLE},
    secrets::{self, MasterKey},
};

/// Connections of a sandbox to the database.
const CONNECTIONS: u32 = 8;
/// How long a call waits for one: less than the time that a skill has by default, which it would be blamed for.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// In the state folder: the address of the sandbox within `gather up`.
const ADDRESS_FILE: &str = "sandbox.address";
/// How long a sandbox of this machine may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Where `gather sandbox` listens, unless it is told otherwise.
const USUAL_URL: &str = "http://127.0.0.1:3002";

/// What a sandbox is started with.
pub struct Start<'a> {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Says which components may ask it, and for what.
    pub manifest: &'a Manifest,
    /// The database, as its administrator.
    pub database: &'a Url,
    /// What its secrets are derived from.
    pub key: &'a MasterKey,
    /// Folder for compiled components.
    pub cache_dir: PathBuf,
    /// The command that compiles; `inspect` or `compile` is added.
    pub child: Vec<OsString>,
    /// The platform's address, which receipts name.
    pub server: String,
    /// An object store for components; none: the database.
    pub components: Option<&'a Url>,
    /// Calls at the same time; none: what suits the machine.
    pub calls: Option<usize>,
    /// Hosts that skills may be granted though their addresses be private.
    pub trusted_hosts: BTreeMap<String, SocketAddr>,
}

/// Starts a sandbox.
pub async fn start(options: Start<'_>) -> Result<Service> {
    let mut runner = runner_options(options.cache_dir, options.key, options.child)?;
    runner.trusted_hosts = options.trusted_hosts;
    if let Some(calls) = options.calls {
        runner.bounds.calls = calls;
        runner.bounds.calls_of_one = calls.div_ceil(2);
    }
    let url = secrets::role_url(options.database, options.key, SANDBOX_ROLE)?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(CONNECTION_TIMEOUT)
        // The database may come later.
        .connect_lazy(url.as_str())
        .context("the database's address")?;
    let callers = options.manifest.sandbox_callers().map(|(name, rights)| {
        let key = secrets::sandbox_key(options.key, name);
        let rights = rights.clone();
        (name.to_owned(), CallerGrant { key, rights })
    });
    Service::start(ServiceOptions {
        listen: options.listen,
        runner: Runner::new(runner)?,
        storage: Storage::new(pool.clone(), options.components, std::env::vars())?,
        pool,
        callers: callers.collect(),
        signing_secret: options.key.derive_bytes("attestation"),
        server: options.server,
    })
    .await
}

/// Tells the commands that share a state folder where the sandbox within `gather up` listens, until it is dropped.
pub struct Announcement {
    file: PathBuf,
    address: String,
}

impl Announcement {
    /// Writes the address down.
    pub fn make(state: &Path, address: SocketAddr) -> Result<Self> {
        let (file, address) = (state.join(ADDRESS_FILE), address.to_string());
        fs::write(&file, &address).with_context(|| format!("can't write {}", file.display()))?;
        Ok(Self { file, address })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Another `gather up` over the same folder may have written its own.
        if fs::read_to_string(&self.file).is_ok_and(|address| address == self.address) {
            // One that stays behind names nobody who answers.
            _ = fs::remove_file(&self.file);
        }
    }
}

/// Where the functions reach the sandbox: as configured, or within the `gather up` that runs over the same state folder,
/// or where `gather sandbox` usually is.
pub fn url(configured: Option<&str>, state: &Path) -> String {
    let configured = configured.map(str::to_owned);
    let found = configured.or_else(|| Some(format!("http://{}", announced(state)?)));
    found.unwrap_or_else(|| USUAL_URL.to_owned())
}

fn announced(state: &Path) -> Option<SocketAddr> {
    let address = fs::read_to_string(state.join(ADDRESS_FILE)).ok()?;
    let address = address.parse().ok()?;
    TcpStream::connect_timeout(&address, ANSWERS_WITHIN).ok()?;
    Some(address)
}

/// How to run skills on this machine, sealed with this key.
pub fn runner_options(
    cache_dir: PathBuf,
    key: &MasterKey,
    child: Vec<OsString>,
) -> Result<Options> {
    Ok(Options::new(
        cache_dir,
        key.derive_bytes("compiled-skills"),
        child,
    ))
}

/// The command that compiles: this very program.
pub fn own_child() -> Result<Vec<OsString>> {
    let program = std::env::current_exe().context("this program's own path")?;
    Ok(vec![program.into_os_string(), "sandbox-child".into()])
}

/// What the compiling process is asked for, on its command line.
#[derive(ValueEnum, Debug, Clone, Copy)]
pub enum ChildWork {
    /// What a component offers and is made of.
    Inspect,
    /// Native code.
    Compile,
}

/// The compiling process. Ends the process where the component is refused.
pub fn child(work: ChildWork) -> Result<()> {
    let status = sandbox::child(match work {
        ChildWork::Inspect => Work::Inspect,
        ChildWork::Compile => Work::Compile,
    })?;
    if status != 0 {
        std::process::exit(status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_address_is_told_while_somebody_answers_there() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(announced(state.path()), None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let first = Announcement::make(state.path(), address).unwrap();
        assert_eq!(announced(state.path()), Some(address));
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let second = Announcement::make(state.path(), other.local_addr().unwrap()).unwrap();
        drop(first);
        assert_eq!(announced(state.path()), other.local_addr().ok());
        drop(other);
        assert_eq!(announced(state.path()), None, "nobody answers");
        drop(second);
        assert!(!state.path().join(ADDRESS_FILE).exists());
    }
}
