//! How a test's host serves.

use super::WORKERS;
use host::Limits;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// What a host serves, and how.
pub(super) struct Serving {
    pub(super) manifest: PathBuf,
    pub(super) limits: Limits,
    pub(super) workers: usize,
    pub(super) key_value_url: Option<String>,
}

impl Serving {
    /// Serves a manifest as most tests do.
    pub(super) fn of(manifest: PathBuf, limits: Limits) -> Self {
        Self {
            manifest,
            limits,
            workers: WORKERS,
            key_value_url: None,
        }
    }
}

/// How a test's platform differs from the usual one.
#[derive(Default)]
pub(crate) struct Wishes<'a> {
    /// Limits that differ from `limits`.
    pub(crate) limits: Option<Limits>,
    /// Hosts that skills may be granted.
    pub(crate) trusted_hosts: BTreeMap<String, SocketAddr>,
    /// Private origins that the way out reaches.
    pub(crate) origins: &'a [&'a str],
    /// Private origins that only providers of the environment reach.
    pub(crate) provider_origins: &'a [&'a str],
    /// The number of serving threads, if it is not [`WORKERS`].
    pub(crate) workers: Option<usize>,
    /// Variables that replace those of `variables`.
    pub(crate) changes: &'a [(&'a str, &'a str)],
}
