//! SQL files, as they are applied to a database: in whatever order they need, when they changed, all or none.

use gather::{
    postgres::Cluster,
    sql_files::{SqlFile, apply, outdated},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const TABLE: SqlFile = SqlFile {
    path: "a/total.sql",
    text: "create or replace view a.total as select a.twice(n) as n from a.number;",
};
const TWICE: SqlFile = SqlFile {
    path: "a/twice.sql",
    text: "create or replace function a.twice(n integer) returns integer language sql\n\
           as $$ select b.one() * 2 * n $$;\n\
           grant execute on function a.twice to gather_reader;",
};
const ONE: SqlFile = SqlFile {
    path: "b/one.sql",
    text: "create or replace function b.one() returns integer language sql as $$ select 1 $$;",
};

async fn connect(cluster: &Cluster, name: &str) -> PgConnection {
    let mut admin = PgConnection::connect(cluster.url("postgres").as_str())
        .await
        .unwrap();
    admin
        .execute(AssertSqlSafe(format!("create database {name}")))
        .await
        .unwrap();
    let mut connection = PgConnection::connect(cluster.url(name).as_str())
        .await
        .unwrap();
    connection
        .execute(
            "create schema platform; create schema a; create schema b;
             create table platform.applied_sql (path text primary key, sha256 bytea not null);
             create table a.number (n integer);
             insert into a.number values (3);
             do $$ begin create role gather_reader; create role gather_other;
             exception when duplicate_object then null; end $$",
        )
        .await
        .unwrap();
    connection
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

async fn refusal(connection: &mut PgConnection, files: &[SqlFile]) -> String {
    let error = apply(connection, files, false).await.unwrap_err();
    error.to_string()
}

#[tokio::test]
async fn files_are_applied_when_they_changed() {
    let cluster = Cluster::temporary().unwrap();
    let mut database = connect(&cluster, "changed").await;
    // Each needs the one after it.
    let files = [TABLE, TWICE, ONE];
    assert_eq!(outdated(&mut database, &files).await.unwrap(), 3);
    assert_eq!(apply(&mut database, &files, false).await.unwrap(), 3);
    assert_eq!(
        number(&mut database, "select n::bigint from a.total").await,
        6
    );

    let oid = "select 'a.twice'::regproc::oid::bigint";
    let version = "select xmin::text::bigint from pg_proc where oid = 'a.twice'::regproc";
    let (before, former) = (
        number(&mut database, oid).await,
        number(&mut database, version).await,
    );
    assert_eq!(outdated(&mut database, &files).await.unwrap(), 0);
    assert_eq!(apply(&mut database, &files, false).await.unwrap(), 0);

    let changed = SqlFile {
        text: "create or replace function b.one() returns integer language sql as $$ select 10 $$;",
        ..ONE
    };
    let files = [TABLE, TWICE, changed];
    assert_eq!(outdated(&mut database, &files).await.unwrap(), 1);
    assert_eq!(apply(&mut database, &files, false).await.unwrap(), 1);
    assert_eq!(
        number(&mut database, "select n::bigint from a.total").await,
        60
    );
    assert_eq!(number(&mut database, version).await, former);

    // A migration may have dropped anything.
    database.execute("drop view a.total").await.unwrap();
    assert_eq!(apply(&mut database, &files, true).await.unwrap(), 3);
    assert_eq!(
        number(&mut database, "select n::bigint from a.total").await,
        60
    );
    assert_eq!(number(&mut database, oid).await, before);

    // A file that was removed is forgotten; what it made is for a migration to drop.
    assert_eq!(outdated(&mut database, &files[1..]).await.unwrap(), 1);
    assert_eq!(apply(&mut database, &files[1..], false).await.unwrap(), 0);
    assert_eq!(outdated(&mut database, &files[1..]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let cluster = Cluster::temporary().unwrap();
    let mut database = connect(&cluster, "broken").await;
    let needs_it = SqlFile {
        path: "a/needs.sql",
        text: "create or replace function a.needs() returns integer language sql as $$ select a.broken() $$;",
    };
    let broken = SqlFile {
        path: "a/broken.sql",
        text: "-- One.\ncreate or replace function a.broken() returns integer language sql\nas $$\n    select\n    missing from a.number\n$$;",
    };
    let error = refusal(&mut database, &[ONE, needs_it, broken]).await;
    assert!(
        error.contains("sql/a/broken.sql:5: column \"missing\" does not exist")
            && error.contains("sql/a/needs.sql:1:")
            && !error.contains("b/one"),
        "{error}"
    );
    let left = "select (select count(*) from platform.applied_sql)
        + (select count(*) from pg_proc where pronamespace in ('a'::regnamespace, 'b'::regnamespace))";
    assert_eq!(number(&mut database, left).await, 0);

    let misspelt = SqlFile {
        path: "a/misspelt.sql",
        text: "select 1;\n\ncreate or replace vieww a.misspelt as select 1;",
    };
    let error = refusal(&mut database, &[misspelt]).await;
    assert!(
        error.contains("sql/a/misspelt.sql:3: syntax error"),
        "{error}"
    );

    let nameless = SqlFile {
        path: "a/nameless.sql",
        text: ONE.text,
    };
    let error = refusal(&mut database, &[nameless]).await;
    assert!(
        error.contains("sql/a/nameless.sql has to make the function or view a.nameless"),
        "{error}"
    );
    assert_eq!(number(&mut database, left).await, 0);
}

#[tokio::test]
async fn what_cannot_be_replaced_is_for_a_migration_to_drop() {
    let cluster = Cluster::temporary().unwrap();
    let mut database = connect(&cluster, "replaced").await;
    let view = SqlFile {
        path: "a/shown.sql",
        text: "create or replace view a.shown as select n, 1 as one from a.number;",
    };
    apply(&mut database, &[ONE, view], false).await.unwrap();

    for (file, said) in [
        (
            SqlFile {
                text: "create or replace view a.shown as select 1 as one from a.number;",
                ..view
            },
            "sql/a/shown.sql: cannot ",
        ),
        (
            SqlFile {
                text: "create or replace function b.one() returns text language sql as $$ select '1' $$;",
                ..ONE
            },
            "sql/b/one.sql: cannot change return type",
        ),
        (
            SqlFile {
                text: "create or replace function b.one(more integer) returns integer language sql as $$ select 1 $$;",
                ..ONE
            },
            "sql/b/one.sql makes a second b.one: there are b.one() and b.one(integer)",
        ),
    ] {
        let error = refusal(&mut database, &[file]).await;
        assert!(
            error.contains(said) && error.contains("in a new migration"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_grant_that_left_its_file_leaves_the_database() {
    let cluster = Cluster::temporary().unwrap();
    let mut database = connect(&cluster, "granted").await;
    let may = "select sum(has_function_privilege(r, 'a.twice(integer)', 'execute')::int)::bigint
        from unnest(array['gather_reader', 'gather_other']) r";
    database
        .execute("alter default privileges revoke execute on functions from public")
        .await
        .unwrap();
    let only_this =
        "select has_function_privilege('gather_other', 'a.twice(integer)', 'execute')::int::bigint";
    apply(&mut database, &[TWICE, ONE], false).await.unwrap();
    assert_eq!(number(&mut database, may).await, 1);

    let granted_elsewhere = SqlFile {
        text: "create or replace function a.twice(n integer) returns integer language sql\n\
               as $$ select b.one() * 2 * n $$;\n\
               grant execute on function a.twice to gather_other;",
        ..TWICE
    };
    apply(&mut database, &[granted_elsewhere, ONE], false)
        .await
        .unwrap();
    assert_eq!(number(&mut database, may).await, 1);
    assert_eq!(number(&mut database, only_this).await, 1);
}
