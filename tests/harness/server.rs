//! Servers of the tests: the platform, or a fixture.

use crate::{
    Database, Held, application, application_options, component_file, components::build_components,
    edge::Function, free_address, http, limits, master_key, replace_variable, root, scratch,
    services, spin, variables,
};
use ::egress::service::Service as Egress;
use ::sandbox::service::Service as Sandbox;
use anyhow::Result;
use gather::{manifest::WORKER_ROLE, realtime::Realtime, secrets};
use host::{
    Application, ApplicationOptions, Host, Limits, MailOptions, Metrics, Options,
    jobs::{JobOptions, JobTimes, JobWorker},
};
use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

mod probe;
mod serving;
mod stopping;

use serving::Serving;
pub(crate) use serving::Wishes;

/// A host that serves in this process, and a client for it.
pub struct Server {
    /// The server's URL, `http://127.0.0.1:port`.
    pub url: String,
    /// The server's database.
    pub database: Database,
    /// An HTTP client that keeps its connections.
    pub http: reqwest::Client,
    /// The variables of the components.
    pub variables: BTreeMap<String, String>,
    host: Option<Host>,
    sandbox: Option<Sandbox>,
    egress: Option<Egress>,
    realtime: Option<Realtime>,
    /// The site in Cloudflare's runtime, if the tests are to run through that.
    pages: Option<Function>,
    _spin: Option<spin::Spin>,
    _state: TempDir,
}

