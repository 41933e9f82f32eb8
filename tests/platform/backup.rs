//! A backup is taken while the platform is running, and brought into an empty cluster, where everything is as it was.

use anyhow::{Context, Result, ensure};
use e2e::{Database, Server, agents::Agent, command};
use gather::postgres::{Cluster, client_programs};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{path::Path, process::Output};
use tokio::process::Command;
use url::Url;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

async fn gather(database: &Url, state: &Path, key: &str, arguments: &[&str]) -> Result<Output> {
    let mut gather = Command::new(command()?);
    gather
        .args(arguments)
        .env("DATABASE_URL", database.as_str())
        .env("GATHER_STATE_DIR", state)
        .env("GATHER_MANIFEST", e2e::root().join("spin.toml"))
        .env("GATHER_MASTER_KEY", key);
    Ok(gather.output().await?)
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

async fn texts(connection: &mut PgConnection, sql: &str) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await?)
}

/// The content of each table, the privileges, and the roles with their settings, a line each. What a server counts for
/// itself, and what native processes report of themselves, is left out.
async fn everything(database: &Url) -> Result<Vec<String>> {
    let mut connection = PgConnection::connect(database.as_str()).await?;
    let tables = texts(
        &mut connection,
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and c.relpersistence = 'p' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
            and format('%s.%s', n.nspname, c.relname) not in ('platform.health', 'events.dispatcher')
         order by 1",
    )
    .await?;
    ensure!(tables.len() > 50, "{tables:?}");
    let mut all = vec![];
    for table in tables {
        let rows = format!(
            "select concat('{table} ', (to_jsonb(t) - 'xid')::text) from {table} t order by 1"
        );
        all.extend(texts(&mut connection, &rows).await?);
    }
    for sql in [
        "select distinct concat_ws(' ', what, name, a.grantee::regrole::text, a.privilege_type) from (
             select 'relation' as what, oid::regclass::text as name, relacl as acl from pg_class
             union all select 'function', oid::regprocedure::text, proacl from pg_proc
             union all select 'schema', nspname::text, nspacl from pg_namespace
             union all select 'column', concat(attrelid::regclass, '.', attname), attacl from pg_attribute
             union all select 'default', concat(defaclnamespace, defaclobjtype), defaclacl from pg_default_acl
         ) o, aclexplode(o.acl) a where name !~ '^pg_toast' order by 1",
        "select concat_ws(' ', 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
            array_to_string(rolconfig, ',')) from pg_roles where rolname like 'gather%' order by 1",
        "select concat_ws(' ', 'object', c.oid::regclass::text, c.relkind::text) from pg_class c
         join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^pg_' order by 1",
    ] {
        all.extend(texts(&mut connection, sql).await?);
    }
    Ok(all)
}

#[tokio::test]
async fn a_backup_brings_everything_back_into_an_empty_cluster() -> Result<()> {
    if client_programs(&["pg_dump", "pg_restore"], 15).is_none() {
        ensure!(
            std::env::var_os("GATHER_TESTS_SKIP_NONE").is_none(),
            "pg_dump is missing"
        );
        eprintln!("skipped: pg_dump is not installed");
        return Ok(());
    }
    let server = Server::start().await?;
    let version = "select current_setting('server_version_num')::integer / 10000";
    let major: i32 = sqlx::query_scalar(version)
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    if client_programs(&["pg_dump", "pg_restore"], major.try_into()?).is_none() {
        eprintln!("skipped: pg_dump is older than the PostgreSQL {major} that was brought");
        return Ok(());
    }
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let (status, post) = ada
        .send(
            &server,
            "POST",
            "/api/posts",
            &json!({ "title": "Kept", "body": "through a *disaster*" }),
        )
        .await?;
    assert_eq!(status, 201, "{post}");
    let (_, seen) = ada.get(&server, "/api/events?topic=account:me").await?;
    let position = seen["position"].as_str().context("position")?;

    let folder = tempfile::tempdir()?;
    let (backup, state) = (
        folder.path().join("backups/one"),
        folder.path().join("state"),
    );
    let to = backup.to_str().context("path")?;
    let output = gather(&server.database.admin, &state, KEY, &["backup", to]).await?;
    assert!(output.status.success(), "{}", said(&output));
    let again = gather(&server.database.admin, &state, KEY, &["backup", to]).await?;
    assert!(said(&again).contains("exists already"), "{}", said(&again));
    let before = everything(&server.database.admin).await?;

    let cluster = tokio::task::spawn_blocking(Cluster::temporary).await??;
    let empty = cluster.url("gather");
    let other_key = "ff".repeat(32);
    let refused = gather(&empty, &state, &other_key, &["restore", to]).await?;
    assert!(
        said(&refused).contains("another master key"),
        "{}",
        said(&refused)
    );
    let output = gather(&empty, &state, KEY, &["restore", to]).await?;
    assert!(output.status.success(), "{}", said(&output));
    let after = everything(&empty).await?;
    let lost: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(
        lost.is_empty() && new.is_empty(),
        "lost {lost:#?}, new {new:#?}"
    );
    let refused = gather(&empty, &state, KEY, &["restore", to]).await?;
    assert!(
        said(&refused).contains("is not empty"),
        "{}",
        said(&refused)
    );

    let mut connection = PgConnection::connect(empty.as_str()).await?;
    let temporary =
        "select has_database_privilege('public', current_database(), 'temporary')::text";
    assert_eq!(texts(&mut connection, temporary).await?, ["false"]);
    connection.close().await?;

    serves_as_before(
        Database {
            admin: empty.clone(),
        },
        &post,
        position,
    )
    .await?;
    damaged_backups_leave_nothing(&cluster, &backup, &state).await
}

/// The agent signs in with its key, finds its post, and is told that its place in the stream of events is gone.
async fn serves_as_before(database: Database, post: &Value, position: &str) -> Result<()> {
    let server = Server::over(database).await?;
    let ada = Agent {
        token: Agent::token(&server, 1).await?,
        id: post["author"]["id"].as_str().context("author")?.parse()?,
    };
    let path = format!("/api/posts/{}", post["id"].as_str().context("id")?);
    let (status, found) = ada.get(&server, &path).await?;
    assert_eq!((status, &found["html"]), (200, &post["html"]), "{found}");
    let since = format!("/api/events?topic=account:me&since={position}");
    let (status, gone) = ada.get(&server, &since).await?;
    assert_eq!(
        (status, &gone["code"]),
        (410, &json!("history-gone")),
        "{gone}"
    );
    let (status, kept) = ada.get(&server, "/api/events?topic=feed:all").await?;
    assert_eq!(status, 200, "{kept}");
    Ok(())
}

async fn damaged_backups_leave_nothing(
    cluster: &Cluster,
    backup: &Path,
    state: &Path,
) -> Result<()> {
    let data = std::fs::read_dir(backup.join("database"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .max_by_key(|path| path.metadata().map_or(0, |file| file.len()))
        .context("a table's data")?;
    let whole = std::fs::read(&data)?;
    std::fs::write(&data, &whole[..whole.len() / 2])?;
    let to = backup.to_str().context("path")?;
    let target = cluster.url("second");
    let failed = gather(&target, state, KEY, &["restore", to]).await?;
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    assert!(
        said(&failed).contains("pg_restore failed"),
        "{}",
        said(&failed)
    );
    let mut connection = PgConnection::connect(cluster.url("postgres").as_str()).await?;
    let left = texts(
        &mut connection,
        "select datname::text from pg_database where datname like 'second%'",
    )
    .await?;
    assert_eq!(left, [""; 0], "nothing is left of what failed");
    Ok(())
}
