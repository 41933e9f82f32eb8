//! The standard library from Debian's sources, for machines whose rustup server can't be reached (behind many company
//! proxies) but whose package mirror can: two packages are downloaded, not installed, and std is built from them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;

use super::{TARGET, Toolchain, said};
use crate::progress::Step;

/// The suite with current compilers.
const SUITE: &str = "trixie-backports";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The name of the package whose dependency std is built as.
const SEED: &str = "gather-std-seed";

/// Builds std for [`TARGET`], and moves it into the compiler's sysroot at the end.
pub(super) fn install(toolchain: &Toolchain, step: &Step) -> Result<()> {
    let mirror = mirror()?;
    let version = toolchain.version()?;
    let scratch = tempfile::Builder::new()
        .prefix("gather-std-")
        .tempdir()
        .context("can't make a temporary folder")?;
    // apt fetches as a user of its own.
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755))?;
    let apt = Apt::new(scratch.path(), &mirror)?;
    step.detail("reading Debian's package lists");
    apt.update()?;
    step.detail("downloading wasi-libc and Rust's sources");
    apt.unpack("wasi-libc", None)?;
    let _sources = Sources::ensure(toolchain, &apt, &version)?;
    step.detail("compiling the standard library");
    let libraries = compile(toolchain, scratch.path())?;
    assemble(
        toolchain,
        &libraries,
        &apt.root.join("usr/lib").join(TARGET),
    )
}

/// The mirror of this machine's own package lists, which may be a company's.
fn mirror() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if field(&release, "ID") != Some("debian") {
        bail!("this machine does not run Debian");
    }
    for program in ["apt-get", "apt-cache", "dpkg"] {
        said(Command::new(program).arg("--version"))
            .with_context(|| format!("{program} is missing"))?;
    }
    if !Path::new(KEYRING).exists() {
        bail!("{KEYRING} is missing; run: apt-get install debian-archive-keyring");
    }
    let codename = field(&release, "VERSION_CODENAME").unwrap_or("stable");
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(
        fs::read_dir("/etc/apt/sources.list.d")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    files.sort();
    files
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).ok()?;
            match path.extension()?.to_str()? {
                "list" => mirror_in_list(&text, codename),
                "sources" => mirror_in_deb822(&text, codename),
                _ => None,
            }
        })
        .next()
        .ok_or_else(|| anyhow!("no source of Debian {codename} over http in /etc/apt/sources.list or /etc/apt/sources.list.d"))
}

fn field<'a>(release: &'a str, name: &str) -> Option<&'a str> {
    release.lines().find_map(|line| {
        Some(
            line.strip_prefix(name)?
                .strip_prefix('=')?
                .trim_matches('"'),
        )
    })
}

fn is_main_archive(uri: &str, suite: &str, codename: &str) -> bool {
    uri.starts_with("http") && [codename, "stable", "testing", "unstable", "sid"].contains(&suite)
}

/// Parses a line `deb [options] uri suite component…`.
fn mirror_in_list(text: &str, codename: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        (is_main_archive(uri, suite, codename) && words.any(|word| word == "main"))
            .then(|| uri.to_owned())
    })
}

/// Parses stanzas of `Name: value value…`, divided by empty lines. Comments may occur, and values continue in indented
/// lines.
fn mirror_in_deb822(text: &str, codename: &str) -> Option<String> {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines
        .split(|line| line.trim().is_empty())
        .find_map(|stanza| {
            let values = |name: &str| -> Vec<&str> {
                let is_start = |line: &&&str| {
                    line.split_once(':')
                        .is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
                };
                let Some(start) = stanza.iter().position(|line| is_start(&line)) else {
                    return vec![];
                };
                let first = stanza[start].split_once(':').map_or("", |(_, value)| value);
                let more = stanza[start + 1..]
                    .iter()
                    .take_while(|line| line.starts_with([' ', '\t']));
                std::iter::once(first)
                    .chain(more.copied())
                    .flat_map(str::split_whitespace)
                    .collect()
            };
            let off = values("Enabled")
                .first()
                .is_some_and(|value| value.eq_ignore_ascii_case("no"));
            if off || !values("Types").contains(&"deb") || !values("Components").contains(&"main") {
                return None;
            }
            let suites = values("Suites");
            let fits = |uri: &&str| {
                suites
                    .iter()
                    .any(|suite| is_main_archive(uri, suite, codename))
            };
            values("URIs").into_iter().find(fits).map(str::to_owned)
        })
}

