//! The package registry of npm's configuration, read without npm, since many companies have a mirror.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use url::Url;

/// A registry of packages.
#[derive(Debug)]
pub(crate) struct Registry {
    address: Url,
    /// The header `Authorization` for the registry.
    pub(crate) authorization: Option<String>,
}

impl Registry {
    /// The registry that this machine uses for the packages of `scope`, such as `@name`.
    pub(crate) fn of(scope: &str) -> Result<Self> {
        Self::configured(scope, &Configuration::load())
    }

    fn configured(scope: &str, configuration: &Configuration) -> Result<Self> {
        let given = configuration
            .get(&format!("{scope}:registry"))
            .or(configuration.get("registry"));
        let address = given.map_or_else(default_address, str::to_owned);
        // The address may hold a password, so it isn't quoted.
        let address = Url::parse(&address).context("npm's setting `registry` is not an address")?;
        if !matches!(address.scheme(), "http" | "https") || address.host_str().is_none() {
            bail!("npm's setting `registry` must be http://… or https://…");
        }
        Ok(Self {
            authorization: authorization(&address, configuration),
            address,
        })
    }

    /// The registry at `address`, without any configuration.
    #[cfg(test)]
    pub(crate) fn at(address: &str) -> Self {
        Self {
            address: Url::parse(address).unwrap(),
            authorization: None,
        }
    }

    /// The name of the registry's host.
    pub(crate) fn host(&self) -> &str {
        self.address.host_str().unwrap_or_default()
    }

    /// The URL of the archive of `version` of the package `scope/name`.
    pub(crate) fn archive(&self, scope: &str, name: &str, version: &str) -> String {
        let registry = self.address.as_str().trim_end_matches('/');
        format!("{registry}/{scope}/{name}/-/{name}-{version}.tgz")
    }
}

/// The registry that npm uses without any configuration.
fn default_address() -> String {
    format!("https://{}", ["registry", "npmjs", "org"].join("."))
}

/// The credentials for `address`: those of its folder, or else of the nearest folder above it.
fn authorization(address: &Url, configuration: &Configuration) -> Option<String> {
    let (_, place) = address.as_str().split_once(':')?;
    let mut place = place.trim_end_matches('/');
    while place.len() > "//".len() {
        if let Some(token) = configuration.get(&format!("{place}/:_authToken")) {
            return Some(format!("Bearer {token}"));
        }
        if let Some(basic) = configuration.get(&format!("{place}/:_auth")) {
            return Some(format!("Basic {basic}"));
        }
        place = place.rsplit_once('/')?.0;
    }
    None
}

/// The settings, in the order of their precedence.
struct Configuration(Vec<BTreeMap<String, String>>);

impl Configuration {
    /// Reads the environment, then the user's file, then the machine's.
    fn load() -> Self {
        let variable = |name: &str| env::var(name).ok();
        let mut layers = vec![in_environment(env::vars_os().filter_map(
            |(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)),
        ))];
        let named = |setting: &str| layers[0].get(setting).map(PathBuf::from);
        let user = named("userconfig")
            .or_else(|| env::home_dir().map(|home| home.join(".npmrc")))
            .into_iter();
        // The machine's file depends on where Node was installed.
        let machine = match named("globalconfig") {
            Some(file) => vec![file],
            None => ["/usr/local/etc/npmrc", "/usr/etc/npmrc", "/etc/npmrc"]
                .map(PathBuf::from)
                .into(),
        };
        let files: Vec<_> = user.chain(machine).collect();
        for file in files {
            if let Ok(text) = fs::read_to_string(file) {
                layers.push(in_file(&text, variable));
            }
        }
        Self(layers)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find_map(|layer| layer.get(name))
            .map(String::as_str)
    }
}

/// The variable `npm_config_<name>`, in small or capital letters.
fn in_environment(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    const PREFIX: &str = "npm_config_";
    variables
        .filter_map(|(name, value)| {
            let prefix = name.get(..PREFIX.len())?;
            let setting = &name[PREFIX.len()..];
            // Those of one registry begin with its address, and their case matters.
            let setting = match setting.starts_with("//") {
                true => setting.to_owned(),
                false => setting.to_ascii_lowercase(),
            };
            (prefix.eq_ignore_ascii_case(PREFIX) && !value.is_empty()).then_some((setting, value))
        })
        .collect()
}

