//! The router manifest: Spin's `spin.toml`, version 2
//! (<https://spinframework.dev/manifest-reference>).
//!
//! A key that this host does not support is an error that names the line, never ignored.

pub use crate::job_settings::JobSettings;
use crate::{
    job_settings, native,
    outbound::HostPattern,
    route::{self, Route},
    template::Template,
};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};
use toml::Spanned;

/// A checked manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The folder that `source` and `files` are relative to.
    pub folder: PathBuf,
    /// `[application] name`.
    pub name: String,
    /// The application variables by name.
    pub variables: BTreeMap<String, Variable>,
    /// The HTTP routes in the order of the file.
    pub routes: Vec<Trigger>,
    /// The routes that the host's process answers itself where it can.
    pub native_routes: Vec<Route>,
    /// The components by id.
    pub components: BTreeMap<String, Component>,
    /// `[application.tool]`, which Spin ignores.
    pub tool: toml::Table,
}

/// An application variable: `required`, or with a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Whether a value has to be given from outside.
    #[serde(default)]
    pub required: bool,
    /// The value that counts if none is given.
    pub default: Option<String>,
    /// Whether the value is a secret, which no log and no error shows.
    #[serde(default)]
    pub secret: bool,
}

/// One `[[trigger.http]]` entry.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// The path of the route; `None` if the route is private.
    pub route: Option<Route>,
    /// The id of the component that answers.
    pub component: String,
}

/// One `[component.<id>]` table.
#[derive(Debug, Clone)]
pub struct Component {
    /// The component's id.
    pub id: String,
    /// The absolute path of the wasm file.
    pub source: PathBuf,
    /// The environment variables of the guest.
    pub environment: BTreeMap<String, String>,
    /// The values that `spin:variables` answers, by name.
    pub variables: BTreeMap<String, Template>,
    /// The files that are mounted read-only.
    pub files: Vec<FileMount>,
    /// The labels of the key-value stores that the component may open.
    pub key_value_stores: Vec<String>,
    /// The addresses that the component may reach.
    pub allowed_outbound_hosts: Vec<HostPattern>,
    /// The commands that build the component.
    pub build: Option<Build>,
    /// `[component.<id>.tool.gather]`.
    pub settings: Settings,
}

/// An entry of `files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileMount {
    /// A glob relative to the manifest, mounted under the same path.
    Glob(String),
    /// A folder or file mounted elsewhere.
    Placed {
        /// The path of the source, relative to the manifest.
        source: String,
        /// The absolute path in the guest.
        destination: String,
    },
}

/// `[component.<id>.build]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The shell command.
    pub command: String,
    /// The folder in which the command runs, relative to the manifest.
    pub workdir: Option<String>,
    /// The globs of the sources.
    #[serde(default)]
    pub watch: Vec<String>,
}

/// `[component.<id>.tool.gather]`: limits and rights that Spin has no key for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The PostgreSQL role that the component connects as.
    pub role: Option<String>,
    /// The time to the response's head, in ms.
    pub deadline_ms: Option<u64>,
    /// The linear memory of one instance, in bytes.
    pub memory_bytes: Option<usize>,
    /// The largest request body, in bytes.
    pub max_body_bytes: Option<u64>,
    /// The number of requests at the same time, or, for queued work, of jobs at the same time in one worker.
    pub concurrency: Option<usize>,
    /// The rights in the sandbox, which the command reads.
    #[serde(default)]
    pub sandbox: Vec<String>,
    /// Whether the component may use the egress, which the command reads.
    #[serde(default)]
    pub egress: bool,
    /// Whether the component may have containers made, which the command reads.
    #[serde(default)]
    pub provisioner: bool,
    /// The scopes that the component may ask for when it acts for an account, which the command reads.
    #[serde(default)]
    pub exchange: Vec<String>,
    /// Whether its requests reach only public addresses and hosts that the operator vouches for. This is
    /// for components whose targets are named by strangers.
    #[serde(default)]
    pub public_only: bool,
    /// Whether the component may send mail, which only queued work can do.
    #[serde(default)]
    pub mail: bool,
    /// The settings of queued work, if the component does that instead of answering requests.
    pub job: Option<JobSettings>,
}

impl Manifest {
    /// Reads and checks a manifest file.
    ///
    /// # Errors
    /// A key is wrong or not supported. The error names the file, the line and the key.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the manifest {}", path.display()))?;
        let path = std::path::absolute(path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        Self::parse(&text, folder).with_context(|| format!("in {}", path.display()))
    }

