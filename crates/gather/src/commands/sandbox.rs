//! `gather sandbox`.

use anyhow::{Result, bail};
use clap::Args;

use super::process::{Signals, runtime, start_logging};
use crate::{
    config::{Address, Grace, LogSettings, SandboxListen, SandboxSettings},
    deployment::{Deployment, DeploymentSettings},
};

/// The settings of the sandbox.
#[derive(Args, Debug)]
pub struct Sandbox {
    #[command(flatten)]
    deployment: DeploymentSettings,

    #[command(flatten)]
    address: Address,

    #[command(flatten)]
    listen: SandboxListen,

    #[command(flatten)]
    sandbox: SandboxSettings,

    #[command(flatten)]
    grace: Grace,

    #[command(flatten)]
    log: LogSettings,
}

/// Runs skills until a signal comes.
pub fn run(settings: &Sandbox) -> Result<()> {
    start_logging(&settings.log)?;
    let deployment = Deployment::new(&settings.deployment)?;
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let database = deployment.migrated_database().await?;
        let public_url = settings.address.own_public_url();
        let listen = settings.listen.sandbox_listen;
        let sandbox = deployment
            .start_sandbox(&settings.sandbox, &database, listen, &public_url)
            .await?;
        tracing::info!(address = %sandbox.address(), "running skills");
        signals.next().await;
        tracing::info!("stopping; calls in flight are finished first, Ctrl-C again stops at once");
        tokio::select! {
            () = sandbox.shutdown(settings.grace.grace) => Ok(()),
            () = signals.next() => bail!("stopped at once: calls in flight were cut off"),
        }
    })
}
