//! `gather migrate`.

use anyhow::Result;
use clap::Args;

use super::process::{runtime, start_logging};
use crate::{
    config::LogSettings,
    deployment::{Deployment, DeploymentSettings},
};

/// The choice of the database to migrate.
#[derive(Args, Debug)]
pub struct Migrate {
    #[command(flatten)]
    deployment: DeploymentSettings,

    #[command(flatten)]
    log: LogSettings,
}

/// Brings the database to the newest schema.
pub fn run(settings: &Migrate) -> Result<()> {
    start_logging(&settings.log)?;
    let deployment = Deployment::new(&settings.deployment)?;
    runtime()?.block_on(async {
        let database = deployment.open_database()?;
        let outcome = async {
            database.wait().await?;
            deployment.migrate(&database.url).await
        };
        let outcome = outcome.await;
        database.close()?;
        outcome?;
        say!("The database has the newest schema.");
        Ok(())
    })
}
