//! The extensions of the database: every cluster has them, and a server that lacks one is told what to do.

use std::fs;

use gather::{manifest::Manifest, migrate, postgres::Cluster, secrets::MasterKey};
use sqlx::{Connection, Executor, PgConnection};

use super::{execute, number, reachable};

#[tokio::test]
async fn an_extension_in_another_place_is_an_error_that_says_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spin.toml");
    fs::write(
        &path,
        "spin_manifest_version = 2\napplication.name = \"x\"\n[component.site]\nsource = \"site.wasm\"\ntool.gather.role = \"gather_site\"\n",
    )
    .unwrap();
    let manifest = Manifest::load(&path).unwrap();
    let key = MasterKey::load_or_create(folder.path()).unwrap();
    let cluster = Cluster::temporary().unwrap();
    execute(&cluster.url("postgres"), "create database theirs").await;
    let theirs = cluster.url("theirs");
    execute(&theirs, "create extension pg_trgm").await;
    let error = migrate::run(&theirs, &manifest, &key)
        .await
        .unwrap_err()
        .to_string();
    let (_, advice) = error.split_once("run there: ").expect(&error);
    assert!(error.contains("in the schema public"), "{error}");
    PgConnection::connect(theirs.as_str())
        .await
        .unwrap()
        .execute(sqlx::AssertSqlSafe(advice))
        .await
        .unwrap();
    migrate::run(&theirs, &manifest, &key).await.unwrap();
}

#[tokio::test]
async fn who_may_not_make_pgvector_is_told_what_a_superuser_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spin.toml");
    fs::write(
        &path,
        "spin_manifest_version = 2\napplication.name = \"x\"\n",
    )
    .unwrap();
    let manifest = Manifest::load(&path).unwrap();
    let key = MasterKey::load_or_create(folder.path()).unwrap();
    let cluster = Cluster::temporary().unwrap();
    let admin = cluster.url("postgres");
    execute(&admin, "create role owner login createrole password 'p'").await;
    execute(&admin, "create database owned owner owner").await;
    let mut owned = cluster.url("owned");
    owned.set_username("owner").unwrap();
    owned.set_password(Some("p")).unwrap();
    let error = migrate::run(&owned, &manifest, &key).await.unwrap_err();
    let error = error.to_string();
    let (_, advice) = error.split_once("run in the database: ").expect(&error);
    assert!(
        error.contains("may not make the extension vector"),
        "{error}"
    );
    PgConnection::connect(cluster.url("owned").as_str())
        .await
        .unwrap()
        .execute(sqlx::AssertSqlSafe(advice))
        .await
        .unwrap();
    let made = "select count(*) from pg_extension where extname = 'vector'";
    assert_eq!(number(&owned, made).await, 1);
    if let Err(error) = migrate::run(&owned, &manifest, &key).await {
        assert!(!format!("{error:#}").contains("extension"), "{error:#}");
    }
}

#[tokio::test]
async fn every_cluster_has_pgvector() {
    const NEAREST: &str =
        "select n::bigint from (values (1, '[1,2]'::vector), (2, '[5,5]'), (3, '[9,9]')) t (n, v)
        order by v <-> '[5,6]' limit 1";
    let folder = reachable();
    let private = Cluster::open(&folder.path().join("state")).unwrap();
    for cluster in [&private, &Cluster::temporary().unwrap()] {
        let url = cluster.url("postgres");
        execute(&url, "create extension vector").await;
        assert_eq!(number(&url, NEAREST).await, 2);
    }
    assert!(private.close().unwrap());
}
