//! Brings a backup into an empty database.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use url::Url;

use super::{DUMP, Description, count_rows, tools::Tools};
use crate::{
    config::{DatabaseSettings, Key, LogSettings, Project},
    database::Database,
    deployment::existing_key,
    manifest::Manifest,
    migrate,
    progress::Step,
    secrets::MasterKey,
};

/// What to restore, and where to.
#[derive(Args, Debug)]
pub struct Restore {
    /// The folder of a backup
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    #[command(flatten)]
    project: Project,

    #[command(flatten)]
    key: Key,

    #[command(flatten)]
    database: DatabaseSettings,

    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// One restoration.
struct Work<'a> {
    manifest: &'a Manifest,
    key: &'a MasterKey,
    description: &'a Description,
    dump: PathBuf,
    /// The database that gets the data.
    target: Url,
}

pub(super) async fn run(settings: &Restore) -> Result<()> {
    let description = Description::read(&settings.folder)?;
    let manifest = settings.project.manifest()?;
    let state = settings.project.state_dir(&manifest)?;
    let key = existing_key(&settings.key, &state)?;
    description.check_key(&key)?;
    migrate::refuse_newer(&description.migrations)?;
    let restored = Database::during(&settings.database, &state, async |database| {
        let work = Work {
            manifest: &manifest,
            key: &key,
            description: &description,
            dump: settings.folder.join(DUMP),
            target: database.clone(),
        };
        work.run().await
    });
    restored.await?;
    say!(
        "The database has what it had at {}: {} rows of {} tables, all of them counted.",
        description.created_at,
        description.rows.values().sum::<i64>(),
        description.rows.len()
    );
    Ok(())
}

impl Work<'_> {
    /// The data goes into a database beside the target, which gets the target's name when it is complete. So a failure
    /// leaves the target as it was.
    async fn run(&self) -> Result<()> {
        let name = self.name();
        let beside = format!("{name}_restoring");
        let mut server = self.connect_to_server().await?;
        let exists = self.refuse_filled(&mut server).await?;
        let major: i32 =
            sqlx::query_scalar("select current_setting('server_version_num')::integer / 10000")
                .fetch_one(&mut server)
                .await?;
        let tools = Tools::find(u32::try_from(major)?)?;
        self.make_roles(&mut server, &beside).await?;

        let step = Step::start("restoring the database");
        create(&mut server, &beside).await?;
        let outcome = self.fill(&tools, &self.url_of(&beside)).await;
        if let Err(error) = outcome {
            drop_database(&mut server, &beside).await?;
            return Err(error);
        }
        if exists {
            drop_database(&mut server, name).await?;
        }
        let rename = format!(
            "alter database {} rename to {}",
            quote(&beside),
            quote(name)
        );
        server.execute(AssertSqlSafe(rename)).await?;
        server.close().await?;
        step.done("the database is restored");
        Ok(())
    }

    /// Roles belong to the server, and no dump has them. Migrations make them, with their settings, so they are applied
    /// to a database that is dropped again.
    async fn make_roles(&self, server: &mut PgConnection, scratch: &str) -> Result<()> {
        drop_database(server, scratch).await?;
        let migrated = migrate::run(&self.url_of(scratch), self.manifest, self.key).await;
        drop_database(server, scratch).await?;
        migrated
    }

    async fn fill(&self, tools: &Tools, database: &Url) -> Result<()> {
        let target = format!("--dbname={}", database.path().trim_start_matches('/'));
        let dump = self.dump.display().to_string();
        let arguments = ["--exit-on-error", "--no-owner", "--jobs=2", &target, &dump];
        tools.run("pg_restore", database, &arguments).await?;
        let mut connection = migrate::connect(database).await?;
        self.compare(count_rows(&mut connection).await?)?;
        // These belong to the database itself, so a dump of its contents lacks them.
        let name = quote(database.path().trim_start_matches('/'));
        let revoke = format!("revoke temporary on database {name} from public");
        connection.execute(AssertSqlSafe(revoke)).await?;
        // Here transactions are numbered anew, and events are found by these numbers.
        let before: String = sqlx::query_scalar("select pg_current_snapshot()::text")
            .fetch_one(&mut connection)
            .await?;
        sqlx::query("select events.rebase($1::pg_snapshot)")
            .bind(before)
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        migrate::run(database, self.manifest, self.key).await
    }

    fn compare(&self, mut found: std::collections::BTreeMap<String, i64>) -> Result<()> {
        for (table, expected) in &self.description.rows {
            let found = found.remove(table).unwrap_or(0);
            if found != *expected {
                bail!("{table} has {found} rows instead of {expected}; the backup is damaged");
            }
        }
        Ok(())
    }

    fn name(&self) -> &str {
        self.target.path().trim_start_matches('/')
    }

    fn url_of(&self, database: &str) -> Url {
        let mut url = self.target.clone();
        url.set_path(database);
        url
    }

    /// A connection to a database that every server has.
    async fn connect_to_server(&self) -> Result<PgConnection> {
        migrate::connect(&self.url_of("postgres")).await
    }

    /// Whether the target exists. Refuses one that has anything in it.
    async fn refuse_filled(&self, server: &mut PgConnection) -> Result<bool> {
        let exists: bool =
            sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                .bind(self.name())
                .fetch_one(server)
                .await?;
        if !exists {
            return Ok(false);
        }
        let mut connection = migrate::connect(&self.target).await?;
        let tables: i64 = sqlx::query_scalar(
            "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname <> 'information_schema' and n.nspname !~ '^pg_'",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        if tables > 0 {
            bail!(
                "the database {} is not empty, and nothing in it was changed; name another one by DATABASE_URL, which is made \
                 if it is missing, or choose another --state-dir for a new private cluster",
                self.name()
            );
        }
        Ok(true)
    }
}

/// A name as SQL writes it.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn create(server: &mut PgConnection, name: &str) -> Result<()> {
    // The template has nothing that a server's administrator may have put into the other one.
    let create = format!("create database {} template template0", quote(name));
    server
        .execute(AssertSqlSafe(create))
        .await
        .with_context(|| format!("the database {name} can't be made"))?;
    Ok(())
}

async fn drop_database(server: &mut PgConnection, name: &str) -> Result<()> {
    let drop = format!("drop database if exists {} with (force)", quote(name));
    server.execute(AssertSqlSafe(drop)).await?;
    Ok(())
}
