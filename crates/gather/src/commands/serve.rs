//! `gather serve`.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;
use host::NativeRoutes;

use super::{
    process::{reserve, runtime, start_logging},
    serving::{self, Started, Stopping},
};
use crate::{
    config::{Address, ComponentSettings, Drain, FunctionSettings, Grace, LogSettings},
    database::Database,
    deployment::{Deployment, DeploymentSettings, check_schema},
    model_providers,
    serve::Serving,
};

/// The settings of `gather serve`.
#[derive(Args, Debug)]
pub struct Serve {
    #[command(flatten)]
    pub(crate) address: Address,

    #[command(flatten)]
    pub(crate) functions: FunctionSettings,

    #[command(flatten)]
    pub(crate) components: ComponentSettings,

    #[command(flatten)]
    pub(crate) deployment: DeploymentSettings,

    #[command(flatten)]
    drain: Drain,

    #[command(flatten)]
    grace: Grace,

    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// Serves built components over a migrated database.
pub fn run(settings: &Serve) -> Result<()> {
    start_logging(&settings.log)?;
    settings.functions.provider.variables()?;
    let listen = reserve(settings.address.own.listen)?;
    let deployment = Deployment::new(&settings.deployment)?;
    deployment.prepare_database()?;
    runtime()?.block_on(serving::serve(
        settings.stopping(),
        &deployment,
        async |database| start(settings, &deployment, database, listen).await,
    ))
}

impl Serve {
    /// The time limits of stopping.
    pub(crate) fn stopping(&self) -> Stopping {
        Stopping {
            drain_delay: self.drain.drain_delay,
            grace: self.grace.grace,
        }
    }
}

async fn start(
    settings: &Serve,
    deployment: &Deployment,
    database: &Database,
    listen: SocketAddr,
) -> Result<Started> {
    // Without a database it serves all the same: readiness says so, and the database may come back.
    check_schema(&database.url).await?;
    let public_url = settings.address.public_url(listen);
    let functions = &settings.functions;
    let local = deployment.embed_url(&functions.embed);
    let own = model_providers::Own {
        settings: &functions.model,
        ollama: Vec::new(),
        local,
    };
    let kept = model_providers::keep(&database.url, &deployment.key, own);
    if let Err(error) = kept.await {
        tracing::warn!("the providers of models stay as they were: {error:#}");
    }
    let sandbox_url = deployment.sandbox_url(functions);
    let egress_url = deployment.egress_url(functions);
    let variables = deployment.variables(
        functions,
        &database.url,
        &public_url,
        &sandbox_url,
        &egress_url,
    )?;
    let components = &settings.components;
    let application = deployment.application(components, variables).await?;
    let no_routes = NativeRoutes::default();
    let host = Serving::start(&application, components, listen, false, no_routes).await?;
    tracing::info!(address = %host.address, public_url, "serving");
    Ok(Started {
        host,
        worker: None,
        sandbox: None,
        egress: None,
        embedding: None,
        provisioner: None,
        realtime: None,
        announced: Vec::new(),
    })
}
