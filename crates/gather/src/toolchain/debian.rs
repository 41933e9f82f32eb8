//! The standard library from Debian's sources, for machines whose rustup server can't be reached (behind many company
//! proxies) but whose package mirror can: two packages are downloaded, not installed, and std is built from them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::{TARGET, Toolchain, said};
use crate::{
    debian::{Apt, mirror},
    progress::Step,
};

/// The suite with current compilers.
const SUITE: &str = "trixie-backports";
/// The name of the package whose dependency std is built as.
const SEED: &str = "gather-std-seed";

/// Builds std for a target, and moves it into the compiler's sysroot at the end.
pub(super) fn install(toolchain: &Toolchain, target: &str, step: &Step) -> Result<()> {
    let mirror = mirror()?;
    let version = toolchain.version()?;
    let scratch = tempfile::Builder::new()
        .prefix("gather-std-")
        .tempdir()
        .context("can't make a temporary folder")?;
    // apt fetches as a user of its own.
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755))?;
    step.detail("reading Debian's package lists");
    let apt = Apt::of_suite(scratch.path(), &mirror, SUITE)?;
    step.detail("downloading Rust's sources");
    // Only targets of WASI have a C library.
    let libc = (target == TARGET).then(|| apt.root.join("usr/lib").join(target));
    if libc.is_some() {
        apt.unpack("wasi-libc", None)?;
    }
    let _sources = Sources::ensure(toolchain, &apt, &version)?;
    step.detail("compiling the standard library");
    let libraries = compile(toolchain, target, scratch.path())?;
    assemble(toolchain, target, &libraries, libc.as_deref())
}

/// Rust's own sources in the folder where cargo looks for them. They are removed again, since rustup fails over them.
struct Sources {
    remove: Option<PathBuf>,
}

impl Sources {
    fn ensure(toolchain: &Toolchain, apt: &Apt, version: &str) -> Result<Self> {
        let parent = toolchain.rustlib().join("src/rust");
        let place = parent.join("library");
        if place.join("Cargo.lock").exists() {
            return Ok(Self { remove: None });
        }
        apt.unpack("rust-src", Some(version))?;
        let unpacked = apt.root.join(format!("usr/src/rustc-{version}/library"));
        // Moved into place when it is complete: half of it would be taken for all by the next run.
        let draft = parent.join(".gather-library");
        if draft.exists() {
            fs::remove_dir_all(&draft)?;
        }
        fs::create_dir_all(&parent)?;
        said(Command::new("cp").arg("-R").arg(&unpacked).arg(&draft))
            .context("can't copy Rust's sources into the sysroot")?;
        fs::rename(&draft, &place)?;
        let sources = Self {
            remove: Some(place),
        };
        Ok(sources)
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        if let Some(place) = &self.remove {
            let _ = fs::remove_dir_all(place);
        }
    }
}

/// Builds an empty library together with std, and returns std's libraries.
fn compile(toolchain: &Toolchain, triple: &str, scratch: &Path) -> Result<Vec<PathBuf>> {
    let seed = scratch.join("seed");
    fs::create_dir_all(seed.join("src"))?;
    fs::write(seed.join("src/lib.rs"), "")?;
    fs::write(
        seed.join("Cargo.toml"),
        format!("[package]\nname = \"{SEED}\"\nedition = \"2024\"\n[workspace]\n"),
    )?;
    let target = scratch.join("target");
    let mut cargo = toolchain.cargo();
    cargo
        .args([
            "build",
            "--release",
            "--target",
            triple,
            "-Zbuild-std=std,panic_abort",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(&seed)
        .env("RUSTC_BOOTSTRAP", "1")
        // Without it link-time optimisation finds no bitcode in std.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    said(&mut cargo)?;
    let own = format!("lib{}-", SEED.replace('-', "_"));
    let libraries: Vec<_> = fs::read_dir(target.join(triple).join("release/deps"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "rlib")
        })
        .filter(|path| {
            !path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .starts_with(&own)
        })
        .collect();
    if libraries.is_empty() {
        bail!("cargo built std, but left no libraries");
    }
    Ok(libraries)
}

/// Collects the finished library beside its final folder and then moves it, so that no half of it is ever seen.
fn assemble(
    toolchain: &Toolchain,
    target: &str,
    libraries: &[PathBuf],
    libc: Option<&Path>,
) -> Result<()> {
    let rustlib = toolchain.rustlib();
    let draft = TempDir::with_prefix_in(".gather-target-", &rustlib)
        .with_context(|| format!("can't write {}", rustlib.display()))?;
    fs::set_permissions(draft.path(), Permissions::from_mode(0o755))?;
    let contained = draft.path().join("lib/self-contained");
    fs::create_dir_all(&contained)?;
    for library in libraries {
        fs::copy(
            library,
            draft
                .path()
                .join("lib")
                .join(library.file_name().unwrap_or_default()),
        )?;
    }
    for name in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
        if let Some(libc) = libc {
            fs::copy(libc.join(name), contained.join(name))
                .with_context(|| format!("wasi-libc has no {name} for {target}"))?;
        }
    }
    let place = rustlib.join(target);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("can't replace {}", place.display()))?;
    }
    fs::rename(draft.keep(), &place)
        .with_context(|| format!("can't move the library to {}", place.display()))
}
