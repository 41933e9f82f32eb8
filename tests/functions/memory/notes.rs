//! Memories: noted, read, changed and superseded, by those who may.

use super::world::{change, contents, note, own, path};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, client::refusal};
use serde_json::{Value, json};

#[tokio::test]
async fn what_an_account_notes_nobody_else_sees() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let made = note(
        &server,
        &ada,
        "The door code is 4711.",
        json!({"tags": ["door"], "importance": 0.9}),
    )
    .await?;
    for (field, value) in [
        ("content", json!("The door code is 4711.")),
        ("scope", json!("agent")),
        ("scope_id", json!(ada.id)),
        ("kind", json!("fact")),
        ("importance", json!(0.9)),
        ("trust", json!("own")),
        ("state", json!("active")),
        ("key", Value::Null),
        ("valid_to", Value::Null),
        ("superseded_by", Value::Null),
        ("sources", json!([])),
        ("tags", json!(["door"])),
        ("author", json!(ada.id)),
        ("version", json!(1)),
        ("uses", json!(0)),
        ("last_used_at", Value::Null),
        ("expires_at", Value::Null),
    ] {
        assert_eq!(made[field], value, "{field}: {made:#}");
    }
    let path = path(&made)?;
    assert_eq!(ada.get(&server, &path).await?, (200, made.clone()));
    let (_, list) = ada.get(&server, "/api/memory").await?;
    assert_eq!(list["items"], json!([made]));

    let (_, list) = bob.get(&server, "/api/memory").await?;
    assert_eq!(list["items"], json!([]));
    let scope = format!("/api/memory?scope=agent&scope_id={}", ada.id);
    let (_, list) = bob.get(&server, &scope).await?;
    assert_eq!(list["items"], json!([]));
    let (_, found) = bob.get(&server, "/api/memory/search?query=door").await?;
    assert_eq!(found["items"], json!([]));
    for method in ["GET", "DELETE"] {
        let answer = bob.send(&server, method, &path, &Value::Null).await?;
        assert_eq!(refusal(&answer), (404, "not-found"), "{method}");
    }
    for below in ["/history", "/sources"] {
        let answer = bob.get(&server, &format!("{path}{below}")).await?;
        assert_eq!(refusal(&answer), (404, "not-found"), "{below}");
    }
    let answer = change(&server, &bob, &path, "1", &json!({"content": "x"})).await?;
    assert_eq!(refusal(&answer), (404, "not-found"));
    let answer = bob
        .send(
            &server,
            "POST",
            "/api/memory",
            &own(&ada, "Hello", json!({})),
        )
        .await?;
    assert_eq!(refusal(&answer), (404, "not-found"));
    let forget = json!({"ids": [made["id"]]});
    let answer = bob
        .send(&server, "POST", "/api/memory/forget", &forget)
        .await?;
    assert_eq!(refusal(&answer), (404, "not-found"));
    let source = json!({"sources": [{"type": "memory", "id": made["id"]}]});
    let answer = bob
        .send(&server, "POST", "/api/memory", &own(&bob, "Guess", source))
        .await?;
    assert_eq!(refusal(&answer), (422, "invalid-input"));
    Ok(())
}

#[tokio::test]
async fn the_same_text_is_noted_once_though_it_comes_three_times_at_once() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let new = own(&ada, "Ada prefers tea.", json!({}));
    let send = || ada.send(&server, "POST", "/api/memory", &new);
    let (a, b, c) = tokio::join!(send(), send(), send());
    let answers = [a?, b?, c?];
    let mut statuses = answers.each_ref().map(|answer| answer.0);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 201]);
    assert_eq!(answers[0].1["id"], answers[1].1["id"]);
    assert_eq!(answers[0].1["id"], answers[2].1["id"]);
    let (_, list) = ada.get(&server, "/api/memory").await?;
    assert_eq!(contents(&list), ["Ada prefers tea."]);
    Ok(())
}