/// An apt with its own source and scratch folders, apart from the machine's package lists and without root's rights.
struct Apt {
    options: Vec<String>,
    scratch: PathBuf,
    /// The folder that packages are unpacked into.
    root: PathBuf,
}

impl Apt {
    fn new(scratch: &Path, mirror: &str) -> Result<Self> {
        let list = scratch.join("sources.list");
        fs::write(
            &list,
            format!("deb [signed-by={KEYRING}] {mirror} {SUITE} main\n"),
        )?;
        for folder in ["lists/partial", "cache/archives/partial", "root"] {
            fs::create_dir_all(scratch.join(folder))?;
        }
        let settings = [
            format!("Dir::Etc::SourceList={}", list.display()),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", scratch.join("lists").display()),
            format!("Dir::Cache={}", scratch.join("cache").display()),
            // A mirror that can't be reached is only a warning otherwise.
            "APT::Update::Error-Mode=any".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "Acquire::http::Timeout=20".to_owned(),
        ];
        let options = settings
            .into_iter()
            .flat_map(|setting| ["-o".to_owned(), setting])
            .collect();
        Ok(Self {
            options,
            scratch: scratch.to_owned(),
            root: scratch.join("root"),
        })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        command
            .args(&self.options)
            .args(arguments)
            .current_dir(&self.scratch)
            .env("LC_ALL", "C");
        said(&mut command)
    }

    fn update(&self) -> Result<()> {
        self.run("apt-get", &["-q", "update"]).map(|_| ())
    }

    /// Downloads and unpacks `package`, in the version `upstream`.
    fn unpack(&self, package: &str, upstream: Option<&str>) -> Result<()> {
        let known = self.run("apt-cache", &["madison", package])?;
        let version = pick(&known, upstream).ok_or_else(|| match upstream {
            Some(upstream) => {
                anyhow!("{SUITE} has {package} in other versions only than {upstream}")
            }
            None => anyhow!("{SUITE} has no {package}"),
        })?;
        self.run(
            "apt-get",
            &["-q", "download", &format!("{package}={version}")],
        )?;
        let file = fs::read_dir(&self.scratch)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
            })
            .ok_or_else(|| anyhow!("apt-get downloaded {package}, but there is no file"))?;
        said(Command::new("dpkg").arg("-x").arg(file).arg(&self.root)).map(|_| ())
    }
}

/// The first (newest) version that `apt-cache madison` lists, of upstream version `upstream` if one is asked for.
fn pick<'a>(madison: &'a str, upstream: Option<&str>) -> Option<&'a str> {
    let versions = madison
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim);
    versions.into_iter().find(|version| {
        upstream.is_none_or(|upstream| {
            version
                .strip_prefix(upstream)
                .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
        })
    })
}

/// Rust's own sources in the folder where cargo looks for them. They are removed again, since rustup fails over them.
struct Sources {
    remove: Option<PathBuf>,
}

impl Sources {
    fn ensure(toolchain: &Toolchain, apt: &Apt, version: &str) -> Result<Self> {
        let parent = toolchain.rustlib().join("src/rust");
        let place = parent.join("library");
        if place.join("Cargo.lock").exists() {
            return Ok(Self { remove: None });
        }
        apt.unpack("rust-src", Some(version))?;
        let unpacked = apt.root.join(format!("usr/src/rustc-{version}/library"));
        // Moved into place when it is complete: half of it would be taken for all by the next run.
        let draft = parent.join(".gather-library");
        if draft.exists() {
            fs::remove_dir_all(&draft)?;
        }
        fs::create_dir_all(&parent)?;
        said(Command::new("cp").arg("-R").arg(&unpacked).arg(&draft))
            .context("can't copy Rust's sources into the sysroot")?;
        fs::rename(&draft, &place)?;
        let sources = Self {
            remove: Some(place),
        };
        Ok(sources)
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        if let Some(place) = &self.remove {
            let _ = fs::remove_dir_all(place);
        }
    }
}

