//! A platform as this process runs it: its manifest, state folder, key and database.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use ::egress::service::Service as Egress;
use ::sandbox::service::Service as Sandbox;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use host::{Application, ApplicationOptions, Limits, jobs::JobWorker};
use url::Url;

use crate::{
    announcement,
    config::{
        ComponentSettings, DatabaseSettings, EdgeSettings, EgressSettings, EmbedUrl,
        FunctionSettings, JobSettings, Key, Project, RealtimeLimits, SandboxSettings,
        TrustedProxies, WebhookSettings,
    },
    database::{Database, check_for_functions},
    egress, embed,
    manifest::Manifest,
    migrate, postgres, provisioner,
    realtime::{self, Realtime},
    sandbox,
    secrets::{self, MasterKey, Platform},
    serve, shipped,
};

/// The choice of the deployment.
#[derive(Args, Debug, Clone)]
pub struct DeploymentSettings {
    #[command(flatten)]
    pub(crate) project: Project,

    #[command(flatten)]
    pub(crate) key: Key,

    #[command(flatten)]
    pub(crate) database: DatabaseSettings,
}

/// The basis of everything that a process runs. The manifest and the key are read once.
pub struct Deployment {
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// The state folder.
    pub state: PathBuf,
    /// The key that the secrets are derived from.
    pub key: MasterKey,
    database: DatabaseSettings,
}

/// Loads the configured master key, or the one in the state folder, which is made there if need be.
pub fn master_key(settings: &Key, state: &Path) -> Result<MasterKey> {
    match &settings.master_key {
        Some(key) => MasterKey::parse(key).context("GATHER_MASTER_KEY"),
        None => {
            postgres::create_state_folder(state)?;
            MasterKey::load_or_create(state)
        }
    }
}

/// The given master key, or the one in the state folder, which has to be there.
pub fn existing_key(settings: &Key, state: &Path) -> Result<MasterKey> {
    match &settings.master_key {
        Some(key) => MasterKey::parse(key).context("GATHER_MASTER_KEY"),
        None => MasterKey::load(state)?.with_context(|| {
            format!(
                "there is no master key in {}; put the platform's file {} there, or set GATHER_MASTER_KEY",
                state.display(),
                secrets::FILE_NAME
            )
        }),
    }
}

impl Deployment {
    /// Reads the manifest and the key.
    pub fn new(settings: &DeploymentSettings) -> Result<Self> {
        let manifest = Arc::new(settings.project.manifest()?);
        let state = settings.project.state_dir(&manifest)?;
        let key = master_key(&settings.key, &state)?;
        Ok(Self {
            manifest,
            state,
            key,
            database: settings.database.clone(),
        })
    }

    /// As [`Database::prepare`].
    pub fn prepare_database(&self) -> Result<()> {
        Database::prepare(&self.database, &self.state)
    }

    /// As [`Database::open`].
    pub fn open_database(&self) -> Result<Database> {
        Database::open(&self.database, &self.state)
    }

    /// As [`Database::find`].
    pub fn find_database(&self) -> Result<Url> {
        Database::find(&self.database, &self.state)
    }

    /// Finds the running database, and checks that it has the schema of this command. One that does not answer may come
    /// back.
    pub async fn migrated_database(&self) -> Result<Url> {
        let database = self.find_database()?;
        unless_away(migrate::check(&database).await)?;
        Ok(database)
    }

    /// Finds the running database, if functions can work with it as it is. One that does not answer may come back.
    pub async fn database_for_functions(&self) -> Result<Url> {
        let database = self.find_database()?;
        check_schema(&database).await?;
        Ok(database)
    }

    /// Brings the database to the newest schema, with the skills that come along.
    pub async fn migrate(&self, database: &Url) -> Result<()> {
        migrate::run(database, &self.manifest, &self.key).await?;
        shipped::run(database).await
    }

    /// The application variables that the functions get.
    pub fn variables(
        &self,
        settings: &FunctionSettings,
        database: &Url,
        public_url: &str,
        sandbox_url: &str,
        egress_url: &str,
    ) -> Result<BTreeMap<String, String>> {
        let provisioner_url = announcement::url(
            settings.provisioner_url.as_deref(),
            &self.state,
            &provisioner::KIND,
        );
        let platform = Platform {
            provisioner_url: &provisioner_url,
            public_url,
            sandbox_url,
            egress_url,
            internal_url: settings.internal_url.as_deref().unwrap_or(public_url),
            cors_origins: &settings.cors_origins,
            trusted_proxies: &settings.proxies.trusted_proxies,
            rate_limits: &settings.rate_limits,
        };
        let mut variables =
            secrets::function_variables(&self.manifest, database, &self.key, platform)?;
        variables.extend(settings.variables()?);
        Ok(variables)
    }

