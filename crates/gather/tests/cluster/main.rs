//! The private cluster and the throw-away one, as they really run: killed, found again, shared.

mod extensions;

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use gather::{
    manifest::Manifest,
    migrate,
    postgres::{Account, Cluster, create_database_from_template},
    secrets::{MasterKey, Platform, function_variables},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use url::Url;

/// A folder that the user who runs PostgreSQL may pass through.
fn reachable() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn is_running(pid: i32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.contains(") Z"),
        Err(_) => !Path::new("/proc/self").exists() && kill(Pid::from_raw(pid), None).is_ok(),
    }
}

fn ends_within(pid: i32, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while is_running(pid) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

async fn number(url: &Url, query: &'static str) -> i64 {
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    sqlx::query_scalar(query)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

async fn execute(url: &Url, statement: &'static str) {
    PgConnection::connect(url.as_str())
        .await
        .unwrap()
        .execute(statement)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_committed_survives_a_kill() {
    let folder = reachable();
    let state = folder.path().join("state");
    let cluster = Cluster::open(&state).unwrap();
    let url = cluster.url("postgres");
    execute(&url, "create table t as select 42::bigint as n").await;
    kill(Pid::from_raw(cluster.pid()), Signal::SIGKILL).unwrap();
    drop(cluster);

    let again = Cluster::open(&state).unwrap();
    assert_eq!(number(&again.url("postgres"), "select n from t").await, 42);
    assert_eq!(
        number(
            &again.url("postgres"),
            "select 1::bigint where current_setting('fsync') = 'on'"
        )
        .await,
        1
    );
    assert!(again.close().unwrap());
}

#[tokio::test]
async fn a_running_server_is_shared_and_the_last_user_stops_it() {
    let folder = reachable();
    let state = folder.path().join("state");
    // The first is dropped without being closed, as when its process is killed.
    let left = Cluster::open(&state).unwrap();
    let pid = left.pid();
    drop(left);
    assert!(is_running(pid));

    let one = Cluster::open(&state).unwrap();
    let other = Cluster::open(&state).unwrap();
    assert_eq!((one.pid(), other.pid()), (pid, pid));
    assert_eq!(Cluster::running(&state), Some(one.url("gather")));
    assert!(!one.close().unwrap(), "the other still uses it");
    assert_eq!(number(&other.url("postgres"), "select 1::bigint").await, 1);
    assert!(other.close().unwrap());
    assert!(ends_within(pid, Duration::from_secs(5)));
    assert_eq!(Cluster::running(&state), None);
}

#[tokio::test]
async fn starts_at_once_get_one_server() {
    let folder = reachable();
    let state = folder.path().join("state");
    let pids: Vec<i32> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| Cluster::open(&state).unwrap()))
            .collect();
        let clusters: Vec<_> = starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect();
        let pids = clusters.iter().map(Cluster::pid).collect();
        let stopped = clusters.into_iter().map(|cluster| cluster.close().unwrap());
        assert_eq!(stopped.filter(|stopped| *stopped).count(), 1);
        pids
    });
    assert!(pids.iter().all(|pid| *pid == pids[0]));
}

#[tokio::test]
async fn a_port_that_was_taken_meanwhile_is_given_up() {
    let folder = reachable();
    let state = folder.path().join("state");
    let cluster = Cluster::open(&state).unwrap();
    let port = cluster.url("x").port().unwrap();
    cluster.close().unwrap();

    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let again = Cluster::open(&state).unwrap();
    assert_ne!(again.url("x").port().unwrap(), port);
    assert_eq!(number(&again.url("postgres"), "select 1::bigint").await, 1);
    again.close().unwrap();
}