    /// Checks a manifest's text, whose paths are relative to `folder`.
    ///
    /// # Errors
    /// As [`Manifest::load`].
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let raw: raw::Manifest = toml::from_str(text)?;
        let source = Source { text };
        if *raw.spin_manifest_version.get_ref() != 2 {
            return source.refuse(
                raw.spin_manifest_version.span(),
                "only spin_manifest_version = 2 is supported",
            );
        }
        let mut components = BTreeMap::new();
        for (id, component) in raw.component {
            let component = source.component(&id, component, folder)?;
            components.insert(id, component);
        }
        let routes = raw
            .trigger
            .http
            .into_iter()
            .map(|trigger| source.trigger(trigger, &components))
            .collect::<Result<Vec<_>>>()?;
        let native_routes = native::routes(&raw.application.tool)?;
        let of_components = routes.iter().filter_map(|t| t.route.as_ref());
        route::check_distinct(of_components.chain(&native_routes))?;
        for (name, variable) in &raw.variables {
            source.variable(name, variable)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            name: raw.application.name,
            variables: raw
                .variables
                .into_iter()
                .map(|(name, variable)| (name, variable.into_inner()))
                .collect(),
            routes,
            native_routes,
            components,
            tool: raw.application.tool,
        })
    }
}

/// The manifest's text, with which an offset is turned into a line.
struct Source<'a> {
    text: &'a str,
}

impl Source<'_> {
    fn refuse<T>(&self, span: Range<usize>, message: impl std::fmt::Display) -> Result<T> {
        let line = self.text[..span.start.min(self.text.len())]
            .matches('\n')
            .count()
            + 1;
        bail!("line {line}: {message}")
    }

    fn variable(&self, name: &str, variable: &Spanned<Variable>) -> Result<()> {
        let value = variable.get_ref();
        if value.required && value.default.is_some() {
            return self.refuse(
                variable.span(),
                format_args!("variable `{name}` has a default, so it cannot be required"),
            );
        }
        if !value.required && value.default.is_none() {
            return self.refuse(
                variable.span(),
                format_args!("variable `{name}` needs `required = true` or a `default`"),
            );
        }
        Ok(())
    }

    fn trigger(
        &self,
        raw: raw::HttpTrigger,
        components: &BTreeMap<String, Component>,
    ) -> Result<Trigger> {
        let span = raw.component.span();
        let Some(component) = raw.component.get_ref().as_str() else {
            return self.refuse(
                span,
                "declare the component as [component.<id>] and name it here",
            );
        };
        if !components.contains_key(component) {
            return self.refuse(span, format_args!("there is no [component.{component}]"));
        }
        let span = raw.route.span();
        if components[component].settings.job.is_some() {
            return self.refuse(
                raw.component.span(),
                format_args!(
                    "`{component}` does queued work ([component.{component}.tool.gather.job]), so it has no route"
                ),
            );
        }
        let route = match raw.route.into_inner() {
            toml::Value::String(pattern) => match Route::parse(&pattern) {
                Ok(route) => Some(route),
                Err(error) => return self.refuse(span, format_args!("{error:#}")),
            },
            toml::Value::Table(table)
                if table.len() == 1
                    && table.get("private") == Some(&toml::Value::Boolean(true)) =>
            {
                None
            }
            _ => return self.refuse(span, "a route is a string or { private = true }"),
        };
        Ok(Trigger {
            route,
            component: component.to_owned(),
        })
    }

    /// `[component.<id>.tool.gather]`.
    fn settings(&self, id: &str, tool: Spanned<toml::Table>) -> Result<Settings> {
        let span = tool.span();
        let settings = match tool.into_inner().remove("gather") {
            None => Settings::default(),
            Some(table) => match table.try_into::<Settings>() {
                Ok(settings) => settings,
                Err(error) => {
                    return self.refuse(
                        span,
                        format_args!("[component.{id}.tool.gather]: {}", error.message()),
                    );
                }
            },
        };
        if settings.mail && settings.job.is_none() {
            return self.refuse(
                span,
                format_args!(
                    "[component.{id}.tool.gather] mail = true: only queued work sends mail; give it a `job`, or let a function enqueue such a job"
                ),
            );
        }
        if let Some(job) = &settings.job
            && let Err(error) = job_settings::check(id, job)
        {
            return self.refuse(
                span,
                format_args!("[component.{id}.tool.gather.job]: {error:#}"),
            );
        }
        Ok(settings)
    }

    fn component(&self, id: &str, raw: raw::Component, folder: &Path) -> Result<Component> {
        let span = raw.source.span();
        let Some(source) = raw.source.get_ref().as_str() else {
            return self.refuse(
                span,
                format_args!(
                    "`source` of `{id}` must be the path of a file; this host fetches none"
                ),
            );
        };
        let mut allowed = Vec::new();
        for host in raw.allowed_outbound_hosts {
            match HostPattern::parse(host.get_ref()) {
                Ok(pattern) => allowed.push(pattern),
                Err(error) => return self.refuse(host.span(), format_args!("{error:#}")),
            }
        }
        let mut variables = BTreeMap::new();
        for (name, value) in raw.variables {
            match Template::parse(value.get_ref()) {
                Ok(template) => variables.insert(name, template),
                Err(error) => return self.refuse(value.span(), format_args!("{error:#}")),
            };
        }
        let mut files = Vec::new();
        for entry in raw.files {
            let span = entry.span();
            files.push(match entry.into_inner() {
                toml::Value::String(glob) => FileMount::Glob(glob),
                value => match value.try_into::<raw::Placed>() {
                    Ok(placed) => FileMount::Placed {
                        source: placed.source,
                        destination: placed.destination,
                    },
                    Err(error) => return self.refuse(span, error.message()),
                },
            });
        }
        let settings = self.settings(id, raw.tool)?;
        Ok(Component {
            id: id.to_owned(),
            source: folder.join(source),
            environment: raw.environment,
            variables,
            files,
            key_value_stores: raw.key_value_stores,
            allowed_outbound_hosts: allowed,
            build: raw.build,
            settings,
        })
    }
}

