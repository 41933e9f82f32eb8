//! A PostgreSQL for those who have none: a private cluster in the state folder, and temporary clusters for tests.

mod binaries;
mod brought;
mod download;
mod programs;
mod server;
mod temporary;
mod vector;

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use url::Url;

pub use binaries::{Account, Binaries, client_programs};
pub use programs::Programs;
use server::{Launch, Server};
pub use temporary::create_database_from_template;

use crate::secrets;

/// The cluster's administrator, and the platform's database.
pub const ADMIN: &str = "gather";
const PASSWORD_FILE: &str = "gather.password";
const LOG_LIMIT_BYTES: u64 = 16 << 20;

const SETTINGS: &[&str] = &[
    "fsync=on",
    // Spin opens 64 for each of the functions, beside those of our host, worker and sandbox.
    "max_connections=1500",
    "shared_buffers=256MB",
    "password_encryption=scram-sha-256",
    "log_min_messages=warning",
    "log_min_error_statement=error",
    "log_checkpoints=off",
    "log_line_prefix=%m [%p] %q%u@%d ",
    "logging_collector=off",
    "log_destination=stderr",
];

/// A running cluster.
pub struct Cluster {
    server: Server,
    password: String,
    version: String,
    data: PathBuf,
    kind: Kind,
}

enum Kind {
    /// The cluster is kept from run to run. The lock marks it as used; the last user stops it.
    Private { user: File, folder: PathBuf },
    /// The cluster is stopped and its files are removed when it is dropped.
    Temporary { _folder: temporary::Folder },
}

impl Cluster {
    /// Starts the cluster of the state folder `state`, which is made at the first start, or joins it if it is running.
    pub fn open(state: &Path) -> Result<Self> {
        create_state_folder(state)?;
        let _starting = lock(state, "postgres.lock", true)?;
        let user = lock(state, "postgres.users", false)?;
        let account = Account::choose()?;
        let data = place(state, &account)?;
        let binaries = Programs::of(&data)?.provide()?;
        if let Some(shelf) = data.parent().filter(|_| !server::is_used(&data)) {
            vector::sweep(shelf, &binaries);
        }
        if !data.join("PG_VERSION").exists() {
            initialise(&binaries, &account, &data, &[])?;
        }
        let log = state.join("postgres.log");
        rotate(&log);
        let password = fs::read_to_string(data.join(PASSWORD_FILE)).with_context(|| {
            format!("the password of the cluster in {} is lost; restore the file, or remove the folder to start anew", data.display())
        })?;
        let launch = Launch {
            binaries: &binaries,
            account: &account,
            data: &data,
            log: &log,
            settings: SETTINGS,
            dies_with_thread: false,
        };
        let last_port = fs::read_to_string(state.join("postgres.port"))
            .ok()
            .and_then(|port| port.trim().parse().ok());
        let server = launch.start(last_port)?;
        fs::write(state.join("postgres.port"), format!("{}\n", server.port))?;
        Ok(Self {
            server,
            password,
            version: binaries.version().to_owned(),
            data,
            kind: Kind::Private {
                user,
                folder: state.to_owned(),
            },
        })
    }

    /// Fetches what [`Cluster::open`] needs and the machine lacks, which may take a while.
    pub fn prepare(state: &Path) -> Result<()> {
        create_state_folder(state)?;
        let _starting = lock(state, "postgres.lock", true)?;
        let data = place(state, &Account::choose()?)?;
        Programs::of(&data)?.provide().map(|_| ())
    }

    /// The programs that the state folder's cluster runs with, or will run with.
    pub fn programs(state: &Path) -> Result<Programs> {
        Programs::of(&remembered_place(state))
    }

    /// The address of the state folder's cluster, if it is running.
    pub fn running(state: &Path) -> Option<Url> {
        let data = remembered_place(state);
        let server = Server::running(&data)?;
        Some(address(
            server.port,
            &fs::read_to_string(data.join(PASSWORD_FILE)).ok()?,
            ADMIN,
        ))
    }

    /// The address of `database`, as administrator.
    pub fn url(&self, database: &str) -> Url {
        address(self.server.port, &self.password, database)
    }

    /// The folder of the data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The version of the programs that the cluster runs with.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The server's process.
    pub fn pid(&self) -> i32 {
        self.server.pid()
    }

    /// Asks the server to stop, without waiting.
    pub fn request_stop(&self) {
        self.server.request_stop();
    }

    /// Stops the server cleanly, unless another process uses it. Returns whether it was stopped.
    pub fn close(mut self) -> Result<bool> {
        if let Kind::Private { user, folder } = &self.kind {
            let _starting = lock(folder, "postgres.lock", true)?;
            user.unlock()?;
            if user.try_lock().is_err() {
                return Ok(false);
            }
            self.server.stop()?;
        }
        Ok(true)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Kind::Temporary { .. } = self.kind {
            self.server.abort();
        }
    }
}

fn address(port: u16, password: &str, database: &str) -> Url {
    let text = format!(
        "postgres://{ADMIN}:{}@127.0.0.1:{port}/{database}",
        password.trim()
    );
    Url::parse(&text).expect("a generated password and a database's name need no escapes")
}

