//! The project's folder: its manifest, and where its state is kept.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::HEADING;
use crate::manifest::{self, Manifest};

/// Which manifest.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct ManifestFile {
    /// Router manifest [default: spin.toml here or in the nearest folder above]
    #[arg(long, env = "GATHER_MANIFEST")]
    pub manifest: Option<PathBuf>,
}

impl ManifestFile {
    /// The manifest, read.
    pub fn read(&self) -> Result<Manifest> {
        match &self.manifest {
            Some(path) => Manifest::load(path),
            None => Manifest::load(&manifest::find()?),
        }
    }
}

/// Which project.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Project {
    /// Folder for the private cluster, the master key, key-value stores and compiled components [default: .gather beside spin.toml]
    #[arg(long, env = "GATHER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) manifest: ManifestFile,
}

impl Project {
    /// The manifest, read.
    pub fn manifest(&self) -> Result<Manifest> {
        self.manifest.read()
    }

    /// The state folder, whether it exists or not.
    pub fn state_dir(&self, manifest: &Manifest) -> Result<PathBuf> {
        match &self.state_dir {
            Some(folder) => Ok(std::path::absolute(folder)?),
            None => Ok(manifest.folder().join(".gather")),
        }
    }
}
