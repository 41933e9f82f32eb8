//! The Rust compiler, and its standard library for the functions' target.

mod debian;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::progress::Step;

/// The target that functions are compiled for.
pub const TARGET: &str = "wasm32-wasip2";
/// The target that the edge is compiled for.
pub const EDGE_TARGET: &str = "wasm32-unknown-unknown";

/// An installed compiler.
#[derive(Debug)]
pub struct Toolchain {
    rustc: PathBuf,
    cargo: PathBuf,
    sysroot: PathBuf,
}

impl Toolchain {
    /// The compiler that cargo would use here.
    pub fn find() -> Result<Self> {
        let tool = |variable: &str, name: &str| {
            std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
        };
        Self::with(tool("RUSTC", "rustc"), tool("CARGO", "cargo"))
    }

    fn with(rustc: PathBuf, cargo: PathBuf) -> Result<Self> {
        let sysroot = said(Command::new(&rustc).args(["--print", "sysroot"]))
            .context("the Rust compiler can't be run; install Rust (rustup.rs), or run `gather serve` over built components")?;
        Ok(Self {
            rustc,
            cargo,
            sysroot: PathBuf::from(sysroot),
        })
    }

    /// A cargo command that uses this compiler. Flags meant for native code would break the components.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command
            .env("RUSTC", &self.rustc)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET");
        command
    }

    /// The compiler's version, for example `1.95.0`.
    pub fn version(&self) -> Result<String> {
        parse_version(&said(Command::new(&self.rustc).arg("-V"))?)
    }

    /// The folder of the standard library for a target, if it is installed.
    pub fn standard_library(&self, target: &str) -> Option<PathBuf> {
        let folder = self.rustlib().join(target).join("lib");
        let installed = fs::read_dir(&folder).ok()?.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        });
        installed.then_some(folder)
    }

    /// Installs the standard library for a target if it is missing. Removes what was built with an older one from the
    /// `output` folder.
    pub fn ensure_target(&self, target: &str, output: &Path) -> Result<()> {
        if self.standard_library(target).is_some() {
            return Ok(());
        }
        let step = Step::start(format!("getting Rust's standard library for {target}"));
        let rustup = match self.ask_rustup(target, &step) {
            Ok(()) if self.standard_library(target).is_some() => {
                step.done(&format!("rustup installed {target}"));
                return Ok(());
            }
            Ok(()) => anyhow!(
                "rustup says that it has installed it, yet it is not in {}",
                self.rustlib().display()
            ),
            Err(error) => error,
        };
        let _lock = self.lock(target)?;
        if self.standard_library(target).is_none() {
            debian::install(self, target, &step)
                .map_err(|debian| self.advice(target, &rustup, &debian))?;
        }
        let built = output.join(target);
        if built.exists() {
            fs::remove_dir_all(&built)
                .with_context(|| format!("can't remove {}", built.display()))?;
        }
        step.done(&format!(
            "{target} installed into {}",
            self.rustlib().display()
        ));
        Ok(())
    }

    fn rustlib(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib")
    }

    /// Locks the sysroot while it is written, so that installations take turns.
    fn lock(&self, target: &str) -> Result<File> {
        let path = self.rustlib().join(".gather-lock");
        let file = File::create(&path).with_context(|| {
            format!(
                "Rust's standard library for {target} is missing and {} can't be written; \
                 run `gather build` once as a user who may, or use a Rust of your own (rustup.rs)",
                self.rustlib().display()
            )
        })?;
        file.lock()?;
        Ok(file)
    }

    /// Installs with rustup, which fails within seconds if its server can't be reached.
    fn ask_rustup(&self, target: &str, step: &Step) -> Result<()> {
        let toolchain = self.sysroot.file_name().filter(|_| {
            self.sysroot
                .parent()
                .is_some_and(|parent| parent.ends_with("toolchains"))
        });
        let Some(toolchain) = toolchain else {
            bail!("this compiler was not installed by rustup")
        };
        step.detail("rustup target add");
        let mut command = Command::new("rustup");
        command
            .args(["target", "add", target, "--toolchain"])
            .arg(toolchain);
        said(&mut command).map(|_| ())
    }

    fn advice(
        &self,
        target: &str,
        rustup: &anyhow::Error,
        debian: &anyhow::Error,
    ) -> anyhow::Error {
        anyhow!(
            "Rust's standard library for {target} is missing and could not be installed\n\
             - by rustup: {rustup:#}\n\
             - from Debian's packages: {debian:#}\n\
             what to do: run `rustup target add {target}` where rustup reaches its server (a proxy is set with https_proxy, a mirror \
             with RUSTUP_DIST_SERVER), then start again; or copy the folder lib/rustlib/{target} of the same Rust version from \
             another machine into {}",
            self.rustlib().display()
        )
    }
}

fn parse_version(text: &str) -> Result<String> {
    let version = text
        .strip_prefix("rustc ")
        .and_then(|rest| rest.split_whitespace().next());
    version
        .map(str::to_owned)
        .ok_or_else(|| anyhow!("rustc -V says {text:?}, which holds no version"))
}

/// Runs a command, and returns its output or an error with its last lines.
/// Runs a command, and returns what it prints; the error has the last lines of what it complains of.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't run {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let mut last: Vec<_> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .rev()
            .take(3)
            .collect();
        last.reverse();
        bail!("{name} failed ({}): {}", output.status, last.join("; "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        assert_eq!(
            parse_version("rustc 1.95.0 (59807616e 2026-04-14)").unwrap(),
            "1.95.0"
        );
        assert_eq!(
            parse_version("rustc 1.97.0-nightly (a 2026-05-01)").unwrap(),
            "1.97.0-nightly"
        );
        assert!(parse_version("clang 19").is_err());
    }

    #[test]
    fn a_failing_command_is_quoted() {
        let error = said(Command::new("sh").args(["-c", "echo first >&2; echo why >&2; exit 3"]))
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.contains("first; why"),
            "{text}"
        );
    }

    /// Makes a compiler that is a script, over a sysroot in a temporary folder.
    fn pretend(sysroot: &Path) -> Toolchain {
        fs::create_dir_all(sysroot.join("lib/rustlib")).unwrap();
        Toolchain {
            rustc: "rustc".into(),
            cargo: "cargo".into(),
            sysroot: sysroot.to_owned(),
        }
    }

    #[test]
    fn a_library_without_its_std_is_not_installed() {
        let folder = tempfile::tempdir().unwrap();
        let toolchain = pretend(folder.path());
        assert_eq!(toolchain.standard_library(TARGET), None);
        let library = folder.path().join("lib/rustlib/wasm32-wasip2/lib");
        fs::create_dir_all(&library).unwrap();
        fs::write(library.join("libcore-1.rlib"), "").unwrap();
        assert_eq!(toolchain.standard_library(TARGET), None);
        fs::write(library.join("libstd-1.rlib"), "").unwrap();
        assert_eq!(toolchain.standard_library(TARGET), Some(library));
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let text = pretend(folder.path())
            .advice(TARGET, &anyhow!("offline"), &anyhow!("no apt"))
            .to_string();
        for part in [
            "offline",
            "no apt",
            "rustup target add wasm32-wasip2",
            "lib/rustlib",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
