//! Personas: versions that never change, and who may use them.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};

async fn signed_in() -> Result<(Server, Agent, Agent)> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    Ok((server, ada, bob))
}

#[tokio::test]
async fn a_change_makes_a_version_and_old_ones_stay() -> Result<()> {
    let (server, ada, _) = signed_in().await?;
    let new =
        json!({"name": "critic", "instructions": "Find faults.", "tools": [{"use": "api:search"}]});
    let (status, first) = ada.send(&server, "POST", "/api/personas", &new).await?;
    assert_eq!((status, &first["version"]), (201, &json!(1)), "{first:#}");
    let path = format!("/api/personas/{}", first["id"].as_str().context("id")?);
    let change = json!({"instructions": "Find faults, kindly."});
    let (status, second) = ada.send(&server, "PATCH", &path, &change).await?;
    assert_eq!((status, &second["version"]), (200, &json!(2)), "{second:#}");
    assert_ne!(first["digest"], second["digest"]);
    assert_eq!(second["tools"], first["tools"], "what is absent stays");
    let (_, same) = ada
        .send(&server, "PATCH", &path, &json!({"visibility": "public"}))
        .await?;
    assert_eq!(
        (&same["version"], &same["visibility"]),
        (&json!(2), &json!("public"))
    );
    let (_, old) = ada.get(&server, &format!("{path}/versions/1")).await?;
    assert_eq!(
        (&old["instructions"], &old["digest"]),
        (&json!("Find faults."), &first["digest"])
    );
    assert_eq!(
        ada.get(&server, &format!("{path}/versions/3")).await?.0,
        404
    );
    let changed = server
        .database
        .execute("update circles.persona_version set digest = 'x' where number = 1")
        .await;
    assert!(changed.is_err(), "versions never change");
    Ok(())
}

#[tokio::test]
async fn personas_are_found_by_their_names_and_descriptions() -> Result<()> {
    let (server, ada, bob) = signed_in().await?;
    let new = json!({"name": "weatherman", "description": "Tells how the Sky is."});
    ada.send(&server, "POST", "/api/personas", &new).await?;
    let found = async |who: &Agent, query: &str| -> Result<Vec<String>> {
        let path = format!("/api/personas?query={query}");
        let (status, page) = who.get(&server, &path).await?;
        assert_eq!(status, 200, "{page:#}");
        let items = page["items"].as_array().context("items")?.iter();
        Ok(items
            .filter_map(|one| one["name"].as_str().map(str::to_owned))
            .collect())
    };
    for (query, expected) in [
        ("search", vec!["researcher"]),
        ("RESEARCH", vec!["researcher"]),
        ("the%20sky", vec!["weatherman"]),
        ("therm", vec!["weatherman"]),
        ("%25", vec![]),
    ] {
        assert_eq!(found(&ada, query).await?, expected, "{query}");
    }
    assert_eq!(found(&bob, "weather").await?, Vec::<String>::new());
    assert_eq!(found(&ada, &"x".repeat(200)).await?, Vec::<String>::new());
    let long = format!("/api/personas?query={}", "x".repeat(201));
    assert_eq!(ada.get(&server, &long).await?.0, 422);
    Ok(())
}

#[tokio::test]
async fn private_personas_are_nobody_elses() -> Result<()> {
    let (server, ada, bob) = signed_in().await?;
    let new = json!({"name": "secret", "instructions": "Keep secrets."});
    let (_, made) = ada.send(&server, "POST", "/api/personas", &new).await?;
    let path = format!("/api/personas/{}", made["id"].as_str().context("id")?);
    for (method, body) in [
        ("GET", Value::Null),
        ("PATCH", json!({"lore": "x"})),
        ("DELETE", Value::Null),
    ] {
        assert_eq!(
            bob.send(&server, method, &path, &body).await?.0,
            404,
            "{method}"
        );
    }
    let (_, list) = bob.get(&server, "/api/personas?query=sec").await?;
    assert_eq!(list["items"], json!([]));
    ada.send(&server, "PATCH", &path, &json!({"visibility": "public"}))
        .await?;
    assert_eq!(bob.get(&server, &path).await?.0, 200);
    assert_eq!(
        bob.send(&server, "PATCH", &path, &json!({"lore": "x"}))
            .await?
            .0,
        403
    );
    assert_eq!(
        bob.send(&server, "DELETE", &path, &Value::Null).await?.0,
        403
    );
    assert_eq!(
        ada.send(&server, "DELETE", &path, &Value::Null).await?.0,
        204
    );
    assert_eq!(bob.get(&server, &path).await?.0, 404);
    Ok(())
}

