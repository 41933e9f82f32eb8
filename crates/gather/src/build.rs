//! Builds the components of `spin.toml`, all in one cargo invocation, and skips that when nothing has changed.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};

use crate::{
    manifest::{self, Component, Manifest},
    progress::Step,
    toolchain::{TARGET, Toolchain},
};

/// The cargo profile that functions are built with.
pub const PROFILE: &str = "function";

/// Builds the stale components of the manifest in the current folder or above, for tests.
pub fn ensure() -> Result<()> {
    ensure_fresh(&Manifest::load(&manifest::find()?)?)
}

/// Builds the manifest's components unless all are fresh, which is checked without cargo.
pub fn ensure_fresh(manifest: &Manifest) -> Result<()> {
    let build = Build::new(manifest);
    if build.stale().is_none() {
        return Ok(());
    }
    let _lock = build.lock()?;
    // Another process may have built it while we waited.
    if build.stale().is_none() {
        Ok(())
    } else {
        build.run()
    }
}

/// Lets cargo build the manifest's components, whether they look fresh or not, in the release profile if asked.
pub fn run(manifest: &Manifest, release: bool) -> Result<()> {
    let build = Build {
        release,
        ..Build::new(manifest)
    };
    let _lock = build.lock()?;
    build.run()
}

/// The reason why the components have to be built, if there is one.
pub fn stale(manifest: &Manifest) -> Option<String> {
    Build::new(manifest).stale()
}

struct Build<'a> {
    manifest: &'a Manifest,
    target: PathBuf,
    /// Whether the components are optimised at link time.
    release: bool,
}

impl<'a> Build<'a> {
    fn new(manifest: &'a Manifest) -> Self {
        Self {
            manifest,
            target: manifest.folder().join("target"),
            release: false,
        }
    }

    fn output(&self) -> PathBuf {
        self.target.join(TARGET).join(PROFILE)
    }

    /// The file whose time is the start of the component's last successful build. Each component has its own, because
    /// tests build more components than `up`.
    fn stamp(&self, id: &str) -> PathBuf {
        self.output().join(format!(".{id}.built"))
    }

    fn lock(&self) -> Result<File> {
        let output = self.output();
        fs::create_dir_all(&output).with_context(|| format!("can't make {}", output.display()))?;
        let path = output.join(".gather-lock");
        let file =
            File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
        file.lock()?;
        Ok(file)
    }

    fn stale(&self) -> Option<String> {
        self.manifest
            .packages()
            .find_map(|component| self.stale_component(component))
    }

    /// Whether the component is fresh. Compares times as cargo does, but only those of the sources that the last build
    /// listed.
    fn stale_component(&self, component: &Component) -> Option<String> {
        let id = &component.id;
        let stamp = fs::metadata(self.stamp(id)).and_then(|stamp| stamp.modified());
        let Ok(built) = stamp else {
            return Some(format!("{id} was never built"));
        };
        if component
            .source
            .as_ref()
            .is_none_or(|source| !source.is_file())
        {
            return Some(format!("{id} is missing"));
        }
        let list = self.output().join(format!("{}.d", id.replace('-', "_")));
        let Ok(list) = fs::read_to_string(&list) else {
            return Some(format!("{} is missing", list.display()));
        };
        let root = self.manifest.folder();
        let mut inputs: BTreeSet<_> = sources(&list).into_iter().collect();
        let packages: Vec<_> = inputs
            .iter()
            .filter_map(|source| package_manifest(source))
            .collect();
        inputs.extend(packages);
        inputs.extend(["Cargo.toml", "Cargo.lock"].map(|name| root.join(name)));
        let changed = inputs.iter().find(|input| changed_since(input, built))?;
        Some(format!(
            "{} has changed",
            changed.strip_prefix(root).unwrap_or(changed).display()
        ))
    }

    fn run(&self) -> Result<()> {
        let packages: Vec<_> = self
            .manifest
            .packages()
            .map(|component| component.id.as_str())
            .collect();
        if packages.is_empty() {
            return Ok(());
        }
        let toolchain = Toolchain::find()?;
        toolchain.ensure_target(TARGET, &self.target)?;
        fs::create_dir_all(self.output())?;
        let begun = self.output().join(".gather-building");
        File::create(&begun)?;
        let step = Step::plain(format!("building {}", packages.join(", ")));
        let mut command = self.command(&toolchain, &packages);
        let status = command.status().context("can't run cargo")?;
        if !status.success() {
            bail!("the components could not be built; cargo's messages above say why");
        }
        for component in self.manifest.packages() {
            if let Some(source) = component.source.as_ref().filter(|source| !source.is_file()) {
                bail!(
                    "cargo built {id}, but not {source}; in spin.toml, [component.{id}] source must be \"target/{TARGET}/{PROFILE}/{file}.wasm\"",
                    id = component.id,
                    source = source.display(),
                    file = component.id.replace('-', "_"),
                );
            }
        }
        for package in &packages {
            fs::copy(&begun, self.stamp(package))?;
            File::options()
                .write(true)
                .open(self.stamp(package))?
                .set_modified(fs::metadata(&begun)?.modified()?)?;
        }
        step.done(&format!("{} built", packages.join(", ")));
        Ok(())
    }

