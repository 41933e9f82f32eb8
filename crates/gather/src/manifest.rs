//! The few fields of `spin.toml` that the command needs itself: what to build, and which database roles there are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

/// Where the manifest is looked for, from the current folder upwards.
pub const FILE_NAME: &str = "spin.toml";

/// The components of a manifest.
#[derive(Debug)]
pub struct Manifest {
    /// The file that was read.
    pub path: PathBuf,
    /// The components, by id.
    pub components: Vec<Component>,
}

/// One component, as far as building it and giving it a database role go.
#[derive(Debug, PartialEq)]
pub struct Component {
    /// Its id, which is its package's name too.
    pub id: String,
    /// The built file, absolute; none where it is fetched from elsewhere.
    pub source: Option<PathBuf>,
    /// Whether cargo builds it.
    pub built_by_cargo: bool,
    /// The database role that it connects as.
    pub role: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    component: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    source: Option<toml::Value>,
    build: Option<Build>,
    #[serde(default)]
    tool: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct Build {
    command: toml::Value,
}

impl Manifest {
    /// Reads the manifest at `path`.
    pub fn load(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        let path = std::path::absolute(path)?;
        Self::parse(&text, &path)
            .with_context(|| format!("{} is not a valid manifest", path.display()))
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let document: Document = toml::from_str(text)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let components = document
            .component
            .into_iter()
            .map(|(id, entry)| entry.read(id, folder))
            .collect::<Result<_>>()?;
        Ok(Self {
            path: path.to_owned(),
            components,
        })
    }

    /// The folder that the manifest's paths are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// The components that cargo builds.
    pub fn packages(&self) -> impl Iterator<Item = &Component> {
        self.components
            .iter()
            .filter(|component| component.built_by_cargo)
    }

    /// The components that have a database role, with its name.
    pub fn roles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.components
            .iter()
            .filter_map(|component| Some((component.id.as_str(), component.role.as_deref()?)))
    }
}

impl Entry {
    fn read(self, id: String, folder: &Path) -> Result<Component> {
        let role = match self.tool.get("gather").and_then(|table| table.get("role")) {
            None => None,
            Some(role) => Some(
                role_name(role).with_context(|| format!("[component.{id}.tool.gather] role"))?,
            ),
        };
        let source = self
            .source
            .and_then(|source| source.as_str().map(|path| folder.join(path)));
        let built_by_cargo = self.build.is_some_and(|build| is_cargo(&build.command));
        Ok(Component {
            id,
            source,
            built_by_cargo,
            role,
        })
    }
}

fn is_cargo(command: &toml::Value) -> bool {
    let first = match command {
        toml::Value::Array(commands) => commands.first(),
        other => Some(other),
    };
    first
        .and_then(toml::Value::as_str)
        .is_some_and(|command| command.starts_with("cargo "))
}

/// Role names go into statements that take no parameters, so they are kept plain.
fn role_name(value: &toml::Value) -> Result<String> {
    let name = value.as_str().ok_or_else(|| anyhow!("must be a string"))?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(anyhow!("must be 1-63 of a-z 0-9 _, not {name:?}"));
    }
    Ok(name.to_owned())
}

/// The manifest in the current folder or the nearest one above it.
pub fn find() -> Result<PathBuf> {
    let start = std::env::current_dir().context("the current folder can't be read")?;
    start
        .ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            anyhow!(
                "no {FILE_NAME} in {} or above it; go to the project's folder or give --manifest",
                start.display()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest> {
        Manifest::parse(text, Path::new("/app/spin.toml"))
    }

    #[test]
    fn reads_what_is_needed_and_ignores_the_rest() {
        let manifest = parse(
            r#"
            spin_manifest_version = 2
            [application]
            name = "x"
            [[trigger.http]]
            route = "/..."
            component = "site"
            [component.site]
            source = "target/site.wasm"
            [component.site.build]
            command = "cargo build -p site"
            [component.site.tool.gather]
            role = "gather_site"
            [component.fetched]
            source = { url = "https://example.com/a.wasm", digest = "sha256:00" }
            [component.other]
            source = "other.wasm"
            build.command = ["make", "cargo x"]
            "#,
        )
        .unwrap();
        assert_eq!(manifest.folder(), Path::new("/app"));
        assert_eq!(
            manifest
                .packages()
                .map(|c| c.id.as_str())
                .collect::<Vec<_>>(),
            ["site"]
        );
        assert_eq!(
            manifest.roles().collect::<Vec<_>>(),
            [("site", "gather_site")]
        );
        let fetched = manifest
            .components
            .iter()
            .find(|c| c.id == "fetched")
            .unwrap();
        assert_eq!(fetched.source, None);
        let site = manifest.components.iter().find(|c| c.id == "site").unwrap();
        assert_eq!(
            site.source.as_deref(),
            Some(Path::new("/app/target/site.wasm"))
        );
    }

    #[test]
    fn refuses_role_names_that_would_need_quoting() {
        for bad in ["\"\"", "\"Gather\"", "\"a; drop role b\"", "7"] {
            let error = parse(&format!("[component.a.tool.gather]\nrole = {bad}")).unwrap_err();
            assert!(
                format!("{error:#}").contains("[component.a.tool.gather] role"),
                "{error:#}"
            );
        }
    }

    #[test]
    fn says_what_file_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spin.toml");
        fs::write(&path, "[component").unwrap();
        let error = Manifest::load(&path).unwrap_err();
        assert!(format!("{error:#}").contains("spin.toml is not a valid manifest"));
    }
}
