//! The embedding model: within `gather up`, or as a process of its own, `gather embed`.

use std::net::SocketAddr;

use anyhow::Result;
use embedding::service::{Service, ServiceOptions};

use crate::{
    announcement::Kind,
    config::EmbedSettings,
    secrets::{self, MasterKey},
};

/// Where the embedding model is found.
pub const KIND: Kind = Kind {
    file: "embed.address",
    usual_url: "http://127.0.0.1:3005",
};

/// Starts the service. It needs no database, and loads the model at the first request.
pub async fn start(
    settings: &EmbedSettings,
    key: &MasterKey,
    listen: SocketAddr,
) -> Result<Service> {
    Service::start(ServiceOptions {
        listen,
        key: service_key(key),
        threads: settings.threads(),
        idle: settings.embed_idle,
    })
    .await
}

/// The key that the gateway to models sends, as that of any other provider.
pub fn service_key(key: &MasterKey) -> String {
    secrets::service_key(key, "embed", "llm")
}