    fn command(&self, toolchain: &Toolchain, packages: &[&str]) -> Command {
        let mut command = toolchain.cargo();
        command
            .args(["build", "--target", TARGET, "--profile", PROFILE])
            .arg("--target-dir")
            .arg(&self.target)
            .current_dir(self.manifest.folder());
        for package in packages {
            command.args(["--package", package]);
        }
        let optimised = [
            "opt-level=3",
            "lto=\"fat\"",
            "codegen-units=1",
            "incremental=false",
        ];
        for setting in optimised.iter().filter(|_| self.release) {
            command.args(["--config", &format!("profile.{PROFILE}.{setting}")]);
        }
        command
    }
}

/// The files that a dependency list of cargo's (`output: input input …`) names.
fn sources(list: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in list.lines() {
        let Some((_, inputs)) = line.split_once(": ") else {
            continue;
        };
        let mut word = String::new();
        let mut characters = inputs.chars();
        while let Some(character) = characters.next() {
            match character {
                // Blanks in names are escaped.
                '\\' => word.extend(characters.next()),
                ' ' => found.push(PathBuf::from(std::mem::take(&mut word))),
                _ => word.push(character),
            }
        }
        found.push(PathBuf::from(word));
    }
    found.retain(|path| !path.as_os_str().is_empty());
    found
}

/// The `Cargo.toml` of the package that a source file belongs to.
fn package_manifest(source: &Path) -> Option<PathBuf> {
    source
        .ancestors()
        .skip(1)
        .map(|folder| folder.join("Cargo.toml"))
        .find(|path| path.is_file())
}

/// Whether a file changed since a time. A missing file counts as changed.
fn changed_since(path: &Path, time: SystemTime) -> bool {
    fs::metadata(path)
        .and_then(|file| file.modified())
        .map_or(true, |modified| modified > time)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn reads_cargos_dependency_lists() {
        let list = "/t/site.wasm: /src/a.rs /src/with\\ blank/b.rs\n";
        assert_eq!(
            sources(list),
            [
                PathBuf::from("/src/a.rs"),
                PathBuf::from("/src/with blank/b.rs")
            ]
        );
        assert!(sources("").is_empty());
    }

    /// Makes a project that looks built, and returns the time before its last build began.
    fn built() -> (tempfile::TempDir, Manifest) {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("target/wasm32-wasip2/function");
        fs::create_dir_all(&output).unwrap();
        fs::create_dir_all(folder.path().join("site/src")).unwrap();
        let source = folder.path().join("site/src/lib.rs");
        for file in [
            "Cargo.toml",
            "Cargo.lock",
            "site/Cargo.toml",
            "site/src/lib.rs",
            "target/wasm32-wasip2/function/site.wasm",
        ] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        fs::write(
            output.join("site.d"),
            format!("site.wasm: {}\n", source.display()),
        )
        .unwrap();
        fs::write(
            folder.path().join("spin.toml"),
            "spin_manifest_version = 2
application.name = \"x\"
[component.site]
source = \"target/wasm32-wasip2/function/site.wasm\"
build.command = \"cargo build\"
",
        )
        .unwrap();
        let manifest = Manifest::load(&folder.path().join("spin.toml")).unwrap();
        File::create(Build::new(&manifest).stamp("site")).unwrap();
        (folder, manifest)
    }

    fn touch(path: &Path) {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(SystemTime::now() + Duration::from_secs(5))
            .unwrap();
    }

    #[test]
    fn what_is_built_is_fresh_until_an_input_changes() {
        for input in [
            "Cargo.toml",
            "Cargo.lock",
            "site/Cargo.toml",
            "site/src/lib.rs",
        ] {
            let (folder, manifest) = built();
            assert_eq!(stale(&manifest), None);
            touch(&folder.path().join(input));
            assert_eq!(stale(&manifest), Some(format!("{input} has changed")));
        }
    }

    #[test]
    fn what_is_missing_is_stale() {
        for missing in [
            "site/src/lib.rs",
            "target/wasm32-wasip2/function/site.wasm",
            "target/wasm32-wasip2/function/.site.built",
        ] {
            let (folder, manifest) = built();
            fs::remove_file(folder.path().join(missing)).unwrap();
            assert!(stale(&manifest).is_some(), "{missing}");
        }
    }
}
