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
/// The longest wait for a connection, less than a skill's default deadline, for which the skill would be blamed.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// The name of the file in the state folder with the address of the sandbox within `gather up`.
const ADDRESS_FILE: &str = "sandbox.address";
/// The time that a sandbox of this machine has to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// The default address of `gather sandbox`.
const USUAL_URL: &str = "http://127.0.0.1:3002";

/// The options of a sandbox.
pub struct Start<'a> {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The manifest, which names the components that may use the sandbox, and their rights.
    pub manifest: &'a Manifest,
    /// The address of the database, as its administrator.
    pub database: &'a Url,
    /// The key that the secrets are derived from.
    pub key: &'a MasterKey,
    /// The folder for compiled components.
    pub cache_dir: PathBuf,
    /// The command that compiles, to which `inspect` or `compile` is added.
    pub child: Vec<OsString>,
    /// The platform's address, which receipts name.
    pub server: String,
    /// The object store for components; `None` is the database.
    pub components: Option<&'a Url>,
    /// The number of calls at the same time; `None` chooses by the machine.
    pub calls: Option<usize>,
    /// The hosts that skills may be granted although their addresses are private.
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
    /// Writes the address to the state folder.
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

/// The URL by which functions reach the sandbox: the configured one, or that of the `gather up` over the same state
/// folder, or the default of `gather sandbox`.
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

/// The options for running skills on this machine, with compiled code sealed by a key.
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

/// The command that compiles, which is this program itself.
pub fn own_child() -> Result<Vec<OsString>> {
    let program = std::env::current_exe().context("this program's own path")?;
    Ok(vec![program.into_os_string(), "sandbox-child".into()])
}

/// The work of the compiling process, on its command line.
#[derive(ValueEnum, Debug, Clone, Copy)]
pub enum ChildWork {
    /// The process inspects the component.
    Inspect,
    /// The process compiles the component to native code.
    Compile,
}

/// Runs the compiling process, and ends it with an error if the component is refused.
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
