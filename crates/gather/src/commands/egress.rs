//! `gather egress`.

use anyhow::{Result, bail};
use clap::Args;

use super::process::{Signals, runtime, start_logging};
use crate::{
    config::{EgressListen, EgressSettings, EmbedUrl, Grace, LogSettings},
    deployment::{Deployment, DeploymentSettings},
};

/// How secrets leave.
#[derive(Args, Debug)]
pub struct Egress {
    #[command(flatten)]
    deployment: DeploymentSettings,

    #[command(flatten)]
    listen: EgressListen,

    #[command(flatten)]
    egress: EgressSettings,

    #[command(flatten)]
    embed: EmbedUrl,

    #[command(flatten)]
    grace: Grace,

    #[command(flatten)]
    log: LogSettings,
}

/// Puts secrets into requests until a signal comes.
pub fn run(settings: &Egress) -> Result<()> {
    start_logging(&settings.log)?;
    let deployment = Deployment::new(&settings.deployment)?;
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let database = deployment.migrated_database().await?;
        let listen = settings.listen.egress_listen;
        let local = deployment.embed_url(&settings.embed);
        let own: Vec<_> = local.as_deref().into_iter().collect();
        let egress = deployment.start_egress(&settings.egress, &own, &database, listen);
        let egress = egress.await?;
        tracing::info!(address = %egress.address(), "letting secrets out");
        signals.next().await;
        tracing::info!(
            "stopping; requests in flight are finished first, Ctrl-C again stops at once"
        );
        tokio::select! {
            () = egress.shutdown(settings.grace.grace) => Ok(()),
            () = signals.next() => bail!("stopped at once: requests in flight were cut off"),
        }
    })
}
