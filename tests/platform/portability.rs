//! Under real Spin the same files run: what they import and export is in Spin 4's published world.

use anyhow::{Context, Result, bail};
use e2e::manifest;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldItem};

/// WASI 0.2 as Spin 4 links it, beside the WITs that its SDK carries: what Rust's standard library
/// for wasm32-wasip2 imports.
const WASI_0_2: [&str; 7] = [
    "cli",
    "clocks",
    "filesystem",
    "http",
    "io",
    "random",
    "sockets",
];
const NEWEST_WASI_0_2: u64 = 12;
const HANDLER: &str = "wasi:http/handler@0.3.0";
/// What functions have for our host beside it. Spin looks for the handlers that it knows and for nothing else.
const EXCHANGE: &str = "gather:http/exchange@2.0.0";
/// The description of functions for this repository.
const DESCRIPTION: &str = "gather:function/description@1.0.0";

/// The interfaces that are ours.
fn ours() -> Result<Resolve> {
    let mut resolve = Resolve::default();
    resolve.push_dir(e2e::root().join("wit"))?;
    Ok(resolve)
}

/// Every interface of the SDK's WITs with its functions' names.
fn published() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "wasm32-wasip2",
        ])
        .current_dir(e2e::root())
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let sdk = packages
        .iter()
        .find(|p| p["name"] == "spin-sdk")
        .context("spin-sdk")?;
    let file = PathBuf::from(sdk["manifest_path"].as_str().context("manifest_path")?);
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    resolve.push_dir(file.with_file_name("wit"))?;
    Ok(interfaces(&resolve))
}

fn interfaces(resolve: &Resolve) -> BTreeMap<String, BTreeSet<String>> {
    let named = resolve.interfaces.iter().filter_map(|(id, interface)| {
        let functions = interface.functions.keys().cloned().collect();
        Some((resolve.id_of(id)?, functions))
    });
    named.collect()
}

/// Whether a name such as `wasi:io/poll@0.2.6` is of a WASI 0.2 that Spin links.
fn is_wasi_0_2(name: &str) -> bool {
    let Some((package, version)) = name.strip_prefix("wasi:").and_then(|n| n.split_once('@'))
    else {
        return false;
    };
    let package = package.split('/').next().unwrap_or_default();
    let patch = version
        .strip_prefix("0.2.")
        .and_then(|patch| patch.parse::<u64>().ok());
    WASI_0_2.contains(&package) && patch.is_some_and(|patch| patch <= NEWEST_WASI_0_2)
}

/// What is not portable about a component; nothing, we hope. `expected` is what it is for.
fn complaints(
    wasm: &[u8],
    published: &BTreeMap<String, BTreeSet<String>>,
    expected: &[&str],
) -> Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(wasm)? else {
        bail!("no component");
    };
    let world = &resolve.worlds[world];
    let own = interfaces(&resolve);
    let mut complaints = Vec::new();
    for (key, item) in &world.imports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Interface { .. } => {}
            WorldItem::Type { .. } => continue,
            WorldItem::Function(_) => {
                complaints.push(format!("imports {name}, which is no interface"));
                continue;
            }
        }
        if is_wasi_0_2(&name) {
            continue;
        }
        match published.get(&name) {
            None => complaints.push(format!("imports {name}, which Spin does not publish")),
            Some(functions) => {
                complaints.extend(own[&name].difference(functions).map(|function| {
                    format!("imports {function} of {name}, which Spin does not publish")
                }))
            }
        }
    }
    let mut exports: Vec<_> = world
        .exports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    exports.sort();
    if exports != expected {
        complaints.push(format!("exports {exports:?} instead of {expected:?}"));
    }
    Ok(complaints)
}

#[tokio::test]
async fn every_function_runs_under_spin_unchanged() -> Result<()> {
    // Starting a server builds what is not fresh.
    e2e::Server::start().await?;
    let published = published()?;
    assert!(
        published.contains_key("spin:postgres/postgres@4.2.0"),
        "{:?}",
        published.keys()
    );
    for component in manifest()?.components {
        let wasm = std::fs::read(component.source.context("source")?)?;
        let complaints = match component.attempts {
            None => complaints(&wasm, &published, &[DESCRIPTION, EXCHANGE, HANDLER])?,
            Some(_) => {
                // Our own host runs it, with what `wit/` gives it beside.
                let mut published = published.clone();
                published.extend(interfaces(&ours()?));
                complaints(&wasm, &published, &["run"])?
            }
        };
        assert!(
            complaints.is_empty(),
            "{}: {}",
            component.id,
            complaints.join("; ")
        );
    }
    Ok(())
}

#[test]
fn what_is_not_published_is_found() -> Result<()> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str(
        "x.wit",
        "package x:y; interface ours { f: func(); } world w { import ours; import wasi:io/poll@0.2.99; }
         package wasi:io@0.2.99 { interface poll { g: func(); } }",
    )?;
    let world = resolve.select_world(&[package], Some("w"))?;
    let mut module =
        wit_component::dummy_module(&resolve, world, wit_parser::ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(
        &mut module,
        &resolve,
        world,
        wit_component::StringEncoding::UTF8,
    )?;
    let wasm = wit_component::ComponentEncoder::default()
        .module(&module)?
        .encode()?;
    let complaints = complaints(&wasm, &published()?, &[HANDLER])?.join("; ");
    for expected in ["x:y/ours", "wasi:io/poll@0.2.99", "instead of [\"wasi:http"] {
        assert!(
            complaints.contains(expected),
            "{expected} is not in {complaints}"
        );
    }
    Ok(())
}
