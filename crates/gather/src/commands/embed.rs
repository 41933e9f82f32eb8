//! `gather embed`.

use anyhow::{Result, bail};
use clap::Args;

use super::process::{Signals, runtime, start_logging};
use crate::{
    config::{EmbedListen, EmbedSettings, Grace, LogSettings},
    deployment::{Deployment, DeploymentSettings},
    embed,
};

/// How the embedding model is served.
#[derive(Args, Debug)]
pub struct Embed {
    #[command(flatten)]
    deployment: DeploymentSettings,

    #[command(flatten)]
    listen: EmbedListen,

    #[command(flatten)]
    embed: EmbedSettings,

    #[command(flatten)]
    grace: Grace,

    #[command(flatten)]
    log: LogSettings,
}

/// Embeds texts until a signal comes.
pub fn run(settings: &Embed) -> Result<()> {
    start_logging(&settings.log)?;
    let deployment = Deployment::new(&settings.deployment)?;
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let listen = settings.listen.embed_listen;
        let service = embed::start(&settings.embed, &deployment.key, listen).await?;
        tracing::info!(address = %service.address(), "embedding texts");
        signals.next().await;
        tracing::info!(
            "stopping; requests in flight are finished first, Ctrl-C again stops at once"
        );
        tokio::select! {
            () = service.shutdown(settings.grace.grace) => Ok(()),
            () = signals.next() => bail!("stopped at once: requests in flight were cut off"),
        }
    })
}
