//! What an operator does with the database behind the platform's back: first admins, and the audit trail.

use std::{
    path::Path,
    process::{Command, Output},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gather::{
    postgres::Cluster,
    secrets::{MasterKey, link_token},
};
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

/// A migrated database, and the command over it.
struct Platform {
    cluster: Cluster,
    state: TempDir,
}

impl Platform {
    fn new() -> Self {
        let platform = Self {
            cluster: Cluster::temporary().unwrap(),
            state: tempfile::tempdir().unwrap(),
        };
        platform.succeed(&["migrate"]);
        platform
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_gather"))
            .args(arguments)
            .env("DATABASE_URL", self.cluster.url("gather").as_str())
            .env("GATHER_STATE_DIR", self.state.path())
            .env("GATHER_PUBLIC_URL", "https://gather.example/")
            .output()
            .unwrap()
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says where it fails, on both channels.
    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        told
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(self.cluster.url("gather").as_str())
            .await
            .unwrap()
    }
}

/// The id in a link of the first admin, whose token is the one that the functions would make.
fn opened(link: &str, state: &Path) -> Uuid {
    let token = link
        .strip_prefix("https://gather.example/account/admin?token=")
        .unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
    let id = Uuid::from_slice(&bytes[..16]).unwrap();
    let key = MasterKey::load(state).unwrap().unwrap();
    assert_eq!(link_token(&key, id), token);
    id
}

#[tokio::test]
async fn the_first_admin_comes_by_a_link_or_by_name() {
    let platform = Platform::new();
    let mut database = platform.connect().await;

    let answer: Value =
        serde_json::from_str(&platform.succeed(&["admin", "create", "--json"])).unwrap();
    let id = opened(answer["link"].as_str().unwrap(), platform.state.path());
    let is_good: bool = sqlx::query_scalar(
        "select purpose = 'admin' and account_id is null and used_at is null
            and expires_at between now() + interval '55 minutes' and now() + interval '1 hour'
            and abs(extract(epoch from expires_at - $2::text::timestamptz)) < 1
         from identity.link where id = $1",
    )
    .bind(id)
    .bind(answer["expires_at"].as_str())
    .fetch_one(&mut database)
    .await
    .unwrap();
    assert!(is_good, "{answer}");
    let text = platform.succeed(&["admin", "create"]);
    let link = text.split_whitespace().find(|word| word.contains("token="));
    assert_ne!(opened(link.unwrap(), platform.state.path()), id);
    assert!(text.contains("works once"), "{text}");

    let has_admin = "select identity.has_admin()";
    let told = platform.fail(&["admin", "create", "--account", "ada"]);
    assert!(
        told.contains("\"ada\"") && told.contains("gather agent register"),
        "{told}"
    );
    database
        .execute("insert into identity.account (kind, name) values ('agent', 'ada')")
        .await
        .unwrap();
    assert!(
        !sqlx::query_scalar::<_, bool>(has_admin)
            .fetch_one(&mut database)
            .await
            .unwrap()
    );
    let text = platform.succeed(&["admin", "create", "--account", "ada"]);
    assert!(text.starts_with("ada is an admin now"), "{text}");
    assert!(
        sqlx::query_scalar::<_, bool>(has_admin)
            .fetch_one(&mut database)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_broken_audit_trail_shows() {
    let platform = Platform::new();
    let mut database = platform.connect().await;
    database
        .execute(
            "select audit.record(null, 'session.opened', 'number ' || n, n % 2 = 0, '192.0.2.1', 'r-' || n, '{}')
             from generate_series(1, 40) n",
        )
        .await
        .unwrap();
    let verify = || -> Value {
        let output = platform.run(&["audit", "verify", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    };

    let whole = verify();
    assert_eq!(whole["entries"], 40);
    assert_eq!(whole["problems"], Value::Array(vec![]));
    assert_eq!(whole["heads"].as_array().unwrap().len(), 16);
    let heads = platform.state.path().join("heads.json");
    std::fs::write(&heads, whole.to_string()).unwrap();
    let heads = heads.to_str().unwrap();
    let text = platform.succeed(&["audit", "verify", "--expect", heads]);
    assert!(
        text.starts_with("40 entries checked, all as they were written.\n"),
        "{text}"
    );

    // More entries are no problem to who knows the old heads.
    database
        .execute("select audit.record(null, 'key.created', null, true, null, null)")
        .await
        .unwrap();
    platform.succeed(&["audit", "verify", "--expect", heads]);

    let change = |to: &'static str| {
        sqlx::query("update audit.entry set subject = $1 where request_id = 'r-7'").bind(to)
    };
    change("somebody else")
        .execute(&mut database)
        .await
        .unwrap();
    let told = platform.fail(&["audit", "verify"]);
    assert!(
        told.contains("problems:\n  chain ") && told.contains("was changed"),
        "{told}"
    );
    change("number 7").execute(&mut database).await.unwrap();
    platform.succeed(&["audit", "verify"]);

    // A tail that is cut off with its chain's head set to match shows only to who knows the old head. The 41st entry may
    // be on the chain of the others, which is drawn by lot.
    database
        .execute(
            "with gone as (delete from audit.entry e using audit.entry last
                where last.request_id = 'r-40' and e.chain = last.chain and e.position >= last.position)
             update audit.chain c set length = e.position, hash = e.hash
             from audit.entry e where e.request_id = 'r-39' and c.id = e.chain",
        )
        .await
        .unwrap();
    platform.succeed(&["audit", "verify"]);
    let told = platform.fail(&["audit", "verify", "--expect", heads]);
    assert!(told.contains("in the given file, and is missing"), "{told}");

    std::fs::write(heads, "{}").unwrap();
    let told = platform.fail(&["audit", "verify", "--expect", heads]);
    assert!(told.contains("gather audit verify --json"), "{told}");
}

#[tokio::test]
async fn the_audit_trail_is_exported_in_the_order_of_its_time() {
    let platform = Platform::new();
    let mut database = platform.connect().await;
    assert_eq!(platform.succeed(&["audit", "export"]), "");
    database
        .execute(
            "select audit.record(null, 'session.opened', 'one', true, '192.0.2.1', 'r-1', '{\"method\": \"key\"}');
             select audit.record(null, 'session.refused', 'two', false, null, null);
             select audit.record(null, 'session.opened', 'three', true, null, null);",
        )
        .await
        .unwrap();
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let text = platform.succeed(&[&["audit", "export"], arguments].concat());
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let all = lines(&[]);
    let subjects: Vec<_> = all.iter().map(|entry| entry["subject"].as_str()).collect();
    assert_eq!(subjects, [Some("one"), Some("two"), Some("three")]);
    assert_eq!(all[0]["detail"]["method"], "key");
    assert_eq!(all[1]["allowed"], false);
    let hash: String =
        sqlx::query_scalar("select encode(hash, 'hex') from audit.entry where subject = 'one'")
            .fetch_one(&mut database)
            .await
            .unwrap();
    assert_eq!(all[0]["hash"], hash);

    // Its own times can be given back to it: from one on, and up to one without it.
    let at = |n: usize| all[n]["at"].as_str().unwrap();
    assert!(at(1).ends_with("+00:00"), "{}", at(1));
    assert_eq!(lines(&["--since", at(1)]), all[1..]);
    assert_eq!(lines(&["--until", at(1)]), all[..1]);
    assert_eq!(lines(&["--since", at(1), "--until", at(2)]), all[1..2]);
    let told = platform.run(&["audit", "export", "--since", "yesterday"]);
    assert!(!told.status.success());
    assert!(String::from_utf8_lossy(&told.stderr).contains("2026-01-31T12:00:00Z"));
}
