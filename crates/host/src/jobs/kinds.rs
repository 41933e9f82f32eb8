//! The kinds of work of a worker, each in its component's newest build.

use super::kind::Kind;
use crate::{application::Application, load::Loader};
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// All kinds of a worker by name, which is the component's id.
pub struct Kinds {
    loader: Loader,
    by_name: BTreeMap<String, ArcSwap<Kind>>,
}

impl Kinds {
    /// Loads the components of an application that do queued work. A kind without its own deadline gets the given one.
    ///
    /// # Errors
    /// As [`Kind::load`].
    pub fn load(application: &Application, loader: Loader, deadline: Duration) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        for (id, component) in &application.manifest.components {
            if let Some(job) = &component.settings.job {
                let kind = Kind::load(&loader, component, job, deadline)?;
                by_name.insert(id.clone(), ArcSwap::from_pointee(kind));
            }
        }
        Ok(Self { loader, by_name })
    }

    /// The kind with the given name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Kind>> {
        self.by_name.get(name).map(ArcSwap::load_full)
    }

    /// All kinds, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = Arc<Kind>> {
        self.by_name.values().map(ArcSwap::load_full)
    }

    /// Loads a component again from its file, which holds a newer build. Running jobs end in the older build; those
    /// that begin afterwards run in the newer one.
    ///
    /// # Errors
    /// The file is missing or broken, or it imports what this host does not have. The older build then stays.
    pub fn reload(&self, name: &str) -> Result<()> {
        let current = self.by_name.get(name);
        let current = current.with_context(|| format!("there is no kind of work `{name}`"))?;
        let newer = current.load().reload(&self.loader)?;
        current.store(Arc::new(newer));
        Ok(())
    }
}
