//! The finders of the search: each has its indexes, and one that fails or is slow harms no other.

use super::results::{find, pair};
use crate::functions::channels::actions::{channel, each, post};
use anyhow::{Context, Result};
use e2e::{
    Database, Server,
    agents::Agent,
    publishing::{approved, manifest},
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_finder_that_fails_or_is_slow_harms_no_other() -> Result<()> {
    let server = Server::start().await?;
    // Of this test's database alone; the role is the cluster's.
    let short = "do $$ begin execute format(
        'alter role gather_search in database %I set statement_timeout = ''2s''', current_database()); end $$";
    server.database.execute(short).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("ostrich", "1.0.0"), "adder").await?;
    let id = channel(&server, &ada, "ostrich", false).await?;
    post(&server, &ada, &id, "an ostrich").await?;
    let expected = [
        pair("channel", "#ostrich"),
        pair("message", "#ostrich"),
        pair("skill", "ostrich"),
    ];
    let finder = |schema: &str, kind: &str, body: &str| {
        format!(
            "create schema {schema};
             create function {schema}.search(reader uuid, query text, kinds text[], most integer)
             returns table (kind text, id text, title text, snippet text, url text, rank real, created_at timestamptz)
             language sql volatile security definer as $$ {body} $$;
             select search.register('{kind}', '{schema}.search')"
        )
    };
    // One that answers what is not its own, one that divides by zero, and one that sleeps. All come before the others.
    let all = "'x', '1', 'ostrich', '', '/', 4::real, now()";
    let stranger = finder("aaa", "stranger", &format!("select {all}"));
    let broken = finder(
        "aab",
        "broken",
        "select 'broken', '1', 'ostrich', '', '/', (1 / (most - most))::real, now()",
    );
    let slow = finder(
        "aac",
        "slow",
        "select 'slow', pg_sleep(60)::text, 'ostrich', '', '/', 4::real, now()",
    );
    for (sql, missing) in [
        (&stranger, &[][..]),
        (&broken, &["broken"]),
        (&slow, &["broken", "slow"]),
    ] {
        server.database.execute(sql).await?;
        // The first time a slow one may be before others. Then it is after them.
        find(&server, Some(&ada), &[("query", "ostrich")]).await?;
        let (status, page) = find(&server, Some(&ada), &[("query", "ostrich")]).await?;
        assert_eq!(status, 200, "{page:#}");
        let mut late: Vec<_> = page["missing"].as_array().context("missing")?.clone();
        late.sort_by_key(Value::to_string);
        assert_eq!(late, missing);
        let items = page["items"].as_array().context("items")?;
        let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let mut found: Vec<_> = items
            .iter()
            .map(|item| (text(item, "type"), text(item, "title")))
            .collect();
        found.sort();
        assert_eq!(found, expected);
    }
    // A finder that is gone, and what is not a finder.
    server
        .database
        .execute("drop schema aab, aac cascade")
        .await?;
    assert!(
        server
            .database
            .execute("select search.register('ghost', 'nobody.search')")
            .await
            .is_err()
    );
    let (_, page) = find(
        &server,
        Some(&ada),
        &[("query", "ostrich"), ("type", "skill,slow")],
    )
    .await?;
    assert_eq!(page["missing"], json!(["slow"]));
    assert_eq!(each(&page, "type"), ["skill"]);
    Ok(())
}

#[tokio::test]
async fn each_finder_has_its_indexes() -> Result<()> {
    let database = Database::create().await?;
    let mut admin = database.connect().await?;
    // Of a small table any plan would do. Neither owners nor versions of skills matter here.
    for statement in [
        "insert into identity.account (kind, name, authenticated_at) select 'agent', 'agent-' || n, now()
         from generate_series(1, 3000) n",
        "insert into identity.agent (account_id, public_key, words)
         select id, sha256(name::bytea), 'the description of ' || name from identity.account",
        "insert into identity.account (kind, name, authenticated_at) select 'user', 'person-' || n, now()
         from generate_series(1, 3000) n",
        "insert into identity.person (account_id, email, words)
         select id, name || '@example.org', 'the words of ' || name from identity.account where kind = 'user'",
        "insert into channels.channel (name, words) select 'channel-' || n, 'channel-' || n || ' about things'
         from generate_series(1, 3000) n",
        "insert into channels.message (channel_id, seq, author_id, body, html, plain, words)
         select c.id, 1, a.id, c.words, c.words, c.words, 'what is said in ' || c.words
         from channels.channel c, identity.account a where a.name = 'agent-1'",
        "set session_replication_role = replica",
        "insert into skills.skill (name, owner_id, latest_id, words, document)
         select 'skill-' || n, platform.uuid_v7(), platform.uuid_v7(), 'counts the words of text ' || n,
             to_tsvector('simple', 'counts the words of text ' || n)
         from generate_series(1, 3000) n",
        "insert into memory.space (scope, scope_id) select 'agent', id from identity.account where name = 'agent-1'",
        "insert into memory.memory (space_id, digest, author) select s.id, sha256(n::text::bytea), s.scope_id
         from memory.space s, generate_series(1, 3000) n",
        "insert into memory.version (memory_id, number, space_id, content, words, terms, kind, importance, trust, tags,
             valid_from, author)
         select id, 1, space_id, 'noted', 'what was noted as ' || id, '{}', 'fact', 0.5, 'own', '{}', now(), author
         from memory.memory",
        "insert into search.vector (kind, id, model, passage, place, embedding)
         select 'message', id, 'local', 1, channel_id, array_fill(0.1::real, array[384])::vector.halfvec
         from channels.message",
        "vacuum analyze identity.account, identity.agent, identity.person, channels.channel, channels.message, skills.skill,
         memory.memory, memory.version, search.vector",
        "set enable_seqscan = off",
        "select search.find(id, 'needle', null, null, null, null, null, 20, scopes => '{memory:read}')
         from identity.account where name = 'agent-1'",
        "select search.find(id, 'needle', null, null, null, null, null, 20, 'semantic', 'local',
             array_fill(0.1::real, array[384])::vector.halfvec::text)
         from identity.account where name = 'agent-1'",
        "select pg_stat_force_next_flush()",
    ] {
        sqlx::raw_sql(statement).execute(&mut admin).await?;
    }
    // For the words as they are written, and for what looks alike.
    let unused: Vec<String> = sqlx::query_scalar(
        "select indexrelname::text from pg_stat_user_indexes where idx_scan < 2 and indexrelname in
         ('account_name_words', 'agent_words', 'person_words', 'channel_words', 'message_words',
             'skill_words', 'version_words')
         or indexrelname = 'vector_place' and idx_scan < 1",
    )
    .fetch_all(&mut admin)
    .await?;
    assert!(unused.is_empty(), "{unused:?}");
    Ok(())
}
