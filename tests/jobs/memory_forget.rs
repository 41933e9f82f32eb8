//! Forgetting: whatever came of a memory goes with it, whoever works on it meanwhile, and a signed statement says so.

use crate::functions::memory::world::{change, done, note, own, path, search};
use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, client::refusal, errands::quick};
use gather::postgres::client_programs;
use serde_json::{Value, json};
use skill::statement::{ERASURE, Envelope, Jwks};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// A word that nothing else contains.
const WORD: &str = "Zwetschgenknödel";

/// All rows that the database holds, as text.
async fn rows(server: &Server) -> Result<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut server.database.connect().await?)
    .await?;
    let mut rows = String::new();
    for table in tables {
        let sql = format!("select coalesce(string_agg(t::text, E'\\n'), '') from {table} t");
        let some: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&mut server.database.connect().await?)
            .await?;
        rows.push_str(&some);
    }
    Ok(rows)
}

/// What `pg_dump` writes of the database; nothing, with a message, if it is missing or older than the server.
async fn pg_dump(server: &Server) -> Result<String> {
    let version = "select current_setting('server_version_num')::integer / 10000";
    let major: i32 = sqlx::query_scalar(version)
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    let Some(programs) = client_programs(&["pg_dump"], major.try_into()?) else {
        let is_there = client_programs(&["pg_dump"], 15).is_some();
        ensure!(
            is_there || std::env::var_os("GATHER_TESTS_SKIP_NONE").is_none(),
            "pg_dump is missing"
        );
        eprintln!("skipped: pg_dump of PostgreSQL {major} or newer is not installed");
        return Ok(String::new());
    };
    let output = Command::new(programs.join("pg_dump"))
        .args(["--encoding=UTF8", "--dbname"])
        .arg(server.database.admin.as_str())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let dump = String::from_utf8(output.stdout)?;
    ensure!(
        dump.contains("COPY memory.memory "),
        "the dump has no memories"
    );
    Ok(dump)
}

/// Everything that the database holds, as text, and as a backup has it.
async fn dump(server: &Server) -> Result<String> {
    Ok(rows(server).await? + &pg_dump(server).await?)
}

/// Fails if the database holds a part of [`WORD`].
async fn holds_nothing(server: &Server) -> Result<()> {
    let left = dump(server).await?.to_lowercase();
    let at = left.find("zwetschgenkn");
    let before = at.map(|at| left[..at].chars().rev().take(300).collect::<String>());
    ensure!(
        at.is_none(),
        "{:?}",
        before.map(|text| text.chars().rev().collect::<String>())
    );
    Ok(())
}

#[tokio::test]
async fn nothing_that_came_of_it_is_left() -> Result<()> {
    let server = Server::start().await?;
    let _worker = server.worker(quick()).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    // By a request whose answer is kept.
    let new = own(
        &ada,
        &format!("Ada likes {WORD}."),
        json!({"tags": [WORD], "key": "food"}),
    );
    let request = ada
        .request(&server, "POST", "/api/memory")
        .header("idempotency-key", "once");
    let (status, first) = e2e::client::read(request.json(&new).send().await?).await?;
    assert_eq!(status, 201, "{first}");
    let (status, _) = change(
        &server,
        &ada,
        &path(&first)?,
        "1",
        &json!({"content": format!("Ada loves {WORD}.")}),
    )
    .await?;
    assert_eq!(status, 200);
    let source = json!({"sources": [{"type": "memory", "id": first["id"]}], "kind": "summary"});
    let summary = note(&server, &ada, &format!("Ada eats {WORD}."), source).await?;
    let source = json!({"sources": [{"type": "memory", "id": summary["id"]}]});
    let further = note(&server, &ada, &format!("Somebody eats {WORD}."), source).await?;
    let second = note(
        &server,
        &ada,
        &format!("Ada is tired of {WORD}."),
        json!({"key": "food"}),
    )
    .await?;
    let other = note(&server, &ada, "Ada likes tea.", json!({})).await?;
    // A call of a model that was captured, with the text in JSON.
    let captured = format!(
        "with call as (insert into llm.call (account_id, payers, route, status, ended_at)
             values ('{}', '{{}}', 'chat', 'succeeded', now()) returning id)
         insert into llm.capture (call_id, request) select id, '{{\"content\": \"Ada eats {WORD}.\"}}' from call",
        ada.id
    );
    server.database.execute(&captured).await?;
    assert!(dump(&server).await?.contains(WORD));

    let forget = json!({"ids": [second["id"], summary["id"]], "dry_run": true});
    let counted = done(&server, &ada, "/api/memory/forget", &forget).await?;
    assert_eq!(
        (
            &counted["counts"]["memories"],
            &counted["counts"]["versions"]
        ),
        (&json!(4), &json!(5)),
        "{counted}"
    );
    assert_eq!(ada.get(&server, &path(&second)?).await?.0, 200);
    let forget = json!({"ids": [second["id"], summary["id"]]});
    let gone = done(&server, &ada, "/api/memory/forget", &forget).await?;
    for (name, count) in [
        ("memories", 4),
        ("versions", 5),
        ("answers", 1),
        ("captured_calls", 1),
    ] {
        assert_eq!(gone["counts"][name], count, "{name}: {gone}");
    }
    holds_nothing(&server).await?;
    for memory in [&first, &second, &summary, &further] {
        assert_eq!(
            refusal(&ada.get(&server, &path(memory)?).await?),
            (410, "forgotten")
        );
    }
    assert_eq!(ada.get(&server, &path(&other)?).await?.0, 200);

    let envelope: Envelope = serde_json::from_value(gone["statement"].clone())?;
    let keys: Jwks = server.get("/.well-known/jwks.json").await?.json().await?;
    let statement = envelope.verify(&keys)?;
    assert_eq!(statement.predicate_type, ERASURE);
    assert_eq!(
        (&statement.predicate["ids"], &statement.predicate["counts"]),
        (&gone["ids"], &gone["counts"])
    );
    assert_eq!(statement.predicate["account_id"], json!(ada.id));
    let (_, again) = ada
        .send(&server, "POST", "/api/memory/forget", &forget)
        .await?;
    assert_eq!(again["code"], "forgotten");
    Ok(())
}

