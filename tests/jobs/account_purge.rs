//! The platform's own recurring work: accounts that never came and credentials that have expired go.

use anyhow::Result;
use e2e::{Server, errands::quick};
use gather::{manifest::WORKER_ROLE, secrets};
use host::{
    Metrics,
    jobs::{JobOptions, JobWorker},
};
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A worker of the platform's own manifest.
async fn worker(server: &Server, state: &std::path::Path) -> Result<JobWorker> {
    let admin = &server.database.admin;
    let key = e2e::master_key();
    let variables = e2e::variables(admin, &server.url, "http://x", "http://x")?;
    let application = e2e::application(&e2e::root().join("spin.toml"), state, variables).await?;
    let options = JobOptions {
        database_url: secrets::role_url(admin, &key, WORKER_ROLE)?.to_string(),
        mail: host::MailOptions::default(),
        trusted_hosts: std::collections::BTreeMap::new(),
        settings: quick(),
        metrics: Arc::new(Metrics::new()?),
        metrics_listen: None,
    };
    JobWorker::start(application, options).await
}

/// Runs the component once: what it says that it purged.
async fn purge(server: &Server) -> Result<Value> {
    let state = tempfile::tempdir()?;
    let _worker = worker(server, state.path()).await?;
    let mut admin = server.database.connect().await?;
    let id: uuid::Uuid = sqlx::query_scalar("select jobs.enqueue('account-purge')")
        .fetch_one(&mut admin)
        .await?;
    let started = Instant::now();
    let job: Value = loop {
        let job: Value = sqlx::query_scalar("select to_jsonb(j) from jobs.job j where id = $1")
            .bind(id)
            .fetch_one(&mut admin)
            .await?;
        if !job["finished_at"].is_null() {
            break job;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{job:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(job["status"], "succeeded", "{job:#}");
    Ok(job["result"].clone())
}

#[tokio::test]
async fn what_has_expired_is_purged_and_nothing_else() -> Result<()> {
    let server = Server::start().await?;
    server
        .database
        .execute(
            "insert into identity.account (kind, name, created_at, authenticated_at)
             select 'agent', 'old-' || n, now() - interval '25 hours', null::timestamptz from generate_series(1, 2500) n
             union all select 'agent', 'young', now() - interval '23 hours', null
             union all select 'agent', 'came', now() - interval '90 days', now() - interval '80 days'
             union all select 'user', 'proved', now() - interval '90 days', null
             union all select 'user', 'unproved', now() - interval '90 days', null;
             insert into identity.person (account_id, email, verified_at)
             select id, name || '@example.org', case name when 'proved' then now() end
             from identity.account where kind = 'user';
             insert into identity.link (purpose, expires_at)
             values ('admin', now() - interval '25 hours'), ('admin', now() + interval '1 hour');
             insert into identity.allowance values ('old', 1, 1, now() - interval '2 minutes'), ('new', 1, 1, now());
             insert into identity.sign_in_failure
             values ('old', 1, now() - interval '25 hours', now()), ('new', 1, now(), now());
             insert into identity.mailed values ('\\x01', now() - interval '25 hours'), ('\\x02', now());
             insert into identity.session (account_id, expires_at)
             select id, now() - interval '2 days' from identity.account where name = 'came'
             union all select id, now() - interval '1 hour' from identity.account where name = 'came';
             insert into identity.refresh_token (hash, account_id, session_id, expires_at)
             select sha256((s.id::text || n)::bytea), s.account_id, s.id, s.expires_at - n * interval '1 day'
             from identity.session s, generate_series(0, 2) n;
             insert into identity.used_challenge values ('\\x01', now() - interval '2 minutes'), ('\\x02', now() + interval '50 seconds');
             insert into identity.idempotency_key (owner, key, fingerprint, created_at)
             values ('a', 'old', '', now() - interval '25 hours'), ('a', 'new', '', now())",
        )
        .await?;
    let purged = purge(&server).await?;
    // A token of the purged session goes with it; of the other's, those that expired more than a day ago.
    let expected = json!({
        "accounts": 2501, "sessions": 1, "refresh_tokens": 2, "idempotency_keys": 1, "challenges": 1,
        "links": 1, "counters": 3,
    });
    assert_eq!(purged, expected);
    let mut admin = server.database.connect().await?;
    let names: Vec<String> = sqlx::query_scalar("select name from identity.account order by name")
        .fetch_all(&mut admin)
        .await?;
    assert_eq!(names, ["came", "proved", "young"]);
    Ok(())
}

#[tokio::test]
async fn claims_that_expired_and_keys_that_ended_a_month_ago_are_purged() -> Result<()> {
    let server = Server::start().await?;
    server
        .database
        .execute(
            "insert into identity.account (kind, name, authenticated_at)
             values ('agent', 'ada', now()), ('user', 'grace', now());
             insert into identity.agent (account_id, public_key)
             select id, sha256('ada') from identity.account where name = 'ada';
             insert into identity.claim (hash, agent_id, owner_id, expires_at)
             select sha256(c.name::bytea), a.id, o.id, now() + c.ends
             from (values ('expired', interval '-1 minute'), ('open', interval '10 minutes')) c (name, ends),
                 identity.account a, identity.account o
             where a.name = 'ada' and o.name = 'grace';
             insert into identity.api_key (account_id, name, hash, hint, scopes, revoked_at, expires_at)
             select a.id, k.name, sha256(k.name::bytea), 'gk_0000', '{}', now() + k.revoked, now() + k.expires
             from (values ('revoked long ago', interval '-31 days', null::interval),
                     ('expired long ago', null, interval '-31 days'),
                     ('revoked', interval '-29 days', null), ('expired', null, interval '-29 days'),
                     ('good', null, null), ('good for long', null, interval '31 days')) k (name, revoked, expires),
                 identity.account a
             where a.name = 'ada'",
        )
        .await?;
    let expected = json!({
        "accounts": 0, "sessions": 0, "refresh_tokens": 0, "idempotency_keys": 0, "challenges": 0,
        "links": 3, "counters": 0,
    });
    assert_eq!(purge(&server).await?, expected);
    let mut admin = server.database.connect().await?;
    let mut keys: Vec<String> = sqlx::query_scalar("select name from identity.api_key")
        .fetch_all(&mut admin)
        .await?;
    keys.sort();
    assert_eq!(keys, ["expired", "good", "good for long", "revoked"]);
    let open: Vec<bool> = sqlx::query_scalar("select expires_at > now() from identity.claim")
        .fetch_all(&mut admin)
        .await?;
    assert_eq!(open, [true]);
    Ok(())
}
