//! One function: its compiled component, an instance of it, and a request's run in one.

use crate::{
    instance_template::{EPOCHS_PER_TICK, InstanceTemplate},
    interfaces::{
        connections::Connections,
        exchange::{self, Exchanges, ExchangesPre},
    },
    limits::Limits,
    metrics::Metrics,
};
use anyhow::Result;
use futures::channel::oneshot::Sender;
use std::{
    future::{pending, poll_fn},
    sync::Arc,
    time::Instant as Time,
};
use tokio::sync::Semaphore;
use wasm::Data;
use wasmtime::{AsContextMut, Store};
use wasmtime_wasi_http::{
    WasiHttpView,
    handler::{Prepared, Proxy, ProxyPre, Request, Response},
    p3,
};

/// A loaded function, shared by all workers.
pub struct Function {
    /// The component's id in the manifest.
    pub id: String,
    /// The permits to run a request.
    pub permits: Arc<Semaphore>,
    /// The permits to wait for a permit.
    pub queue: Arc<Semaphore>,
    pre: ProxyPre<Data>,
    /// The export that takes requests whole, if the function has one.
    exchanges: Option<ExchangesPre<Data>>,
    template: Arc<InstanceTemplate>,
    metrics: Arc<Metrics>,
}

/// A request, with the channel for its answer.
pub enum Asked {
    /// The request goes over in one call, to a function that takes whole requests.
    Whole(Request, Sender<wasmtime::Result<exchange::Reply>>),
    /// The request goes over in parts, through `wasi:http`.
    Parts(Request, Sender<wasmtime::Result<Response>>),
}

impl Function {
    /// A function of a component that has been loaded.
    #[must_use]
    pub fn new(
        template: InstanceTemplate,
        pre: ProxyPre<Data>,
        exchanges: Option<ExchangesPre<Data>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            id: template.component.clone(),
            permits: Arc::new(Semaphore::new(template.limits.concurrency)),
            queue: Arc::new(Semaphore::new(template.limits.queue)),
            pre,
            exchanges,
            template: Arc::new(template),
            metrics,
        }
    }

    /// The same function in a newer build. Both builds share one bound on requests, and the same connections.
    #[must_use]
    pub fn rebuilt(&self, pre: ProxyPre<Data>, exchanges: Option<ExchangesPre<Data>>) -> Self {
        Self {
            id: self.id.clone(),
            permits: self.permits.clone(),
            queue: self.queue.clone(),
            pre,
            exchanges,
            template: self.template.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// The limits of the function.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.template.limits
    }

    /// Makes a fresh instance.
    ///
    /// # Errors
    /// The engine has no free slot, or the guest traps while it starts.
    pub async fn instantiate(self: &Arc<Self>, connections: &Connections) -> Result<Instance> {
        let started = Time::now();
        let mut store = self.template.store(self.engine(), connections)?;
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

    /// Whether the function takes requests whole. Such a function reads no header of Spin's except the client's
    /// address.
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
    /// The number of requests that the instance has taken.
    pub served: u32,
    /// The time since which the instance is idle.
    pub idle_since: Time,
    /// The function that this is an instance of.
    pub function: Arc<Function>,
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

impl Instance {
    /// Runs a request until the guest has nothing left to do.
    ///
    /// # Errors
    /// The guest trapped.
    pub async fn handle(&mut self, asked: Asked) -> wasmtime::Result<()> {
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
