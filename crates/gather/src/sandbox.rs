//! The sandbox: within `gather up`, or as a process of its own, `gather sandbox`.

use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;
use sandbox::{
    CallerGrant, Options, Runner, Storage, Work,
    service::{Service, ServiceOptions},
};
use sqlx::postgres::PgPoolOptions;
use url::Url;

use crate::{
    announcement::Kind,
    manifest::{Manifest, SANDBOX_ROLE},
    secrets::{self, MasterKey},
};

/// Connections of a sandbox to the database.
const CONNECTIONS: u32 = 8;
/// The longest wait for a connection, less than a skill's default deadline, for which the skill would be blamed.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);

/// The file and the default address by which a sandbox is found.
pub const KIND: Kind = Kind {
    file: "sandbox.address",
    usual_url: "http://127.0.0.1:3002",
};

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
        let key = secrets::service_key(options.key, "sandbox", name);
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
