//! `gather backup` and `gather restore`: a platform's data in a folder, and back into an empty database.

mod restore;
mod take;
mod tools;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::secrets::MasterKey;

pub use restore::Restore;
pub use take::Backup;

/// Runs `gather backup`.
pub async fn run(settings: &Backup) -> Result<()> {
    take::run(settings).await
}

/// Runs `gather restore`.
pub async fn run_restore(settings: &Restore) -> Result<()> {
    restore::run(settings).await
}

/// The version of this layout of a backup's folder.
const FORMAT: u32 = 1;
/// What a backup says of itself, in its folder.
const DESCRIPTION: &str = "backup.json";
/// What `pg_dump` wrote, in the same folder.
const DUMP: &str = "database";
/// What the value that recognises a master key is derived with. The key does not follow from that value.
const KEY_CHECK: &str = "backup-key-check";

/// What a backup says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    /// The version of the folder's layout.
    format: u32,
    /// When the backup's data was read, as RFC 3339.
    created_at: String,
    /// The version of the command that made it.
    gather: String,
    /// The version of the database server.
    postgres: String,
    /// Recognises the master key that the data needs.
    key_check: String,
    /// The migrations of the database.
    migrations: Vec<i64>,
    /// The number of rows of each table.
    rows: BTreeMap<String, i64>,
}

impl Description {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(DESCRIPTION);
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "{} can't be read; is {} the folder of a backup?",
                path.display(),
                folder.display()
            )
        })?;
        let description: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged", path.display()))?;
        if description.format != FORMAT {
            bail!(
                "the backup has the format {}, and this command knows {FORMAT}; use the version of gather that made it ({})",
                description.format,
                description.gather
            );
        }
        Ok(description)
    }

    fn check_key(&self, key: &MasterKey) -> Result<()> {
        if self.key_check != key.derive(KEY_CHECK) {
            bail!(
                "the backup was made under another master key, and its sealed data can't be opened with this one; put the \
                 file master.key of that platform into the state folder, or set GATHER_MASTER_KEY"
            );
        }
        Ok(())
    }
}

/// The number of rows of each table, in the connection's transaction.
async fn count_rows(connection: &mut PgConnection) -> Result<BTreeMap<String, i64>> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
         order by 1",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut rows = BTreeMap::new();
    for table in tables {
        // The name was quoted by the server.
        let count = AssertSqlSafe(format!("select count(*) from {table}"));
        let count = sqlx::query_scalar(count)
            .fetch_one(&mut *connection)
            .await?;
        rows.insert(table, count);
    }
    Ok(rows)
}
