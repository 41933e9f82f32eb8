//! The instances of one worker thread, both idle and busy ones.

use crate::{
    function::{Asked, Function, Instance},
    interfaces::connections::Connections,
    metrics::Metrics,
};
use anyhow::Result;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Instant as Time,
};

/// The idle instances of one worker thread, and the connections that they share.
pub struct Instances {
    idle: Mutex<BTreeMap<String, Vec<Instance>>>,
    connections: Connections,
}

/// A guest's run, which resolves when the guest has nothing left to do.
pub type Run = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>>;

impl Instances {
    /// The sizes of this worker's database pools and lists, for the metrics.
    pub fn report(&self, metrics: &Metrics) {
        self.connections.pools.report();
        for (id, list) in self.lock().iter() {
            let idle = i64::try_from(list.len()).unwrap_or(i64::MAX);
            metrics
                .instances
                .with_label_values(&[id.as_str(), "idle"])
                .add(idle);
        }
    }

    /// Makes the set of instances, which is empty at first.
    #[must_use]
    pub fn new(connections: Connections) -> Self {
        Self {
            idle: Mutex::default(),
            connections,
        }
    }

    /// Runs a request in an idle instance, or in a new one. The run must be polled on, for as long as the response's
    /// body is read, and dropping it stops the guest.
    ///
    /// # Errors
    /// An instance could not be made.
    pub async fn run(self: &Arc<Self>, function: &Arc<Function>, asked: Asked) -> Result<Run> {
        let instance = match self.take(function) {
            Some(instance) => instance,
            None => function.instantiate(&self.connections).await?,
        };
        let instances = self.clone();
        Ok(Box::pin(async move {
            let mut instance = instance;
            instance.handle(asked).await?;
            instances.put(instance);
            Ok(())
        }))
    }

    /// Takes an idle instance of the function, and drops those of other builds that it finds on the way.
    fn take(&self, function: &Arc<Function>) -> Option<Instance> {
        loop {
            let instance = self.lock().get_mut(&function.id)?.pop()?;
            if Arc::ptr_eq(&instance.function, function) {
                return Some(instance);
            }
        }
    }

    fn put(&self, mut instance: Instance) {
        if instance.served < instance.function.limits().instance_reuse {
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

    /// Drops the instances and connections that have been idle for a while.
    pub fn trim(&self) {
        self.connections.pools.trim();
        let mut old = Vec::new();
        for list in self.lock().values_mut() {
            let fresh = list
                .iter()
                .position(|i| i.idle_since.elapsed() < i.function.limits().instance_idle)
                .unwrap_or(list.len());
            old.extend(list.drain(..fresh));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Instance>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
