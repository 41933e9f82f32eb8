//! `gather build`.

use anyhow::Result;
use clap::Args;

use crate::{build, config::ManifestFile};

/// The settings of a build.
#[derive(Args, Debug)]
pub struct Build {
    /// Optimise at link time: up to a tenth faster to run, and minutes to build
    #[arg(long)]
    release: bool,

    #[command(flatten)]
    manifest: ManifestFile,
}

/// Builds the components.
pub fn run(settings: &Build) -> Result<()> {
    build::run(&settings.manifest.read()?, settings.release)
}
