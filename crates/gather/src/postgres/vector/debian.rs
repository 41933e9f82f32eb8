//! pgvector from Debian's packages: the machine's own package if its release has one, else compiled from the sources
//! that Debian 13 has.

use std::{
    env,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use tempfile::TempDir;
use url::Url;

use super::super::download::{Archive, Source, flush, lock};
use crate::{
    debian::{Apt, mirror},
    progress::Step,
    toolchain::said,
};

const VERSION: &str = "0.8.0";
const SOURCES: &str = "pool/main/p/pgvector/pgvector_0.8.0.orig.tar.gz";
const SOURCES_BYTES: u64 = 122_290;
const SOURCES_SHA512: &str =
    "MZsMmWB/zSCmxVA/OrlVnlfDCRBSL95wGgnhUYS4AttlZ+UQX7GTWhhweMM5I+rd8toFmCUaLgM0LsQ80d974g==";

/// The flags that PostgreSQL is compiled with where they change what its headers mean, then pgvector's own. Not
/// `-march=native`: the state folder may move to another machine.
const FLAGS: &[&str] = &[
    "-shared",
    "-fPIC",
    "-O2",
    "-fwrapv",
    "-fno-strict-aliasing",
    "-ftree-vectorize",
    "-fassociative-math",
    "-fno-signed-zeros",
    "-fno-trapping-math",
];

/// Returns a folder in `cache` with the extension's files for PostgreSQL `major`, which are made if they are missing.
pub(super) fn extension(major: u32, cache: &Path, step: &Step) -> Result<PathBuf> {
    let _lock = lock(cache, ".pgvector.lock", step)?;
    let place = cache.join(format!("pgvector-for-postgresql-{major}"));
    if place.exists() {
        return Ok(place);
    }
    let mirror = mirror()?;
    let scratch = tempfile::Builder::new()
        .prefix("gather-pgvector-")
        .tempdir()
        .context("can't make a temporary folder")?;
    // apt fetches as a user of its own.
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755))?;
    let draft = TempDir::with_prefix_in(".pgvector-", cache)?;
    let apt = packages(major, scratch.path(), step)?;
    if let Package::Extension = apt.1 {
        collect(&apt.0.root, major, draft.path())?;
    } else {
        let sources = sources(&mirror, cache, scratch.path(), step)?;
        step.detail("compiling pgvector");
        compile(&sources, &apt.0.root, major, draft.path())?;
    }
    flush(draft.path())?;
    fs::rename(draft.keep(), &place)
        .with_context(|| format!("can't move it to {}", place.display()))?;
    Ok(place)
}

/// What the machine's packages offer.
enum Package {
    /// The compiled extension.
    Extension,
    /// The headers to compile it with.
    Headers,
}

/// Unpacks what the machine's package lists have, which are read anew if they know neither.
fn packages(major: u32, scratch: &Path, step: &Step) -> Result<(Apt, Package)> {
    step.detail("looking into Debian's package lists");
    let unpack = |apt: Apt| -> Result<(Apt, Package)> {
        if apt
            .unpack(&format!("postgresql-{major}-pgvector"), None)
            .is_ok()
        {
            return Ok((apt, Package::Extension));
        }
        apt.unpack(&format!("postgresql-server-dev-{major}"), None)?;
        Ok((apt, Package::Headers))
    };
    if let Ok(found) = Apt::of_machine(scratch).and_then(unpack) {
        return Ok(found);
    }
    step.detail("reading Debian's package lists");
    Apt::of_machine_today(scratch).and_then(unpack)
}

/// Copies the extension's files out of the package that was unpacked at `root`.
fn collect(root: &Path, major: u32, into: &Path) -> Result<()> {
    let library = root.join(format!("usr/lib/postgresql/{major}/lib/vector.so"));
    fs::copy(&library, into.join("vector.so")).context("the package has no vector.so")?;
    let scripts = root.join(format!("usr/share/postgresql/{major}/extension"));
    for entry in fs::read_dir(scripts)?.flatten() {
        fs::copy(entry.path(), into.join(entry.file_name()))?;
    }
    Ok(())
}

/// Fetches and unpacks the sources.
fn sources(mirror: &str, cache: &Path, scratch: &Path, step: &Step) -> Result<PathBuf> {
    let archive = Archive {
        name: format!("the sources of pgvector {VERSION}"),
        file: format!("pgvector-{VERSION}.tar.gz"),
        bytes: SOURCES_BYTES,
        sha512: SOURCES_SHA512,
    };
    let source = || -> Result<Source> {
        let address = format!("{}/{SOURCES}", mirror.trim_end_matches('/'));
        let host = Url::parse(&address).ok();
        let host = host.and_then(|url| url.host_str().map(str::to_owned));
        Ok(Source {
            address,
            host: host.unwrap_or_default(),
            authorization: None,
        })
    };
    let file = archive.get(cache, source, step)?;
    tar::Archive::new(GzDecoder::new(File::open(file)?)).unpack(scratch)?;
    Ok(scratch.join(format!("pgvector-{VERSION}")))
}

fn compile(sources: &Path, root: &Path, major: u32, into: &Path) -> Result<()> {
    let include = root.join("usr/include/postgresql");
    let headers = include.join(major.to_string()).join("server");
    ensure!(
        headers.join("postgres.h").is_file(),
        "postgresql-server-dev-{major} has no headers"
    );
    let mut units: Vec<_> = fs::read_dir(sources.join("src"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "c"))
        .collect();
    units.sort();
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command
        .args(FLAGS)
        .arg("-I")
        .arg(headers)
        .arg("-I")
        .arg(include.join("internal"))
        .args(units)
        .arg("-o")
        .arg(into.join("vector.so"))
        .arg("-lm");
    said(&mut command).context("pgvector does not compile")?;
    fs::copy(sources.join("vector.control"), into.join("vector.control"))?;
    let script = into.join(format!("vector--{VERSION}.sql"));
    fs::copy(sources.join("sql/vector.sql"), script)?;
    let control = fs::read_to_string(into.join("vector.control"))?;
    if !control.contains(&format!("default_version = '{VERSION}'")) {
        bail!("the sources are not those of {VERSION}");
    }
    Ok(())
}