/// Builds an empty library together with std, and returns std's libraries.
fn compile(toolchain: &Toolchain, scratch: &Path) -> Result<Vec<PathBuf>> {
    let seed = scratch.join("seed");
    fs::create_dir_all(seed.join("src"))?;
    fs::write(seed.join("src/lib.rs"), "")?;
    fs::write(
        seed.join("Cargo.toml"),
        format!("[package]\nname = \"{SEED}\"\nedition = \"2024\"\n[workspace]\n"),
    )?;
    let target = scratch.join("target");
    let mut cargo = toolchain.cargo();
    cargo
        .args([
            "build",
            "--release",
            "--target",
            TARGET,
            "-Zbuild-std=std,panic_abort",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(&seed)
        .env("RUSTC_BOOTSTRAP", "1")
        // Without it link-time optimisation finds no bitcode in std.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    said(&mut cargo)?;
    let own = format!("lib{}-", SEED.replace('-', "_"));
    let libraries: Vec<_> = fs::read_dir(target.join(TARGET).join("release/deps"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "rlib")
        })
        .filter(|path| {
            !path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .starts_with(&own)
        })
        .collect();
    if libraries.is_empty() {
        bail!("cargo built std, but left no libraries");
    }
    Ok(libraries)
}

/// Collects the finished library beside its final folder and then moves it, so that no half of it is ever seen.
fn assemble(toolchain: &Toolchain, libraries: &[PathBuf], libc: &Path) -> Result<()> {
    let rustlib = toolchain.rustlib();
    let draft = TempDir::with_prefix_in(".gather-target-", &rustlib)
        .with_context(|| format!("can't write {}", rustlib.display()))?;
    fs::set_permissions(draft.path(), Permissions::from_mode(0o755))?;
    let contained = draft.path().join("lib/self-contained");
    fs::create_dir_all(&contained)?;
    for library in libraries {
        fs::copy(
            library,
            draft
                .path()
                .join("lib")
                .join(library.file_name().unwrap_or_default()),
        )?;
    }
    for name in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
        fs::copy(libc.join(name), contained.join(name))
            .with_context(|| format!("wasi-libc has no {name} for {TARGET}"))?;
    }
    let place = rustlib.join(TARGET);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("can't replace {}", place.display()))?;
    }
    fs::rename(draft.keep(), &place)
        .with_context(|| format!("can't move the library to {}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mirror_in_one_line_sources() {
        let text = "# deb http://no/debian bookworm main\n\
                    deb-src http://src/debian bookworm main\n\
                    deb https://tools/apt cloud-sdk-bookworm main\n\
                    deb cdrom:[Debian]/ bookworm main\n\
                    deb http://security/debian-security bookworm-security main\n\
                    deb http://contrib/debian bookworm contrib\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main contrib\n";
        assert_eq!(
            mirror_in_list(text, "bookworm").as_deref(),
            Some("http://mirror/debian")
        );
        assert_eq!(mirror_in_list(text, "trixie"), None);
        assert_eq!(
            mirror_in_list("deb http://m/debian stable main", "trixie").as_deref(),
            Some("http://m/debian")
        );
    }

    #[test]
    fn finds_the_mirror_in_deb822_sources() {
        let text = "Types: deb\n# a comment within\nURIs: http://security/\nSuites: bookworm-security\nComponents: main\n\n\
                    Types: deb\nURIs: http://off/\nSuites: bookworm\nComponents: main\nEnabled: no\n\n\
                    Types: deb-src\nURIs: http://src/\nSuites: bookworm\nComponents: main\n\n\
                    types: deb deb-src\nuris: file:/cd\n  http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\n";
        assert_eq!(
            mirror_in_deb822(text, "bookworm").as_deref(),
            Some("http://mirror/debian")
        );
        assert_eq!(mirror_in_deb822(text, "trixie"), None);
    }

    #[test]
    fn picks_the_package_of_the_compilers_version() {
        let madison = " rust-src | 1.96.0+dfsg1-1~bpo13+1 | http://m trixie-backports/main amd64 Packages\n \
                       rust-src | 1.95.01+dfsg1-1 | x\n rust-src | 1.95.0+dfsg1-1~bpo13+1 | x\n";
        assert_eq!(
            pick(madison, Some("1.95.0")),
            Some("1.95.0+dfsg1-1~bpo13+1")
        );
        assert_eq!(pick(madison, None), Some("1.96.0+dfsg1-1~bpo13+1"));
        assert_eq!(pick(madison, Some("1.9")), None);
        assert_eq!(pick("", None), None);
    }

    #[test]
    fn reads_the_release() {
        let release = "ID=debian\nVERSION_CODENAME=\"bookworm\"\nVERSION_ID=\"12\"\n";
        assert_eq!(field(release, "ID"), Some("debian"));
        assert_eq!(field(release, "VERSION_CODENAME"), Some("bookworm"));
        assert_eq!(field(release, "NAME"), None);
    }
}
