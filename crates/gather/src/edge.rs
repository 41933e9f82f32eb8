//! Builds the edge, which is a workspace of its own, for Cloudflare Workers.
//!
//! `worker-build` does it, with tools that it would download by itself, which is not possible everywhere: each is taken
//! from the environment, or else installed with cargo or npm.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    progress::Step,
    toolchain::{EDGE_TARGET, Toolchain, said},
};

/// The version of the command that builds for Workers: the crate `worker` has the same.
const WORKER_BUILD: &str = "0.8.7";

/// Builds the edge of the project in `root`. Answers the folder with the script and its module.
pub fn build(root: &Path) -> Result<PathBuf> {
    build_with(root, esbuild())
}

/// As [`build`], with a given bundler.
pub fn build_with(root: &Path, esbuild: Option<PathBuf>) -> Result<PathBuf> {
    let folder = root.join("edge");
    let built = Built {
        folder: &folder,
        workspace: &folder,
        profile: &["--release"],
        target: folder.join("target"),
        output: folder.join("build"),
    };
    built.build(root, esbuild, "the edge")
}

/// Builds a function of the project in `root` for Workers. Answers the folder with the script and its module.
pub fn build_function(root: &Path, name: &str) -> Result<PathBuf> {
    build_function_with(root, name, esbuild())
}

/// As [`build_function`], with a given bundler.
pub fn build_function_with(root: &Path, name: &str, esbuild: Option<PathBuf>) -> Result<PathBuf> {
    let built = Built {
        folder: &root.join("functions").join(name),
        workspace: root,
        profile: &["--profile", "function"],
        target: root.join("target"),
        output: root.join("edge/build-functions").join(name),
    };
    built.build(root, esbuild, name)
}

fn esbuild() -> Option<PathBuf> {
    env::var_os("ESBUILD_BIN").map(PathBuf::from)
}

/// A crate that is built for Workers.
struct Built<'a> {
    folder: &'a Path,
    /// The workspace that it belongs to.
    workspace: &'a Path,
    profile: &'a [&'a str],
    /// The target folder. What functions are compiled with has been compiled for their components.
    target: PathBuf,
    /// The folder of the script and its module.
    output: PathBuf,
}

impl Built<'_> {
    fn build(self, root: &Path, esbuild: Option<PathBuf>, name: &str) -> Result<PathBuf> {
        let edge = root.join("edge");
        for folder in [&edge, self.folder] {
            if !folder.join("Cargo.toml").is_file() {
                bail!("there is no crate in {}", folder.display());
            }
        }
        let target = edge.join("target");
        fs::create_dir_all(&target).with_context(|| format!("can't make {}", target.display()))?;
        let lock = File::create(target.join(".gather-lock"))?;
        lock.lock()?;
        let toolchain = Toolchain::find()?;
        toolchain.ensure_target(EDGE_TARGET, &target)?;
        let tools = Tools {
            toolchain: &toolchain,
            folder: target.join("tools"),
        };
        let bindgen = tools.find(
            "WASM_BINDGEN_BIN",
            "wasm-bindgen-cli",
            "wasm-bindgen",
            &bindgen_version(self.workspace)?,
        )?;
        let builder = tools.find(
            "WORKER_BUILD_BIN",
            "worker-build",
            "worker-build",
            WORKER_BUILD,
        )?;
        let esbuild = match esbuild {
            Some(esbuild) => esbuild,
            None => bundler(&edge)?,
        };
        let step = Step::start(format!("building {name} for Workers"));
        let mut command = Command::new(builder);
        command
            // The newest bundler and an optimiser would be downloaded; the optimiser saves little.
            .args(["--no-opt", "--out-dir"])
            .arg(&self.output)
            .args(self.profile)
            .current_dir(self.folder)
            .env("WASM_BINDGEN_BIN", bindgen)
            .env("ESBUILD_BIN", esbuild)
            .env("CARGO_TARGET_DIR", &self.target)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET");
        said(&mut command)?;
        step.done(&format!("{name} is in {}", self.output.display()));
        Ok(self.output)
    }
}

/// The version of wasm-bindgen that a workspace is compiled with: the command must have the same.
fn bindgen_version(workspace: &Path) -> Result<String> {
    let file = workspace.join("Cargo.lock");
    let lock =
        fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    let version = locked_version(&lock, "wasm-bindgen");
    version.with_context(|| format!("{} has no wasm-bindgen", file.display()))
}

fn locked_version(lock: &str, package: &str) -> Option<String> {
    let entry = format!("name = \"{package}\"\nversion = \"");
    let (_, after) = lock.split_once(&entry)?;
    after.split('"').next().map(str::to_owned)
}

/// The bundler, installed with npm beside the other parts for Node.
fn bundler(edge: &Path) -> Result<PathBuf> {
    let esbuild = edge.join("node_modules/.bin/esbuild");
    if !esbuild.exists() {
        let step = Step::start("installing the edge's parts for Node");
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent"])
            .current_dir(edge);
        said(&mut npm).context("install Node and npm, or name esbuild in ESBUILD_BIN")?;
        step.done("installed the edge's parts for Node");
    }
    Ok(esbuild)
}

/// The commands that are installed with cargo.
struct Tools<'a> {
    toolchain: &'a Toolchain,
    folder: PathBuf,
}

impl Tools<'_> {
    /// The command that a variable names, or one that is installed in this version.
    fn find(&self, variable: &str, package: &str, command: &str, version: &str) -> Result<PathBuf> {
        if let Some(given) = env::var_os(variable) {
            return Ok(given.into());
        }
        let path = self.folder.join("bin").join(command);
        let is_there = said(Command::new(&path).arg("--version"))
            .is_ok_and(|text| text.split_whitespace().any(|word| word == version));
        if is_there {
            return Ok(path);
        }
        let step = Step::start(format!("installing {package} {version}"));
        let mut install = self.toolchain.cargo();
        install
            // It runs for seconds: an optimised build takes longer than it saves.
            .args(["install", "--debug", "--force", "--bin", command])
            .arg(format!("{package}@{version}"))
            .arg("--root")
            .arg(&self.folder)
            .arg("--target-dir")
            .arg(self.folder.join("build"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        said(&mut install).with_context(|| format!("or name the command in {variable}"))?;
        step.done(&format!("installed {package} {version}"));
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_version_is_that_of_the_package_itself() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(
            locked_version(lock, "wasm-bindgen").as_deref(),
            Some("0.2.130")
        );
        assert_eq!(locked_version(lock, "worker"), None);
    }
}
