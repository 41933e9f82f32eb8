//! Files from the network, fetched once into a cache, and compared with the digests that this command knows.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use nix::unistd::{AccessFlags, access};
use sha2::{Digest, Sha512};
use ureq::{
    Agent, Body,
    http::{Response, StatusCode, header},
};

use crate::{home, progress::Step};

/// The time for which a server may be silent.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A published file.
#[derive(Debug)]
pub(super) struct Archive {
    /// The name for people.
    pub name: String,
    /// The file's name in the cache.
    pub file: String,
    /// The size of the file.
    pub bytes: u64,
    /// The SHA-512 digest of the file, as base64.
    pub sha512: &'static str,
}

/// The place that a file is fetched from.
pub(super) struct Source {
    /// The URL of the file.
    pub address: String,
    /// The server's name, for people.
    pub host: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
}

impl Archive {
    /// Returns the file in `cache`, which is fetched if it is missing, and checked against its digest. Only then it is
    /// asked for its source.
    pub fn get(
        &self,
        cache: &Path,
        source: impl FnOnce() -> Result<Source>,
        step: &Step,
    ) -> Result<PathBuf> {
        let _lock = lock(cache, ".archive.lock", step)?;
        let path = cache.join(&self.file);
        if self.is_intact(&path)? {
            return Ok(path);
        }
        let source = source()?;
        self.fetch(&source, &path, step)?;
        if !self.is_intact(&path)? {
            fs::remove_file(&path)?;
            bail!(
                "what {} gave for {} is not what was published: its SHA-512 digest is another. Nothing of it was used",
                source.host,
                self.name
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

    /// Fetches the file, or the rest of it, into `path`, as long as the server sends anything.
    fn fetch(&self, source: &Source, path: &Path, step: &Step) -> Result<()> {
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
            let outcome = self.fetch_rest(source, &mut file, step);
            let now = file.metadata()?.len();
            if now >= self.bytes {
                return Ok(());
            }
            if now <= before {
                outcome?;
                bail!(
                    "{} gave {now} of the {} bytes of {}",
                    source.host,
                    self.bytes,
                    self.name
                );
            }
        }
    }

    fn fetch_rest(&self, source: &Source, file: &mut File, step: &Step) -> Result<()> {
        let start = file.metadata()?.len();
        let mut request = client().get(&source.address);
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        if let Some(authorization) = &source.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let mut answer = request
            .call()
            .map_err(|error| anyhow!("{} does not answer ({error})", source.host))?;
        if !goes_on(&answer, start) {
            file.set_len(0)?;
        }
        ensure!(
            answer.status().is_success(),
            "{} answers {} for {}",
            source.host,
            answer.status(),
            self.name
        );
        let mut done = file.metadata()?.len();
        let mut body = answer.body_mut().as_reader().take(self.bytes - done);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = body
                .read(&mut buffer)
                .with_context(|| format!("{} stopped answering", source.host))?;
            if read == 0 {
                return Ok(());
            }
            file.write_all(&buffer[..read])?;
            done += read as u64;
            step.progress(|| format!("{} of {} MB", megabytes(done), megabytes(self.bytes)));
        }
    }
}

/// The user's cache folder, or `shelf` if the user can't write there.
pub(super) fn cache(shelf: &Path) -> PathBuf {
    home::folder("XDG_CACHE_HOME", ".cache")
        .map(|cache| cache.join("gather"))
        .filter(|cache| {
            fs::create_dir_all(cache).is_ok() && access(cache, AccessFlags::W_OK).is_ok()
        })
        .unwrap_or_else(|| shelf.to_owned())
}

/// The size in megabytes, for people.
pub(super) fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

/// Locks `folder`, which is made if it is missing, so that processes take turns.
pub(super) fn lock(folder: &Path, name: &str, step: &Step) -> Result<File> {
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

/// Writes the files to the disk, so that none is empty after a power failure.
pub(super) fn flush(folder: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    nix::unistd::syncfs(File::open(folder)?)?;
    #[cfg(not(target_os = "linux"))]
    let _ = folder;
    Ok(())
}

/// A client that trusts the authorities that the machine trusts.
pub(crate) fn client() -> Agent {
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
