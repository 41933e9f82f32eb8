//! The packages of the workspace, with the tables `[package.metadata.gather]` of their Cargo.toml files.

use anyhow::{Context, Result, ensure};
use e2e::root;
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The packages, in the order of their names.
pub struct Packages {
    /// The packages in `functions`.
    pub functions: Vec<Package>,
    /// The packages in `components`.
    pub components: Vec<Package>,
    /// The codes of problems that native crates state, by crate.
    pub native_problems: BTreeMap<String, BTreeMap<String, String>>,
    /// The routes that native crates serve within the host's process, in Spin's form.
    pub native_routes: Vec<String>,
}

/// A function, or a component that does queued work.
pub struct Package {
    pub name: String,
    pub description: String,
    /// The folder, relative to the repository: `functions/posts`.
    pub folder: String,
    /// The folders of the workspace's crates that it depends on.
    pub crates: Vec<String>,
    pub settings: Settings,
    /// The text of its Cargo.toml, for the tables that are copied verbatim.
    pub text: String,
}

/// The table `[package.metadata.gather]`, which has the differences from the defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The purpose of its grants, for the table of roles.
    pub may: Option<String>,
    /// The routes in Spin's form. The default is `/api/<name>/...`.
    pub routes: Vec<String>,
    /// The `allowed_outbound_hosts` besides the database.
    pub hosts: Vec<String>,
    /// Globs of sources besides its own and those of the workspace's crates.
    pub watch: Vec<String>,
    /// More components of the same wasm file, by id.
    pub components: BTreeMap<String, Second>,
}

/// The table `[package.metadata.gather]` of a native crate.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Native {
    /// The codes of problems that it answers with, and what a client can do about them.
    problems: BTreeMap<String, String>,
    /// The routes in Spin's form that it serves within the host's process.
    native_routes: Vec<String>,
}

/// The table `[package.metadata.gather.components.<id>]` of a second component.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Second {
    pub description: String,
    pub routes: Vec<String>,
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// The tables that are copied verbatim, with their comments.
const TABLES: [&str; 3] = ["application", "variables", "tool"];

impl Package {
    /// The name in the form of an identifier: `mail_delivery`.
    pub fn identifier(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The database role.
    pub fn role(&self) -> String {
        format!("gather_{}", self.identifier())
    }

    /// Copies the lines of a table below `[package.metadata.gather]`, such as `tool` or `components.provider.tool`.
    pub fn table(&self, name: &str) -> String {
        let head = format!("[package.metadata.gather.{name}]");
        let lines = self.text.lines().skip_while(|line| *line != head).skip(1);
        let lines: Vec<_> = lines.take_while(|line| !line.starts_with('[')).collect();
        match lines.join("\n").trim_end() {
            "" => String::new(),
            text => format!("{text}\n"),
        }
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    name: String,
    description: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    metadata: Option<Value>,
}

#[derive(Deserialize)]
struct Dependency {
    path: Option<PathBuf>,
    kind: Option<String>,
}

impl Packages {
    pub fn read() -> Result<Self> {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version",
                "1",
                "--no-deps",
                "--offline",
            ])
            .current_dir(root())
            .output()?;
        ensure!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut raw: Metadata = serde_json::from_slice(&output.stdout)?;
        raw.packages.sort_by(|one, other| one.name.cmp(&other.name));
        let mut packages = Self {
            functions: Vec::new(),
            components: Vec::new(),
            native_problems: BTreeMap::new(),
            native_routes: Vec::new(),
        };
        for raw in raw.packages {
            let folder = relative(raw.manifest_path.parent().context("a folder")?)?;
            match folder.split('/').next() {
                Some("functions") => packages.functions.push(raw.package(folder)?),
                Some("components") => packages.components.push(raw.package(folder)?),
                _ => {
                    let metadata = raw.metadata.unwrap_or_default();
                    let settings: Option<Native> =
                        serde_json::from_value(metadata["gather"].clone()).with_context(|| {
                            format!("{folder}/Cargo.toml: [package.metadata.gather]")
                        })?;
                    let settings = settings.unwrap_or_default();
                    packages.native_routes.extend(settings.native_routes);
                    if !settings.problems.is_empty() {
                        packages.native_problems.insert(folder, settings.problems);
                    }
                }
            }
        }
        Ok(packages)
    }

    /// Lists the functions, then the components.
    pub fn all(&self) -> impl Iterator<Item = &Package> {
        self.functions.iter().chain(&self.components)
    }
}

impl Raw {
    fn package(self, folder: String) -> Result<Package> {
        let manifest = format!("{folder}/Cargo.toml");
        ensure!(
            folder.ends_with(&format!("/{}", self.name)),
            "{manifest}: the package is named {}",
            self.name
        );
        let mut settings = match self.metadata {
            Some(Value::Object(mut metadata)) => metadata.remove("gather").unwrap_or_default(),
            _ => Value::Null,
        };
        drop_tables(&mut settings);
        let seconds = settings
            .get_mut("components")
            .and_then(Value::as_object_mut);
        for (_, second) in seconds.into_iter().flatten() {
            drop_tables(second);
        }
        let settings: Option<Settings> = serde_json::from_value(settings)
            .with_context(|| format!("{manifest}: [package.metadata.gather]"))?;
        let crates = self.dependencies.into_iter();
        let crates = crates.filter(|dependency| dependency.kind.is_none());
        let crates = crates.filter_map(|dependency| dependency.path);
        Ok(Package {
            description: self
                .description
                .with_context(|| format!("{manifest} has no `description`"))?,
            crates: crates.map(|path| relative(&path)).collect::<Result<_>>()?,
            text: fs::read_to_string(&self.manifest_path)?,
            name: self.name,
            folder,
            settings: settings.unwrap_or_default(),
        })
    }
}

fn drop_tables(settings: &mut Value) {
    if let Some(settings) = settings.as_object_mut() {
        settings.retain(|name, _| !TABLES.contains(&name.as_str()));
    }
}

fn relative(path: &Path) -> Result<String> {
    Ok(path.strip_prefix(root())?.to_string_lossy().into_owned())
}
