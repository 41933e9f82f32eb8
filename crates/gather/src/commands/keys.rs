//! `gather keys`.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use sqlx::{Connection, Executor};

use super::process::{runtime, start_logging};
use crate::{
    config::{DatabaseSettings, LogSettings, Project},
    database::Database,
    migrate,
};

/// The commands of the signing keys.
#[derive(Subcommand, Debug)]
pub enum Keys {
    /// Sign with a new key from now on; the old one verifies until its last token has expired
    #[command(after_help = "Example:\n  gather keys rotate")]
    Rotate(Box<Rotate>),
}

/// The choice of the platform whose keys are meant.
#[derive(Args, Debug)]
pub struct Rotate {
    #[command(flatten)]
    project: Project,

    #[command(flatten)]
    database: DatabaseSettings,

    #[command(flatten)]
    log: LogSettings,
}

/// Runs the command.
pub fn run(command: Keys) -> Result<()> {
    let Keys::Rotate(settings) = command;
    start_logging(&settings.log)?;
    let state = settings.project.state_dir(&settings.project.manifest()?)?;
    runtime()?.block_on(async {
        let rotated = Database::during(&settings.database, &state, async |database| {
            let mut connection = migrate::connect(database).await?;
            connection.execute("select identity.rotate_signing_key()").await.context("the keys could not be rotated; is the database migrated?")?;
            connection.close().await.context("the connection broke")
        });
        rotated.await?;
        say!("New tokens are signed with a new key. The old one verifies until the last token that it signed has expired.");
        Ok(())
    })
}
