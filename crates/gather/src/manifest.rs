//! The fields of `spin.toml` that the command needs itself: builds and database roles.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, bail};
use sandbox::Right;

/// The name of the manifest, which is looked for from the current folder upwards.
pub const FILE_NAME: &str = "spin.toml";

/// The database role of workers, which claim jobs; the components that they run have their own.
pub const WORKER_ROLE: &str = "gather_worker";

/// The database role of realtime gateways, which follow the events.
pub const REALTIME_ROLE: &str = "gather_realtime";

/// The database role of sandboxes, which store and run skills.
pub const SANDBOX_ROLE: &str = "gather_sandbox";

/// The database role of the way out for secrets.
pub const EGRESS_ROLE: &str = "gather_egress";

/// The components of a manifest.
#[derive(Debug)]
pub struct Manifest {
    /// The file that was read.
    pub path: PathBuf,
    /// The components, by id.
    pub components: Vec<Component>,
    /// The whole manifest, as the host reads it.
    pub checked: Arc<host::Manifest>,
}

/// A component, as far as its build and its database role go.
#[derive(Debug, PartialEq)]
pub struct Component {
    /// The component's id, which is also its package's name.
    pub id: String,
    /// The absolute path of the built file; `None` if the component is fetched.
    pub source: Option<PathBuf>,
    /// Whether cargo builds the component.
    pub built_by_cargo: bool,
    /// The database role of the component.
    pub role: Option<String>,
    /// The number of attempts at its jobs, if it does queued work.
    pub attempts: Option<u32>,
    /// The rights in the sandbox.
    pub sandbox: BTreeSet<Right>,
    /// Whether it may ask the way out for secrets.
    pub egress: bool,
    /// Whether it may have containers made.
    pub provisioner: bool,
    /// The scopes that it may ask for when it acts for an account.
    pub exchange: Vec<String>,
}

impl Manifest {
    /// Reads the manifest at `path`, as strictly as the host does.
    pub fn load(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)?;
        let manifest = host::Manifest::load(&path)?;
        Self::of(manifest, &path).with_context(|| format!("in {}", path.display()))
    }

    fn of(manifest: host::Manifest, path: &Path) -> Result<Self> {
        let components = manifest
            .components
            .values()
            .map(Component::of)
            .collect::<Result<_>>()?;
        Ok(Self {
            path: path.to_owned(),
            components,
            checked: Arc::new(manifest),
        })
    }

    /// The folder that the manifest's paths are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// The components that cargo builds.
    pub fn packages(&self) -> impl Iterator<Item = &Component> {
        self.components
            .iter()
            .filter(|component| component.built_by_cargo)
    }

    /// The kinds of queued work, with the number of attempts at a job of each.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, u32)> {
        self.components
            .iter()
            .filter_map(|component| Some((component.id.as_str(), component.attempts?)))
    }

    /// The components that may use the sandbox, with their rights.
    pub fn sandbox_callers(&self) -> impl Iterator<Item = (&str, &BTreeSet<Right>)> {
        self.components
            .iter()
            .filter(|component| !component.sandbox.is_empty())
            .map(|component| (component.id.as_str(), &component.sandbox))
    }

    /// The components that may use the egress.
    pub fn egress_callers(&self) -> impl Iterator<Item = &str> {
        self.components
            .iter()
            .filter(|component| component.egress)
            .map(|component| component.id.as_str())
    }

    /// The component that may have containers made, if it is here.
    pub fn provisioner_callers(&self) -> impl Iterator<Item = &str> {
        self.components
            .iter()
            .filter(|component| component.provisioner)
            .map(|component| component.id.as_str())
    }

    /// The components that may act for accounts, with the scopes that they may ask for.
    pub fn exchange_callers(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.components
            .iter()
            .filter(|component| !component.exchange.is_empty())
            .map(|component| (component.id.as_str(), component.exchange.as_slice()))
    }

    /// The purposes for which keys are derived: each required secret variable `<purpose>_key` gets one. The keys of the
    /// services' callers are derived apart.
    pub fn key_purposes(&self) -> impl Iterator<Item = &str> {
        self.checked
            .variables
            .iter()
            .filter_map(|(name, variable)| {
                let purpose = name.strip_suffix("_key")?;
                let of_service = ["_sandbox", "_egress", "_exchange", "_provisioner"]
                    .iter()
                    .any(|service| purpose.ends_with(service));
                let is_ours = variable.required && variable.secret && !of_service;
                is_ours.then_some(purpose)
            })
    }

    /// The components with a database role, and its name.
    pub fn roles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.components
            .iter()
            .filter_map(|component| Some((component.id.as_str(), component.role.as_deref()?)))
    }
}

