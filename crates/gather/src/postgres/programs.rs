//! The PostgreSQL that a cluster runs with: an installed one, or a fetched one. A cluster stays with the major
//! version that made it, whatever is installed later.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    binaries::{Binaries, HOW_TO_INSTALL, major},
    brought::{self, Build},
};

/// The programs for a cluster.
#[derive(Debug)]
pub enum Programs {
    /// The programs are on this machine.
    Here(Binaries),
    /// The programs are fetched at the first start.
    Absent {
        /// The build that is fetched.
        build: &'static Build,
        /// The folder that the build is put into.
        shelf: PathBuf,
    },
}

impl Programs {
    /// Chooses the programs of the cluster in `data`, or for a cluster that is to be made there.
    pub(super) fn of(data: &Path) -> Result<Self> {
        let shelf = data.parent().context("the data folder has a parent")?;
        match fs::read_to_string(data.join("PG_VERSION")) {
            Ok(made_by) => Self::of_version(major(&made_by), shelf)
                .ok_or_else(|| other_version(data, made_by.trim())),
            Err(_) => Self::of_any(shelf.to_owned()),
        }
    }

    /// Chooses the programs for a new cluster: installed ones, else those on `shelf`, which are fetched if need be.
    pub(super) fn of_any(shelf: PathBuf) -> Result<Self> {
        if let Some(binaries) = Binaries::installed().next() {
            return Ok(Self::Here(binaries));
        }
        match brought::for_this_machine() {
            Some(build) => Ok(Self::brought(build, shelf)),
            None => bail!("no PostgreSQL is installed: {HOW_TO_INSTALL}"),
        }
    }

    fn of_version(made_by: u32, shelf: &Path) -> Option<Self> {
        let installed = Binaries::installed().find(|binaries| binaries.major() == made_by);
        installed.map(Self::Here).or_else(|| {
            brought::for_this_machine()
                .filter(|build| major(build.version) == made_by)
                .map(|build| Self::brought(build, shelf.to_owned()))
        })
    }

    fn brought(build: &'static Build, shelf: PathBuf) -> Self {
        match Binaries::at(build.programs(&shelf)) {
            Some(binaries) => Self::Here(binaries),
            None => Self::Absent { build, shelf },
        }
    }

    /// Returns the programs, which are fetched if they are missing.
    pub(super) fn provide(self) -> Result<Binaries> {
        match self {
            Self::Here(binaries) => Ok(binaries),
            Self::Absent { build, shelf } => {
                build.ensure(&shelf)?;
                let folder = build.programs(&shelf);
                Binaries::at(folder.clone()).with_context(|| {
                    format!(
                        "the programs in {} don't run; remove the folder, and start again",
                        folder.display()
                    )
                })
            }
        }
    }
}

fn other_version(data: &Path, made_by: &str) -> anyhow::Error {
    let installed: Vec<_> = Binaries::installed()
        .map(|binaries| format!("{} in {}", binaries.version(), binaries.folder().display()))
        .collect();
    let installed = match installed.as_slice() {
        [] => "none is installed".to_owned(),
        some => format!("installed is {}", some.join(" and ")),
    };
    anyhow!(
        "the cluster in {data} was made by PostgreSQL {made_by}, another major version can't open it, and {installed}; \
         install PostgreSQL {made_by} again; or keep the data with {made_by}'s pg_dump elsewhere, and move the folder away to \
         start anew",
        data = data.display()
    )
}
