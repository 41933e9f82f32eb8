//! The functions of a host, each in its newest build.

use crate::{function::Function, load::Loader, manifest::Component};
use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use std::{collections::BTreeMap, sync::Arc};

/// A function whose build may change while it serves. A request that has loaded one build ends in that build.
pub type Current = Arc<ArcSwap<Function>>;

/// All functions of a host by id.
pub struct Functions {
    loader: Loader,
    by_id: BTreeMap<String, Current>,
}

impl Functions {
    /// Loads the components of an application that answer requests.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn load<'a>(
        loader: Loader,
        components: impl Iterator<Item = &'a Component>,
    ) -> Result<Self> {
        let functions = components.map(|component| {
            let function = loader.load(component)?;
            let current = Arc::new(ArcSwap::from_pointee(function));
            Ok((component.id.clone(), current))
        });
        Ok(Self {
            by_id: functions.collect::<Result<_>>()?,
            loader,
        })
    }

    /// The function, which follows each newer build.
    #[must_use]
    pub fn current(&self, id: &str) -> Option<&Current> {
        self.by_id.get(id)
    }

    /// The ids of all functions.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.by_id.keys()
    }

    /// Whether it is a function of this host.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Loads a function again from its file, which holds a newer build. Running requests end in the older build; those
    /// that follow run in the newer one.
    ///
    /// # Errors
    /// The file is missing or broken, or it imports what this host does not have. The older build then goes on serving.
    pub fn reload(&self, id: &str) -> Result<()> {
        let current = self
            .current(id)
            .with_context(|| format!("there is no function `{id}`"))?;
        let newer = self.loader.reload(&current.load())?;
        current.store(Arc::new(newer));
        Ok(())
    }
}
