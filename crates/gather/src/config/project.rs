//! The settings of the project's folder: its manifest, and its state folder.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::HEADING;
use crate::manifest::{self, Manifest};

/// The choice of the manifest.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct ManifestFile {
    /// Router manifest [default: spin.toml here or in the nearest folder above]
    #[arg(long, env = "GATHER_MANIFEST")]
    pub manifest: Option<PathBuf>,
}

impl ManifestFile {
    /// Reads the manifest.
    pub fn read(&self) -> Result<Manifest> {
        match &self.manifest {
            Some(path) => Manifest::load(path),
            None => Manifest::load(&manifest::find()?),
        }
    }
}

/// The choice of the project.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Project {
    /// Folder for the private cluster, the master key, key-value stores and compiled components [default: .gather
    /// beside spin.toml]
    #[arg(long, env = "GATHER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) manifest: ManifestFile,
}

impl Project {
    /// Reads the manifest.
    pub fn manifest(&self) -> Result<Manifest> {
        self.manifest.read()
    }

    /// The path of the state folder, which may not exist yet.
    pub fn state_dir(&self, manifest: &Manifest) -> Result<PathBuf> {
        match &self.state_dir {
            Some(folder) => Ok(std::path::absolute(folder)?),
            None => Ok(manifest.folder().join(".gather")),
        }
    }
}
