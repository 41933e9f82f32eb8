//! The native services of a test's platform.

use crate::{Database, Server, limits, manifest, master_key, root, sandbox_child, server::Wishes};
use ::egress::service::Service as Egress;
use ::sandbox::service::Service as Sandbox;
use anyhow::{Result, anyhow};
use gather::{config::EmbedSettings, model_providers, realtime::Realtime};
use host::Limits;
use std::{collections::BTreeMap, net::SocketAddr, sync::LazyLock, time::Duration};

impl Server {
    /// Starts the platform with a way out that reaches these origins, with this number of serving threads, each of which
    /// has as few connections to the database as there may be.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn with_few_connections(workers: usize, origins: &[&str]) -> Result<Self> {
        let limits = Limits {
            database_connections: 1,
            concurrency: 64,
            ..limits()
        };
        let wishes = Wishes {
            origins,
            workers: Some(workers),
            limits: Some(limits),
            ..Wishes::default()
        };
        Self::on(Database::create().await?, wishes).await
    }

    /// Starts the platform with the embedding model that comes with it, as the model `local`.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn embedding() -> Result<Self> {
        Self::embedding_beside(&[]).await
    }

    /// Starts the same with a way out to these origins, such as stand-ins for providers of other models.
    ///
    /// # Errors
    /// The host can't be started.
    pub async fn embedding_beside(origins: &[&str]) -> Result<Self> {
        let database = Database::create().await?;
        let url = tokio::task::spawn_blocking(embedding).await?;
        model_providers::keep_local(&database.admin, &master_key(), &url).await?;
        let wishes = Wishes {
            origins,
            provider_origins: &[&url],
            ..Wishes::default()
        };
        Self::on(database, wishes).await
    }
}

/// The gateway of a test's platform.
pub fn realtime(
    database: &Database,
    listen: SocketAddr,
    variables: &BTreeMap<String, String>,
) -> Result<Realtime> {
    let url = format!("http://{listen}");
    let origins = variables.get("edge_origins").map_or("", String::as_str);
    let origins = origins.split(',').filter(|origin| !origin.is_empty());
    let origins = origins.map(|origin| origin.parse().map_err(|error: &str| anyhow!(error)));
    Realtime::start(gather::realtime::Start {
        database: &database.admin,
        key: &master_key(),
        functions_url: url.clone(),
        public_url: url,
        trusted_proxies: "127.0.0.1".to_owned(),
        edge_origins: origins.collect::<Result<_>>()?,
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

/// The address of the embedding model, which all tests of a process share: it lives on a thread of its own, since a
/// test's runtime ends with the test.
pub fn embedding() -> String {
    static ADDRESS: LazyLock<SocketAddr> = LazyLock::new(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let settings = EmbedSettings {
                    embed_idle: Duration::from_secs(300),
                    embed_threads: None,
                };
                let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
                let service = gather::embed::start(&settings, &master_key(), any_port).await;
                let service = service.expect("an embedding model");
                sender.send(service.address()).expect("a test that waits");
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().expect("an address")
    });
    format!("http://{}", *ADDRESS)
}

/// The way out for secrets of a test's platform.
pub async fn egress(
    database: &Database,
    origins: &[&str],
    provider_origins: &[&str],
) -> Result<Egress> {
    let read = |origins: &[&str]| {
        let origins = origins.iter();
        let origins = origins.map(|origin| origin.parse().map_err(|error: &str| anyhow!(error)));
        origins.collect::<Result<_>>()
    };
    gather::egress::start(gather::egress::Start {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        manifest: &manifest()?,
        database: &database.admin,
        key: &master_key(),
        trusted_origins: read(origins)?,
        provider_origins: read(provider_origins)?,
        resolve: None,
    })
    .await
}
