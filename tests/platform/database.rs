//! Least privilege in the database: what a function's role may not do, it cannot.

use anyhow::Result;
use e2e::Database;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// What `gather_site` must never read: everything that could let somebody in.
const CREDENTIALS: [&str; 10] = [
    "identity.agent",
    "identity.session",
    "identity.refresh_token",
    "identity.signing_key",
    "identity.used_challenge",
    "identity.idempotency_key",
    "identity.person",
    "identity.passkey",
    "identity.recovery_code",
    "identity.api_key",
];

#[tokio::test]
async fn site_reads_no_credential() -> Result<()> {
    let database = Database::create().await?;
    let mut site = PgConnection::connect(&database.url_of("site")?).await?;
    for table in CREDENTIALS {
        let read = sqlx::raw_sql(AssertSqlSafe(format!("select * from {table}")))
            .execute(&mut site)
            .await;
        let error = read.err().unwrap_or_else(|| panic!("site reads {table}"));
        let code = error
            .as_database_error()
            .and_then(|e| e.code().map(|c| c.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{table}: {error}");
    }
    sqlx::raw_sql("select * from platform.health")
        .execute(&mut site)
        .await?;
    Ok(())
}

/// Each of the functions that have accounts in common reads what it needs, and no other's secrets.
#[tokio::test]
async fn secrets_of_people_and_agents_are_read_where_they_are_used_only() -> Result<()> {
    let database = Database::create().await?;
    for (component, secrets) in [
        (
            "identity",
            &[
                "select totp_secret from identity.person",
                "select email from identity.person",
                "select static_state from identity.passkey",
                "select hash from identity.api_key",
                "select id from identity.session",
                "select sealed from identity.signing_key",
                "select * from people.idempotency_key",
                "select identity.check_password('', '', null, '{}')",
                "select identity.set_roles(null, '{admin}', null, null, null)",
            ][..],
        ),
        (
            "people",
            &[
                "select password from identity.person",
                "select hash from identity.recovery_code",
                "select cookie_hash from identity.session",
                "select hash from identity.refresh_token",
                "select hash from identity.api_key",
                "select sealed from identity.signing_key",
                "select * from audit.entry",
                "select identity.set_roles(null, '{admin}', null, null, null)",
                "select identity.sign_in_agent('', '', null, '', '{}', null)",
            ],
        ),
        (
            "accounts",
            &[
                "select totp_secret from identity.person",
                "select email from identity.person",
                "select static_state from identity.passkey",
                "select hash from identity.api_key",
                "select id from identity.session",
                "select sealed from identity.signing_key",
                "select * from people.idempotency_key",
                "select identity.open_session(null, 'key', null, '', '{}', null)",
                "select identity.add_signing_key('', '', '')",
            ],
        ),
    ] {
        let mut role = PgConnection::connect(&database.url_of(component)?).await?;
        for sql in secrets {
            let done = sqlx::raw_sql(AssertSqlSafe(*sql)).execute(&mut role).await;
            let refused = done.err().map(|error| error.to_string());
            let denied = refused
                .as_ref()
                .is_some_and(|why| why.contains("permission denied"));
            assert!(denied, "{component}: {sql}: {refused:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn roles_can_make_and_become_nothing() -> Result<()> {
    let database = Database::create().await?;
    for (component, _) in e2e::manifest()?.roles() {
        let component = component.replace('-', "_");
        let mut role = PgConnection::connect(&database.url_of(&component)?).await?;
        for sql in [
            "create table x (y int)",
            "create schema x",
            "create role x",
            "create database x",
            "set role postgres",
            "select identity.rotate_signing_key()",
            "select payload from jobs.job",
            "select jobs.finish('x', '[]')",
            "select jobs.enqueue('account-purge')",
            "select * from graphile_worker._private_jobs",
            "select graphile_worker.add_job('account-purge')",
            "copy (select 1) to program 'true'",
            "select pg_read_file('/etc/passwd')",
            "select rolpassword from pg_authid",
        ] {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut role).await;
            assert!(done.is_err(), "{component} may: {sql}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_search_has_its_indexes() -> Result<()> {
    let database = Database::create().await?;
    let mut admin = database.connect().await?;
    let body: String = sqlx::query_scalar(
        "select prosrc from pg_proc where oid = 'skills.matching(text)'::regprocedure",
    )
    .fetch_one(&mut admin)
    .await?;
    // Of a small table any index would do. Neither owners nor versions matter here.
    for statement in [
        "set session_replication_role = replica",
        "insert into skills.skill (name, owner_id, latest_id, description, words, document)
         select 'copy-' || n, platform.uuid_v7(), platform.uuid_v7(), repeat('x', 1000), 'counts the words of text ' || n,
             to_tsvector('simple', 'counts the words of text ' || n)
         from generate_series(1, 3000) n",
        "vacuum analyze skills.skill",
        "set search_path = pg_catalog, trigram; set enable_seqscan = off",
    ] {
        sqlx::raw_sql(statement).execute(&mut admin).await?;
    }
    let asked = body.replace("matching.query", "'wether raport'::text");
    assert_ne!(asked, body);
    let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("explain {asked}")))
        .fetch_all(&mut admin)
        .await?;
    let plan = plan.join("\n");
    assert!(!plan.contains("Seq Scan"), "{plan}");
    for index in ["skill_document", "skill_words"] {
        // For the words together, and for each.
        assert!(plan.matches(index).count() >= 2, "{index}:\n{plan}");
    }
    Ok(())
}

#[tokio::test]
async fn revocations_have_their_indexes() -> Result<()> {
    let database = Database::create().await?;
    let mut admin = database.connect().await?;
    sqlx::raw_sql("set enable_seqscan = off")
        .execute(&mut admin)
        .await?;
    let plan: Vec<String> = sqlx::query_scalar(
        "explain select * from identity.revocation where revoked_at > now() - interval '5 s'",
    )
    .fetch_all(&mut admin)
    .await?;
    let plan = plan.join("\n");
    assert!(!plan.contains("Seq Scan"), "{plan}");
    Ok(())
}

/// Schemas that hold ids of accounts, and forget or export nothing of them.
const NOT_LEAVING: &str = "
    select distinct n.nspname::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p')
      and (exists (select from pg_attribute a where a.attrelid = c.oid
               and a.attname in ('account_id', 'owner_id', 'author_id', 'actor_id'))
           or exists (select from pg_constraint k where k.conrelid = c.oid
               and k.confrelid = 'identity.account'::regclass))
      and (n.nspname not in (select schema from platform.leaver)
           or to_regprocedure(format('%I.forget_account(uuid)', n.nspname)) is null
           or to_regprocedure(format('%I.export_account(uuid)', n.nspname)) is null)
    order by 1";

#[tokio::test]
async fn every_schema_with_accounts_forgets_and_exports_them() -> Result<()> {
    let database = Database::create().await?;
    let mut admin = database.connect().await?;
    let missing: Vec<String> = sqlx::query_scalar(NOT_LEAVING)
        .fetch_all(&mut admin)
        .await?;
    assert!(
        missing.is_empty(),
        "{missing:?}: call platform.leaver('<schema>') in a migration, and write sql/<schema>/forget_account.sql and \
         export_account.sql"
    );

    for sql in [
        "create schema posts; create table posts.post (author_id uuid)",
        "create schema votes; create table votes.vote (who uuid references identity.account (id))",
        // Registered, and yet without the functions.
        "create schema drafts; create table drafts.draft (owner_id uuid); select platform.leaver('drafts')",
    ] {
        database.execute(sql).await?;
    }
    let missing: Vec<String> = sqlx::query_scalar(NOT_LEAVING)
        .fetch_all(&mut admin)
        .await?;
    assert_eq!(missing, ["drafts", "posts", "votes"]);
    Ok(())
}

#[tokio::test]
async fn who_leaves_is_told_and_forgotten_by_every_schema() -> Result<()> {
    let database = Database::create().await?;
    database
        .execute(
            "insert into identity.account (kind, name) values ('agent', 'ada'), ('user', 'bob');
             insert into skills.skill (name, owner_id) select 'adder', id from identity.account where name = 'bob';
             insert into skills.rating (skill_id, account_id, rating, text)
             select s.id, a.id, 4, 'Adds.' from skills.skill s, identity.account a where a.name = 'ada';
             insert into skills.usage (skill_id, account_id, day, calls)
             select s.id, a.id, current_date, 3 from skills.skill s, identity.account a where a.name = 'ada';
             insert into skills.idempotency_key (owner, key, fingerprint)
             select id::text, 'k', 'f' from identity.account where name = 'ada';
             select jobs.enqueue('skill-review', owner => id, key => 'waits') from identity.account where name = 'ada';
             select jobs.cancel(jobs.enqueue('skill-rank', owner => id), id) from identity.account where name = 'ada';
             select audit.record(id, 'key.created', null, true, null, null) from identity.account where name = 'ada'",
        )
        .await?;
    let mut admin = database.connect().await?;
    let export: Value =
        sqlx::query_scalar("select identity.export(id) from identity.account where name = 'ada'")
            .fetch_one(&mut admin)
            .await?;
    assert_eq!(export["account"]["name"], "ada");
    assert_eq!(export["audit"][0]["action"], "key.created");
    assert_eq!(export["jobs"].as_array().map(Vec::len), Some(2));
    assert_eq!(export["skills"]["owned"], json!([]));
    assert_eq!(export["skills"]["ratings"][0]["text"], "Adds.");
    assert_eq!(export["skills"]["calls"][0]["calls"], 3);

    let left: Vec<bool> = sqlx::query_scalar(
        "select identity.leave(id, '{}') from identity.account where name = 'ada'
         union all select identity.leave('00000000-0000-7000-8000-000000000000', '{}')",
    )
    .fetch_all(&mut admin)
    .await?;
    assert_eq!(left, [true, false]);
    let state: Value = sqlx::query_scalar(
        "select jsonb_build_object(
             'names', (select count(*) from identity.account where name like 'deleted-%'),
             'rating', (select jsonb_agg(jsonb_build_array(rating, text)) from skills.rating),
             'answers', (select count(*) from skills.idempotency_key),
             'jobs', (select jsonb_agg(jsonb_build_array(kind, status, owner_id)) from jobs.job),
             'trail', (select jsonb_agg(action order by at) from audit.entry),
             'again', (select identity.leave(id, '{}') from identity.account where name like 'deleted-%'))",
    )
    .fetch_one(&mut admin)
    .await?;
    assert_eq!(
        state,
        json!({
            "names": 1, "rating": [[4, ""]], "answers": 0, "jobs": [["skill-review", "queued", null]],
            "trail": ["key.created", "account.deleted"], "again": false,
        })
    );
    Ok(())
}

/// A function is made by a file of `sql`, but for those that migrations and defaults call.
#[tokio::test]
async fn every_function_and_view_has_its_file() -> Result<()> {
    let database = Database::create().await?;
    let mut admin = database.connect().await?;
    let without: Vec<String> = sqlx::query_scalar(
        "with own as (
             select n.nspname || '/' || p.proname || '.sql' as path from pg_proc p
             join pg_namespace n on n.oid = p.pronamespace
             where n.nspname !~ '^(pg_|information_schema|public$|graphile_worker|trigram|vector$)'
             union all
             select n.nspname || '/' || c.relname || '.sql' from pg_class c
             join pg_namespace n on n.oid = c.relnamespace
             where c.relkind = 'v' and n.nspname !~ '^(pg_|information_schema|public$|graphile_worker|trigram|vector$)')
         select path from own where path not in (select path from platform.applied_sql) order by 1",
    )
    .fetch_all(&mut admin)
    .await?;
    assert_eq!(
        without,
        [
            "platform/function_role.sql",
            "platform/grant_to_functions.sql",
            "platform/leaver.sql",
            "platform/role.sql",
            "platform/uuid_v7.sql"
        ]
    );
    Ok(())
}