impl Server {
    /// Starts the platform, with every function of `spin.toml`.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn start() -> Result<Self> {
        Self::start_with(limits()).await
    }

    /// Starts the platform with other limits.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn start_with(limits: Limits) -> Result<Self> {
        Self::start_trusting(limits, BTreeMap::new()).await
    }

    /// Starts the platform with an operator who vouches for some hosts that skills may be granted.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn start_trusting(
        limits: Limits,
        trusted_hosts: BTreeMap<String, SocketAddr>,
    ) -> Result<Self> {
        let wishes = Wishes {
            limits: Some(limits),
            trusted_hosts,
            ..Wishes::default()
        };
        Self::on(Database::create().await?, wishes).await
    }

    /// Starts the platform over a database that exists and is migrated.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn over(database: Database) -> Result<Self> {
        Self::on(database, Wishes::default()).await
    }

    /// Starts the platform with variables that replace those of [`variables`].
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn told(changes: &[(&str, &str)]) -> Result<Self> {
        let wishes = Wishes {
            changes,
            ..Wishes::default()
        };
        Self::on(Database::create().await?, wishes).await
    }

    /// Starts the platform with a way out for secrets that reaches these origins, though they be private.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn letting_out(origins: &[&str]) -> Result<Self> {
        Self::over_letting_out(Database::create().await?, origins).await
    }

    /// As [`Server::letting_out`], over a database that exists and is migrated.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn over_letting_out(database: Database, origins: &[&str]) -> Result<Self> {
        let wishes = Wishes {
            origins,
            ..Wishes::default()
        };
        Self::on(database, wishes).await
    }

    /// As [`Server::letting_out`], with variables that replace those of [`variables`].
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn letting_out_told(origins: &[&str], changes: &[(&str, &str)]) -> Result<Self> {
        let wishes = Wishes {
            origins,
            changes,
            ..Wishes::default()
        };
        Self::on(Database::create().await?, wishes).await
    }

    /// Starts another host of the same platform over this server's database.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn second_host(&self) -> Result<Self> {
        let database = Database {
            admin: self.database.admin.clone(),
        };
        let variables = self.variables.clone();
        Self::platform(free_address()?, database, variables, limits(), WORKERS).await
    }

    /// Starts the platform through `wasi:http` alone, on a host that refuses calls of the database that would block an
    /// instance, as functions find it on other hosts.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn through_wasi_http(limits: Limits) -> Result<Self> {
        let limits = Limits {
            whole_requests: false,
            blocking_database: false,
            ..limits
        };
        Self::start_with(limits).await
    }

    pub(crate) async fn on(database: Database, wishes: Wishes<'_>) -> Result<Self> {
        tokio::task::spawn_blocking(build_components).await??;
        let listen = free_address()?;
        let url = format!("http://{listen}");
        let sandbox = services::sandbox(&database, &url, wishes.trusted_hosts).await?;
        let egress = services::egress(&database, wishes.origins, wishes.provider_origins).await?;
        let sandbox_url = format!("http://{}", sandbox.address());
        let egress_url = format!("http://{}", egress.address());
        let mut variables = variables(&database.admin, &url, &sandbox_url, &egress_url)?;
        for (name, value) in wishes.changes {
            replace_variable(&mut variables, name, value)?;
        }
        let mut server = Self::platform(
            listen,
            database,
            variables,
            wishes.limits.unwrap_or_else(limits),
            wishes.workers.unwrap_or(WORKERS),
        )
        .await?;
        server.sandbox = Some(sandbox);
        server.egress = Some(egress);
        if std::env::var_os("GATHER_TESTS_WORKERD").is_some() {
            server.pages = Function::start("site", &server.url, &server.variables).await?;
        }
        Ok(server)
    }

    /// The URL of the site's pages: the server's, unless another runtime has them.
    #[must_use]
    pub fn pages_url(&self) -> &str {
        self.pages.as_ref().map_or(&self.url, |pages| &pages.url)
    }

    /// Starts a worker beside the server, in this process. It runs all kinds of jobs in `spin.toml`.
    ///
    /// # Errors
    /// The worker can't be started.
    pub async fn worker(&self, times: JobTimes) -> Result<JobWorker> {
        self.worker_mailing(times, MailOptions::default()).await
    }

    /// Like [`Server::worker`], with a mail server.
    ///
    /// # Errors
    /// The worker can't be started.
    pub async fn worker_mailing(&self, times: JobTimes, mail: MailOptions) -> Result<JobWorker> {
        self.worker_with(times, mail, BTreeMap::new()).await
    }

    /// As [`Server::worker`], whose operator vouches for some receivers of webhooks.
    ///
    /// # Errors
    /// It can't be started.
    pub async fn worker_reaching(
        &self,
        times: JobTimes,
        trusted_hosts: BTreeMap<String, SocketAddr>,
    ) -> Result<JobWorker> {
        self.worker_with(times, MailOptions::default(), trusted_hosts)
            .await
    }

    async fn worker_with(
        &self,
        times: JobTimes,
        mail: MailOptions,
        trusted_hosts: BTreeMap<String, SocketAddr>,
    ) -> Result<JobWorker> {
        let database_url = secrets::role_url(&self.database.admin, &master_key(), WORKER_ROLE)?;
        let application = application(
            &root().join("spin.toml"),
            &self._state.path().join("worker"),
            self.variables.clone(),
        )
        .await?;
        let options = JobOptions {
            database_url: database_url.to_string(),
            mail,
            trusted_hosts,
            settings: times,
            metrics: Arc::new(Metrics::new()?),
            metrics_listen: None,
        };
        JobWorker::start(application, options).await
    }

    /// Starts the probe alone. `settings` are more lines of its `[component.probe]`, or tables after it, where
    /// `{source}` is its file and `{database}` the database's URL.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn probe(settings: &str, limits: Limits) -> Result<Self> {
        Self::probe_reaching(&[], settings, limits).await
    }

    /// Starts the probe with more `allowed_outbound_hosts`.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn probe_reaching(hosts: &[&str], settings: &str, limits: Limits) -> Result<Self> {
        tokio::task::spawn_blocking(build_components).await??;
        let database = Database::create().await?;
        database
            .execute(
                "create table public.item (id int primary key, name text not null);
                 insert into public.item select n, 'item ' || n from generate_series(1, 100) n",
            )
            .await?;
        let folder = scratch()?;
        let file = folder.path().join("spin.toml");
        std::fs::write(folder.path().join("note.txt"), "mounted")?;
        let settings = settings
            .replace("{source}", &component_file("probe").to_string_lossy())
            .replace("{database}", database.admin.as_str());
        std::fs::write(&file, probe::manifest(&database.admin, hosts, &settings))?;
        let listen = free_address()?;
        Self::serve(Serving::of(file, limits), listen, database, BTreeMap::new()).await
    }

    /// Starts a function that takes whole requests, and misbehaves.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn wild(limits: Limits) -> Result<Self> {
        tokio::task::spawn_blocking(build_components).await??;
        Self::lone("wild", &component_file("wild"), limits).await
    }

    /// Starts one component that answers all paths, from its built file.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn lone(id: &str, source: &Path, limits: Limits) -> Result<Self> {
        let folder = scratch()?;
        let file = folder.path().join("spin.toml");
        let text = format!(
            "spin_manifest_version = 2\napplication.name = \"{id}\"\n[[trigger.http]]\nroute = \"/...\"\n\
             component = \"{id}\"\n[component.{id}]\nsource = {source:?}\n",
        );
        std::fs::write(&file, text)?;
        let (listen, database) = (free_address()?, Database::create().await?);
        Self::serve(Serving::of(file, limits), listen, database, BTreeMap::new()).await
    }

    /// Starts the probe with its key-value store in Redis, and waits until Redis answers.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn probe_with_redis(url: &str) -> Result<Self> {
        let address = url.trim_start_matches("redis://").to_owned();
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(&address).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::task::spawn_blocking(build_components).await??;
        let database = Database::create().await?;
        let folder = scratch()?;
        let file = folder.path().join("spin.toml");
        std::fs::write(&file, probe::manifest(&database.admin, &[], ""))?;
        let serving = Serving {
            key_value_url: Some(url.to_owned()),
            ..Serving::of(file, Limits::default())
        };
        Self::serve(serving, free_address()?, database, BTreeMap::new()).await
    }

    /// Serves the platform's manifest with Gather's host, or with Spin if the tests are to run through it.
    async fn platform(
        listen: SocketAddr,
        database: Database,
        variables: BTreeMap<String, String>,
        limits: Limits,
        workers: usize,
    ) -> Result<Self> {
        let manifest = root().join("spin.toml");
        let Some(program) = spin::program() else {
            let serving = Serving {
                manifest,
                limits,
                workers,
                key_value_url: None,
            };
            return Self::serve(serving, listen, database, variables).await;
        };
        let spin = spin::Spin::start(&program, &manifest, listen, &variables).await?;
        Ok(Self {
            url: format!("http://{listen}"),
            database,
            http: http().build()?,
            variables,
            host: None,
            sandbox: None,
            egress: None,
            realtime: None,
            pages: None,
            _spin: Some(spin),
            _state: scratch()?,
        })
    }

    /// The server of another process.
    ///
    /// # Errors
    /// The client can't be made.
    pub fn elsewhere(url: &str, database: Database) -> Result<Self> {
        Ok(Self {
            url: url.to_owned(),
            database,
            http: http().build()?,
            variables: BTreeMap::new(),
            host: None,
            sandbox: None,
            egress: None,
            realtime: None,
            pages: None,
            _spin: None,
            _state: scratch()?,
        })
    }

    async fn serve(
        serving: Serving,
        listen: SocketAddr,
        database: Database,
        variables: BTreeMap<String, String>,
    ) -> Result<Self> {
        let realtime = (!variables.is_empty())
            .then(|| services::realtime(&database, listen, &variables))
            .transpose()?;
        let native = realtime.as_ref().map(Realtime::routes).unwrap_or_default();
        let state = scratch()?;
        let application = Application::new(ApplicationOptions {
            key_value_url: serving.key_value_url,
            limits: serving.limits,
            ..application_options(&serving.manifest, state.path(), variables.clone())?
        });
        let options = Options {
            listen,
            metrics_listen: None,
            public_metrics: true,
            workers: Some(serving.workers),
            native,
        };
        let application = application.await?;
        let host = Host::start(&application, options).await?;
        let url = format!("http://{}", host.address());
        Ok(Self {
            url,
            database,
            http: http().build()?,
            variables,
            host: Some(host),
            sandbox: None,
            egress: None,
            realtime,
            pages: None,
            _spin: None,
            _state: state,
        })
    }

    /// Requests a path with GET.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn get(&self, path: &str) -> Result<reqwest::Response> {
        Ok(self.http.get(format!("{}{path}", self.url)).send().await?)
    }

    /// Requests a path with GET, and returns the text of the answer.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn text(&self, path: &str) -> Result<String> {
        Ok(self.get(path).await?.text().await?)
    }

    /// Sends a JSON body to a path with POST.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn post(&self, path: &str, body: &serde_json::Value) -> Result<reqwest::Response> {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        Ok(request.send().await?)
    }

    /// Runs two requests that need the held locks, both waiting, the second behind the first, before the locks are
    /// released. Returns their answers.
    ///
    /// # Errors
    /// One of them does not wait, or the connection fails.
    pub async fn in_turn(
        &self,
        held: Held,
        first: reqwest::RequestBuilder,
        second: reqwest::RequestBuilder,
    ) -> Result<[reqwest::Response; 2]> {
        let first = tokio::spawn(first.send());
        self.database.until_waiting(1).await?;
        let second = tokio::spawn(second.send());
        self.database.until_waiting(2).await?;
        held.release().await?;
        Ok([first.await??, second.await??])
    }

    /// Sends raw bytes, keeps the sending side open or closes it, and reads until the server closes or `limit` has
    /// passed.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn raw(&self, request: &[u8], close: bool, limit: Duration) -> Result<String> {
        let address = self.url.trim_start_matches("http://");
        let mut socket = tokio::net::TcpStream::connect(address).await?;
        socket.write_all(request).await?;
        if close {
            socket.shutdown().await?;
        }
        let mut answer = Vec::new();
        let read = tokio::time::timeout(limit, socket.read_to_end(&mut answer)).await;
        if let Ok(read) = read {
            read?;
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The host, for example to drain it.
    ///
    /// # Panics
    /// The server was stopped, or runs behind Spin.
    #[must_use]
    pub fn host(&self) -> &Host {
        self.host.as_ref().expect("our host, not stopped yet")
    }
}

/// The number of serving threads of a test's host.
pub const WORKERS: usize = 2;
