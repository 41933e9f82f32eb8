//! Least privilege in the database: what a function's role may not do, it cannot.

use anyhow::Result;
use e2e::Database;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// What `gather_site` must never read: everything that could let somebody in.
const CREDENTIALS: [&str; 6] = [
    "identity.agent",
    "identity.session",
    "identity.refresh_token",
    "identity.signing_key",
    "identity.used_challenge",
    "identity.idempotency_key",
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

/// All that the roles of functions may do with tables and views, as one text.
const GRANTS: &str = "
    select r.rolname || ': ' || n.nspname || '.' || c.relname || ' ' ||
           string_agg(p.privilege, ', ' order by p.privilege)
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    cross join pg_roles r
    cross join unnest(array['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER']) p(privilege)
    where r.rolname like 'gather\\_%' and c.relkind in ('r','v','p','m')
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
      and has_table_privilege(r.oid, c.oid, p.privilege)
    group by r.rolname, n.nspname, c.relname
    order by 1";

const FUNCTIONS: &str = "
    select r.rolname || ': ' || n.nspname || '.' || f.proname
    from pg_proc f join pg_namespace n on n.oid = f.pronamespace cross join pg_roles r
    where r.rolname like 'gather\\_%' and n.nspname not in ('pg_catalog', 'information_schema')
      and has_function_privilege(r.oid, f.oid, 'EXECUTE')
    order by 1";

#[tokio::test]
async fn grants_are_exactly_these() -> Result<()> {
    let database = Database::create().await?;
    let mut admin = database.connect().await?;
    let mut lines: Vec<String> = sqlx::query_scalar(GRANTS).fetch_all(&mut admin).await?;
    lines.extend(
        sqlx::query_scalar::<_, String>(FUNCTIONS)
            .fetch_all(&mut admin)
            .await?,
    );
    let expected = include_str!("fixtures/grants.txt");
    assert_eq!(
        lines.join("\n"),
        expected.trim_end(),
        "a grant is new, wider, or gone"
    );
    Ok(())
}

#[tokio::test]
async fn roles_can_make_and_become_nothing() -> Result<()> {
    let database = Database::create().await?;
    for component in ["identity", "site", "jobs", "account_purge"] {
        let mut role = PgConnection::connect(&database.url_of(component)?).await?;
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
async fn every_list_has_its_index() -> Result<()> {
    let database = Database::create().await?;
    let mut admin = database.connect().await?;
    // With sequential scans made dear, a plan that still has one lacks an index.
    sqlx::raw_sql("set enable_seqscan = off; set enable_sort = off")
        .execute(&mut admin)
        .await?;
    for (what, sql) in [
        (
            "agents by name",
            "select * from identity.agent_profile p where p.name >= 'a' and p.name <= 'a~' order by p.name limit 21",
        ),
        (
            "sessions of an account",
            "select * from identity.session where account_id = '00000000-0000-7000-8000-000000000000' order by id desc limit 21",
        ),
        (
            "jobs of an account",
            "select * from jobs.job_view where owner_id = '00000000-0000-7000-8000-000000000000' and id < '10000000-0000-7000-8000-000000000000' order by id desc limit 21",
        ),
        (
            "jobs that are dead",
            "select * from jobs.job_view where status = 'dead' order by id desc limit 21",
        ),
        (
            "failures of a job",
            "select * from jobs.attempt_view where job_id = '00000000-0000-7000-8000-000000000000' order by attempt desc limit 20",
        ),
        (
            "revocations",
            "select * from identity.revocation where revoked_at > now() - interval '5 s'",
        ),
        (
            "skills by rank",
            "select * from skills.skill s join skills.version v on v.id = s.latest_id where (s.rank, s.id) < (0.5, '10000000-0000-7000-8000-000000000000') order by s.rank desc, s.id desc limit 21",
        ),
        (
            "the newest skills",
            "select * from skills.skill s where s.latest_id is not null order by s.id desc limit 21",
        ),
        (
            "the most used skills",
            "select * from skills.skill s where s.latest_id is not null order by s.uses_30d desc, s.id desc limit 21",
        ),
        (
            "skills of a tag",
            "select * from skills.skill s where s.tags @> array['a'] limit 21",
        ),
        (
            "versions of a skill",
            "select * from skills.version_view w where w.skill_id = '00000000-0000-7000-8000-000000000000' and w.precedence < 'x' order by w.precedence desc limit 21",
        ),
        (
            "ratings of a skill",
            "select * from skills.rating r where r.skill_id = '00000000-0000-7000-8000-000000000000' order by r.updated_at desc, r.account_id desc limit 21",
        ),
        (
            "versions that wait for a person",
            "select * from skills.version v where v.held and v.id > '00000000-0000-7000-8000-000000000000' order by v.id limit 21",
        ),
        (
            "what is to be called",
            "select v.digest from skills.skill s join skills.version v on v.skill_id = s.id where s.name = 'a' and v.id = s.latest_id",
        ),
        (
            "what is in an inbox",
            "select * from inbox.item where account_id = '00000000-0000-7000-8000-000000000000' and id < '10000000-0000-7000-8000-000000000000' and archived_at is null order by id desc limit 21",
        ),
        (
            "items of a kind",
            "select * from inbox.item where account_id = '00000000-0000-7000-8000-000000000000' and id < '10000000-0000-7000-8000-000000000000' and archived_at is null and kind = 'job' order by id desc limit 21",
        ),
        (
            "items of a state",
            "select * from inbox.item where account_id = '00000000-0000-7000-8000-000000000000' and id < '10000000-0000-7000-8000-000000000000' and state = 'unread' order by id desc limit 21",
        ),
        (
            "items of a kind and state",
            "select * from inbox.item where account_id = '00000000-0000-7000-8000-000000000000' and id < '10000000-0000-7000-8000-000000000000' and kind = 'job' and state = 'unread' order by id desc limit 21",
        ),
        (
            "unread items",
            "select kind, count(*) from inbox.item where account_id = '00000000-0000-7000-8000-000000000000' and state = 'unread' group by kind",
        ),
        (
            "approvals that an account asked",
            "select o.id from inbox.approval_view o where o.asked_by = '00000000-0000-7000-8000-000000000000' and o.id < '10000000-0000-7000-8000-000000000000' order by o.id desc limit 21",
        ),
        (
            "approvals that an account is asked",
            "select o.id from inbox.asked k join inbox.approval_view o on o.id = k.approval_id where k.who = '00000000-0000-7000-8000-000000000000' and k.approval_id < '10000000-0000-7000-8000-000000000000' order by k.approval_id desc limit 21",
        ),
    ] {
        let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("explain {sql}")))
            .fetch_all(&mut admin)
            .await?;
        assert!(
            !plan.iter().any(|line| line.contains("Seq Scan")),
            "{what}:\n{}",
            plan.join("\n")
        );
    }
    Ok(())
}
