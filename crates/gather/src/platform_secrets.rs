//! Secrets that the operator sets, such as the key of a provider: sealed in the vault as the platform's own.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;
use vault_seal::{Binding, Owner};

use crate::secrets::{self, MasterKey};

/// Where a secret of the operator's goes.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The component that sends it.
    pub component: &'a str,
    /// The origin that it is sent to, without a path.
    pub origin: &'a str,
    /// The header that it is put into.
    pub header: &'a str,
    /// The text of the header, with `{}` for the value.
    pub format: &'a str,
}

/// The id of the secret with this name, such as `OPENAI_API_KEY`.
pub fn id_of(name: &str) -> Uuid {
    let digest = Sha256::digest(format!("gather platform secret {name}"));
    let bytes = std::array::from_fn(|at| digest[at]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Keeps a value, in place of the one with this name that was there. Returns the secret's id.
pub async fn put(
    database: &mut PgConnection,
    key: &MasterKey,
    name: &str,
    value: &str,
    destination: Destination<'_>,
) -> Result<Uuid> {
    let id = id_of(name);
    let binding = Binding {
        secret: id,
        version: 1,
        owner: Owner::Platform,
    };
    let sealed = secrets::sealing_keys(key)
        .1
        .seal(&binding, value.as_bytes());
    let sealed = sealed.with_context(|| format!("{name} can't be sealed"))?;
    sqlx::query("select vault.put_platform_secret($1, $2, $3, $4, $5, $6, $7)")
        .bind(id)
        .bind(name)
        .bind(sealed)
        .bind(destination.component)
        .bind(destination.origin)
        .bind(destination.header)
        .bind(destination.format)
        .execute(database)
        .await
        .with_context(|| format!("{name} can't be stored in the vault"))?;
    Ok(id)
}

/// Erases the value with this name, if there is one.
pub async fn drop(database: &mut PgConnection, name: &str) -> Result<()> {
    sqlx::query("select vault.drop_platform_secret($1)")
        .bind(id_of(name))
        .execute(database)
        .await
        .with_context(|| format!("{name} can't be taken out of the vault"))?;
    Ok(())
}