impl Component {
    fn of(component: &host::manifest::Component) -> Result<Self> {
        let id = component.id.clone();
        let settings = &component.settings;
        if let Some(role) = &settings.role {
            check_role(role).with_context(|| format!("[component.{id}.tool.gather] role"))?;
        }
        let built_by_cargo = component
            .build
            .as_ref()
            .is_some_and(|build| build.command.starts_with("cargo "));
        let rights = settings.sandbox.iter().map(|right| right.parse());
        let sandbox = rights
            .collect::<Result<_>>()
            .with_context(|| format!("[component.{id}.tool.gather] sandbox"))?;
        Ok(Self {
            id,
            source: Some(component.source.clone()),
            built_by_cargo,
            role: settings.role.clone(),
            attempts: settings.job.as_ref().map(|job| job.attempts),
            sandbox,
            egress: settings.egress,
            provisioner: settings.provisioner,
            exchange: settings.exchange.clone(),
        })
    }
}

/// Checks a role's name, which goes into statements that take no parameters.
fn check_role(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        bail!("must be 1-63 of a-z 0-9 _, not {name:?}");
    }
    Ok(())
}

/// Finds the manifest in the current folder or the nearest folder above it.
pub fn find() -> Result<PathBuf> {
    let start = std::env::current_dir().context("the current folder can't be read")?;
    start
        .ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            anyhow!(
                "no {FILE_NAME} in {} or above it; go to the project's folder or give --manifest",
                start.display()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest> {
        let text = format!("spin_manifest_version = 2\napplication.name = \"x\"\n{text}");
        Manifest::of(
            host::Manifest::parse(&text, Path::new("/app"))?,
            Path::new("/app/spin.toml"),
        )
    }

    #[test]
    fn says_what_is_to_be_built_and_which_roles_there_are() {
        let manifest = parse(
            r#"
            [component.site]
            source = "target/site.wasm"
            build.command = "cargo build -p site"
            tool.gather.role = "gather_site"
            [component.other]
            source = "other.wasm"
            build.command = "make cargo"
            "#,
        )
        .unwrap();
        assert_eq!(manifest.folder(), Path::new("/app"));
        assert_eq!(
            manifest
                .packages()
                .map(|c| c.id.as_str())
                .collect::<Vec<_>>(),
            ["site"]
        );
        assert_eq!(
            manifest.roles().collect::<Vec<_>>(),
            [("site", "gather_site")]
        );
        let site = manifest.packages().next().unwrap();
        assert_eq!(
            site.source.as_deref(),
            Some(Path::new("/app/target/site.wasm"))
        );
    }

    #[test]
    fn refuses_role_names_that_would_need_quoting() {
        for bad in ["", "Gather", "a; drop role b"] {
            let text = format!("[component.a]\nsource = \"a.wasm\"\ntool.gather.role = {bad:?}");
            let error = parse(&text).unwrap_err();
            assert!(
                format!("{error:#}").contains("[component.a.tool.gather] role"),
                "{error:#}"
            );
        }
    }

    #[test]
    fn says_who_may_ask_the_sandbox_for_what() {
        let text = |rights: &str| {
            format!(
                "[component.a]\nsource = \"a.wasm\"\ntool.gather.sandbox = {rights}\n[component.b]\nsource = \"b.wasm\""
            )
        };
        let manifest = parse(&text(r#"["upload", "invoke"]"#)).unwrap();
        let callers: Vec<_> = manifest.sandbox_callers().collect();
        let rights = BTreeSet::from([Right::Upload, Right::Invoke]);
        assert_eq!(callers, [("a", &rights)]);
        let error = format!("{:#}", parse(&text(r#"["upload", "dance"]"#)).unwrap_err());
        assert!(
            error.contains("[component.a.tool.gather] sandbox") && error.contains("\"dance\""),
            "{error}"
        );
    }

    #[test]
    fn says_who_may_use_secrets_and_act_for_accounts() {
        let manifest = parse(
            r#"
            [component.a]
            source = "a.wasm"
            tool.gather = { egress = true, exchange = ["skills:call"] }
            [component.b]
            source = "b.wasm"
            "#,
        )
        .unwrap();
        assert_eq!(manifest.egress_callers().collect::<Vec<_>>(), ["a"]);
        let acting: Vec<_> = manifest.exchange_callers().collect();
        assert_eq!(acting, [("a", ["skills:call".to_owned()].as_slice())]);
    }

    #[test]
    fn says_what_file_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spin.toml");
        std::fs::write(&path, "[component").unwrap();
        let error = Manifest::load(&path).unwrap_err();
        assert!(format!("{error:#}").contains("spin.toml"), "{error:#}");
    }
}