#[tokio::test]
async fn a_change_makes_a_version_and_none_is_lost() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let more = json!({"tags": ["diet"], "importance": 0.75, "kind": "preference", "expires_at": "2099-01-01T00:00:00Z"});
    let made = note(&server, &ada, "Ada drinks coffee.", more).await?;
    let path = path(&made)?;
    let answer = ada
        .send(&server, "PATCH", &path, &json!({"content": "x"}))
        .await?;
    assert_eq!(refusal(&answer), (428, "precondition-required"));
    let (status, changed) = change(
        &server,
        &ada,
        &path,
        "1",
        &json!({"content": "Ada drinks tea."}),
    )
    .await?;
    assert_eq!(status, 200, "{changed}");
    let mut expected = made.clone();
    expected["content"] = json!("Ada drinks tea.");
    expected["version"] = json!(2);
    assert_eq!(changed, expected);
    let answer = change(&server, &ada, &path, "1", &json!({"tags": []})).await?;
    assert_eq!(refusal(&answer), (412, "version-mismatch"));
    // Of two writers with the same version, one wins.
    let changes = [json!({"importance": 0.1}), json!({"importance": 0.2})];
    let (one, other) = tokio::join!(
        change(&server, &ada, &path, "2", &changes[0]),
        change(&server, &ada, &path, "2", &changes[1])
    );
    let mut statuses = [one?.0, other?.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);

    let (_, history) = ada.get(&server, &format!("{path}/history")).await?;
    let texts: Vec<_> = history["items"]
        .as_array()
        .context("items")?
        .iter()
        .map(|v| &v["content"])
        .collect();
    assert_eq!(
        texts,
        ["Ada drinks tea.", "Ada drinks tea.", "Ada drinks coffee."]
    );
    let before = history["items"][1]["recorded_at"]
        .as_str()
        .context("a time")?;
    // Old words find the memory only as of then, and new ones only since.
    let at = |words: &str, time: Option<&str>| {
        let mut pairs = vec![("query", words.to_owned()), ("mode", "text".to_owned())];
        pairs.extend(time.map(|time| ("as_of", time.to_owned())));
        ada.request(&server, "GET", "/api/memory/search")
            .query(&pairs)
    };
    let created = made["created_at"].as_str().context("a time")?;
    for (words, time, found) in [
        ("coffee", None, false),
        ("tea", None, true),
        ("coffee", Some(created), true),
        ("tea", Some(created), false),
        ("tea", Some(before), true),
    ] {
        let (_, answer) = e2e::client::read(at(words, time).send().await?).await?;
        assert_eq!(
            !contents(&answer).is_empty(),
            found,
            "{words} {time:?}: {answer:#}"
        );
    }
    let archived = change(&server, &ada, &path, "3", &json!({"state": "archived"})).await?;
    assert_eq!(archived.1["state"], "archived", "{archived:?}");
    let (_, list) = ada.get(&server, "/api/memory").await?;
    assert_eq!(list["items"], json!([]));
    let (_, list) = ada.get(&server, "/api/memory?state=archived").await?;
    assert_eq!(contents(&list), ["Ada drinks tea."]);
    let active = change(&server, &ada, &path, "4", &json!({"state": "active"})).await?;
    assert_eq!(active.1["state"], "active");
    Ok(())
}

#[tokio::test]
async fn a_key_names_one_memory_and_a_second_one_supersedes_it() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let key = json!({"key": "address"});
    let first = note(&server, &ada, "Ada lives in Rome.", key.clone()).await?;
    let second = note(&server, &ada, "Ada lives in Oslo.", key).await?;
    let (_, first) = ada.get(&server, &path(&first)?).await?;
    assert_eq!(
        (&first["state"], &first["superseded_by"]),
        (&json!("superseded"), &second["id"])
    );
    assert!(first["valid_to"].is_string());
    let answer = change(&server, &ada, &path(&first)?, "1", &json!({"content": "x"})).await?;
    assert_eq!(refusal(&answer), (409, "memory-superseded"));
    let (_, list) = ada.get(&server, "/api/memory").await?;
    assert_eq!(contents(&list), ["Ada lives in Oslo."]);
    let (_, list) = ada.get(&server, "/api/memory?state=superseded").await?;
    assert_eq!(contents(&list), ["Ada lives in Rome."]);
    let then = format!(
        "/api/memory?as_of={}",
        first["created_at"].as_str().context("a time")?
    );
    let (_, list) = ada.get(&server, &then).await?;
    assert_eq!(contents(&list), ["Ada lives in Rome."]);
    // A stranger's word does not end what the account itself noted.
    let more = json!({"key": "address", "trust": "stranger"});
    let answer = ada
        .send(
            &server,
            "POST",
            "/api/memory",
            &own(&ada, "Ada lives in a trap.", more),
        )
        .await?;
    assert_eq!(refusal(&answer), (422, "invalid-input"));
    let (_, edges) = ada
        .get(&server, &format!("{}/sources", path(&second)?))
        .await?;
    assert_eq!(
        edges,
        json!({"made_from": [], "made_into": [], "superseded": [first["id"]]})
    );
    Ok(())
}

