//! Brings a database to the schema that this command was built with, and gives the functions' roles their passwords.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection,
    migrate::{AppliedMigration, Migrate, MigrateDatabase, MigrateError, Migrator},
    postgres::{PgPoolOptions, Postgres},
};
use url::Url;

use crate::{
    manifest::{EGRESS_ROLE, Manifest, REALTIME_ROLE, SANDBOX_ROLE, WORKER_ROLE},
    postgres::{NO_SUCH_DATABASE, STARTING_UP},
    progress::Step,
    secrets::{self, MasterKey},
    sql_files,
};

/// The SQLSTATE `insufficient_privilege`.
const FORBIDDEN: &str = "42501";

/// The migrations, embedded: a deployed command needs no source tree.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Makes the database if it is missing, applies the migrations and SQL files that are not applied yet, and sets the
/// roles' passwords.
/// Any number of processes may do this at once.
pub async fn run(database: &Url, manifest: &Manifest, key: &MasterKey) -> Result<()> {
    let mut connection = connect_or_create(database).await?;
    refuse_unfolded(&mut connection).await?;
    // The queue library's migrations take turns badly.
    sqlx::query("select pg_advisory_lock(hashtext('gather.migrate'))")
        .execute(&mut connection)
        .await?;
    install_queue(database).await?;
    apply(&mut connection).await?;
    register_kinds(&mut connection, manifest).await?;
    set_passwords(&mut connection, manifest, key).await?;
    connection.close().await?;
    Ok(())
}

/// Checks that the database has exactly the schema that this command was built with. The error says what to do if not.
pub async fn check(database: &Url) -> Result<()> {
    let mut connection = connect(database).await?;
    refuse_unfolded(&mut connection).await?;
    let applied = applied(&mut connection).await?;
    let outdated = sql_files::outdated(&mut connection, sql_files::FILES).await?;
    connection.close().await?;
    let known: Vec<_> = known()
        .map(|migration| (migration.version, &*migration.checksum))
        .collect();
    if let Some(newer) = applied
        .iter()
        .find(|one| known.iter().all(|(version, _)| *version != one.version))
    {
        bail!(newer_database(newer.version));
    }
    let missing = known
        .iter()
        .filter(|(version, _)| applied.iter().all(|one| one.version != *version))
        .count();
    if missing > 0 {
        bail!("{missing} migrations are not applied to the database; run `gather migrate` first");
    }
    let differs = applied.iter().find(|one| {
        known
            .iter()
            .any(|(version, sum)| *version == one.version && **sum != *one.checksum)
    });
    if let Some(one) = differs {
        bail!(changed_migration(one.version));
    }
    if outdated > 0 {
        bail!("{outdated} SQL files are not applied to the database; run `gather migrate` first");
    }
    Ok(())
}

/// Whether nothing answers at the database's address.
#[derive(Debug)]
pub struct Unreachable(String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// Connects as the administrator.
pub async fn connect(database: &Url) -> Result<PgConnection> {
    PgConnection::connect(database.as_str())
        .await
        .map_err(|error| {
            let place = format!(
                "{}:{}",
                database.host_str().unwrap_or("?"),
                database.port().unwrap_or(5432)
            );
            let code = error.as_database_error().and_then(|error| error.code());
            let code = code.as_deref().unwrap_or_default();
            let advice = match code {
                NO_SUCH_DATABASE => "run `gather migrate`, which makes it",
                _ => "check DATABASE_URL and that the server runs",
            };
            let text = format!("can't connect to the database at {place}: {error}; {advice}");
            match error {
                sqlx::Error::Io(_) => Unreachable(text).into(),
                _ if code == STARTING_UP => Unreachable(text).into(),
                _ => anyhow!(text),
            }
        })
}

async fn connect_or_create(database: &Url) -> Result<PgConnection> {
    match PgConnection::connect(database.as_str()).await {
        // Another start may be making it at this moment.
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code == NO_SUCH_DATABASE) =>
        {
            let made = Postgres::create_database(database.as_str()).await;
            connect(database).await.map_err(|error| match made {
                Err(made) => anyhow!(
                    "can't make the database {}: {made}",
                    database.path().trim_start_matches('/')
                ),
                Ok(()) => error,
            })
        }
        Err(_) => connect(database).await,
        Ok(connection) => Ok(connection),
    }
}

/// Makes the queue library's own schema, `graphile_worker`.
async fn install_queue(database: &Url) -> Result<()> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(database.as_str())
        .await?;
    let schema = graphile_worker_database::Schema::default();
    let installed = graphile_worker_migrations::migrate(pool.clone(), schema).await;
    pool.close().await;
    installed.context("the queue's schema can't be installed")
}