/// The values of the application's variables: the given ones, then `SPIN_VARIABLE_<NAME>` of the
/// environment, then the manifest's defaults, as Spin resolves them.
///
/// # Errors
/// A required variable has no value. The error names each, and says how to give it.
pub fn resolve_variables(
    declared: &BTreeMap<String, Variable>,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, variable) in declared {
        let environment = format!("SPIN_VARIABLE_{}", name.to_uppercase());
        let value = given
            .get(name)
            .cloned()
            .or_else(|| std::env::var(&environment).ok())
            .or_else(|| variable.default.clone());
        match value {
            Some(value) => {
                values.insert(name.clone(), value);
            }
            None => missing.push(format!("`{name}` (set {environment})")),
        }
    }
    if !missing.is_empty() {
        bail!("required variables without a value: {}", missing.join(", "));
    }
    Ok(values)
}

mod raw;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_routes_are_distinct_from_those_of_components() {
        let parse = |routes: &str| {
            let text = format!(
                "spin_manifest_version = 2\napplication.name = \"x\"\napplication.tool.gather.native_routes = {routes}\n\
                 [component.a]\nsource = \"a.wasm\"\n[[trigger.http]]\nroute = \"/a/:id\"\ncomponent = \"a\""
            );
            let manifest = Manifest::parse(&text, Path::new("/app"));
            manifest.map_err(|error| format!("{error:#}"))
        };
        let manifest = parse(r#"["/ws", "/a/:id/ws"]"#).expect("valid");
        let patterns: Vec<_> = manifest
            .native_routes
            .iter()
            .map(|r| &**r.pattern())
            .collect();
        assert_eq!(patterns, ["/ws", "/a/:id/ws"]);
        for (routes, said) in [
            (r#"["/a/:name"]"#, "declared twice"),
            (r#"["ws"]"#, "must start with `/`"),
            (r#"[1]"#, "a route is a string"),
            (r#""/ws""#, "native_routes must be a list"),
        ] {
            let refused = parse(routes).expect_err(routes);
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn only_queued_work_may_be_granted_mail() {
        let parse = |settings: &str| {
            let text = format!(
                "spin_manifest_version = 2\napplication.name = \"x\"\n[component.post]\nsource = \"a.wasm\"\n\
                 [component.post.tool.gather]\n{settings}"
            );
            Manifest::parse(&text, Path::new("/app"))
        };
        let granted = |settings| parse(settings).map(|m| m.components["post"].settings.mail);
        assert_eq!(granted("job = {}").ok(), Some(false));
        assert_eq!(granted("job = {}\nmail = true").ok(), Some(true));
        assert_eq!(granted("mail = false").ok(), Some(false));
        let error = granted("mail = true").expect_err("it answers requests");
        assert!(error.to_string().contains("only queued work"), "{error}");
        assert!(granted("job = {}\nmail = \"yes\"").is_err());
    }
}
