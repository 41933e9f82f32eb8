//! An application as its manifest describes it, before it runs. A host and a worker in one process share it.

use crate::{
    engine::Compiler,
    interfaces::key_value::stores::Stores,
    limits::Limits,
    manifest::{self, Manifest, resolve_variables},
};
use anyhow::{Context, Result};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// The options of an application.
pub struct ApplicationOptions {
    /// The checked manifest.
    pub manifest: Arc<Manifest>,
    /// Values of application variables, before the environment's.
    pub variables: BTreeMap<String, String>,
    /// The folder of the key-value file and of copies of mounted files.
    pub state_dir: PathBuf,
    /// The folder of compiled components, which applications may share.
    pub cache_dir: PathBuf,
    /// The URL of Redis or Valkey, if it is used instead of the key-value file.
    pub key_value_url: Option<String>,
    /// Bounds of requests, components and the host.
    pub limits: Limits,
}

/// A manifest with the values of its variables, the engine of its components and their key-value stores.
pub struct Application {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) compiler: Compiler,
    pub(crate) key_value: Arc<Stores>,
    pub(crate) limits: Limits,
    /// The folder that the files of `files` are copied to.
    pub(crate) scratch: PathBuf,
}

impl Application {
    /// Starts the engine and opens the key-value stores. No component is loaded yet.
    ///
    /// # Errors
    /// A required variable has no value, a folder cannot be made, or the key-value server does not answer.
    pub async fn new(options: ApplicationOptions) -> Result<Arc<Self>> {
        let manifest = options.manifest;
        let variables = resolve_variables(&manifest.variables, &options.variables)?;
        std::fs::create_dir_all(&options.state_dir)
            .with_context(|| format!("cannot make the folder {}", options.state_dir.display()))?;
        let key_value = Arc::new(match &options.key_value_url {
            Some(url) => Stores::redis(url).await?,
            None => Stores::sqlite(&options.state_dir.join("key-value.sqlite"))?,
        });
        let compiler = Compiler::new(&manifest, &options.limits, options.cache_dir)?;
        Ok(Arc::new(Self {
            manifest,
            variables,
            compiler,
            key_value,
            limits: options.limits,
            scratch: options.state_dir.join("files"),
        }))
    }

    /// The components that answer requests.
    pub(crate) fn functions(&self) -> impl Iterator<Item = &manifest::Component> {
        let all = self.manifest.components.values();
        all.filter(|component| component.settings.job.is_none())
    }
}
