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

    /// Build this function for Cloudflare Workers, instead of the components; may be given several times
    #[arg(
        long = "edge-function",
        value_name = "NAME",
        conflicts_with = "release"
    )]
    edge_functions: Vec<String>,

    #[command(flatten)]
    manifest: ManifestFile,
}

/// Builds the components, or the edge and functions for it.
pub fn run(settings: &Build) -> Result<()> {
    let manifest = settings.manifest.read()?;
    if !settings.edge && settings.edge_functions.is_empty() {
        return build::run(&manifest, settings.release);
    }
    if settings.edge {
        edge::build(manifest.folder())?;
    }
    for name in &settings.edge_functions {
        edge::build_function(manifest.folder(), name)?;
    }
    Ok(())
}
