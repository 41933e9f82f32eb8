//! The tests' harness: the real host in this process, on its own port, over its own real PostgreSQL database, serving
//! the real components.

pub mod agents;
pub mod browser;
pub mod chromium;
pub mod client;
mod components;
mod database;
pub mod edge;
pub mod errands;
pub mod libraries;
pub mod mailbox;
pub mod meanings;
pub mod models;
pub mod people;
pub mod process;
pub mod publishing;
pub mod receiver;
pub mod sandboxes;
mod server;
mod services;
pub mod sockets;
pub mod spin;

pub use components::{build_components, build_for_release, component_file};
pub use database::{Database, Held};
pub use server::{Server, WORKERS};

use anyhow::{Context, Result};
use gather::{
    health::Disk,
    manifest::Manifest,
    secrets::{self, MasterKey, Platform},
};
use host::{Application, ApplicationOptions, Limits};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use url::Url;

/// The master key, always the same, so that the roles' passwords fit every test's database.
pub const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Locked by tests that need the whole machine, to build with a language's own tools, or because something must happen
/// within a time. Other tests run beside them.
pub static MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The repository's folder.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
}

/// The key that the tests' secrets are derived from.
///
/// # Panics
/// Never: the key is a constant.
#[must_use]
pub fn master_key() -> MasterKey {
    MasterKey::parse(MASTER_KEY).expect("a valid key")
}

/// The manifest as the `gather` command sees it.
///
/// # Errors
/// The manifest can't be read.
pub fn manifest() -> Result<Manifest> {
    Manifest::load(&root().join("spin.toml"))
}

/// The components' variables for a database, the platform's URL, the sandbox's and the way out's.
///
/// # Errors
/// The manifest can't be read.
pub fn variables(
    database: &Url,
    url: &str,
    sandbox_url: &str,
    egress_url: &str,
) -> Result<BTreeMap<String, String>> {
    let platform = Platform {
        public_url: url,
        sandbox_url,
        egress_url,
        provisioner_url: gather::provisioner::KIND.usual_url,
        internal_url: url,
        cors_origins: "",
        // A test's client is trusted to name its address, so that each can have its own.
        trusted_proxies: "127.0.0.1",
        rate_limits: "",
    };
    secrets::function_variables(&manifest()?, database, &master_key(), platform)
}

/// The platform's limits, with fewer requests at a time. Each place reserves addresses, of which one process with the
/// servers of several tests has too few; further requests wait for a place.
#[must_use]
pub fn limits() -> Limits {
    Limits {
        concurrency: 16,
        places: 384,
        ..Limits::default()
    }
}

/// Lets a state folder have what other tests have compiled, and makes it if it is not there.
///
/// # Errors
/// It can't be made.
pub fn share_compiled(state: &Path) -> Result<()> {
    let compiled = root().join("target/compiled");
    std::fs::create_dir_all(&compiled)?;
    std::fs::create_dir_all(state)?;
    match std::os::unix::fs::symlink(compiled, state.join("compiled")) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// What an application of a manifest's file is made of, with the usual limits.
///
/// # Errors
/// The manifest can't be read.
pub fn application_options(
    manifest: &Path,
    state: &Path,
    variables: BTreeMap<String, String>,
) -> Result<ApplicationOptions> {
    Ok(ApplicationOptions {
        manifest: Arc::new(host::Manifest::load(manifest)?),
        variables,
        state_dir: state.to_owned(),
        cache_dir: root().join("target/compiled"),
        key_value_url: None,
        limits: limits(),
    })
}

/// The application of a manifest's file, with the usual limits.
///
/// # Errors
/// It can't be made.
pub async fn application(
    manifest: &Path,
    state: &Path,
    variables: BTreeMap<String, String>,
) -> Result<Arc<Application>> {
    Application::new(application_options(manifest, state, variables)?).await
}

/// Replaces a variable. Those of the platform are members of the variable `platform`.
///
/// # Errors
/// The variable `platform` is not JSON.
pub fn replace_variable(
    variables: &mut BTreeMap<String, String>,
    name: &str,
    value: &str,
) -> Result<()> {
    let mut platform: serde_json::Value = serde_json::from_str(&variables["platform"])?;
    let member = platform.get_mut(name);
    let is_member = member.is_some();
    if let Some(member) = member {
        *member = value.into();
        variables.insert("platform".to_owned(), platform.to_string());
    }
    if !is_member || variables.contains_key(name) {
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

/// An HTTP client for this machine's addresses.
pub fn http() -> reqwest::ClientBuilder {
    // reqwest requires a cryptographic library even for plain HTTP. This fails if one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

/// The `gather` command that is built with the tests.
///
/// # Errors
/// The path of this program is unknown.
pub fn command() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(Path::parent);
    Ok(folder.context("target")?.join("gather-for-tests"))
}

/// The command that compiles skills.
///
/// # Errors
/// The path of this program is unknown.
pub fn sandbox_child() -> Result<Vec<OsString>> {
    Ok(vec![command()?.into_os_string(), "sandbox-child".into()])
}

/// A temporary folder, in memory where the machine has room for it there, so that no test waits for a disk.
fn scratch() -> std::io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if Disk::of(memory).is_ok_and(|disk| disk.free_bytes > 1 << 30) {
        return tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    }
    tempfile::tempdir()
}

/// A port of this machine that nobody uses at the moment.
///
/// # Errors
/// There is none.
pub fn free_address() -> Result<SocketAddr> {
    let port = gather::port::free(gather::port::TESTS)?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}
