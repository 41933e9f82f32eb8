//! The way out for secrets: within `gather up`, or as a process of its own, `gather egress`.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use egress::service::{Service, ServiceOptions};
use outgoing::{Origin, Resolve};
use sqlx::postgres::PgPoolOptions;
use url::Url;

use crate::{
    announcement::Kind,
    manifest::{EGRESS_ROLE, Manifest},
    secrets::{self, MasterKey},
};

/// Connections of the way out to the database.
const CONNECTIONS: u32 = 8;
/// The longest wait of a request for a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the way out is found.
pub const KIND: Kind = Kind {
    file: "egress.address",
    usual_url: "http://127.0.0.1:3004",
};

/// What the way out is started with.
pub struct Start<'a> {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Says which components may ask it.
    pub manifest: &'a Manifest,
    /// The database, as its administrator.
    pub database: &'a Url,
    /// The key that its secrets are derived from.
    pub key: &'a MasterKey,
    /// Origins that may be reached though they be private, or without TLS.
    pub trusted_origins: BTreeSet<Origin>,
    /// Origins that only providers of models reach which the environment names, though they be private, or without TLS.
    pub provider_origins: BTreeSet<Origin>,
    /// Finds the addresses of hosts; `None` for the system's resolver.
    pub resolve: Option<Resolve>,
}

/// Starts the way out.
pub async fn start(options: Start<'_>) -> Result<Service> {
    let url = secrets::role_url(options.database, options.key, EGRESS_ROLE)?;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(CONNECTION_TIMEOUT)
        // The database may come later.
        .connect_lazy(url.as_str())
        .context("the database's address")?;
    let callers = options.manifest.egress_callers();
    let callers = callers.map(|name| {
        let key = secrets::service_key(options.key, "egress", name);
        (name.to_owned(), key)
    });
    Service::start(ServiceOptions {
        listen: options.listen,
        pool,
        key: secrets::sealing_keys(options.key).0,
        callers: callers.collect(),
        trusted_origins: options.trusted_origins,
        provider_origins: options.provider_origins,
        resolve: options.resolve,
    })
    .await
}
