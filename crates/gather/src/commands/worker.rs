//! `gather worker`.

use anyhow::{Result, bail};
use clap::Args;

use super::process::{Signals, runtime, start_logging};
use crate::{
    config::{
        Address, ComponentSettings, FunctionSettings, Grace, JobSettings, LogSettings, MailSettings,
    },
    deployment::{Deployment, DeploymentSettings},
    serve::WorkerMetrics,
};

/// The settings of `gather worker`.
#[derive(Args, Debug)]
pub struct Worker {
    #[command(flatten)]
    deployment: DeploymentSettings,

    #[command(flatten)]
    address: Address,

    #[command(flatten)]
    functions: FunctionSettings,

    #[command(flatten)]
    mail: MailSettings,

    #[command(flatten)]
    components: ComponentSettings,

    #[command(flatten)]
    jobs: JobSettings,

    #[command(flatten)]
    grace: Grace,

    #[command(flatten)]
    log: LogSettings,
}

/// Runs jobs until a signal comes.
pub fn run(settings: &Worker) -> Result<()> {
    start_logging(&settings.log)?;
    let mail = settings
        .mail
        .options(settings.address.public_url.as_deref());
    mail.check()?;
    let deployment = Deployment::new(&settings.deployment)?;
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let database = deployment.database_for_functions().await?;
        let public_url = settings.address.own_public_url();
        let functions = &settings.functions;
        let sandbox_url = deployment.sandbox_url(functions);
        let egress_url = deployment.egress_url(functions);
        let variables = deployment.variables(functions, &database, &public_url, &sandbox_url, &egress_url)?;
        let application = deployment.application(&settings.components, variables).await?;
        let metrics = WorkerMetrics::Own(settings.components.metrics_listen);
        let worker = deployment
            .start_worker(
                application,
                &database,
                &settings.jobs,
                &functions.webhooks,
                mail,
                metrics,
            )
            .await?;
        signals.next().await;
        tracing::info!("stopping; running jobs are finished first, Ctrl-C again stops at once");
        tokio::select! {
            () = worker.shutdown(settings.grace.grace) => Ok(()),
            () = signals.next() => bail!("stopped at once: other workers take the running jobs over"),
        }
    })
}
