//! Loading of components, from the manifest to the template of their instances.

use crate::{
    application::Application,
    function::Function,
    instance_template::InstanceTemplate,
    interfaces::{
        exchange::ExchangesPre,
        interface::GrantContext,
        postgres::pool::{OWN_CONNECTIONS, PoolLimits},
    },
    limits::Limits,
    mail::Mailer,
    manifest::Component,
    metrics::Metrics,
    mount,
    outbound::AllowedHosts,
    state::{self, Grants},
};
use anyhow::{Context as _, Result, bail};
use outgoing::Outgoing;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use wasm::Data;
use wasmtime::component::{InstancePre, Linker};
use wasmtime_wasi_http::{handler::ProxyPre, p2, p3};

/// Loads components of one kind, those with routes or those with jobs, for the threads that will run them.
pub struct Loader {
    application: Arc<Application>,
    linker: Linker<Data>,
    workers: usize,
    database_connections: usize,
    outgoing: Arc<Outgoing>,
    mailer: Option<Arc<Mailer>>,
    metrics: Arc<Metrics>,
}

impl Loader {
    /// Makes the loader of functions, for this many threads.
    ///
    /// # Errors
    /// As [`state::linker`].
    pub fn of_functions(
        application: Arc<Application>,
        workers: usize,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        Ok(Self {
            linker: state::linker(application.compiler.engine(), false)?,
            workers,
            database_connections: application.limits.database_connections,
            application,
            outgoing: Arc::new(Outgoing::new(None, BTreeMap::new())),
            mailer: None,
            metrics,
        })
    }

    /// Makes the loader of queued work, which has half as many connections to the database.
    ///
    /// # Errors
    /// As [`state::linker`].
    pub fn of_jobs(
        application: Arc<Application>,
        outgoing: Outgoing,
        mailer: Arc<Mailer>,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        Ok(Self {
            linker: state::linker(application.compiler.engine(), true)?,
            workers: 1,
            database_connections: application.limits.database_connections / 2,
            application,
            outgoing: Arc::new(outgoing),
            mailer: Some(mailer),
            metrics,
        })
    }

    /// The metrics of the loaded components.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Loads one function.
    ///
    /// # Errors
    /// The file is missing or broken, no host function satisfies an import, or a variable is unknown.
    pub fn load(&self, component: &Component) -> Result<Function> {
        let (pre, exchanges) = self.services(component)?;
        let template = self.template(component)?;
        Ok(Function::new(
            template,
            pre,
            exchanges,
            self.metrics.clone(),
        ))
    }

    /// Loads a function again, whose file is a newer build of it.
    ///
    /// # Errors
    /// The file is missing or broken, or no host function satisfies an import.
    pub fn reload(&self, function: &Function) -> Result<Function> {
        let (pre, exchanges) = self.services(self.component(&function.id)?)?;
        Ok(function.rebuilt(pre, exchanges))
    }

    /// Finds a component of the manifest.
    ///
    /// # Errors
    /// The manifest does not have a component with this id.
    pub fn component(&self, id: &str) -> Result<&Component> {
        let components = &self.application.manifest.components;
        components
            .get(id)
            .with_context(|| format!("there is no [component.{id}]"))
    }

    /// Finds the component's export for requests, and the export that takes them whole.
    fn services(
        &self,
        component: &Component,
    ) -> Result<(ProxyPre<Data>, Option<ExchangesPre<Data>>)> {
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
        let whole = self.application.limits.whole_requests;
        let exchanges = exchanges
            .ok()
            .filter(|_| whole && matches!(pre, ProxyPre::P3(_)));
        Ok((pre, exchanges))
    }

    /// Compiles the component and checks its imports.
    ///
    /// # Errors
    /// The file is missing or broken, or no host function satisfies an import.
    pub fn prepare(&self, component: &Component) -> Result<InstancePre<Data>> {
        let compiled = self.application.compiler.load(&component.source)?;
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

    /// Makes the template of the component's instances.
    ///
    /// # Errors
    /// A variable is unknown, or a file cannot be mounted.
    pub fn template(&self, component: &Component) -> Result<InstanceTemplate> {
        let Application {
            manifest,
            variables,
            key_value,
            scratch,
            ..
        } = &*self.application;
        let hosts = AllowedHosts::resolve(&component.allowed_outbound_hosts, variables)
            .with_context(|| format!("allowed_outbound_hosts of `{}`", component.id))?;
        let limits = self.limits(component);
        let grants = Grants::new(&GrantContext {
            component,
            variables,
            allowed_hosts: &Arc::new(hosts),
            key_value,
            database: self.pool_limits(component),
            blocking_database: limits.blocking_database,
            outgoing: &self.outgoing,
            mailer: self.mailer.as_ref(),
        })?;
        Ok(InstanceTemplate {
            component: component.id.clone(),
            limits,
            environment: component.environment.clone().into_iter().collect(),
            mounts: mount::prepare(component, &manifest.folder, scratch)?,
            grants,
        })
    }

    /// The host's limits, overridden by the component's own settings.
    fn limits(&self, component: &Component) -> Limits {
        let settings = &component.settings;
        let defaults = &self.application.limits;
        Limits {
            deadline: settings
                .deadline_ms
                .map_or(defaults.deadline, Duration::from_millis),
            memory_bytes: settings.memory_bytes.unwrap_or(defaults.memory_bytes),
            max_body_bytes: settings.max_body_bytes.unwrap_or(defaults.max_body_bytes),
            concurrency: defaults.places_of(settings.concurrency),
            ..defaults.clone()
        }
    }

    /// The component's share of the connections. They are divided among the workers, and there among the components of
    /// the same kind, with routes or with jobs, since the other kind runs elsewhere.
    fn pool_limits(&self, component: &Component) -> PoolLimits {
        let is_job = component.settings.job.is_some();
        let components = self.application.manifest.components.values();
        let components = components.filter(|other| {
            let hosts = &other.allowed_outbound_hosts;
            other.settings.job.is_some() == is_job && hosts.iter().any(|host| host.is_postgres())
        });
        let (connections, shared) = shares(
            self.database_connections / self.workers,
            OWN_CONNECTIONS * components.count(),
        );
        PoolLimits {
            connections,
            shared,
            timeout: self.application.limits.database_timeout,
        }
    }
}

/// The connections of a worker, and those of them that are shared, if it is told to have `told`, and `own` are reserved for
/// components. At least half as many as are reserved are shared: a machine with many cores, or a platform of many components,
/// needs more than it is told.
fn shares(told: usize, own: usize) -> (usize, usize) {
    let connections = told.max(own + own / 2);
    (connections, connections - own)
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn however_many_components_there_are_some_connections_are_shared() {
        assert_eq!(shares(32, 17), (32, 15));
        assert_eq!(shares(8, 1), (8, 7));
        for (told, own) in [(16, 17), (16, 21), (1, 40)] {
            let (connections, shared) = shares(told, own);
            assert!(shared >= 8 && connections == own + shared, "{own}");
        }
    }
}
