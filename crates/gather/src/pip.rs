//! The index of Python's packages in pip's configuration, read without pip, since many companies have a mirror.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use url::Url;

/// An index of packages (the "simple" one of PEP 503).
#[derive(Debug)]
pub(crate) struct Index {
    address: Url,
    authorization: Option<String>,
}

impl Index {
    /// The index that this machine uses.
    pub(crate) fn of_machine() -> Result<Self> {
        let given = env::var("PIP_INDEX_URL").ok().filter(|url| !url.is_empty());
        let given = given.or_else(|| {
            let texts = files().into_iter().flat_map(fs::read_to_string);
            texts.into_iter().find_map(|text| in_file(&text))
        });
        Self::at(&given.unwrap_or_else(default_address))
    }

    /// The index at `address`, which may hold a name and a password.
    fn at(address: &str) -> Result<Self> {
        // They aren't quoted.
        let mut address =
            Url::parse(address).context("pip's setting `index-url` is not an address")?;
        if !matches!(address.scheme(), "http" | "https") || address.host_str().is_none() {
            bail!("pip's setting `index-url` must be http://… or https://…");
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let authorization = (!address.username().is_empty()).then(|| {
            let password = decoded(address.password().unwrap_or_default());
            let pair = format!("{}:{password}", decoded(address.username()));
            format!("Basic {}", BASE64_STANDARD.encode(pair))
        });
        let _ = address.set_username("");
        let _ = address.set_password(None);
        if !address.path().ends_with('/') {
            address.set_path(&format!("{}/", address.path()));
        }
        Ok(Self {
            address,
            authorization,
        })
    }

    /// The name of the index's host.
    pub(crate) fn host(&self) -> &str {
        self.address.host_str().unwrap_or_default()
    }

    /// The URL of the page that lists the files of `package`.
    pub(crate) fn page(&self, package: &str) -> Result<Url> {
        Ok(self.address.join(&format!("{package}/"))?)
    }

    /// The header `Authorization` for `address`, if it is on the index's own host.
    pub(crate) fn authorization(&self, address: &Url) -> Option<&str> {
        (address.origin() == self.address.origin())
            .then_some(self.authorization.as_deref())
            .flatten()
    }

    /// The address of `file`, by the page of its package.
    pub(crate) fn file(page: &Url, html: &str, file: &str) -> Result<Url> {
        let links = html.split("href=\"").skip(1);
        let mut links =
            links.filter_map(|rest| Some(rest.split_once('"')?.0.replace("&amp;", "&")));
        links
            .find_map(|link| {
                let mut address = page.join(&link).ok()?;
                address.set_fragment(None);
                let name = address.path_segments()?.next_back()?;
                (percent_decode_str(name).decode_utf8().ok()? == file).then_some(address)
            })
            .ok_or_else(|| anyhow!("the index has no {file}"))
    }
}

/// The index that pip uses without any configuration.
fn default_address() -> String {
    format!("https://{}/simple/", ["pypi", "org"].join("."))
}

/// The configuration files, in the order of their precedence.
fn files() -> Vec<PathBuf> {
    let home = env::home_dir();
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let named = env::var_os("PIP_CONFIG_FILE").map(PathBuf::from);
    let user = crate::home::folder("XDG_CONFIG_HOME", ".config");
    let user = user.map(|folder| folder.join("pip/pip.conf"));
    [named, user, in_home(".pip/pip.conf")]
        .into_iter()
        .flatten()
        .chain([PathBuf::from("/etc/pip.conf")])
        .collect()
}

/// The setting `index-url` of the section `global`.
fn in_file(text: &str) -> Option<String> {
    let mut section = "";
    text.lines().map(str::trim).find_map(|line| {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        let (name, value) = line.split_once('=')?;
        let name = name.trim().replace('_', "-");
        (section == "global" && name == "index-url").then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pips_files() {
        let text = "# a comment\n[install]\nindex-url = http://other/\n[global]\ncert = /x\nindex_url = http://mirror/simple\n";
        assert_eq!(in_file(text).as_deref(), Some("http://mirror/simple"));
        assert_eq!(in_file("[global]\nextra-index-url = http://x/\n"), None);
    }

    #[test]
    fn finds_a_file_on_a_packages_page() {
        let index = Index::at("https://mirror/pypi/simple").unwrap();
        let page = index.page("thing").unwrap();
        assert_eq!(page.as_str(), "https://mirror/pypi/simple/thing/");
        let html = "<a href=\"../../files/a/thing-1.whl#sha256=00\">thing-1.whl</a>\n\
                    <a data-requires-python=\"&gt;=3\" href=\"https://files/b/thing-2%2Bx.whl?a=1&amp;b=2\">x</a>";
        let found = |name: &str| Index::file(&page, html, name).map(String::from);
        assert_eq!(
            found("thing-1.whl").unwrap(),
            "https://mirror/pypi/files/a/thing-1.whl"
        );
        assert_eq!(
            found("thing-2+x.whl").unwrap(),
            "https://files/b/thing-2%2Bx.whl?a=1&b=2"
        );
        assert!(found("thing-3.whl").is_err());
    }

    #[test]
    fn only_the_index_gets_its_password() {
        let index = Index::at("https://me:p%40ss@mirror/simple/").unwrap();
        let authorization = |address: &str| {
            let address = Url::parse(address).unwrap();
            index.authorization(&address).map(str::to_owned)
        };
        let basic = format!("Basic {}", BASE64_STANDARD.encode("me:p@ss"));
        assert_eq!(authorization("https://mirror/files/x.whl"), Some(basic));
        assert_eq!(authorization("https://files/x.whl"), None);
        for bad in ["me:hunter2@mirror", "ftp://u:hunter2@mirror/"] {
            let text = format!("{:#}", Index::at(bad).unwrap_err());
            assert!(
                text.contains("index-url") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
}
