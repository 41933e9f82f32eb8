//! Makes a backup while the platform is running.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use sqlx::{Connection, Executor};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::Url;

use super::{DESCRIPTION, DUMP, Description, FORMAT, KEY_CHECK, count_rows, tools::Tools};
use crate::{
    config::{DatabaseSettings, Key, LogSettings, Project},
    database::Database,
    deployment::existing_key,
    migrate,
    progress::Step,
    secrets::MasterKey,
};

/// What to back up, and where to.
#[derive(Args, Debug)]
pub struct Backup {
    /// The folder that is made for the backup
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

pub(super) async fn run(settings: &Backup) -> Result<()> {
    let folder = &settings.folder;
    if folder.exists() {
        bail!(
            "{} exists already; name a folder that does not",
            folder.display()
        );
    }
    let state = settings.project.state_dir(&settings.project.manifest()?)?;
    let key = existing_key(&settings.key, &state)?;
    let description = Database::during(&settings.database, &state, async |database| {
        into_folder(database, &key, folder).await
    });
    let description = description.await?;
    say!(
        "{} has {} rows of {} tables, as they were at {}. The master key is not in it: keep that elsewhere.",
        folder.display(),
        description.rows.values().sum::<i64>(),
        description.rows.len(),
        description.created_at
    );
    Ok(())
}

/// Everything is written into a folder beside, which gets its name when it is complete.
async fn into_folder(database: &Url, key: &MasterKey, folder: &Path) -> Result<Description> {
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).with_context(|| format!("can't make {}", parent.display()))?;
    let draft = tempfile::Builder::new()
        .prefix(".gather-backup-")
        .tempdir_in(parent)
        .with_context(|| format!("can't write to {}", parent.display()))?;
    let description = dump(database, key, draft.path()).await?;
    let text = serde_json::to_string_pretty(&description)?;
    fs::write(draft.path().join(DESCRIPTION), text + "\n")?;
    fs::rename(draft.path(), folder).with_context(|| format!("can't make {}", folder.display()))?;
    let _ = draft.keep();
    Ok(description)
}

/// The dump and the count of rows show one moment: both read the same snapshot.
async fn dump(database: &Url, key: &MasterKey, folder: &Path) -> Result<Description> {
    let mut connection = migrate::connect(database).await?;
    let migrations = migrate::versions(&mut connection).await?;
    if migrations.is_empty() {
        bail!("the database holds no platform; run `gather migrate` or `gather up` first");
    }
    connection
        .execute("begin isolation level repeatable read read only")
        .await?;
    let (snapshot, postgres, major): (String, String, i32) = sqlx::query_as(
        "select pg_export_snapshot(), current_setting('server_version'),
            current_setting('server_version_num')::integer / 10000",
    )
    .fetch_one(&mut connection)
    .await?;
    let created_at = OffsetDateTime::now_utc().format(&Rfc3339)?;
    let step = Step::start("backing up the database");
    let rows = count_rows(&mut connection).await?;
    let file = format!("--file={}", folder.join(DUMP).display());
    let snapshot = format!("--snapshot={snapshot}");
    let tools = Tools::find(u32::try_from(major)?)?;
    let arguments = ["--format=directory", "--jobs=2", &file, &snapshot];
    tools.run("pg_dump", database, &arguments).await?;
    connection.execute("commit").await?;
    connection.close().await?;
    step.done("the database is backed up");
    Ok(Description {
        format: FORMAT,
        created_at,
        gather: env!("CARGO_PKG_VERSION").to_owned(),
        postgres,
        key_check: key.derive(KEY_CHECK),
        migrations,
        rows,
    })
}
