//! The components that the tests serve: those of the platform, and the fixtures.

use anyhow::Result;
use gather::{
    build,
    manifest::{Component, Manifest},
};
use std::{path::PathBuf, sync::OnceLock};

use crate::{manifest, root};

/// The functions that only tests and benchmarks use.
const FIXTURES: [&str; 8] = [
    "adder",
    "errand",
    "fetcher",
    "probe",
    "probe-skill",
    "twin",
    "waiter",
    "wild",
];

/// The path of a built function.
#[must_use]
pub fn component_file(id: &str) -> PathBuf {
    let name = id.replace('-', "_");
    root().join(format!("target/wasm32-wasip2/function/{name}.wasm"))
}

/// A manifest of the fixtures alone.
fn fixtures() -> Result<Manifest> {
    let mut manifest = manifest()?;
    manifest.components = Vec::from(FIXTURES.map(|id| Component {
        id: id.into(),
        source: Some(component_file(id)),
        built_by_cargo: true,
        role: None,
        attempts: None,
        sandbox: Default::default(),
        egress: false,
        provisioner: false,
        exchange: Vec::new(),
    }));
    Ok(manifest)
}

/// Builds every function, and the fixtures, once for this process.
///
/// # Errors
/// Cargo fails.
pub fn build_components() -> Result<()> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        // Apart: with the fixtures, libraries get other features, by which cargo takes each function for changed.
        let build = || {
            build::ensure_fresh(&manifest()?)?;
            build::ensure_fresh(&fixtures()?)
        };
        build().map_err(|error| format!("{error:#}"))
    });
    built.clone().map_err(anyhow::Error::msg)
}

/// Builds some of the functions and fixtures as for production.
///
/// # Errors
/// Cargo fails.
pub fn build_for_release(ids: &[&str]) -> Result<()> {
    let mut manifest = manifest()?;
    let components = &mut manifest.components;
    components.extend(fixtures()?.components);
    components.retain(|component| ids.contains(&component.id.as_str()));
    build::run(&manifest, true)
}
