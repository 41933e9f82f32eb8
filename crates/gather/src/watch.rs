//! `gather up --watch`: rebuilds the components whose sources change, and loads them in the place of those that run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread::sleep,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use host::{Functions, jobs::Kinds};

use crate::{build, manifest::Manifest};

/// The interval at which the sources are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The files at one moment, with the time of their last change and their size.
type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// The components that a process runs.
pub struct Running {
    /// The functions of its host.
    pub functions: Arc<Functions>,
    /// The kinds of work of its worker.
    pub kinds: Arc<Kinds>,
}

/// The sources of a manifest's components and their built files, as they were when last looked at.
pub struct Watch {
    manifest: Arc<Manifest>,
    /// The globs that the components name, absolute.
    globs: BTreeSet<String>,
    sources: Files,
    built: Files,
    /// Whether the last build failed, whose files are not loaded.
    is_broken: bool,
}

impl Running {
    fn reload(&self, id: &str) -> Result<()> {
        if self.functions.has(id) {
            self.functions.reload(id)
        } else {
            self.kinds.reload(id)
        }
    }
}

impl Watch {
    /// Builds the stale components, and remembers the sources as they were before.
    pub fn build(manifest: Arc<Manifest>) -> Result<Self> {
        let mut watch = Self::new(manifest);
        build::ensure_fresh(&watch.manifest)?;
        watch.built = watch.built_files();
        Ok(watch)
    }

    fn new(manifest: Arc<Manifest>) -> Self {
        let folder = glob::Pattern::escape(&manifest.folder().to_string_lossy());
        let builds = manifest.checked.components.values();
        let globs = builds.filter_map(|component| component.build.as_ref());
        let globs = globs.flat_map(|build| &build.watch);
        // To the library, `**` at the end names folders alone; to Spin, all that is in them.
        let globs = globs.map(|glob| match glob.ends_with("/**") {
            true => format!("{folder}/{glob}/*"),
            false => format!("{folder}/{glob}"),
        });
        let globs = globs.collect();
        Self {
            sources: source_files(&globs),
            globs,
            built: Files::new(),
            is_broken: false,
            manifest,
        }
    }

    /// Watches on a thread of its own, which ends with the process, so that a running build does not delay the exit.
    pub fn start(mut self, running: Running) -> Result<()> {
        let watch = move || {
            loop {
                sleep(LOOK_EVERY);
                let manifest = self.manifest.clone();
                let build = || build::ensure_fresh(&manifest);
                if let Err(error) = self.look(build, |id| running.reload(id)) {
                    tracing::error!("{error:#}. The components go on as they were built before.");
                }
            }
        };
        std::thread::Builder::new()
            .name("gather-watch".to_owned())
            .spawn(watch)
            .context("can't start the thread that watches the sources")?;
        Ok(())
    }

    /// Builds if a source has changed since the last look, and loads the components that were built since, whoever
    /// built them. A failed build is tried again after the next change.
    fn look(
        &mut self,
        build: impl FnOnce() -> Result<()>,
        mut reload: impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        let sources = source_files(&self.globs);
        if sources != self.sources {
            self.sources = sources;
            self.is_broken = true;
            build()?;
            self.is_broken = false;
        }
        if self.is_broken {
            return Ok(());
        }
        let built = self.built_files();
        let before = std::mem::replace(&mut self.built, built);
        let mut loaded = Ok(());
        for component in self.manifest.checked.components.values() {
            let (id, file) = (&component.id, &component.source);
            // A file that is gone is about to be written.
            if !self.built.contains_key(file) || self.built.get(file) == before.get(file) {
                continue;
            }
            match reload(id) {
                Ok(()) => tracing::info!(component = id, "runs in its new build"),
                Err(error) => loaded = Err(error),
            }
        }
        loaded
    }

    fn built_files(&self) -> Files {
        let components = self.manifest.checked.components.values();
        let files = components.map(|component| component.source.as_path());
        files.filter_map(file).collect()
    }
}

fn source_files(globs: &BTreeSet<String>) -> Files {
    let paths = globs.iter().filter_map(|glob| glob::glob(glob).ok());
    let paths = paths.flatten().flatten();
    paths.filter_map(|path| file(&path)).collect()
}

