//! The folder of a skill.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use skill::Manifest;

use super::Language;

/// The folder of a skill.
pub struct Project {
    /// The path of the folder.
    pub folder: PathBuf,
}

impl Project {
    /// Opens the skill in a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.join("skill.json").is_file() {
            bail!(
                "there is no skill.json in {}; make a skill with: gather skill new my-words",
                folder.display()
            );
        }
        Ok(Self {
            folder: std::path::absolute(folder)?,
        })
    }

    /// The manifest as it will be published, with README.md as its readme unless it has one.
    pub fn manifest_json(&self) -> Result<Value> {
        let path = self.folder.join("skill.json");
        let text =
            fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let mut manifest: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is not JSON", path.display()))?;
        let readme = fs::read_to_string(self.folder.join("README.md"));
        if let (Some(object), Ok(readme)) = (manifest.as_object_mut(), readme) {
            object.entry("readme").or_insert(json!(readme));
        }
        Ok(manifest)
    }

    /// Reads the manifest, and checks it as the platform does.
    pub fn manifest(&self) -> Result<Manifest> {
        Manifest::parse(&serde_json::to_vec(&self.manifest_json()?)?).map_err(explain)
    }

    /// The path of the built component.
    pub fn component(&self) -> PathBuf {
        self.folder.join("skill.wasm")
    }

    /// Reads the built component.
    pub fn read_component(&self) -> Result<Vec<u8>> {
        let path = self.component();
        fs::read(&path).with_context(|| {
            format!(
                "can't read {}; build it first: gather skill build",
                path.display()
            )
        })
    }

    /// The language of the skill, by its files.
    pub fn language(&self) -> Result<Language> {
        let has = |name: &str| self.folder.join(name).is_file();
        if has("Cargo.toml") {
            return Ok(Language::Rust);
        }
        if has("package.json") {
            return Ok(Language::Js);
        }
        if has("app.py") {
            return Ok(Language::Python);
        }
        bail!(
            "{} has no Cargo.toml, package.json or app.py, so it is not known how to build it; put the component of another toolchain there as skill.wasm",
            self.folder.display()
        )
    }
}

/// The faults of a manifest, one on each line.
pub fn explain(errors: Vec<skill::FieldError>) -> anyhow::Error {
    let lines: Vec<_> = errors
        .iter()
        .map(|error| format!("  {}: {}", error.field, error.detail))
        .collect();
    anyhow::anyhow!("skill.json is not as it must be:\n{}", lines.join("\n"))
}