#[tokio::test]
async fn trust_is_inherited_and_never_raised() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let stranger = note(
        &server,
        &ada,
        "Somebody says the sky is green.",
        json!({"trust": "stranger"}),
    )
    .await?;
    let own_one = note(&server, &ada, "The sky is blue.", json!({})).await?;
    let from = |memories: &[&Value]| {
        let sources: Vec<_> = memories
            .iter()
            .map(|m| json!({"type": "memory", "id": m["id"]}))
            .collect();
        json!({"sources": sources, "trust": "own", "kind": "summary"})
    };
    let mixed = note(
        &server,
        &ada,
        "The sky has colours.",
        from(&[&stranger, &own_one]),
    )
    .await?;
    assert_eq!(mixed["trust"], "stranger");
    let further = note(&server, &ada, "Colours are up there.", from(&[&mixed])).await?;
    assert_eq!(further["trust"], "stranger");
    let plain = note(&server, &ada, "The sky is up there.", from(&[&own_one])).await?;
    assert_eq!(plain["trust"], "own");
    for trust in ["own", "tool"] {
        let answer = change(
            &server,
            &ada,
            &path(&further)?,
            "1",
            &json!({"trust": trust}),
        )
        .await?;
        assert_eq!(refusal(&answer), (422, "invalid-input"));
    }
    let answer = change(
        &server,
        &ada,
        &path(&further)?,
        "1",
        &json!({"kind": "procedure"}),
    )
    .await?;
    assert_eq!(refusal(&answer), (422, "invalid-input"));
    let lowered = change(
        &server,
        &ada,
        &path(&plain)?,
        "1",
        &json!({"trust": "tool"}),
    )
    .await?;
    assert_eq!(lowered.1["trust"], "tool");
    let (_, edges) = ada
        .get(&server, &format!("{}/sources", path(&own_one)?))
        .await?;
    let mut made_into = [mixed["id"].clone(), plain["id"].clone()];
    made_into.sort_by_key(ToString::to_string);
    assert_eq!(edges["made_into"], json!(made_into));
    let source = format!(
        "/api/memory?source=memory:{}",
        own_one["id"].as_str().context("id")?
    );
    let (_, list) = ada.get(&server, &source).await?;
    assert_eq!(
        contents(&list),
        ["The sky is up there.", "The sky has colours."]
    );
    for kind in ["document", "call", "message"] {
        let more = json!({"sources": [{"type": kind, "id": "nothing"}]});
        let (status, made) = ada
            .send(&server, "POST", "/api/memory", &own(&ada, kind, more))
            .await?;
        if kind == "document" {
            assert_eq!((status, &made["trust"]), (201, &json!("stranger")));
        } else {
            assert_eq!((status, &made["code"]), (422, &json!("invalid-input")));
        }
    }
    Ok(())
}

#[tokio::test]
async fn bad_input_is_refused_by_name_and_good_input_of_any_script_is_kept() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let post = async |body: Value| ada.send(&server, "POST", "/api/memory", &body).await;
    for (content, more, status, code) in [
        ("", json!({}), 422, "invalid-input"),
        (" \n", json!({}), 422, "invalid-input"),
        ("a\u{0}b", json!({}), 422, "invalid-input"),
        ("a", json!({"importance": 1.5}), 422, "invalid-input"),
        ("a", json!({"kind": "wish"}), 422, "invalid-input"),
        ("a", json!({"tags": ["\u{0}"]}), 422, "invalid-input"),
        ("a", json!({"key": ""}), 422, "invalid-input"),
        ("a", json!({"key": "\u{0}"}), 422, "invalid-input"),
        ("a", json!({"scope_id": null}), 422, "invalid-input"),
        ("a", json!({"scope": "global"}), 422, "invalid-input"),
        (
            "a",
            json!({"sources": [{"type": "memory", "id": "\u{0}"}]}),
            422,
            "invalid-input",
        ),
        ("a", json!({"mood": "good"}), 422, "invalid-input"),
        (
            "a",
            json!({"scope_id": "00000000-0000-0000-0000-000000000001"}),
            404,
            "not-found",
        ),
        ("a", json!({"scope": "circle"}), 404, "not-found"),
        ("a", json!({"scope": "conversation"}), 404, "not-found"),
        ("My password is hunter2!", json!({}), 422, "contains-secret"),
        (
            "a",
            json!({"tags": ["ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"]}),
            422,
            "contains-secret",
        ),
    ] {
        let answer = post(own(&ada, content, more.clone())).await?;
        assert_eq!(
            refusal(&answer),
            (status, code),
            "{content} {more}: {}",
            answer.1
        );
    }
    let answer = post(own(&ada, &"é".repeat(8193), json!({}))).await?;
    assert_eq!(refusal(&answer), (413, "body-too-large"));
    let largest = "é".repeat(8192);
    for content in [
        largest.as_str(),
        "即适者生存",
        "ฉันชอบกินข้าวผัด",
        "👩‍👩‍👧",
        "e\u{301}",
        "אני אוהב תה",
    ] {
        let made = note(&server, &ada, content, json!({})).await?;
        assert_eq!(made["content"], content);
    }
    // A half of a pair of surrogates is not a character.
    let request = ada
        .request(&server, "POST", "/api/memory")
        .header("content-type", "application/json");
    let body = format!(
        r#"{{"content": "\ud800", "scope": "agent", "scope_id": "{}"}}"#,
        ada.id
    );
    let response = request.body(body).send().await?;
    assert_eq!(response.status(), 400);
    let made = note(&server, &ada, "plain", json!({})).await?;
    for secret in ["AKIAIOSFODNN7EXAMPLE", "token = a1b2c3d4e5"] {
        let answer = change(
            &server,
            &ada,
            &path(&made)?,
            "1",
            &json!({"content": secret}),
        )
        .await?;
        assert_eq!(refusal(&answer), (422, "contains-secret"));
        let answer = change(
            &server,
            &ada,
            &path(&made)?,
            "1",
            &json!({"tags": [secret]}),
        )
        .await?;
        assert_eq!(refusal(&answer), (422, "contains-secret"));
    }
    Ok(())
}
