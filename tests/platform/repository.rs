//! Rules of the repository that no compiler checks.

use anyhow::{Context, Result, ensure};
use e2e::root;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

fn metadata() -> Result<Value> {
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()?;
    Ok(serde_json::from_slice(&metadata.stdout)?)
}

/// The workspace's packages with the names of what each depends on, tests aside.
fn packages() -> Result<BTreeMap<String, (String, Vec<String>)>> {
    let metadata = metadata()?;
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().context("packages")? {
        let dependencies = package["dependencies"].as_array().context("dependencies")?;
        let names = dependencies
            .iter()
            .filter(|d| d["kind"].is_null())
            .filter_map(|d| Some(d["name"].as_str()?.to_owned()))
            .collect();
        let name = package["name"].as_str().context("name")?.to_owned();
        let path = package["manifest_path"]
            .as_str()
            .context("path")?
            .to_owned();
        found.insert(name, (path, names));
    }
    Ok(found)
}

#[test]
fn arrows_point_one_way() -> Result<()> {
    let packages = packages()?;
    let ours: Vec<_> = packages.keys().cloned().collect();
    for (name, (path, dependencies)) in &packages {
        let allowed: &[&str] = match name.as_str() {
            "gather" => &[
                "egress",
                "embedding",
                "host",
                "outgoing",
                "provisioner",
                "realtime",
                "sandbox",
                "skill",
                "trace",
                "turn-receipt",
                "vault-seal",
                "workspace-hack",
            ],
            "embedding" => &["native-service"],
            "egress" => &["native-service", "outgoing", "service-token", "vault-seal"],
            "provisioner" => &["native-service", "outgoing", "service-token"],
            "realtime" => &["client-address", "outgoing", "position", "service-token"],
            "host" => &["outgoing", "trace", "wasm"],
            "guest" => &["client-address", "service-token", "strict-json"],
            "outgoing" => &["public-address"],
            "skill" => &["strict-json"],
            "principal" | "meaning" | "operations" => &["guest"],
            "identity" => &[
                "guest",
                "markdown",
                "principal",
                "service-token",
                "strict-json",
            ],
            "people" | "accounts" => &["guest", "markdown", "principal", "strict-json"],
            "claws" => &[
                "agent-parts",
                "calendar",
                "guest",
                "markdown",
                "principal",
                "public-address",
            ],
            "claw-provision" => &["guest", "principal", "service-token"],
            "edge" => &["guest", "position", "public-address", "service-token"],
            "vault" => &["guest", "vault-seal"],
            "memory-text" => &["guest", "markdown"],
            "mcp-client" => &["guest", "sse"],
            "sandbox" => &[
                "native-service",
                "outgoing",
                "service-token",
                "skill",
                "strict-json",
                "trace",
                "wasm",
            ],
            "e2e" => &[
                "calendar",
                "egress",
                "embedding",
                "gather",
                "host",
                "outgoing",
                "provisioner",
                "sandbox",
                "service-token",
                "skill",
            ],
            _ if ["/functions/", "/components/", "/fixtures/"]
                .iter()
                .any(|f| path.contains(f)) =>
            {
                &[
                    "agent-parts",
                    "calendar",
                    "guest",
                    "markdown",
                    "mcp-client",
                    "meaning",
                    "memory-text",
                    "operations",
                    "pipeline",
                    "position",
                    "public-address",
                    "sse",
                    "strict-json",
                    "turn-receipt",
                    "webhook",
                ]
            }
            _ => &[],
        };
        for dependency in dependencies.iter().filter(|d| ours.contains(d)) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
    Ok(())
}

/// Who reaches the socket of a container runtime is root on its machine.
#[test]
fn only_the_provisioner_touches_a_container_runtime() -> Result<()> {
    for (name, (path, dependencies)) in packages()? {
        let is_client = |d: &String| d.contains("bollard") || d.contains("hyperlocal");
        assert_eq!(
            dependencies.iter().any(is_client),
            name == "provisioner",
            "{path} must not depend on the client of a container runtime"
        );
    }
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .args(["crates", "functions", "components", "deploy"])
        .current_dir(root())
        .output()?;
    let mut named = 0;
    for path in String::from_utf8(listed.stdout)?.lines() {
        // What is no text is no source.
        let Ok(text) = fs::read_to_string(root().join(path)) else {
            continue;
        };
        if !text.contains("docker.sock") && !text.contains("podman.sock") {
            continue;
        }
        assert!(
            path.starts_with("crates/provisioner/"),
            "{path} names the socket of a container runtime"
        );
        named += 1;
    }
    assert!(named > 0, "this check sees nothing");
    Ok(())
}

/// `crates/workspace-hack` sees to it, and what it says has to change with the dependencies.
#[test]
fn what_is_large_is_compiled_once() -> Result<()> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "gather"])
        .args(["--edges", "normal,build", "--duplicates"])
        .args(["--depth", "0", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()?;
    let tree = String::from_utf8(tree.stdout)?;
    assert!(tree.contains("syn v"), "two versions are there: {tree}");
    for large in [
        "ring",
        "rustls",
        "sqlx-core",
        "sqlx-postgres",
        "tokio",
        "wasmparser",
    ] {
        let prefix = format!("{large} v");
        let mut builds: Vec<_> = tree.lines().filter(|l| l.starts_with(&prefix)).collect();
        let all = builds.len();
        builds.sort_unstable();
        builds.dedup();
        assert_eq!(
            builds.len(),
            all,
            "{large} is compiled for procedural macros, too, with other features: see crates/workspace-hack"
        );
    }
    Ok(())
}

/// The features with which each foreign package is built, by `cargo` with these arguments; several where macros use it
/// too.
fn features(arguments: &[&str]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none", "-f", "{p}|{f}"])
        .args(arguments)
        .current_dir(root())
        .output()?;
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for line in String::from_utf8(tree.stdout)?.lines() {
        let line = line.trim_end_matches(" (*)");
        if let Some((package, features)) = line.split_once('|')
            && !package.contains("(/")
        {
            let known = found.entry(package.to_owned()).or_default();
            known.insert(features.to_owned());
        }
    }
    ensure!(!found.is_empty(), "{}", String::from_utf8(tree.stderr)?);
    Ok(found)
}

#[test]
fn what_the_program_is_made_of_is_not_compiled_again_for_the_tests() -> Result<()> {
    let everything = features(&["--workspace", "-e", "normal,build,dev"])?;
    for arguments in [
        ["-p", "gather", "-e", "normal,build"],
        ["-p", "e2e", "-e", "normal,build,dev"],
    ] {
        let apart: Vec<_> = features(&arguments)?
            .into_iter()
            .filter(|(package, features)| !features.is_subset(&everything[package]))
            .map(|(package, features)| {
                format!("{package}: {features:?} and {:?}", everything[&package])
            })
            .collect();
        assert!(
            apart.is_empty(),
            "crates/workspace-hack/Cargo.toml lacks features of {apart:#?}"
        );
    }
    Ok(())
}

#[test]
fn a_functions_folder_package_component_and_test_have_one_name() -> Result<()> {
    let manifest = e2e::manifest()?;
    for (parent, queued) in [("functions", false), ("components", true)] {
        for entry in fs::read_dir(root().join(parent))? {
            let folder = entry?.file_name().to_string_lossy().into_owned();
            let (path, _) = &packages()?[&folder];
            assert!(
                path.ends_with(&format!("{parent}/{folder}/Cargo.toml")),
                "{path}"
            );
            let component = manifest.components.iter().find(|c| c.id == folder);
            assert_eq!(
                component.map(|c| c.attempts.is_some()),
                Some(queued),
                "[component.{folder}] of spin.toml, and its tool.gather.job"
            );
            let room = if queued { "jobs" } else { "functions" };
            let tests = format!("tests/{room}/{}", folder.replace('-', "_"));
            let has_tests = ["", ".rs"]
                .iter()
                .any(|end| root().join(format!("{tests}{end}")).exists());
            assert!(has_tests, "{tests}, a folder or a file");
        }
    }
    Ok(())
}

/// The files that people write and a compiler or the database reads. What is generated from others says so in its first
/// line.
const SOURCES: [&str; 6] = [".rs", ".sql", ".py", ".js", ".mjs", ".css"];

#[test]
fn no_source_file_is_longer_than_500_lines() -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()?;
    let mut checked = 0;
    for path in String::from_utf8(listed.stdout)?.lines() {
        let file = root().join(path);
        if !SOURCES.iter().any(|end| path.ends_with(end)) || !file.exists() {
            continue;
        }
        let text = fs::read_to_string(file).context(path.to_owned())?;
        let first = text.lines().next().unwrap_or_default();
        let lines = text.lines().count();
        assert!(
            lines <= 500 || first.contains("Generated: "),
            "{path} has {lines} lines: split it by subject"
        );
        checked += 1;
    }
    assert!(checked > 100, "{checked} files: this check sees nothing");
    Ok(())
}

#[test]
fn every_path_that_the_documents_name_exists() -> Result<()> {
    for document in [
        "docs/architecture.md",
        "docs/functions.md",
        "docs/operating.md",
        "README.md",
        "CONTRIBUTING.md",
    ] {
        let text = fs::read_to_string(root().join(document)).context(document)?;
        let mut checked = 0;
        let code = text.split('`').skip(1).step_by(2);
        let links = text.split("](").skip(1);
        let links = links.filter_map(|rest| rest.split([')', '#']).next());
        for code in code.chain(links) {
            let looks_like_path = code.contains('/')
                && !code.starts_with(['/', '.', '<', '$', '-'])
                && code
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
                && !code.starts_with("target/");
            if looks_like_path {
                assert!(
                    root().join(code).exists(),
                    "{document} names {code}, which does not exist"
                );
                checked += 1;
            }
        }
        assert!(
            checked > 0,
            "{document} names no path: this check sees nothing"
        );
    }
    Ok(())
}
