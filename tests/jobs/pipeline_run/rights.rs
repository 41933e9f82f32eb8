//! What runs and schedules may do: no more than the credential that asked for them, and in their account's name.

use super::world::World;
use anyhow::{Context, Result, ensure};
use e2e::{agents::Agent, client::refusal};
use serde_json::{Value, json};

#[tokio::test]
async fn no_run_and_no_schedule_gets_more_than_its_credential() -> Result<()> {
    let world = World::new().await?;
    let server = &world.server;
    let scope = "pipelines:write pipelines:run schedules:write";
    let narrow = world.ada.with_scope(&server.database, scope).await?;
    let publish = async |name: &str, node: Value, scopes: Value| {
        let permissions = json!({"scopes": scopes, "http": ["https://pay.example"]});
        let definition = json!({"nodes": {"a": node}, "permissions": permissions});
        let new = json!({"name": name, "definition": definition});
        narrow.send(server, "POST", "/api/pipelines", &new).await
    };
    let computes = json!({"type": "transform", "value": 1});
    let talks = publish("talks", computes.clone(), json!(["chat:create"])).await?;
    assert_eq!(refusal(&talks), (403, "forbidden"));
    let pays = json!({"type": "action", "do": "http", "input":
        {"url": "https://pay.example/", "secret": "01990000-0000-7000-8000-000000000000"}});
    let pays = publish("pays", pays, json!([])).await?;
    assert_eq!(refusal(&pays), (403, "forbidden"));
    let computes = publish("computes", computes, json!([])).await?;
    assert_eq!(computes.0, 201, "{computes:?}");
    let version = json!({"definition": {"nodes": {"a": {"type": "transform", "value": 2}},
        "permissions": {"scopes": ["chat:create"]}}});
    let path = "/api/pipelines/computes/versions";
    let published = narrow.send(server, "POST", path, &version).await?;
    assert_eq!(refusal(&published), (403, "forbidden"));
    let published = world.call("POST", path, version).await?;
    assert_eq!(published.0, 201, "{published:?}");

    let posts = json!({"name": "posts", "at": ["2099-01-01T00:00:00Z"], "action": {"type": "call_api", "method": "POST",
        "url": "/api/posts", "body": {"title": "News", "body": "By a schedule."}}});
    for (who, expected) in [(&narrow, "failed"), (&world.ada, "succeeded")] {
        let made = who.send(server, "POST", "/api/schedules", &posts).await?;
        ensure!(made.0 == 201, "{made:?}");
        let path = format!("/api/schedules/{}", made.1["id"].as_str().context("id")?);
        world
            .call("POST", &format!("{path}/run"), json!({}))
            .await?;
        let list = world
            .until(&format!("{path}/firings"), |list| {
                !list["items"][0]["fired_at"].is_null() && list["items"][0]["status"] != "running"
            })
            .await?;
        assert_eq!(list["items"][0]["status"], expected, "{list}");
    }
    Ok(())
}

#[tokio::test]
async fn a_notice_names_who_sends_it_and_spares_who_has_blocked_it() -> Result<()> {
    let world = World::new().await?;
    let server = &world.server;
    let (bob, eve) = (
        Agent::sign_in(server, "bob", 2).await?,
        Agent::sign_in(server, "eve", 3).await?,
    );
    let team = world
        .call(
            "POST",
            "/api/teams",
            json!({"name": "crew", "display_name": "Crew"}),
        )
        .await?;
    ensure!(team.0 == 201, "{team:?}");
    let team = team.1["id"].as_str().context("a team")?.to_owned();
    for member in [&bob, &eve] {
        let path = format!("/api/teams/{team}/members/{}", member.id);
        let put = world.call("PUT", &path, json!({"role": "member"})).await?;
        ensure!(put.0 < 300, "{put:?}");
    }
    let block = format!("/api/blocks/{}", world.ada.id);
    let blocked = bob
        .send(server, "PUT", &block, &json!({"kind": "block"}))
        .await?;
    ensure!(blocked.0 < 300, "{blocked:?}");
    let to = json!([world.ada.id, bob.id, eve.id]);
    let tell =
        json!({"type": "action", "do": "notify", "input": {"to": to, "title": "Your account"}});
    let run = world
        .start("tells", json!({"nodes": {"tell": tell}}), json!(null))
        .await?;
    assert_eq!(world.ended(&run).await?["status"], "succeeded");
    let action = json!({"type": "send_notification", "to": to, "title": "Your account"});
    let schedule = json!({"name": "tells", "at": ["2099-01-01T00:00:00Z"], "action": action});
    let made = world.call("POST", "/api/schedules", schedule).await?;
    let path = format!(
        "/api/schedules/{}/run",
        made.1["id"].as_str().context("id")?
    );
    let fired = world.call("POST", &path, json!({})).await?;
    ensure!(fired.0 == 202, "{fired:?}");
    for (who, by) in [
        (&world.ada, Some(Value::Null)),
        (&bob, None),
        (&eve, Some(json!(world.ada.id))),
    ] {
        let inbox = who.get(server, "/api/inbox").await?.1;
        let items = inbox["items"].as_array().context("items")?.iter();
        let told: Vec<_> = items
            .filter(|item| item["title"] == "Your account")
            .map(|item| item["by"].get("id").unwrap_or(&item["by"]).clone())
            .collect();
        let expected: Vec<_> = by.into_iter().flat_map(|by| [by.clone(), by]).collect();
        assert_eq!(told, expected, "{inbox}");
    }
    Ok(())
}

#[tokio::test]
async fn another_name_moves_no_time() -> Result<()> {
    let world = World::new().await?;
    let action = json!({"type": "send_notification", "to": [world.ada.id], "title": "Tick"});
    let schedule = json!({"name": "hourly", "every_ms": 3_600_000, "action": action});
    let (status, made) = world.call("POST", "/api/schedules", schedule).await?;
    ensure!(status == 201, "{made}");
    let path = format!("/api/schedules/{}", made["id"].as_str().context("id")?);
    let changed = world
        .call("PATCH", &path, json!({"name": "each hour"}))
        .await?;
    assert_eq!(
        (changed.0, &changed.1["name"], &changed.1["next_at"]),
        (200, &json!("each hour"), &made["next_at"]),
        "{changed:?}"
    );
    // One whose times are over keeps a name that can be changed.
    world
        .server
        .database
        .execute("update pipelines.schedule set due_at = null, next_at = null, times = times || '{\"every_ms\": null, \"at\": [1000]}'")
        .await?;
    let changed = world.call("PATCH", &path, json!({"name": "over"})).await?;
    assert_eq!(
        (changed.0, &changed.1["next_at"]),
        (200, &Value::Null),
        "{changed:?}"
    );
    let again = world
        .call("PATCH", &path, json!({"every_ms": 60_000}))
        .await?;
    assert_eq!(again.0, 200, "{again:?}");
    assert!(!again.1["next_at"].is_null(), "{again:?}");
    Ok(())
}
