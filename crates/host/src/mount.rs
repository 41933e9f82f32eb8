//! The `files` of a component, as a read-only folder with just those files.

use crate::manifest::{Component, FileMount};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Component as Part, Path, PathBuf},
};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// A folder of the host that the guest sees read-only.
#[derive(Debug, Clone)]
pub struct Mount {
    host: PathBuf,
    guest: String,
}

impl Mount {
    /// Adds the mount to a guest's file system.
    ///
    /// # Errors
    /// The folder does not exist any more.
    pub fn add_to(&self, wasi: &mut WasiCtxBuilder) -> Result<()> {
        wasi.preopened_dir(&self.host, &self.guest, FsPerms::ReadOnly)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("cannot mount {}", self.host.display()))?;
        Ok(())
    }
}

/// Prepares a component's mounts. Folders are mounted where they are; files that globs name are
/// copied below `scratch`, since a mount is a whole folder.
///
/// # Errors
/// A source that does not exist or that lies outside the manifest's folder.
pub fn prepare(component: &Component, folder: &Path, scratch: &Path) -> Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    let copies = scratch.join(&component.id);
    if copies.exists() {
        fs::remove_dir_all(&copies)?;
    }
    let mut copied = false;
    for file in &component.files {
        match file {
            FileMount::Placed {
                source,
                destination,
            } => {
                let host = folder.join(inside(source)?);
                if host.is_dir() {
                    mounts.push(Mount {
                        host,
                        guest: destination.clone(),
                    });
                } else {
                    copy(&host, &copies, inside(destination.trim_start_matches('/'))?)?;
                    copied = true;
                }
            }
            FileMount::Glob(pattern) => {
                let pattern = folder.join(inside(pattern)?);
                for path in glob::glob(&pattern.to_string_lossy())? {
                    let path = path?;
                    if path.is_file() {
                        copy(&path, &copies, path.strip_prefix(folder)?)?;
                        copied = true;
                    }
                }
            }
        }
    }
    if copied {
        mounts.push(Mount {
            host: copies,
            guest: "/".into(),
        });
    }
    Ok(mounts)
}

fn inside(path: &str) -> Result<&Path> {
    let path = Path::new(path);
    if path
        .components()
        .any(|part| !matches!(part, Part::Normal(_) | Part::CurDir))
    {
        bail!("{} leads out of the manifest's folder", path.display());
    }
    Ok(path)
}

fn copy(from: &Path, folder: &Path, name: &Path) -> Result<()> {
    let to = folder.join(name);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, &to).with_context(|| format!("cannot read {}", from.display()))?;
    Ok(())
}