/// Parses lines of `name = value`, in which `${VARIABLE}` stands for the environment's value.
fn in_file(text: &str, variable: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let unquoted = |value: &str| {
        let quoted = |mark| value.strip_prefix(mark)?.strip_suffix(mark);
        quoted('"').or(quoted('\'')).unwrap_or(value).to_owned()
    };
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with([';', '#', '[']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| {
            (
                expand(name.trim(), &variable),
                expand(&unquoted(value.trim()), &variable),
            )
        })
        .collect()
}

fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = text.split("${");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let known = part
            .split_once('}')
            .and_then(|(name, rest)| Some(variable(name)? + rest));
        expanded += &known.unwrap_or_else(|| format!("${{{part}"));
    }
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: &str = "@some";

    fn registry(environment: &[(&str, &str)], files: &[&str]) -> Result<Registry> {
        let pairs = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut layers = vec![in_environment(pairs)];
        let variable = |name: &str| (name == "TOKEN").then(|| "t0ken".to_owned());
        layers.extend(files.iter().map(|text| in_file(text, variable)));
        Registry::configured(SCOPE, &Configuration(layers))
    }

    fn archive(environment: &[(&str, &str)], files: &[&str]) -> String {
        registry(environment, files)
            .unwrap()
            .archive(SCOPE, "thing", "1.2.3")
    }

    #[test]
    fn the_environment_goes_before_the_users_file_and_that_before_the_machines() {
        let user = "; a comment\nregistry = http://user/npm/\nfund=false\n";
        let machine = "registry=\"http://machine\"";
        let path = "/@some/thing/-/thing-1.2.3.tgz";
        assert_eq!(archive(&[], &[machine]), format!("http://machine{path}"));
        assert_eq!(
            archive(&[], &[user, machine]),
            format!("http://user/npm{path}")
        );
        for name in ["npm_config_registry", "NPM_CONFIG_REGISTRY"] {
            let environment = [(name, "https://environment/")];
            assert_eq!(
                archive(&environment, &[user, machine]),
                format!("https://environment{path}")
            );
        }
        assert_eq!(
            archive(&[("npm_config_registry", "")], &[user]),
            format!("http://user/npm{path}")
        );
        assert_eq!(
            archive(
                &[("npm_config_registry", "https://environment/")],
                &["@some:registry=http://scoped\n@other:registry=http://other"]
            ),
            format!("http://scoped{path}")
        );
        assert!(archive(&[], &[]).starts_with("https://"));
    }

    #[test]
    fn only_the_registry_that_a_token_is_for_gets_it() {
        let tokens = "//mirror:8081/npm/:_authToken=${TOKEN}\n//old/:_auth=dXNlcjpwYXNz\n";
        let authorization = |address| {
            let setting = [("npm_config_registry", address)];
            registry(&setting, &[tokens]).unwrap().authorization
        };
        let bearer = Some("Bearer t0ken".to_owned());
        assert_eq!(authorization("https://mirror:8081/npm/"), bearer);
        assert_eq!(authorization("https://mirror:8081/npm/group"), bearer);
        assert_eq!(authorization("https://mirror:8081/npmx"), None);
        assert_eq!(authorization("https://mirror/npm"), None);
        assert_eq!(
            authorization("https://old").as_deref(),
            Some("Basic dXNlcjpwYXNz")
        );
    }

    #[test]
    fn an_unknown_variable_stays_as_it_is() {
        let only = |name: &str| (name == "A").then(|| "1".to_owned());
        assert_eq!(expand("x${A}y${B}z${", only), "x1y${B}z${");
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_being_quoted() {
        for bad in ["user:hunter2@mirror", "ftp://u:hunter2@mirror/"] {
            let error = registry(&[("npm_config_registry", bad)], &[]).unwrap_err();
            let text = format!("{error:#}");
            assert!(
                text.contains("`registry`") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
}
