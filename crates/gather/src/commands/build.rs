//! `gather build`.

use anyhow::Result;
use clap::Args;

use crate::{build, config::ManifestFile, edge};

/// The settings of a build.
#[derive(Args, Debug)]
pub struct Build {
    /// Optimise at link time: up to a tenth faster to run, and minutes to build
    #[arg(long)]
    release: bool,

    /// Build the edge, for Cloudflare Workers, instead of the components
    #[arg(long, conflicts_with = "release")]
    edge: bool,

    #[command(flatten)]
    manifest: ManifestFile,
}

/// Builds the components, or the edge.
pub fn run(settings: &Build) -> Result<()> {
    if settings.edge {
        let manifest = settings.manifest.read()?;
        return edge::build(manifest.folder()).map(drop);
    }
    build::run(&settings.manifest.read()?, settings.release)
}
