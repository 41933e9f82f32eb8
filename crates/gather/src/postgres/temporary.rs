//! Temporary clusters for tests, which are as fast as PostgreSQL can be and end with the process that made them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use sqlx::{AssertSqlSafe, PgConnection};
use tempfile::TempDir;

use super::{
    Account, Binaries, Cluster, Kind, PASSWORD_FILE, Programs, initialise, lock,
    server::{Launch, Server},
};
use crate::home;

const PREFIX: &str = "gather-test-";

const SETTINGS: &[&str] = &[
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=64MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "max_wal_size=4GB",
    "checkpoint_timeout=1h",
];

/// The files of a temporary cluster, locked while its process lives, so that others can tell abandoned ones.
pub(super) struct Folder {
    _files: TempDir,
    _alive: File,
}

impl Cluster {
    /// Makes a cluster for tests. It keeps nothing, and ends with this process even if that is killed.
    pub fn temporary() -> Result<Self> {
        sweep();
        let account = Account::choose()?;
        let binaries = Programs::of_any(&shelf(&account)?)?.provide()?;
        let version = binaries.version().to_owned();
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir()
            .context("can't make a temporary folder")?;
        let alive = lock(folder.path(), "alive", true)?;
        account.own(folder.path())?;
        let data = folder.path().join("postgres");
        initialise(
            &binaries,
            &account,
            &data,
            &["--no-sync", "--wal-segsize=1"],
        )?;
        let password = fs::read_to_string(data.join(PASSWORD_FILE))?;
        let server = start_for_process(binaries, account, data.clone())?;
        Ok(Self {
            server,
            password,
            version,
            data,
            kind: Kind::Temporary {
                _folder: Folder {
                    _files: folder,
                    _alive: alive,
                },
            },
        })
    }
}

/// The folder of fetched PostgreSQL builds for all tests on this machine. Other users can't enter root's
/// own folders.
fn shelf(account: &Account) -> Result<PathBuf> {
    if account.is_other() {
        return Ok(PathBuf::from("/var/cache/gather"));
    }
    let cache = home::folder("XDG_CACHE_HOME", ".cache").context("HOME is not set")?;
    Ok(cache.join("gather"))
}

/// Starts the server from a thread that lives as long as the process, since the kernel ends it with the *thread* that
/// started it.
fn start_for_process(binaries: Binaries, account: Account, data: PathBuf) -> Result<Server> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("postgres".into())
        .spawn(move || {
            let log = data.with_extension("log");
            let launch = Launch {
                binaries: &binaries,
                account: &account,
                data: &data,
                log: &log,
                settings: SETTINGS,
                dies_with_thread: true,
            };
            let _ = sender.send(launch.start(None));
            loop {
                thread::park();
            }
        })?;
    receiver
        .recv()
        .map_err(|_| anyhow!("the thread that starts PostgreSQL panicked"))?
}

/// Removes the files that killed processes left. Their servers are dead.
fn sweep() {
    let folders = fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten();
    for entry in folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let _ = remove_if_dead(&entry.path());
    }
}

fn remove_if_dead(folder: &Path) -> Result<()> {
    let alive = File::open(folder.join("alive"))?;
    // The young ones may not be locked yet.
    if alive.metadata()?.modified()?.elapsed()? < Duration::from_secs(60) {
        return Ok(());
    }
    alive.try_lock()?;
    if Server::running(&folder.join("postgres")).is_none() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// Makes the database `name` as a copy of `template`, which must not have connections.
pub async fn create_database_from_template(
    admin: &mut PgConnection,
    template: &str,
    name: &str,
) -> Result<()> {
    let quote = |name: &str| name.replace('"', "\"\"");
    let statement = format!(
        "create database \"{}\" template \"{}\" strategy file_copy",
        quote(name),
        quote(template)
    );
    sqlx::query(AssertSqlSafe(statement))
        .execute(admin)
        .await
        .with_context(|| format!("can't copy the database {template}"))?;
    Ok(())
}
