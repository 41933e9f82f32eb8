//! `gather realtime`.

use anyhow::Result;
use clap::Args;

use super::process::{Signals, runtime, start_logging};
use crate::{
    config::{Address, EdgeSettings, LogSettings, RealtimeLimits, RealtimeListen, TrustedProxies},
    deployment::{Deployment, DeploymentSettings},
};

/// The settings of `gather realtime`.
#[derive(Args, Debug)]
pub struct Realtime {
    #[command(flatten)]
    deployment: DeploymentSettings,

    #[command(flatten)]
    address: Address,

    #[command(flatten)]
    listen: RealtimeListen,

    #[command(flatten)]
    proxies: TrustedProxies,

    #[command(flatten)]
    edges: EdgeSettings,

    #[command(flatten)]
    limits: RealtimeLimits,

    #[command(flatten)]
    log: LogSettings,
}

/// Holds sockets and streams until a signal comes.
pub fn run(settings: &Realtime) -> Result<()> {
    start_logging(&settings.log)?;
    let deployment = Deployment::new(&settings.deployment)?;
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let database = deployment.migrated_database().await?;
        let public_url = settings.address.own_public_url();
        let realtime = deployment.start_realtime(
            &database,
            public_url.clone(),
            public_url,
            &settings.proxies,
            &settings.edges,
            &settings.limits,
        )?;
        let address = realtime.listen(settings.listen.realtime_listen).await?;
        tracing::info!(%address, "holding sockets");
        signals.next().await;
        realtime.stop().await;
        Ok(())
    })
}
