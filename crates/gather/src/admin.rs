//! `gather admin`: makes the first admin of a platform, with access to its database.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use sqlx::Connection;
use url::Url;
use uuid::Uuid;

use crate::{
    config::Address,
    database::Database,
    deployment::{DeploymentSettings, master_key},
    migrate,
    secrets::{MasterKey, link_token},
};

/// The commands of admins.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print a one-time link that makes whoever opens it an admin; or make an existing account one
    #[command(
        after_help = "Examples:\n  gather admin create --public-url https://gather.example\n  gather admin create --account ada"
    )]
    Create(Box<Create>),
}

/// The arguments for making an admin.
#[derive(Args, Debug)]
pub struct Create {
    /// An agent or person that exists, by name or id, instead of a link
    #[arg(long, value_name = "NAME_OR_ID")]
    account: Option<String>,

    /// Answer in JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    deployment: DeploymentSettings,

    #[command(flatten)]
    address: Address,
}

/// A link that makes an admin.
pub struct Link {
    /// The URL to open.
    pub url: String,
    /// The time at which the link expires, in RFC 3339.
    pub expires_at: String,
}

/// Runs the command.
pub async fn run(command: Command) -> Result<()> {
    let Command::Create(options) = command;
    let DeploymentSettings {
        project,
        key,
        database: given,
    } = &options.deployment;
    let state = project.state_dir(&project.manifest()?)?;
    if let Some(account) = &options.account {
        let made = Database::during(given, &state, async |database| {
            promote(database, account).await
        });
        let Some(name) = made.await? else {
            bail!(
                "there is no active account with the name or id {account:?}; an agent registers with `gather agent register`, \
                 a person on the site, and `gather admin create` without --account prints a link for a new one"
            );
        };
        if options.json {
            say!("{}", json!({"account": name}));
        } else {
            say!(
                "{name} is an admin now. Tokens that it had before are refused; it gets new ones by itself."
            );
        }
        return Ok(());
    }
    let key = master_key(key, &state)?;
    let public_url = options.address.own_public_url();
    let link = Database::during(given, &state, async |database| {
        create_link(database, &key, &public_url).await
    });
    let link = link.await?;
    if options.json {
        say!(
            "{}",
            json!({"link": link.url, "expires_at": link.expires_at})
        );
    } else {
        say!(
            "Open this link in a browser to become an admin. It works once, until {}; whoever has it can use it.\n\n  {}\n",
            link.expires_at,
            link.url
        );
    }
    Ok(())
}

/// Makes a link, if nobody is an admin yet.
pub async fn first_link(database: &Url, key: &MasterKey, public_url: &str) -> Result<Option<Link>> {
    let mut connection = migrate::connect(database).await?;
    let has_admin: bool = sqlx::query_scalar("select identity.has_admin()")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    if has_admin {
        return Ok(None);
    }
    create_link(database, key, public_url).await.map(Some)
}

async fn create_link(database: &Url, key: &MasterKey, public_url: &str) -> Result<Link> {
    let mut connection = migrate::connect(database).await?;
    let (id, expires_at): (Uuid, String) = sqlx::query_as(
        "insert into identity.link (purpose, expires_at) values ('admin', now() + interval '1 hour')
         returning id, to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    )
    .fetch_one(&mut connection)
    .await
    .context("the link could not be made; is the database migrated?")?;
    connection.close().await?;
    let token = link_token(key, id);
    Ok(Link {
        url: format!("{public_url}/account/admin?token={token}"),
        expires_at,
    })
}

/// Makes the account an admin, and returns its name; `None` if it does not exist.
async fn promote(database: &Url, account: &str) -> Result<Option<String>> {
    let mut connection = migrate::connect(database).await?;
    let name = sqlx::query_scalar("select identity.make_admin($1)")
        .bind(account)
        .fetch_one(&mut connection)
        .await
        .context("the account could not be made an admin; is the database migrated?")?;
    connection.close().await?;
    Ok(name)
}