    /// The URL by which the functions reach the running sandbox.
    pub fn sandbox_url(&self, settings: &FunctionSettings) -> String {
        announcement::url(settings.sandbox_url.as_deref(), &self.state, &sandbox::KIND)
    }

    /// Where the functions reach the way out for secrets that is there.
    pub fn egress_url(&self, settings: &FunctionSettings) -> String {
        announcement::url(settings.egress_url.as_deref(), &self.state, &egress::KIND)
    }

    /// Where the way out reaches the embedding model, if there is one.
    pub fn embed_url(&self, settings: &EmbedUrl) -> Option<String> {
        announcement::found(settings.embed_url.as_deref(), &self.state, &embed::KIND)
    }

    /// Makes the application, with one engine for a host and a worker.
    pub async fn application(
        &self,
        settings: &ComponentSettings,
        variables: BTreeMap<String, String>,
    ) -> Result<Arc<Application>> {
        Application::new(ApplicationOptions {
            manifest: self.manifest.checked.clone(),
            variables,
            cache_dir: self.state.join("compiled"),
            state_dir: self.state.clone(),
            key_value_url: settings.key_value_url.clone(),
            limits: Limits::default(),
        })
        .await
    }

    /// Starts a worker, within a host or alone.
    pub async fn start_worker(
        &self,
        application: Arc<Application>,
        database: &Url,
        jobs: &JobSettings,
        webhooks: &WebhookSettings,
        mail: host::MailOptions,
        metrics: serve::WorkerMetrics<'_>,
    ) -> Result<JobWorker> {
        serve::start_worker(
            application,
            database,
            &self.key,
            jobs,
            webhooks,
            mail,
            metrics,
        )
        .await
    }

    /// Starts a sandbox for this platform. Receipts name the platform's address.
    pub async fn start_sandbox(
        &self,
        settings: &SandboxSettings,
        database: &Url,
        listen: SocketAddr,
        public_url: &str,
    ) -> Result<Sandbox> {
        let components = settings.components_url()?;
        sandbox::start(sandbox::Start {
            listen,
            manifest: &self.manifest,
            database,
            key: &self.key,
            cache_dir: self.state.join("compiled-skills"),
            child: sandbox::own_child()?,
            server: public_url.to_owned(),
            components: components.as_ref(),
            calls: settings.sandbox_calls,
            trusted_hosts: settings.sandbox_hosts.iter().cloned().collect(),
        })
        .await
    }

    /// Starts a way out for the secrets of this platform. At the addresses in `own` are providers of models that only the
    /// platform itself reaches.
    pub async fn start_egress(
        &self,
        settings: &EgressSettings,
        own: &[&str],
        database: &Url,
        listen: SocketAddr,
    ) -> Result<Egress> {
        let own = own.iter().map(|url| {
            let origin = url.parse();
            origin.map_err(|error: &str| anyhow!("{url}: {error}"))
        });
        egress::start(egress::Start {
            listen,
            manifest: &self.manifest,
            database,
            key: &self.key,
            trusted_origins: settings.origins(),
            provider_origins: own.collect::<Result<_>>()?,
            resolve: None,
        })
        .await
    }

    /// Starts a gateway for this platform.
    pub fn start_realtime(
        &self,
        database: &Url,
        functions_url: String,
        public_url: String,
        proxies: &TrustedProxies,
        edges: &EdgeSettings,
        limits: &RealtimeLimits,
    ) -> Result<Realtime> {
        Realtime::start(realtime::Start {
            database,
            key: &self.key,
            functions_url,
            public_url,
            trusted_proxies: proxies.trusted_proxies.clone(),
            edge_origins: edges.origins(),
            limits: limits.limits(),
        })
    }
}

/// Checks that functions can work with the database as it is. One that does not answer may come back.
pub async fn check_schema(database: &Url) -> Result<()> {
    let check = async {
        check_for_functions(database).await?;
        migrate::check(database).await
    };
    unless_away(check.await)
}

fn unless_away(checked: Result<()>) -> Result<()> {
    match checked {
        Err(error) if error.is::<migrate::Unreachable>() => {
            tracing::warn!("{error:#}");
            Ok(())
        }
        checked => checked,
    }
}
