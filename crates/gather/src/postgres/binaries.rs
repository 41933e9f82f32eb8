//! Finds PostgreSQL's programs, and the user who may run them.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use nix::unistd::{Gid, Uid, User};

/// A folder with `initdb` and `postgres`.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Looks where packages put them (newest first), then on PATH and at `pg_config`.
    pub fn find() -> Result<Self> {
        candidates().into_iter().find(|folder| complete(folder)).map(|folder| Self { folder }).context(
            "PostgreSQL is not installed. Install it (Debian, Ubuntu: apt-get install postgresql; \
             Fedora: dnf install postgresql-server; macOS: brew install postgresql@17), \
             or set DATABASE_URL to a server that is running",
        )
    }

    /// The folder that they are in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The programs' version, for example `15.13`.
    pub fn version(&self) -> Result<String> {
        let output = Command::new(self.folder.join("postgres"))
            .arg("--version")
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text
            .split_whitespace()
            .nth(2)
            .unwrap_or("unknown")
            .to_owned())
    }

    /// `name` as a command, to be run by `account`, in English.
    pub fn command(&self, name: &str, account: &Account) -> Command {
        let mut command = Command::new(self.folder.join(name));
        account.apply(&mut command);
        command
            .env("LC_ALL", "C")
            .env_remove("PGDATA")
            .env_remove("PGPORT")
            .env_remove("PGOPTIONS");
        command
    }
}

fn complete(folder: &Path) -> bool {
    ["initdb", "postgres"]
        .iter()
        .all(|name| folder.join(name).is_file())
}

fn candidates() -> Vec<PathBuf> {
    let mut folders = newest_first("/usr/lib/postgresql", "");
    folders.extend(newest_first("/opt/homebrew/opt", "postgresql@"));
    folders.extend(newest_first("/usr", "pgsql-"));
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    folders
}

/// The `bin` folders of `<parent>/<prefix><version>`, the highest version first.
fn newest_first(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry
                .file_name()
                .to_str()?
                .strip_prefix(prefix)?
                .parse()
                .ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// Who runs the server: ourselves, or an unprivileged user when we are root, since PostgreSQL refuses root.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    other: Option<(Uid, Gid)>,
}

impl Account {
    /// Ourselves, or `postgres`, else `nobody`, when we are root.
    pub fn choose() -> Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self { other: None });
        }
        for name in ["postgres", "nobody"] {
            if let Some(user) = User::from_name(name)? {
                return Ok(Self {
                    other: Some((user.uid, user.gid)),
                });
            }
        }
        bail!(
            "PostgreSQL does not run as root, and there is no user postgres or nobody; run: useradd --system postgres"
        )
    }

    /// Makes `command` run as this user. Other groups are dropped with root's rights.
    pub fn apply(&self, command: &mut Command) {
        if let Some((user, group)) = self.other {
            command.uid(user.as_raw()).gid(group.as_raw());
        }
    }

    /// Gives this user the file or folder at `path`.
    pub fn own(&self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.other else {
            return Ok(());
        };
        nix::unistd::chown(path, Some(user), Some(group))
            .with_context(|| format!("can't give {} to another user", path.display()))
    }

    /// Whether this user can get to `folder`.
    pub fn reaches(&self, folder: &Path) -> bool {
        let mut probe = Command::new("/bin/sh");
        self.apply(&mut probe);
        probe
            .args(["-c", "exit 0"])
            .current_dir(folder)
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Whether the server runs as somebody else than ourselves.
    pub fn is_other(&self) -> bool {
        self.other.is_some()
    }
}
