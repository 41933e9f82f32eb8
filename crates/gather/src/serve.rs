//! Shim.
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};
use anyhow::Result;
use crate::config::Settings;
/// A host that serves.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
}
/// Starts.
pub async fn start(_: &Settings, _: PathBuf, _: PathBuf, listen: SocketAddr, _: BTreeMap<String, String>, _: bool) -> Result<Serving> {
    Ok(Serving { address: listen })
}
impl Serving {
    /// Stops.
    pub async fn stop(self, delay: Duration, _: Duration) {
        tracing::info!("stopping; requests in flight are finished first, Ctrl-C again stops at once");
        tokio::time::sleep(delay).await;
    }
}