/// Makes the state folder. It is not wholly private if another user runs PostgreSQL, who has to pass through it.
pub fn create_state_folder(state: &Path) -> Result<()> {
    if state.is_dir() {
        return Ok(());
    }
    let mode = if Account::choose().is_ok_and(|account| account.is_other()) {
        0o711
    } else {
        0o700
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(state)
        .with_context(|| {
            format!(
                "can't make {}; choose another folder with --state-dir",
                state.display()
            )
        })
}

/// Locks a file in `folder`. The lock is held until the file is closed, however the process ends.
fn lock(folder: &Path, name: &str, exclusive: bool) -> Result<File> {
    let path = folder.join(name);
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("can't write {}", path.display()))?;
    if exclusive {
        file.lock()
    } else {
        file.lock_shared()
    }
    .with_context(|| format!("can't lock {}", path.display()))?;
    Ok(file)
}

fn remembered_place(state: &Path) -> PathBuf {
    match fs::read_to_string(state.join("postgres.place")) {
        Ok(place) => PathBuf::from(place.trim()),
        Err(_) => state.join("postgres"),
    }
}

/// The folder of the data: in the state folder, or outside if the user who runs PostgreSQL can't reach it. It is
/// remembered.
fn place(state: &Path, account: &Account) -> Result<PathBuf> {
    let state = fs::canonicalize(state)?;
    let place = remembered_place(&state);
    if place != state.join("postgres") || account.reaches(&state) {
        return Ok(place);
    }
    let name = format!("gather-{}", hex::encode(secrets::random::<8>()));
    for parent in ["/var/lib", "/var/tmp"] {
        let folder = Path::new(parent).join(&name);
        if fs::DirBuilder::new().mode(0o711).create(&folder).is_ok() {
            if account.reaches(&folder) {
                let place = folder.join("postgres");
                fs::write(
                    state.join("postgres.place"),
                    format!("{}\n", place.display()),
                )?;
                return Ok(place);
            }
            fs::remove_dir(&folder)?;
        }
    }
    bail!(
        "PostgreSQL does not run as root, and the user that it runs as gets neither to {} nor to /var/lib or /var/tmp; \
         give --state-dir a folder that others may pass through, or set DATABASE_URL",
        state.display()
    )
}

/// Makes the cluster next to `data` and moves it there when it is complete, so a half-made one is never used.
fn initialise(binaries: &Binaries, account: &Account, data: &Path, options: &[&str]) -> Result<()> {
    let parent = data.parent().context("the data folder has a parent")?;
    let draft = parent.join("postgres.new");
    if draft.exists() {
        fs::remove_dir_all(&draft).with_context(|| format!("can't remove {}", draft.display()))?;
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&draft)
        .with_context(|| format!("can't make {}", draft.display()))?;
    account.own(&draft)?;
    let password = hex::encode(secrets::random::<24>());
    let given = tempfile::Builder::new()
        .prefix("password")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(parent)?;
    fs::write(given.path(), &password)?;
    account.own(given.path())?;

    let output = binaries
        .command("initdb", account)
        .args([
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            "--username",
            ADMIN,
        ])
        .args(character_types())
        .args(options)
        .arg(format!("--pwfile={}", given.path().display()))
        .arg("-D")
        .arg(&draft)
        .current_dir(&draft)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't run {}", binaries.folder().join("initdb").display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "initdb could not make a cluster in {}: {}",
            draft.display(),
            said.trim()
        );
    }
    let kept = draft.join(PASSWORD_FILE);
    fs::write(&kept, &password)?;
    fs::set_permissions(&kept, Permissions::from_mode(0o600))?;
    account.own(&kept)?;
    File::open(&kept)?.sync_all()?;
    fs::rename(&draft, data)
        .with_context(|| format!("can't move the new cluster to {}", data.display()))?;
    File::open(parent)?.sync_all()?;
    Ok(())
}

/// The locale settings. Texts sort by bytes, the same everywhere; letters follow Unicode, so that search works in all
/// languages.
fn character_types() -> Option<&'static str> {
    if cfg!(target_os = "linux") {
        Some("--lc-ctype=C.UTF-8")
    } else if cfg!(target_os = "macos") {
        Some("--lc-ctype=en_US.UTF-8")
    } else {
        None
    }
}

/// Rotates the log and keeps one older file, so that messages can't fill the disk. A running server keeps its file
/// open.
fn rotate(log: &Path) {
    if fs::metadata(log).is_ok_and(|log| log.len() > LOG_LIMIT_BYTES) {
        let _ = fs::rename(log, log.with_extension("log.old"));
    }
}

/// The SQLSTATE `invalid_catalog_name`.
pub(crate) const NO_SUCH_DATABASE: &str = "3D000";
/// The SQLSTATE `cannot_connect_now`.
pub(crate) const STARTING_UP: &str = "57P03";

/// Waits until a server answers at `url`, which another process may be starting.
pub async fn wait_for(url: &Url, limit: Duration) -> Result<()> {
    use sqlx::{Connection, PgConnection};
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        match PgConnection::connect(url.as_str()).await {
            Ok(connection) => return Ok(connection.close().await?),
            // The server answers; the database may still have to be made.
            Err(sqlx::Error::Database(error))
                if error.code().is_some_and(|c| c == NO_SUCH_DATABASE) =>
            {
                return Ok(());
            }
            Err(error) if tokio::time::Instant::now() > deadline || !is_passing(&error) => {
                return Err(error.into());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Whether nothing listens there yet, or the server is starting.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code == STARTING_UP),
        _ => false,
    }
}