#[tokio::test]
async fn no_dump_has_a_word_of_what_was_embedded_merged_and_asked_for() -> Result<()> {
    let server = Server::embedding().await?;
    let _worker = server.worker(quick()).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let count = async |table: &str| -> Result<i64> {
        let sql = format!("select count(*) from memory.{table}");
        let mut database = server.database.connect().await?;
        Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&mut database)
            .await?)
    };
    let first = note(
        &server,
        &ada,
        &format!("Ada needs {WORD} for the party."),
        json!({}),
    )
    .await?;
    let same = note(
        &server,
        &ada,
        &format!("For the party Ada requires {WORD}."),
        json!({}),
    )
    .await?;
    note(&server, &ada, "Ada likes tea.", json!({})).await?;
    let began = Instant::now();
    while count("version where not embedded").await? > 0 {
        ensure!(
            began.elapsed() < Duration::from_secs(120),
            "texts have no vectors"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let scope = json!({"scope": "agent", "scope_id": ada.id});
    let merged = done(&server, &ada, "/api/memory/consolidate", &scope).await?;
    assert_eq!(merged["merged"][0]["kept"], first["id"], "{merged:#}");
    let found = search(&server, &ada, WORD, &[]).await?;
    assert_eq!(found["items"][0]["id"], first["id"], "{found:#}");
    let ask = json!({"query": WORD, "max_tokens": 1000});
    let request = ada
        .request(&server, "POST", "/api/memory/recall")
        .header("idempotency-key", "recall");
    let (status, recalled) = e2e::client::read(request.json(&ask).send().await?).await?;
    assert!(
        status == 200 && recalled.to_string().contains(WORD),
        "{recalled:#}"
    );
    // A merge keeps the version that was there before, with its vectors.
    assert_eq!(
        (count("version").await?, count("embedding_cache").await?),
        (4, 3)
    );
    assert!(dump(&server).await?.contains(WORD));

    let forget = json!({"ids": [first["id"]]});
    let gone = done(&server, &ada, "/api/memory/forget", &forget).await?;
    let mut ids = [&first["id"], &same["id"]];
    ids.sort_by_key(|id| id.as_str());
    assert_eq!(gone["ids"], json!(ids));
    assert_eq!(gone["counts"]["vectors"], 3, "{gone}");
    assert_eq!(
        (count("vector").await?, count("embedding_cache").await?),
        (1, 1)
    );
    holds_nothing(&server).await
}

#[tokio::test]
async fn a_selector_is_never_all_by_mistake() -> Result<()> {
    let server = Server::start().await?;
    let _worker = server.worker(quick()).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let kept = note(&server, &ada, "Ada likes tea.", json!({})).await?;
    for body in [
        json!({}),
        json!({"dry_run": true}),
        json!({"ids": []}),
        json!({"id": kept["id"]}),
        json!({"ids": null}),
        json!({"scope": "agent"}),
        json!({"scope_id": ada.id}),
        json!({"ids": [kept["id"]], "author": ada.id}),
        json!({"source": {"type": "dream", "id": "1"}}),
        json!({"source": {"type": "memory", "id": ""}}),
        json!({"author": "00000000-0000-0000-0000-000000000001"}),
        json!({"all": true}),
    ] {
        let answer = ada
            .send(&server, "POST", "/api/memory/forget", &body)
            .await?;
        assert_eq!(
            refusal(&answer),
            (422, "invalid-input"),
            "{body}: {}",
            answer.1
        );
    }
    // Another's memories are not chosen by their author or their source.
    for body in [
        json!({"author": ada.id}),
        json!({"source": {"type": "document", "id": "a"}}),
    ] {
        let gone = done(&server, &bob, "/api/memory/forget", &body).await?;
        assert_eq!(gone["counts"]["memories"], 0, "{body}");
    }
    let answer = bob
        .send(
            &server,
            "POST",
            "/api/memory/forget",
            &json!({"scope": "agent", "scope_id": ada.id}),
        )
        .await?;
    assert_eq!(refusal(&answer), (404, "not-found"));
    assert_eq!(ada.get(&server, &path(&kept)?).await?.0, 200);
    let sourced = note(
        &server,
        &ada,
        "From a book.",
        json!({"sources": [{"type": "document", "id": "book"}]}),
    )
    .await?;
    let gone = done(
        &server,
        &ada,
        "/api/memory/forget",
        &json!({"source": {"type": "document", "id": "book"}}),
    )
    .await?;
    assert_eq!(gone["ids"], json!([sourced["id"]]));
    let gone = done(
        &server,
        &ada,
        "/api/memory/forget",
        &json!({"scope": "agent", "scope_id": ada.id}),
    )
    .await?;
    assert_eq!(gone["ids"], json!([kept["id"]]));
    Ok(())
}

#[tokio::test]
async fn what_is_forgotten_can_not_be_merged_or_built_upon() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let one = note(&server, &ada, "Ada likes tea.", json!({})).await?;
    let other = note(&server, &ada, "ada likes tea", json!({})).await?;
    // A consolidation that has read both merges them after one is gone.
    assert_eq!(
        ada.send(&server, "DELETE", &path(&other)?, &Value::Null)
            .await?
            .0,
        204
    );
    let merged: bool = sqlx::query_scalar("select memory.merge($1::uuid, 1, $2)")
        .bind(uuid::Uuid::parse_str(one["id"].as_str().context("id")?)?)
        .bind(json!([{"id": other["id"], "version": 1}]))
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    assert!(!merged);
    let source = json!({"sources": [{"type": "memory", "id": other["id"]}]});
    let answer = ada
        .send(
            &server,
            "POST",
            "/api/memory",
            &own(&ada, "Tea it is.", source),
        )
        .await?;
    assert_eq!(refusal(&answer), (422, "invalid-input"));
    // What is being built upon it while it is forgotten goes, too.
    let (built, gone) = {
        let source = json!({"sources": [{"type": "memory", "id": one["id"]}]});
        let new = own(&ada, "Tea is what Ada likes.", source);
        let path = path(&one)?;
        let (built, gone) = tokio::join!(
            ada.send(&server, "POST", "/api/memory", &new),
            ada.send(&server, "DELETE", &path, &Value::Null)
        );
        (built?, gone?)
    };
    assert_eq!(gone.0, 204);
    if built.0 == 201 {
        assert_eq!(
            refusal(&ada.get(&server, &path(&built.1)?).await?),
            (410, "forgotten")
        );
    } else {
        assert_eq!(refusal(&built), (422, "invalid-input"));
    }
    let (_, list) = ada.get(&server, "/api/memory").await?;
    assert_eq!(list["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn who_leaves_takes_its_memory_along() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    note(&server, &ada, &format!("Ada likes {WORD}."), json!({})).await?;
    let mut database = server.database.connect().await?;
    let export: Value = sqlx::query_scalar("select identity.export($1)")
        .bind(ada.id)
        .fetch_one(&mut database)
        .await?;
    assert_eq!(
        export["memory"]["memories"][0]["content"],
        json!(format!("Ada likes {WORD}."))
    );
    sqlx::query("select identity.leave($1, '{}')")
        .bind(ada.id)
        .execute(&mut database)
        .await?;
    holds_nothing(&server).await
}