fn file(path: &Path) -> Option<(PathBuf, (Option<SystemTime>, u64))> {
    let about = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((path.to_owned(), (about.modified().ok(), about.len())))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use anyhow::bail;

    use super::*;

    /// A project with a function in two components, and queued work.
    struct Project {
        folder: tempfile::TempDir,
        watch: Watch,
    }

    impl Project {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            for name in ["notes/src/inner", "digest/src"] {
                fs::create_dir_all(path(name)).unwrap();
            }
            for name in [
                "notes/src/lib.rs",
                "notes/src/inner/deep.rs",
                "digest/src/lib.rs",
                "notes.wasm",
                "digest.wasm",
            ] {
                fs::write(path(name), "").unwrap();
            }
            let manifest = r#"
                spin_manifest_version = 2
                application.name = "x"
                [component.notes]
                source = "notes.wasm"
                build = { command = "cargo build", watch = ["notes/src/**", "shared/*.json"] }
                [component.second]
                source = "notes.wasm"
                [component.digest]
                source = "digest.wasm"
                build = { command = "cargo build", watch = ["digest/src/**/*.rs"] }
                [component.digest.tool.gather]
                job = {}
            "#;
            fs::write(path("spin.toml"), manifest).unwrap();
            let manifest = Manifest::load(&path("spin.toml")).unwrap();
            let mut watch = Watch::new(Arc::new(manifest));
            watch.built = watch.built_files();
            Self { folder, watch }
        }

        /// Changes the content and thereby the size of a file, whatever the clock does.
        fn change(&self, name: &str) {
            let path = self.folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = fs::read_to_string(&path).unwrap_or_default();
            fs::write(path, text + "x").unwrap();
        }

        /// Looks at the sources with a build that writes these files. Returns whether it built, and what it reloaded.
        fn look(&mut self, writes: &[&str]) -> (bool, Vec<String>) {
            let built = RefCell::new(false);
            let mut reloaded = Vec::new();
            let path = self.folder.path().to_owned();
            let build = || {
                *built.borrow_mut() = true;
                for name in writes {
                    fs::write(path.join(name), "newer").unwrap();
                }
                Ok(())
            };
            let reload = |id: &str| {
                reloaded.push(id.to_owned());
                Ok(())
            };
            self.watch.look(build, reload).unwrap();
            (built.into_inner(), reloaded)
        }
    }

    #[test]
    fn a_watched_file_that_changes_comes_or_goes_is_built_once() {
        let mut project = Project::new();
        assert_eq!(project.look(&[]), (false, vec![]));
        for name in [
            "notes/src/lib.rs",
            "notes/src/inner/deep.rs",
            "notes/src/new/module.rs",
            "digest/src/lib.rs",
            "shared/openapi.json",
        ] {
            project.change(name);
            assert_eq!(project.look(&[]), (true, vec![]), "{name}");
            assert_eq!(project.look(&[]), (false, vec![]), "{name}");
        }
        for name in [
            "notes/README.md",
            "digest/src/notes.txt",
            "shared/deep/a.json",
        ] {
            project.change(name);
            assert_eq!(project.look(&[]), (false, vec![]), "{name}");
        }
        fs::remove_file(project.folder.path().join("notes/src/inner/deep.rs")).unwrap();
        assert_eq!(project.look(&[]), (true, vec![]));
    }

    #[test]
    fn all_components_of_a_file_that_was_built_are_loaded_once() {
        let mut project = Project::new();
        project.change("notes/src/lib.rs");
        let expected = (true, vec!["notes".to_owned(), "second".to_owned()]);
        assert_eq!(project.look(&["notes.wasm"]), expected);
        assert_eq!(project.look(&[]), (false, vec![]));
        // By somebody else.
        project.change("digest.wasm");
        assert_eq!(project.look(&[]), (false, vec!["digest".to_owned()]));
        fs::remove_file(project.folder.path().join("digest.wasm")).unwrap();
        assert_eq!(project.look(&[]), (false, vec![]));
    }

    #[test]
    fn what_fails_is_said_once_and_tried_again_after_a_change() {
        let mut project = Project::new();
        project.change("notes/src/lib.rs");
        // A part was built before the rest failed.
        project.change("notes.wasm");
        let failed = project.watch.look(|| bail!("no"), |id| bail!("{id}"));
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert_eq!(project.look(&[]), (false, vec![]));
        project.change("notes/src/lib.rs");
        let both = vec!["notes".to_owned(), "second".to_owned()];
        assert_eq!(project.look(&[]), (true, both));

        project.change("digest.wasm");
        let failed = project.watch.look(|| Ok(()), |id| bail!("{id} is broken"));
        assert_eq!(failed.unwrap_err().to_string(), "digest is broken");
        assert_eq!(project.look(&[]), (false, vec![]));
        project.change("digest.wasm");
        assert_eq!(project.look(&[]), (false, vec!["digest".to_owned()]));
    }
}
