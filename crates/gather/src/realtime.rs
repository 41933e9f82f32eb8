//! The realtime gateway within this process.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use anyhow::Result;
use futures::future::BoxFuture;
use host::{Native, NativeBody, NativeRoutes};
use http::{Request, Response};
use hyper::body::Incoming;
use outgoing::Origin;
use prometheus::{Encoder, Registry, TextEncoder};
use realtime::{Gateway, Limits, Options};
use url::Url;

use crate::{
    manifest::REALTIME_ROLE,
    secrets::{self, MasterKey},
};

/// The options of a gateway.
pub struct Start<'a> {
    /// The address of the database, as its administrator.
    pub database: &'a Url,
    /// The key that the secrets are derived from.
    pub key: &'a MasterKey,
    /// The URL of the functions.
    pub functions_url: String,
    /// The URL of the platform, for browsers.
    pub public_url: String,
    /// The networks of proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: String,
    /// Origins of edges that are called back though they are private, or do not speak TLS.
    pub edge_origins: BTreeSet<Origin>,
    /// The bounds of sockets.
    pub limits: Limits,
}

/// A gateway within this process.
#[derive(Clone)]
pub struct Realtime(Arc<Inner>);

struct Inner {
    gateway: Arc<Gateway>,
    registry: Registry,
}

impl Realtime {
    /// Starts a gateway. The database and the functions may be started later.
    pub fn start(options: Start<'_>) -> Result<Self> {
        let registry = Registry::new();
        let gateway = Gateway::start(
            Options {
                database_url: secrets::role_url(options.database, options.key, REALTIME_ROLE)?
                    .to_string(),
                functions_url: options.functions_url,
                public_url: options.public_url,
                trusted_proxies: options.trusted_proxies,
                position_key: secrets::position_key(options.key),
                visitor_key: secrets::visitor_key(options.key),
                edge_key: secrets::edge_key(options.key),
                edge_origins: options.edge_origins,
                limits: options.limits,
            },
            &registry,
        )?;
        Ok(Self(Arc::new(Inner { gateway, registry })))
    }

    /// The gateway's paths, for a host.
    pub fn routes(&self) -> NativeRoutes {
        NativeRoutes(Some(self.0.clone()))
    }

    /// Serves the gateway's paths on an address of its own, and returns the address.
    pub async fn listen(&self, address: SocketAddr) -> Result<SocketAddr> {
        let inner = self.0.clone();
        self.0
            .gateway
            .listen(address, move || inner.metrics())
            .await
    }

    /// Closes all sockets, whose clients reconnect to another gateway.
    pub async fn stop(&self) {
        self.0.gateway.stop().await;
    }
}

impl Native for Inner {
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> BoxFuture<'static, Response<NativeBody>> {
        Box::pin(self.gateway.clone().handle(request, peer))
    }

    fn metrics(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot render the gateway's metrics");
        }
        text
    }
}
