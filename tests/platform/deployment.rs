//! The files of `deploy` name only what exists: metrics in the dashboard and the alerts, and the gateway's paths in the
//! proxy's configuration.

use anyhow::{Context, Result};
use e2e::root;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Every file below a folder with this extension.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|has| has == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The words of a text that begin with `gather_`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("gather_"))
}

/// The metrics that the host, the gateway and the database's measures have: whole literals in their sources.
fn metrics() -> Result<BTreeSet<String>> {
    let mut sources = vec![];
    for folder in [
        "crates/host/src",
        "crates/realtime/src",
        "crates/egress/src",
        "crates/embedding/src",
        "crates/provisioner/src",
    ] {
        let folder = root().join(folder);
        if folder.is_dir() {
            sources.extend(files(&folder, "rs")?);
        }
    }
    sources.extend(files(&root().join("sql"), "sql")?);
    let mut names = BTreeSet::new();
    for source in sources {
        let text = fs::read_to_string(source)?;
        let literals = text.split(['"', '\'']);
        let is_name = |text: &&str| words(text).next() == Some(*text);
        names.extend(literals.filter(is_name).map(str::to_owned));
    }
    Ok(names)
}

#[test]
fn dashboards_and_alerts_name_metrics_that_exist() -> Result<()> {
    let metrics = metrics()?;
    for file in [
        "grafana/gather.json",
        "prometheus/rules.yml",
        "../docs/operating.md",
    ] {
        let text = fs::read_to_string(root().join("deploy").join(file))?;
        let unknown: BTreeSet<_> = words(&text)
            .map(|name| {
                ["_bucket", "_count", "_sum"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix))
                    .unwrap_or(name)
            })
            .filter(|name| !metrics.contains(*name))
            .collect();
        assert!(
            unknown.is_empty(),
            "{file}: {unknown:?} is not among {metrics:?}"
        );
        assert!(words(&text).count() > 3, "{file}");
    }
    Ok(())
}

#[test]
fn the_proxy_leads_the_gateways_paths_to_the_gateway() -> Result<()> {
    let caddy = fs::read_to_string(root().join("deploy/Caddyfile"))?;
    let led = caddy
        .lines()
        .find_map(|line| line.trim().strip_prefix("@realtime path "))
        .context("@realtime")?;
    let led: BTreeSet<_> = led.split_whitespace().map(str::to_owned).collect();
    let starred = |route: &str| {
        let segments = route.split('/');
        let starred = segments.map(|segment| {
            if segment.starts_with(':') {
                "*"
            } else {
                segment
            }
        });
        starred.collect::<Vec<_>>().join("/")
    };
    let manifest = fs::read_to_string(root().join("spin.toml"))?;
    let native = manifest
        .lines()
        .find_map(|line| line.strip_prefix("native_routes = "))
        .context("native_routes")?;
    let native: Vec<String> = serde_json::from_str(native)?;
    let native: BTreeSet<_> = native.iter().map(|route| starred(route)).collect();
    assert_eq!(led, native);
    Ok(())
}