/// Spin opens up to 64 connections a component, and our host, worker and sandbox take up to 120.
#[tokio::test]
async fn there_are_connections_for_spin_and_for_us() {
    let folder = reachable();
    let cluster = Cluster::open(&folder.path().join("state")).unwrap();
    let manifest = Manifest::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spin.toml"));
    let manifest = manifest.unwrap();
    let served = manifest.components.iter();
    let served = served.filter(|component| component.attempts.is_none());
    let needed = 64 * i64::try_from(served.count()).unwrap() + 120;
    let query = "select current_setting('max_connections')::bigint";
    let there = number(&cluster.url("postgres"), query).await;
    assert!(there >= needed, "{there} connections, {needed} needed");
    cluster.close().unwrap();
}

#[tokio::test]
async fn only_the_password_opens_it() {
    let folder = reachable();
    let cluster = Cluster::open(&folder.path().join("state")).unwrap();
    let mut url = cluster.url("postgres");
    url.set_password(Some("guess")).unwrap();
    let error = PgConnection::connect(url.as_str()).await.unwrap_err();
    assert_eq!(
        error.as_database_error().unwrap().code().as_deref(),
        Some("28P01")
    );
    assert_eq!(
        fs::metadata(cluster.data()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    cluster.close().unwrap();
}

#[test]
fn a_cluster_of_another_major_version_is_not_touched() {
    let folder = reachable();
    let state = folder.path().join("state");
    fs::create_dir_all(state.join("postgres")).unwrap();
    fs::write(state.join("postgres/PG_VERSION"), "14\n").unwrap();
    let errors = [
        Cluster::open(&state).err().unwrap(),
        Cluster::prepare(&state).unwrap_err(),
        Cluster::programs(&state).unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        for part in [
            "made by PostgreSQL 14",
            "install PostgreSQL 14 again",
            "pg_dump",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
    let left = fs::read_dir(state.join("postgres")).unwrap().count();
    assert_eq!(left, 1);
}

/// Root's PostgreSQL runs as somebody else, who can't pass through a private folder; an ordinary user's own can.
#[tokio::test]
async fn a_private_folder_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let state = folder.path().join("state");
    let cluster = Cluster::open(&state).unwrap();
    let data = cluster.data().to_owned();
    assert_eq!(
        data.starts_with(folder.path()),
        !Account::choose().unwrap().is_other(),
        "{}",
        data.display()
    );
    assert_eq!(
        number(&cluster.url("postgres"), "select 1::bigint").await,
        1
    );
    cluster.close().unwrap();
    let again = Cluster::open(&state).unwrap();
    assert_eq!(again.data(), data);
    again.close().unwrap();
    if !data.starts_with(folder.path()) {
        fs::remove_dir_all(data.parent().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_temporary_cluster_is_migrated_and_copied() {
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
    let template = cluster.url("template");
    let error = migrate::check(&cluster.url("postgres"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("gather migrate"), "{error}");
    let many = (0..6).map(|_| migrate::run(&template, &manifest, &key));
    for outcome in futures::future::join_all(many).await {
        outcome.unwrap();
    }
    migrate::check(&template).await.unwrap();
    let may = "select has_database_privilege('gather_site', current_database(), 'temporary')::int::bigint";
    assert_eq!(number(&template, may).await, 0);

    let mut admin = PgConnection::connect(cluster.url("postgres").as_str())
        .await
        .unwrap();
    create_database_from_template(&mut admin, "template", "copy")
        .await
        .unwrap();
    create_database_from_template(&mut admin, "template", "lacking")
        .await
        .unwrap();
    migrate::check(&cluster.url("copy")).await.unwrap();
    let variables = function_variables(&manifest, &cluster.url("copy"), &key, NOWHERE).unwrap();
    let site = Url::parse(&variables["site_database_url"]).unwrap();
    assert_eq!(
        number(&site, "select 1::bigint where current_user = 'gather_site'").await,
        1
    );

    execute(
        &cluster.url("copy"),
        "update _sqlx_migrations set checksum = 'x' where version = 1",
    )
    .await;
    let error = migrate::run(&cluster.url("copy"), &manifest, &key)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("migration 1 was changed"), "{error}");
    assert!(migrate::check(&cluster.url("copy")).await.is_err());
    let gone = "drop function jobs.cancel; delete from platform.applied_sql where path = 'jobs/cancel.sql'";
    execute(&cluster.url("lacking"), gone).await;
    let error = migrate::check(&cluster.url("lacking"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("1 SQL files are not applied") && error.contains("gather migrate"),
        "{error}"
    );
    migrate::run(&cluster.url("lacking"), &manifest, &key)
        .await
        .unwrap();
    migrate::check(&cluster.url("lacking")).await.unwrap();
    execute(
        &template,
        "insert into _sqlx_migrations values (99990101, 'future', now(), true, 'x', 1)",
    )
    .await;
    for outcome in [
        migrate::run(&template, &manifest, &key).await,
        migrate::check(&template).await,
    ] {
        assert!(
            outcome
                .unwrap_err()
                .to_string()
                .contains("newer than this command")
        );
    }
}

/// As the twelve migrations before the fold left it, as far as anybody looks.
const BEFORE_THE_FOLD: &str = "
    create schema platform;
    create table platform.health (component text primary key);
    create table _sqlx_migrations (
        version bigint primary key, description text not null, installed_on timestamptz not null default now(),
        success boolean not null, checksum bytea not null, execution_time bigint not null);
    insert into _sqlx_migrations (version, description, success, checksum, execution_time)
    select n, 'old', true, 'x', 1 from generate_series(1, 12) n";

#[tokio::test]
async fn a_database_made_before_the_fold_is_recognised_and_left_alone() {
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
    execute(&cluster.url("postgres"), "create database old").await;
    let old = cluster.url("old");
    execute(&old, BEFORE_THE_FOLD).await;
    let objects = "select (select count(*) from pg_class) + (select count(*) from pg_proc) + (select count(*) from pg_roles)
        + (select count(*) from _sqlx_migrations)";
    let before = number(&old, objects).await;

    for outcome in [
        migrate::run(&old, &manifest, &key).await,
        migrate::check(&old).await,
    ] {
        let error = outcome.unwrap_err().to_string();
        assert!(
            error.contains("before the migrations were folded")
                && error.contains("state folder")
                && error.contains("pg_dump --data-only"),
            "{error}"
        );
    }
    assert_eq!(number(&old, objects).await, before);
}

const NOWHERE: Platform<'_> = Platform {
    public_url: "http://x",
    sandbox_url: "http://x",
    egress_url: "http://x",
    provisioner_url: "http://x",
    internal_url: "http://x",
    cors_origins: "",
    trusted_proxies: "",
    rate_limits: "",
};

#[test]
fn a_temporary_cluster_ends_when_it_is_dropped() {
    let cluster = Cluster::temporary().unwrap();
    let (pid, data) = (cluster.pid(), cluster.data().to_owned());
    assert!(is_running(pid) && data.exists());
    drop(cluster);
    assert!(!is_running(pid) && !data.exists());
}

const CHILD: &str = "GATHER_TEST_CHILD";

/// Not a test of its own: the process that the next test kills.
#[test]
fn child_with_a_temporary_cluster() {
    if std::env::var_os(CHILD).is_some() {
        // From a thread that ends at once: the cluster must outlive it.
        let cluster = std::thread::spawn(|| Cluster::temporary().unwrap())
            .join()
            .unwrap();
        println!("\npid={} data={}", cluster.pid(), cluster.data().display());
        std::thread::sleep(Duration::from_secs(60));
    }
}

#[test]
#[cfg_attr(
    not(target_os = "linux"),
    ignore = "only Linux ends children with their parent"
)]
fn a_temporary_cluster_dies_with_its_process() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_with_a_temporary_cluster", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let line = lines.find(|line| line.starts_with("pid=")).unwrap();
    let (pid, data) = line
        .strip_prefix("pid=")
        .unwrap()
        .split_once(" data=")
        .unwrap();
    let pid = pid.parse().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        is_running(pid),
        "the thread that made it has ended, the process has not"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ends_within(pid, Duration::from_secs(10)));
    fs::remove_dir_all(Path::new(data).parent().unwrap()).unwrap();
}
