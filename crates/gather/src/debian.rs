//! Debian's packages, downloaded and unpacked without being installed, and without root's rights.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::toolchain::said;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The mirror of this machine's own package lists, which may be a company's.
pub(crate) fn mirror() -> Result<String> {
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

/// An apt with scratch folders of its own, which changes nothing on the machine.
pub(crate) struct Apt {
    options: Vec<String>,
    scratch: PathBuf,
    /// The folder that packages are unpacked into.
    pub(crate) root: PathBuf,
}

impl Apt {
    /// An apt that knows the packages of one suite of Debian alone.
    pub(crate) fn of_suite(scratch: &Path, mirror: &str, suite: &str) -> Result<Self> {
        let list = scratch.join("sources.list");
        fs::write(
            &list,
            format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"),
        )?;
        let apt = Self::new(
            scratch,
            vec![
                format!("Dir::Etc::SourceList={}", list.display()),
                "Dir::Etc::SourceParts=/dev/null".to_owned(),
                format!("Dir::State::Lists={}", scratch.join("lists").display()),
                // A mirror that can't be reached is only a warning otherwise.
                "APT::Update::Error-Mode=any".to_owned(),
            ],
        )?;
        apt.update()?;
        Ok(apt)
    }

    /// An apt that knows the machine's packages, by the lists that the machine has.
    pub(crate) fn of_machine(scratch: &Path) -> Result<Self> {
        Self::new(scratch, vec![])
    }

    /// An apt that knows the machine's packages, by the newest lists.
    pub(crate) fn of_machine_today(scratch: &Path) -> Result<Self> {
        let lists = format!("Dir::State::Lists={}", scratch.join("lists").display());
        let apt = Self::new(scratch, vec![lists])?;
        apt.update()?;
        Ok(apt)
    }

    fn new(scratch: &Path, mut settings: Vec<String>) -> Result<Self> {
        for folder in ["lists/partial", "cache/archives/partial", "root"] {
            fs::create_dir_all(scratch.join(folder))?;
        }
        settings.extend([
            format!("Dir::Cache={}", scratch.join("cache").display()),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=2".to_owned(),
            "Acquire::http::Timeout=20".to_owned(),
        ]);
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

    /// Downloads and unpacks `package`, in the version `upstream` if one is asked for.
    pub(crate) fn unpack(&self, package: &str, upstream: Option<&str>) -> Result<()> {
        let known = self.run("apt-cache", &["madison", package])?;
        let version = pick(&known, upstream).ok_or_else(|| match upstream {
            Some(upstream) => {
                anyhow!("Debian's mirror has {package} in other versions only than {upstream}")
            }
            None => anyhow!("the package lists have no {package}"),
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
