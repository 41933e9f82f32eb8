//! Applies the files of `sql`: functions, views and triggers, one object a file. Unlike a migration, such a file is
//! changed in place and applied again.

use std::collections::HashMap;

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection,
    postgres::{PgDatabaseError, PgErrorPosition},
};

/// One file, which makes the function or view that it is named after.
#[derive(Clone, Copy, Debug)]
pub struct SqlFile {
    /// The path of the file, `<schema>/<name>.sql`.
    pub path: &'static str,
    /// The statements of the file.
    pub text: &'static str,
}

/// The files of `sql`, embedded: a deployed command needs no source tree.
pub static FILES: &[SqlFile] = include!(concat!(env!("OUT_DIR"), "/sql_files.rs"));

impl SqlFile {
    fn checksum(&self) -> Vec<u8> {
        Sha256::digest(self.text).to_vec()
    }

    /// The object that the file makes, `<schema>.<name>`.
    fn object(&self) -> String {
        self.path.trim_end_matches(".sql").replace('/', ".")
    }
}

/// The number of files that the database has in another version, lacks, or has although they were removed.
pub async fn outdated(connection: &mut PgConnection, files: &[SqlFile]) -> Result<usize> {
    let mut applied = applied(connection).await?;
    let changed = files
        .iter()
        .filter(|file| applied.remove(file.path) != Some(file.checksum()))
        .count();
    Ok(changed + applied.len())
}

/// Applies the files that changed since they were applied, or all files if a migration may have dropped what they
/// made. All become visible at once, or none does. Returns the number of applied files.
///
/// Files need no order: one that needs another is tried again after it.
pub async fn apply(connection: &mut PgConnection, files: &[SqlFile], all: bool) -> Result<usize> {
    let applied = applied(connection).await?;
    let mut waiting: Vec<_> = files
        .iter()
        .filter(|file| all || applied.get(file.path) != Some(&file.checksum()))
        .collect();
    let count = waiting.len();
    let mut transaction = connection.begin().await?;
    forget_removed(&mut transaction, files).await?;
    revoke_grants(&mut transaction, &waiting).await?;
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut failed = vec![];
        for file in waiting {
            if let Err(error) = apply_one(&mut transaction, file).await? {
                failed.push((file, error));
            }
        }
        if failed.len() == before {
            let reasons: Vec<_> = failed
                .iter()
                .map(|(file, error)| explain(file, error))
                .collect();
            bail!(
                "SQL files can't be applied, and nothing of them was:\n{}",
                reasons.join("\n")
            );
        }
        waiting = failed.into_iter().map(|(file, _)| file).collect();
    }
    transaction.commit().await?;
    Ok(count)
}

/// The files that the database has, with their checksums; empty if no migration was applied yet.
async fn applied(connection: &mut PgConnection) -> Result<HashMap<String, Vec<u8>>> {
    let has_table: bool =
        sqlx::query_scalar("select to_regclass('platform.applied_sql') is not null")
            .fetch_one(&mut *connection)
            .await?;
    if !has_table {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("select path, sha256 from platform.applied_sql")
            .fetch_all(connection)
            .await?;
    Ok(rows.into_iter().collect())
}

/// Removes the checksums of removed files. A migration drops what such a file had made.
async fn forget_removed(connection: &mut PgConnection, files: &[SqlFile]) -> Result<()> {
    let paths: Vec<_> = files.iter().map(|file| file.path).collect();
    sqlx::query("delete from platform.applied_sql where path <> all($1)")
        .bind(paths)
        .execute(connection)
        .await?;
    Ok(())
}

/// Revokes all grants on the objects of these files. Each file grants them again, and a grant that was removed
/// from a file must not stay.
async fn revoke_grants(connection: &mut PgConnection, files: &[&SqlFile]) -> Result<()> {
    let objects: Vec<_> = files.iter().map(|file| file.object()).collect();
    let statements: Vec<String> = sqlx::query_scalar(
        "select format('revoke all on %s from %s', object,
             case grantee when 0 then 'public' else grantee::regrole::text end)
         from (
             select 'function ' || p.oid::regprocedure as object, n.nspname || '.' || p.proname as name,
                 (aclexplode(p.proacl)).grantee, p.proowner as owner
             from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             union
             select 'table ' || c.oid::regclass, n.nspname || '.' || c.relname,
                 (aclexplode(c.relacl)).grantee, c.relowner
             from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'v'
         ) granted
         where name = any($1) and grantee <> owner",
    )
    .bind(objects)
    .fetch_all(&mut *connection)
    .await?;
    for statement in statements {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(())
}

/// Applies one file, or leaves everything as it was and returns the error.
async fn apply_one(
    connection: &mut PgConnection,
    file: &SqlFile,
) -> Result<Result<(), Box<PgDatabaseError>>> {
    let mut savepoint = connection.begin().await?;
    match sqlx::raw_sql(AssertSqlSafe(file.text))
        .execute(&mut *savepoint)
        .await
    {
        Ok(_) => {
            check_object(&mut savepoint, file).await?;
            sqlx::query(
                "insert into platform.applied_sql (path, sha256) values ($1, $2)
                 on conflict (path) do update set sha256 = excluded.sha256",
            )
            .bind(file.path)
            .bind(file.checksum())
            .execute(&mut *savepoint)
            .await?;
            savepoint.commit().await?;
            Ok(Ok(()))
        }
        Err(sqlx::Error::Database(error)) => {
            savepoint.rollback().await?;
            Ok(Err(error.downcast::<PgDatabaseError>()))
        }
        Err(error) => Err(error.into()),
    }
}

/// A file is found by the name of what it makes. A second object of that name is one with other parameters, which
/// `create or replace` left beside the new one.
async fn check_object(connection: &mut PgConnection, file: &SqlFile) -> Result<()> {
    let found: Vec<String> = sqlx::query_scalar(
        "select p.oid::regprocedure::text
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname || '.' || p.proname = $1
         union all
         select c.oid::regclass::text
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname || '.' || c.relname = $1 and c.relkind = 'v'
         order by 1",
    )
    .bind(file.object())
    .fetch_all(connection)
    .await?;
    match &*found {
        [_] => Ok(()),
        [] => bail!(
            "sql/{} has to make the function or view {}, whose name it has",
            file.path,
            file.object()
        ),
        _ => bail!(
            "sql/{} makes a second {}: there are {}; drop the former one, `if exists`, in a new migration",
            file.path,
            file.object(),
            found.join(" and ")
        ),
    }
}

fn explain(file: &SqlFile, error: &PgDatabaseError) -> String {
    let line = line(file.text, error).map_or(String::new(), |line| format!(":{line}"));
    let advice = match error.code() {
        // Other parameter names or another result; other columns of a view.
        "42P13" | "42P16" => {
            "; `create or replace` can't do that: drop the former one, `if exists`, in a new migration, which is applied before the files"
        }
        _ => "",
    };
    format!("sql/{}{line}: {}{advice}", file.path, error.message())
}

/// The line of the file in which the server found an error.
fn line(text: &str, error: &PgDatabaseError) -> Option<usize> {
    let (start, position) = match error.position()? {
        PgErrorPosition::Original(position) => (0, position),
        PgErrorPosition::Internal { position, query } => (text.find(query)?, position),
    };
    // The server counts characters, from one.
    let before = text[start..].chars().take(position.saturating_sub(1));
    let lines = before.filter(|character| *character == '\n').count();
    Some(text[..start].matches('\n').count() + lines + 1)
}