/// Registers the kinds of jobs, so that jobs can be enqueued before a worker has ever run.
async fn register_kinds(connection: &mut PgConnection, manifest: &Manifest) -> Result<()> {
    for (kind, attempts) in manifest.kinds() {
        sqlx::query("select jobs.register_kind($1, $2)")
            .bind(kind)
            .bind(i32::try_from(attempts)?)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The first migrations were folded into one a schema, which a database that had them can't follow.
async fn refuse_unfolded(connection: &mut PgConnection) -> Result<()> {
    let is_new: bool = sqlx::query_scalar("select to_regclass('platform.applied_sql') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !is_new && !applied(connection).await?.is_empty() {
        bail!(
            "this database was made before the migrations were folded into one a schema, and can't be brought to the new \
             ones; nothing was changed. To start anew, use another database (in development: remove the state \
             folder's cluster); to keep the data, dump it with `pg_dump --data-only` and load it into a new database, as \
             docs/operating.md tells"
        );
    }
    Ok(())
}

fn known() -> impl Iterator<Item = &'static sqlx::migrate::Migration> {
    MIGRATIONS
        .iter()
        .filter(|migration| !migration.migration_type.is_down_migration())
}

async fn apply(connection: &mut PgConnection) -> Result<()> {
    let before = applied(connection).await?.len();
    check_extensions(connection).await?;
    let step = Step::start("migrating the database");
    MIGRATIONS.run(&mut *connection).await.map_err(explain)?;
    let new = known().count().saturating_sub(before);
    let files = sql_files::apply(connection, sql_files::FILES, new > 0).await?;
    match (new, files) {
        (0, 0) => drop(step),
        _ => step.done(&format!("{new} migrations, {files} SQL files applied")),
    }
    Ok(())
}

/// An extension that the migrations make, in a schema of its own.
struct Extension {
    name: &'static str,
    schema: &'static str,
    /// What needs the extension.
    needed_by: &'static str,
    /// The place where the server gets the extension from.
    source: &'static str,
}

const EXTENSIONS: &[Extension] = &[
    Extension {
        name: "pg_trgm",
        schema: "trigram",
        needed_by: "the search",
        source: "PostgreSQL's contrib modules there (part of Debian's postgresql, the package postgresql-contrib elsewhere)",
    },
    Extension {
        name: "vector",
        schema: "vector",
        needed_by: "memory and search by meaning",
        source: "pgvector there (Debian 13, Ubuntu 24.04 and newer, and apt.postgresql.org: postgresql-<version>-pgvector; Fedora: \
             pgvector; containers: the image pgvector/pgvector in place of postgres), or unset DATABASE_URL for a private cluster \
             that has it",
    },
];

/// Checks that the migrations can make the extensions. A migration that lacks one would say neither where it comes
/// from nor what to do.
async fn check_extensions(connection: &mut PgConnection) -> Result<()> {
    for extension in EXTENSIONS {
        let (is_available, schema): (bool, Option<String>) = sqlx::query_as(
            "select exists (select from pg_available_extensions where name = $1),
                (select extnamespace::regnamespace::text from pg_extension where extname = $1)",
        )
        .bind(extension.name)
        .fetch_one(&mut *connection)
        .await?;
        let may_make = schema.is_some() || extension.may_be_made(connection).await?;
        if let Some(fault) = extension.fault(is_available, may_make, schema.as_deref()) {
            bail!(fault);
        }
    }
    Ok(())
}

impl Extension {
    /// Whether this user may make the extension, which each service decides in its own way: it is tried, and undone.
    async fn may_be_made(&self, connection: &mut PgConnection) -> Result<bool> {
        let Self { name, schema, .. } = self;
        let mut trial = connection.begin().await?;
        let statements = format!(
            "create schema if not exists {schema}; create extension {name} with schema {schema}"
        );
        let made = trial.execute(AssertSqlSafe(statements)).await;
        trial.rollback().await?;
        let code = made.err().and_then(|error| {
            let error = error.into_database_error()?;
            error.code().map(|code| code.into_owned())
        });
        Ok(code.as_deref() != Some(FORBIDDEN))
    }

    fn fault(&self, is_available: bool, may_make: bool, schema: Option<&str>) -> Option<String> {
        let Self {
            name,
            schema: own,
            needed_by,
            source,
        } = self;
        match schema {
            Some(schema) if schema == *own => None,
            Some(other) => Some(format!(
                "the extension {name} is in the schema {other} of the database, and has to be in one of its own; run there: \
                 create schema if not exists {own}; alter extension {name} set schema {own};"
            )),
            None if !is_available => Some(format!(
                "the database server lacks the extension {name}, which {needed_by} needs; install {source}"
            )),
            None if !may_make => Some(format!(
                "the user in DATABASE_URL may not make the extension {name}, which {needed_by} needs; let a superuser run in \
                 the database: create schema if not exists {own}; create extension {name} with schema {own};"
            )),
            None => None,
        }
    }
}

/// The migrations that the database has, with their checksums; empty if none was ever applied.
async fn applied(connection: &mut PgConnection) -> Result<Vec<AppliedMigration>> {
    let has_table: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !has_table {
        return Ok(vec![]);
    }
    connection
        .list_applied_migrations(&MIGRATIONS.table_name)
        .await
        .context("can't read which migrations were applied")
}

/// The migrations that the database has.
pub async fn versions(connection: &mut PgConnection) -> Result<Vec<i64>> {
    let applied = applied(connection).await?;
    Ok(applied.iter().map(|migration| migration.version).collect())
}

/// Refuses migrations that this command does not know.
pub fn refuse_newer(versions: &[i64]) -> Result<()> {
    let is_unknown = |version: &i64| known().all(|migration| migration.version != *version);
    match versions.iter().copied().find(is_unknown) {
        Some(version) => bail!(newer_database(version)),
        None => Ok(()),
    }
}

fn explain(error: MigrateError) -> anyhow::Error {
    match error {
        MigrateError::VersionMissing(version) => anyhow!(newer_database(version)),
        MigrateError::VersionMismatch(version) => anyhow!(changed_migration(version)),
        MigrateError::Dirty(version) => anyhow!(
            "migration {version} was begun and never finished; look at what it did, repair that, \
             delete its row from _sqlx_migrations, and run `gather migrate` again"
        ),
        other => anyhow::Error::new(other)
            .context("a migration failed; it was rolled back, nothing of it remains"),
    }
}

fn newer_database(version: i64) -> String {
    format!(
        "the database is newer than this command: it has migration {version}, which is unknown here; use the newer version of gather"
    )
}

fn changed_migration(version: i64) -> String {
    format!(
        "migration {version} was changed after it was applied; restore its file and write a new migration instead \
         (in development, an empty database helps too: remove the state folder's cluster)"
    )
}

/// Runs a change of a role again if PostgreSQL refuses it because another process changes the role at the same moment.
async fn set_passwords(
    connection: &mut PgConnection,
    manifest: &Manifest,
    key: &MasterKey,
) -> Result<()> {
    let roles = manifest.roles().chain([
        ("worker", WORKER_ROLE),
        ("sandbox", SANDBOX_ROLE),
        ("egress", EGRESS_ROLE),
        ("realtime", REALTIME_ROLE),
    ]);
    for (id, role) in roles {
        let verifier = secrets::password_verifier(&key.role_password(role));
        let statement = format!("alter role \"{role}\" password '{verifier}'");
        let mut tries = 0;
        while let Err(error) = connection.execute(AssertSqlSafe(statement.as_str())).await {
            let code = error
                .as_database_error()
                .and_then(|error| error.code())
                .unwrap_or_default()
                .into_owned();
            match code.as_str() {
                // Internal error: "tuple concurrently updated" has no code of its own.
                "XX000" | "40001" if tries < 20 => tries += 1,
                "42704" => bail!(
                    "there is no role {role}, which [component.{id}.tool.gather] in spin.toml names; a migration has to create it"
                ),
                _ => bail!(
                    "can't set the password of the role {role} (SQLSTATE {code}); the user in DATABASE_URL must be allowed to alter it"
                ),
            }
            tokio::time::sleep(Duration::from_millis(10 * tries)).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_extension_is_an_error_that_says_where_to_get_it() {
        let [trigrams, vectors] = EXTENSIONS else {
            panic!("another extension")
        };
        assert_eq!(trigrams.fault(true, true, None), None);
        assert_eq!(trigrams.fault(true, false, Some("trigram")), None);
        let missing = trigrams.fault(false, false, None).unwrap();
        assert!(missing.contains("postgresql-contrib"), "{missing}");
        let missing = vectors.fault(false, true, None).unwrap();
        assert!(
            missing.contains("postgresql-<version>-pgvector")
                && missing.contains("pgvector/pgvector"),
            "{missing}"
        );
        let forbidden = vectors.fault(true, false, None).unwrap();
        assert!(
            forbidden.contains("create extension vector with schema vector"),
            "{forbidden}"
        );
    }
}
