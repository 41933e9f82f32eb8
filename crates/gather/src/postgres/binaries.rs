//! Finds PostgreSQL's programs, and the user who may run them.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use nix::unistd::{Gid, Uid, User};

/// The oldest version that the functions' SQL works with.
const OLDEST: u32 = 15;

/// The advice for a machine without PostgreSQL.
pub(super) const HOW_TO_INSTALL: &str = "install PostgreSQL 15 or newer (Debian, Ubuntu: apt-get install postgresql; \
     Fedora: dnf install postgresql-server; macOS: brew install postgresql@17), or set DATABASE_URL to a server that is running";

/// A folder with `initdb` and `postgres`.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    version: String,
    build: String,
}

impl Binaries {
    /// The installed programs that are new enough, the preferred ones first: those on PATH, else those of packages, the
    /// newest first.
    pub(super) fn installed() -> impl Iterator<Item = Self> {
        candidates()
            .into_iter()
            .filter_map(Self::at)
            .filter(|binaries| binaries.major() >= OLDEST)
    }

    /// The programs in `folder`, if they exist and run.
    pub(super) fn at(folder: PathBuf) -> Option<Self> {
        let complete = ["initdb", "postgres"]
            .iter()
            .all(|name| folder.join(name).is_file());
        if !complete {
            return None;
        }
        let mut command = Command::new(folder.join("postgres"));
        // The user who is to run them may not get to where they are.
        Account::choose().ok()?.apply(&mut command);
        command
            .arg("--version")
            .current_dir("/")
            .stdin(Stdio::null());
        let output = command.output().ok()?;
        let said = String::from_utf8_lossy(&output.stdout);
        Some(Self {
            folder,
            version: parse_version(&said)?,
            build: parse_build(&said)?,
        })
    }

    /// The folder of the programs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The programs' version, for example `15.13`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The distribution's version of the package, which an update always changes, for example `15.13-0+deb12u1`.
    pub(super) fn build(&self) -> &str {
        &self.build
    }

    /// The major version, which a cluster always belongs to.
    pub fn major(&self) -> u32 {
        major(&self.version)
    }

    /// The command `name`, which runs as `account` with messages in English.
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

/// The folder that has all the client programs `names`, of the major version `oldest` or a newer one.
pub fn client_programs(names: &[&str], oldest: u32) -> Option<PathBuf> {
    let version = |program: PathBuf| {
        let output = Command::new(program).arg("--version").output().ok()?;
        parse_version(&String::from_utf8_lossy(&output.stdout))
    };
    candidates().into_iter().find(|folder| {
        names
            .iter()
            .all(|name| version(folder.join(name)).is_some_and(|version| major(&version) >= oldest))
    })
}

/// Parses a version such as `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`, and the same of other programs.
fn parse_version(said: &str) -> Option<String> {
    let (_, version) = said.split_once(" (PostgreSQL) ")?;
    version.split_whitespace().next().map(str::to_owned)
}

/// Parses the last word of such a version: the distribution's version, where it says one.
fn parse_build(said: &str) -> Option<String> {
    let (_, version) = said.split_once(" (PostgreSQL) ")?;
    let last = version.split_whitespace().next_back()?;
    Some(last.trim_end_matches(')').replace('/', "_"))
}

/// The number that a version begins with; betas have letters after it.
pub(super) fn major(version: &str) -> u32 {
    let digits = version.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.extend(newest_first("/usr/lib/postgresql", ""));
    folders.extend(newest_first("/opt/homebrew/opt", "postgresql@"));
    folders.extend(newest_first("/usr", "pgsql-"));
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

/// The user who runs the server: the current user, or an unprivileged one for root, since PostgreSQL refuses root.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    other: Option<(Uid, Gid)>,
}

impl Account {
    /// The current user; for root it is `postgres`, or else `nobody`.
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

    /// Whether this user can reach `folder`.
    pub fn reaches(&self, folder: &Path) -> bool {
        let mut probe = Command::new("/bin/sh");
        self.apply(&mut probe);
        probe
            .args(["-c", "exit 0"])
            .current_dir(folder)
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Whether the server runs as another user than this process.
    pub fn is_other(&self) -> bool {
        self.other.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        let said = "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n";
        assert_eq!(parse_version(said).as_deref(), Some("15.13"));
        assert_eq!(parse_build(said).as_deref(), Some("15.13-0+deb12u1"));
        assert_eq!(
            parse_version("postgres (PostgreSQL) 19beta1\n").as_deref(),
            Some("19beta1")
        );
        assert_eq!(
            parse_build("postgres (PostgreSQL) 18.4\n").as_deref(),
            Some("18.4")
        );
        assert_eq!(parse_version("bash: no such file"), None);
        assert_eq!(["15.13", "19beta1", "18", "x"].map(major), [15, 19, 18, 0]);
    }
}
