//! One function: its compiled component, its instances, and a request's run in one of them.

use crate::{
    Limits,
    engine::Compiler,
    interfaces::{
        self,
        exchange::{self, Exchanges, ExchangesPre},
        http::{HttpClient, http_client},
        key_value, postgres,
    },
    mail::Mailer,
    manifest::{self, Manifest},
    metrics::Metrics,
    mount,
    outbound::AllowedHosts,
    state::{Blueprint, EPOCHS_PER_TICK, Rights},
};
use anyhow::{Context as _, Result, bail};
use futures::channel::oneshot::Sender;
use outgoing::Outgoing;
use std::{
    collections::BTreeMap,
    future::{pending, poll_fn},
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant as Time},
};
use tokio::sync::Semaphore;
use wasm::Data;
use wasmtime::{
    AsContextMut, Store,
    component::{InstancePre, Linker},
};
use wasmtime_wasi_http::{
    WasiHttpView,
    handler::{Prepared, Proxy, ProxyPre, Request, Response},
    p2, p3,
};

/// A loaded function, shared by all workers.
pub struct Function {
    /// The component's id in the manifest.
    pub id: String,
    /// What it may use.
    pub limits: Limits,
    /// Places for requests.
    pub places: Arc<Semaphore>,
    /// Requests that wait for a place.
    pub queue: Arc<Semaphore>,
    pre: ProxyPre<Data>,
    /// Where the function can take requests whole.
    exchanges: Option<ExchangesPre<Data>>,
    blueprint: Blueprint,
    metrics: Arc<Metrics>,
}

/// What loading needs beside the manifest.
pub struct Loader<'a> {
    /// The checked manifest.
    pub manifest: &'a Manifest,
    /// Compiles components.
    pub compiler: &'a Compiler,
    /// Links their imports.
    pub linker: &'a Linker<Data>,
    /// The application variables' values.
    pub variables: &'a BTreeMap<String, String>,
    /// Defaults for all components.
    pub limits: &'a Limits,
    /// The key-value store behind every label.
    pub key_value: Arc<key_value::Stores>,
    /// For calls of other components.
    pub app: std::sync::Weak<crate::handler::App>,
    /// Where files of `files` are copied to.
    pub scratch: &'a Path,
    /// How many threads serve.
    pub workers: usize,
    /// The way out for components that are to reach public addresses only.
    pub outgoing: Arc<Outgoing>,
    /// Sends mail, where queued work is done.
    pub mailer: Option<Arc<Mailer>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Loader<'_> {
    /// Loads one component of the manifest.
    ///
    /// # Errors
    /// A missing or broken file, an import that no host function satisfies, an unknown variable.
    pub fn load(&self, component: &manifest::Component) -> Result<Function> {
        let pre = self.prepare(component)?;
        let exchanges = ExchangesPre::new(pre.clone())
            .inspect_err(|error| tracing::debug!(%error, component.id, "takes no whole requests"));
        let pre = match p3::bindings::ServicePre::new(pre.clone()) {
            Ok(pre) => ProxyPre::P3(pre),
            Err(_) => match p2::bindings::ProxyPre::new(pre) {
                Ok(pre) => ProxyPre::P2(pre),
                Err(error) => bail!(
                    "component `{}` exports neither wasi:http/handler@0.3 nor \
                     wasi:http/incoming-handler@0.2: {error}",
                    component.id
                ),
            },
        };
        let blueprint = self.blueprint(component)?;
        let limits = blueprint.limits.clone();
        Ok(Function {
            id: component.id.clone(),
            places: Arc::new(Semaphore::new(limits.concurrency)),
            queue: Arc::new(Semaphore::new(limits.queue)),
            exchanges: exchanges
                .ok()
                .filter(|_| limits.whole_requests && matches!(pre, ProxyPre::P3(_))),
            limits,
            pre,
            blueprint,
            metrics: self.metrics.clone(),
        })
    }

    /// The component, compiled, its imports checked.
    ///
    /// # Errors
    /// A missing or broken file, an import that no host function satisfies.
    pub fn prepare(&self, component: &manifest::Component) -> Result<InstancePre<Data>> {
        let compiled = self.compiler.load(&component.source)?;
        self.linker
            .instantiate_pre(&compiled)
            .map_err(anyhow::Error::from)
            .with_context(|| {
                format!(
                    "component `{}` imports what this host does not have",
                    component.id
                )
            })
    }

    /// What each instance of the component is made with.
    ///
    /// # Errors
    /// An unknown variable, a file that cannot be mounted.
    pub fn blueprint(&self, component: &manifest::Component) -> Result<Blueprint> {
        let mut variables = BTreeMap::new();
        for (name, template) in &component.variables {
            let value = template
                .resolve(self.variables)
                .with_context(|| format!("variable `{name}` of component `{}`", component.id))?;
            variables.insert(name.clone(), value);
        }
        let allowed_hosts =
            AllowedHosts::resolve(&component.allowed_outbound_hosts, self.variables)
                .with_context(|| format!("allowed_outbound_hosts of `{}`", component.id))?;
        let settings = &component.settings;
        let defaults = self.limits;
        let limits = Limits {
            deadline: settings
                .deadline_ms
                .map_or(defaults.deadline, Duration::from_millis),
            memory_bytes: settings.memory_bytes.unwrap_or(defaults.memory_bytes),
            max_body_bytes: settings.max_body_bytes.unwrap_or(defaults.max_body_bytes),
            concurrency: settings.concurrency.unwrap_or(defaults.concurrency),
            ..defaults.clone()
        };
        let rights = Rights {
            component: component.id.clone(),
            variables,
            key_value_stores: component.key_value_stores.clone(),
            allowed_hosts,
            key_value: self.key_value.clone(),
            app: self.app.clone(),
            database: self.pool_limits(component),
            blocking_database: limits.blocking_database,
            outgoing: settings.public_only.then(|| self.outgoing.clone()),
            mail: self.mailer.clone().filter(|_| settings.mail),
        };
        Ok(Blueprint {
            limits,
            environment: component.environment.clone().into_iter().collect(),
            mounts: mount::prepare(component, &self.manifest.folder, self.scratch)?,
            rights: Arc::new(rights),
        })
    }

    /// Connections are shared out over the workers, and there over the components of the same kind, those with routes or
    /// those with jobs: the others run elsewhere.
    fn pool_limits(&self, component: &manifest::Component) -> postgres::PoolLimits {
        let is_job = component.settings.job.is_some();
        let components = self.manifest.components.values().filter(|other| {
            let hosts = &other.allowed_outbound_hosts;
            other.settings.job.is_some() == is_job && hosts.iter().any(|host| host.is_postgres())
        });
        let own = postgres::OWN_CONNECTIONS * components.count();
        // A machine with very many cores needs more than it is told.
        let connections = (self.limits.database_connections / self.workers).max(own);
        postgres::PoolLimits {
            connections,
            shared: connections - own,
            timeout: self.limits.database_timeout,
        }
    }
}

