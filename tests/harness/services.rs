//! The native services of a test's platform.

use crate::{Database, manifest, master_key, root, sandbox_child};
use ::egress::service::Service as Egress;
use ::sandbox::service::Service as Sandbox;
use anyhow::{Result, anyhow};
use gather::realtime::Realtime;
use std::{collections::BTreeMap, net::SocketAddr};

/// The gateway of a test's platform.
pub fn realtime(database: &Database, listen: SocketAddr) -> Result<Realtime> {
    let url = format!("http://{listen}");
    Realtime::start(gather::realtime::Start {
        database: &database.admin,
        key: &master_key(),
        functions_url: url.clone(),
        public_url: url,
        trusted_proxies: "127.0.0.1".to_owned(),
        limits: Default::default(),
    })
}

/// The sandbox of a test's platform.
pub async fn sandbox(
    database: &Database,
    server: &str,
    trusted_hosts: BTreeMap<String, SocketAddr>,
) -> Result<Sandbox> {
    gather::sandbox::start(gather::sandbox::Start {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        manifest: &manifest()?,
        database: &database.admin,
        key: &master_key(),
        cache_dir: root().join("target/compiled-skills"),
        child: sandbox_child()?,
        server: server.to_owned(),
        components: None,
        calls: None,
        trusted_hosts,
    })
    .await
}

/// The way out for secrets of a test's platform.
pub async fn egress(database: &Database, origins: &[&str]) -> Result<Egress> {
    let origins = origins
        .iter()
        .map(|origin| origin.parse().map_err(|error: &str| anyhow!(error)));
    gather::egress::start(gather::egress::Start {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        manifest: &manifest()?,
        database: &database.admin,
        key: &master_key(),
        trusted_origins: origins.collect::<Result<_>>()?,
        resolve: None,
    })
    .await
}