/// Whoever wrote a persona could otherwise give it tools later, which others' agents would use.
#[tokio::test]
async fn a_seat_keeps_a_strangers_persona_as_it_was_and_follows_ones_own() -> Result<()> {
    let (server, ada, bob) = signed_in().await?;
    let new = json!({"name": "helper", "instructions": "Help.", "visibility": "public"});
    let (_, made) = bob.send(&server, "POST", "/api/personas", &new).await?;
    let persona = made["id"].as_str().context("id")?;
    for (who, circle) in [(&ada, "strange"), (&bob, "own")] {
        let new = json!({"name": circle, "purpose": "Talk.", "mode": "mention"});
        let (status, made) = who.send(&server, "POST", "/api/circles", &new).await?;
        assert_eq!(status, 201, "{made:#}");
        let path = format!("/api/circles/{circle}/members");
        let (status, seat) = who
            .send(&server, "POST", &path, &json!({"persona": persona}))
            .await?;
        assert_eq!(
            (status, &seat["persona"]["version"]),
            (201, &json!(1)),
            "{seat:#}"
        );
    }
    let path = format!("/api/personas/{persona}");
    let change = json!({"tools": [{"use": "api:create_post", "approval": "never"}]});
    let (status, _) = bob.send(&server, "PATCH", &path, &change).await?;
    assert_eq!(status, 200);
    for (who, circle, expected) in [(&ada, "strange", 1), (&bob, "own", 2)] {
        let (_, members) = who
            .get(&server, &format!("/api/circles/{circle}/members"))
            .await?;
        let members = members["items"].as_array().context("items")?;
        let version = members
            .iter()
            .find_map(|one| one["persona"]["version"].as_u64());
        assert_eq!(version, Some(expected), "{members:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn ten_personas_come_along() -> Result<()> {
    let (server, ada, _) = signed_in().await?;
    let (_, list) = ada.get(&server, "/api/personas?limit=100").await?;
    let items = list["items"].as_array().context("items")?;
    assert_eq!(items.len(), 10);
    for one in items {
        assert_eq!(
            (&one["owner"], &one["visibility"]),
            (&Value::Null, &json!("public")),
            "{one:#}"
        );
        // Each could be saved as somebody's own.
        let own = json!({"name": one["name"], "description": one["description"], "instructions": one["instructions"],
            "tools": one.get("tools").cloned().unwrap_or_else(|| json!([]))});
        let (status, made) = ada.send(&server, "POST", "/api/personas", &own).await?;
        assert_eq!(status, 201, "{made:#}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_malformed_is_refused_by_its_field() -> Result<()> {
    let (server, ada, _) = signed_in().await?;
    for (new, field) in [
        (json!({"instructions": "x"}), "name"),
        (json!({"name": "A b"}), "name"),
        (
            json!({"name": "good", "instructions": "x".repeat(70_000)}),
            "instructions",
        ),
        (
            json!({"name": "good", "limits": {"steps": 0}}),
            "limits.steps",
        ),
        (json!({"name": "good", "memory": {}}), "memory"),
    ] {
        let (status, refused) = ada.send(&server, "POST", "/api/personas", &new).await?;
        assert_eq!(
            (status, &refused["code"]),
            (422, &json!("invalid-input")),
            "{refused:#}"
        );
        let told = refused.to_string();
        assert!(told.contains(field), "{field}: {told}");
    }
    let new = json!({"name": "twice"});
    assert_eq!(
        ada.send(&server, "POST", "/api/personas", &new).await?.0,
        201
    );
    let (status, refused) = ada.send(&server, "POST", "/api/personas", &new).await?;
    assert_eq!((status, &refused["code"]), (409, &json!("name-taken")));
    Ok(())
}