impl Function {
    /// Makes a fresh instance.
    ///
    /// # Errors
    /// The pool has no room, or the guest traps while it starts.
    async fn instantiate(self: &Arc<Self>, worker: &Arc<Instances>) -> Result<Instance> {
        let started = Time::now();
        let mut store = self
            .blueprint
            .store(self.engine(), worker, interfaces::jobs::none())?;
        let (proxy, exchanges) = match &self.exchanges {
            None => (self.pre.instantiate_async(&mut store).await?, None),
            Some(pre) => {
                let instance = pre.instance_pre().instantiate_async(&mut store).await?;
                let exchanges = Exchanges::new(&mut store, &instance)?;
                let service = p3::bindings::Service::new(&mut store, &instance)?;
                (Proxy::P3(service), Some(exchanges))
            }
        };
        let id = self.id.as_str();
        let took = started.elapsed().as_secs_f64();
        self.metrics
            .instantiation
            .with_label_values(&[id])
            .observe(took);
        self.metrics.instances.with_label_values(&[id, "all"]).inc();
        Ok(Instance {
            store,
            proxy,
            exchanges,
            served: 0,
            idle_since: Time::now(),
            function: self.clone(),
        })
    }

    /// Whether it is one of ours, which take requests whole and read no other header of Spin's than the client's address.
    #[must_use]
    pub fn takes_whole_requests(&self) -> bool {
        self.exchanges.is_some()
    }

    /// Counts a guest that trapped.
    pub fn trapped(&self) {
        self.metrics
            .traps
            .with_label_values(&[self.id.as_str()])
            .inc();
    }

