//! The PostgreSQL that a cluster runs with: an installed one, or a fetched one. A cluster stays with the major
//! version that made it, whatever is installed later. All of them have pgvector.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};

use super::{
    binaries::{Binaries, HOW_TO_INSTALL, major},
    brought::{self, Build},
    vector,
};
use crate::progress::say;

/// The programs for a cluster.
#[derive(Debug)]
pub enum Programs {
    /// The programs are on this machine, with pgvector.
    Here(Binaries),
    /// The programs are on this machine. They are copied at the first start, since they lack pgvector.
    Incomplete {
        /// The installed programs.
        installed: Binaries,
        /// The folder that the copy is put into.
        shelf: PathBuf,
        /// The build that serves as well, if there can be no copy.
        instead: Option<&'static Build>,
    },
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
            Ok(made_by) => {
                let version = major(&made_by);
                Self::choose(|candidate| candidate == version, shelf)
                    .ok_or_else(|| other_version(data, made_by.trim()))
            }
            Err(_) => Self::of_any(shelf),
        }
    }

    /// Chooses the programs for a new cluster: installed ones, else those on `shelf`, which are fetched if need be.
    pub(super) fn of_any(shelf: &Path) -> Result<Self> {
        Self::choose(|_| true, shelf)
            .ok_or_else(|| anyhow!("no PostgreSQL is installed: {HOW_TO_INSTALL}"))
    }

    /// Chooses programs whose major version `fits`: installed ones with pgvector, else installed ones that get it, else
    /// a build that is fetched.
    fn choose(fits: impl Fn(u32) -> bool, shelf: &Path) -> Option<Self> {
        let mut installed: Vec<_> = Binaries::installed()
            .filter(|binaries| fits(binaries.major()))
            .collect();
        if let Some(complete) = installed.iter().position(vector::is_in) {
            return Some(Self::Here(installed.swap_remove(complete)));
        }
        let build = brought::for_this_machine().filter(|build| fits(major(build.version)));
        let shelf = shelf.to_owned();
        let Some(first) = installed.into_iter().next() else {
            return build.map(|build| match Binaries::at(build.programs(&shelf)) {
                Some(binaries) => Self::Here(binaries),
                None => Self::Absent { build, shelf },
            });
        };
        let copy = vector::copy_of(&first, &shelf);
        let brought = || Binaries::at(build?.programs(&shelf));
        Some(match copy.or_else(brought) {
            Some(binaries) => Self::Here(binaries),
            None => Self::Incomplete {
                installed: first,
                shelf,
                instead: build,
            },
        })
    }

    /// Returns the programs, which are copied or fetched if need be.
    pub(super) fn provide(self) -> Result<Binaries> {
        match self {
            Self::Here(binaries) => Ok(binaries),
            Self::Absent { build, shelf } => fetch(build, &shelf),
            Self::Incomplete {
                installed,
                shelf,
                instead,
            } => vector::complete(&installed, &shelf).or_else(|error| {
                let Some(build) = instead else {
                    return Err(error);
                };
                say(&format!("{error:#}\nthis time another PostgreSQL serves"));
                fetch(build, &shelf).map_err(|other| anyhow!("{error:#}\n{other:#}"))
            }),
        }
    }
}

fn fetch(build: &Build, shelf: &Path) -> Result<Binaries> {
    build.ensure(shelf)?;
    let folder = build.programs(shelf);
    Binaries::at(folder.clone()).with_context(|| {
        format!(
            "the programs in {} don't run; remove the folder, and start again",
            folder.display()
        )
    })
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