    fn engine(&self) -> &wasmtime::Engine {
        match &self.pre {
            ProxyPre::P2(pre) => pre.engine(),
            ProxyPre::P3(pre) => pre.engine(),
        }
    }
}

/// A living instance. It serves one request at a time, and is dropped when one traps in it.
pub struct Instance {
    store: Store<Data>,
    proxy: Proxy,
    exchanges: Option<Exchanges>,
    served: u32,
    idle_since: Time,
    function: Arc<Function>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.function
            .metrics
            .instances
            .with_label_values(&[self.function.id.as_str(), "all"])
            .dec();
    }
}

/// The idle instances and database pools of one worker thread.
pub struct Instances {
    idle: Mutex<BTreeMap<String, Vec<Instance>>>,
    /// The database pools.
    pub pools: Arc<postgres::Pools>,
    /// Connections to plain HTTP hosts.
    pub http: HttpClient,
}

/// A request, and where its answer is awaited.
pub enum Asked {
    /// In one call, for a function that takes whole requests.
    Whole(Request, Sender<wasmtime::Result<exchange::Reply>>),
    /// Part by part, through wasi:http.
    Parts(Request, Sender<wasmtime::Result<Response>>),
}

/// A guest's run: resolves when the guest has nothing left to do.
pub type Run = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>>;

impl Instances {
    /// The sizes of this worker's database pools and lists, for the metrics.
    pub fn report(&self, metrics: &Metrics) {
        self.pools.report();
        for (id, list) in self.lock().iter() {
            let idle = i64::try_from(list.len()).unwrap_or(i64::MAX);
            metrics
                .instances
                .with_label_values(&[id.as_str(), "idle"])
                .add(idle);
        }
    }

    /// No instances yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            idle: Mutex::default(),
            http: http_client(),
            pools: Arc::new(postgres::Pools::new(metrics)),
        }
    }

    /// Runs a request in an idle instance, or in a new one. The run must be polled on, for as long as the response's
    /// body is read, and dropping it stops the guest.
    ///
    /// # Errors
    /// No instance could be made.
    pub async fn run(self: &Arc<Self>, function: &Arc<Function>, asked: Asked) -> Result<Run> {
        let instance = match self.take(function) {
            Some(instance) => instance,
            None => function.instantiate(self).await?,
        };
        let instances = self.clone();
        Ok(Box::pin(async move {
            let mut instance = instance;
            instance.handle(asked).await?;
            instances.put(instance);
            Ok(())
        }))
    }

    fn take(&self, function: &Function) -> Option<Instance> {
        self.lock().get_mut(&function.id)?.pop()
    }

    fn put(&self, mut instance: Instance) {
        if instance.served < instance.function.limits.instance_reuse {
            instance.idle_since = Time::now();
            let mut idle = self.lock();
            match idle.get_mut(&instance.function.id) {
                Some(list) => list.push(instance),
                None => {
                    idle.insert(instance.function.id.clone(), vec![instance]);
                }
            }
        }
    }

    /// Drops the instances and connections that nobody needed for a while.
    pub fn trim(&self) {
        self.pools.trim();
        let mut old = Vec::new();
        for list in self.lock().values_mut() {
            let fresh = list
                .iter()
                .position(|i| i.idle_since.elapsed() < i.function.limits.instance_idle)
                .unwrap_or(list.len());
            old.extend(list.drain(..fresh));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Instance>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instance {
    async fn handle(&mut self, asked: Asked) -> wasmtime::Result<()> {
        self.served += 1;
        self.store.set_epoch_deadline(EPOCHS_PER_TICK);
        let (request, answer) = match asked {
            Asked::Whole(request, answer) => {
                let Some(exchanges) = &self.exchanges else {
                    wasmtime::bail!("the function takes no whole requests");
                };
                return exchange::answer(&mut self.store, exchanges, request, answer).await;
            }
            Asked::Parts(request, answer) => (request, answer),
        };
        let proxy = &self.proxy;
        self.store
            .run_concurrent(async |accessor| {
                let prepared = accessor.with(|mut store| {
                    Prepared::new(
                        store.as_context_mut(),
                        proxy,
                        request,
                        <Data as WasiHttpView>::http,
                        answer,
                    )
                })?;
                prepared.run(accessor, pending()).await?;
                poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                Ok(())
            })
            .await?
    }
}
