//! Runs that are cancelled while they are sending something, and what comes too late.

use super::world::{World, transform};
use anyhow::{Context, Result};
use e2e::{
    Server,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};

#[tokio::test]
async fn what_is_being_sent_has_five_seconds_and_finally_runs() -> Result<()> {
    // It never answers.
    let target = Receiver::start(|_| Answer::Silence).await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let send = json!({"type": "action", "do": "http", "timeout_ms": 12_000,
        "input": {"url": format!("{origin}/a")}});
    let child = json!({"nodes": {"send": send}, "permissions": {"http": [origin]}});
    let new = json!({"name": "child", "definition": child});
    assert_eq!(world.call("POST", "/api/pipelines", new).await?.0, 201);
    let parent = json!({"nodes": {"call": {"type": "pipeline", "pipeline": "child"}},
        "finally": {"nodes": {"told": transform("run.status")}}});
    let run = world.start("parent", parent, json!(null)).await?;
    target.until(1).await?;
    world.waits(&run, "call").await?;
    let (_, step) = world
        .ada
        .get(&world.server, &format!("{run}/steps/call"))
        .await?;
    let child = format!("/api/runs/{}", step["child"].as_str().context("child")?);
    let reason = json!({"reason": "Enough."});
    let (status, cancelling) = world.call("POST", &format!("{run}/cancel"), reason).await?;
    assert_eq!(
        (status, &cancelling["status"]),
        (202, &json!("cancelling")),
        "{cancelling}"
    );
    let ended = world.ended(&run).await?;
    assert_eq!(
        (&ended["status"], &ended["error"]["detail"]),
        (&json!("cancelled"), &json!("Enough.")),
        "{ended}"
    );
    assert_eq!(world.ended(&child).await?["status"], "cancelled");
    assert_eq!(output(&world, &run, "finally.told").await?, "cancelled");
    let (_, late) = world
        .ada
        .get(&world.server, &format!("{child}/steps/send"))
        .await?;
    assert_eq!(late["status"], "cancelled", "{late}");
    // Its request gives up later, which is noted and has no other effect.
    let is_noted = |step: &Value| step["late"]["outcome"] == "unknown";
    let noted = world
        .until(&format!("{child}/steps/send"), is_noted)
        .await?;
    assert_eq!(noted["status"], "cancelled", "{noted}");

    // By force, at once. Without anything that is being sent, `finally` has its time.
    let (_, again) = world
        .call("POST", "/api/pipelines/child/runs", json!({}))
        .await?;
    let again = format!("/api/runs/{}", again["id"].as_str().context("id")?);
    target.until(2).await?;
    let force = json!({"force": true});
    let (_, forced) = world
        .call("POST", &format!("{again}/cancel"), force)
        .await?;
    assert_eq!(forced["status"], "cancelled", "{forced}");
    let holds = json!({"nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}},
        "finally": {"nodes": {"told": transform("run.status + ': ' + run.error.detail")}}});
    let held = world.start("holds", holds, json!(null)).await?;
    world.waits(&held, "hold").await?;
    let reason = json!({"reason": "Late."});
    world
        .call("POST", &format!("{held}/cancel"), reason)
        .await?;
    assert_eq!(world.ended(&held).await?["status"], "cancelled");
    let path = format!("{held}/steps/finally.told");
    let (_, told) = world.ada.get(&world.server, &path).await?;
    assert_eq!(told["output"], "cancelled: Late.", "{told}");
    Ok(())
}

async fn output(world: &World, run: &str, step: &str) -> Result<Value> {
    let path = format!("{run}/steps/{step}");
    Ok(world.ada.get(&world.server, &path).await?.1["output"].take())
}

/// A graph that says how the run ends, and then waits for the signal `go`.
fn closing() -> Value {
    json!({"timeout_ms": 600_000, "nodes": {"told": transform("run.status"), "rest": {"type": "wait", "any": [{"signal": "go"}]}}})
}

#[tokio::test]
async fn finally_has_its_own_time_when_what_is_open_is_given_up() -> Result<()> {
    let target = Receiver::start(|_| Answer::Silence).await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let hold = json!({"type": "wait", "any": [{"signal": "never"}]});
    // The run has reached its time-out while it was sending.
    let send = json!({"type": "action", "do": "http", "input": {"url": format!("{origin}/a")}});
    let late = json!({"nodes": {"send": send, "hold": hold}, "timeout_ms": 1_500, "finally": closing(),
        "permissions": {"http": [origin]}});
    let late = world.start("late", late, json!(null)).await?;
    // `finally` has reached its own.
    let slow = json!({"nodes": {"a": transform("1")},
        "finally": {"timeout_ms": 300, "nodes": {"rest": hold}}});
    let slow = world.start("slow", slow, json!(null)).await?;
    let closes = json!({"nodes": {"hold": hold}, "finally": closing(), "concurrency": {"on_limit": "cancel"}});
    let forced = world.start("closes", closes, json!(null)).await?;
    // The step has, and so its child is cancelled.
    let parent =
        json!({"nodes": {"call": {"type": "pipeline", "pipeline": "closes", "timeout_ms": 300}}});
    world.waits(&forced, "hold").await?;

    let force = json!({"force": true});
    let cancel = format!("{forced}/cancel");
    let (_, now) = world.call("POST", &cancel, force.clone()).await?;
    assert_eq!(now["status"], "cancelling", "{now}");
    let closing = |run: &Value| run["waiting_for"] == json!(["finally", "finally.rest"]);
    world.until(&forced, closing).await?;
    assert_eq!(world.statuses(&forced).await?["hold"], "cancelled");
    assert_eq!(output(&world, &forced, "finally.told").await?, "cancelled");
    // A run with the same key begins when that has ended, and force ends `finally`, too.
    let parent = world.start("parent", parent, json!(null)).await?;
    let failed = world.ended(&parent).await?;
    assert_eq!(failed["error"]["code"], "timeout", "{failed}");
    let (_, step) = world
        .ada
        .get(&world.server, &format!("{parent}/steps/call"))
        .await?;
    let child = format!("/api/runs/{}", step["child"].as_str().context("child")?);
    assert_eq!(world.ended(&child).await?["status"], "cancelled");
    assert_eq!(world.statuses(&child).await?, json!({}), "it had not begun");
    let (_, next) = world
        .call("POST", "/api/pipelines/closes/runs", json!({}))
        .await?;
    let next = format!("/api/runs/{}", next["id"].as_str().context("id")?);
    world
        .until(&next, |run| {
            run["status"] == "waiting" && run["waiting_for"] == json!([])
        })
        .await?;
    let (_, now) = world.call("POST", &cancel, force).await?;
    assert_eq!(now["status"], "cancelled", "{now}");
    world.waits(&next, "hold").await?;
    // So it is when its pipeline is archived.
    let archive = "/api/pipelines/closes?cancel=true";
    assert_eq!(world.call("DELETE", archive, json!(null)).await?.0, 204);
    let now = world.until(&next, closing).await?;
    assert_eq!(now["status"], "cancelling", "{now}");
    world
        .call("POST", &format!("{next}/signals/go"), json!({}))
        .await?;
    let ended = world.ended(&next).await?;
    assert_eq!(
        (&ended["status"], &ended["error"]["detail"]),
        (&json!("cancelled"), &json!("The pipeline was archived.")),
        "{ended}"
    );

    let now = world.until(&late, closing).await?;
    assert_eq!(now["status"], "waiting", "{now}");
    assert_eq!(output(&world, &late, "finally.told").await?, "timed_out");
    world
        .call("POST", &format!("{late}/signals/go"), json!({}))
        .await?;
    let ended = world.ended(&late).await?;
    assert_eq!(
        (&ended["status"], &ended["error"]["code"]),
        (&json!("timed_out"), &json!("timeout")),
        "{ended}"
    );
    let statuses = world.statuses(&late).await?;
    assert_eq!(
        (&statuses["send"], &statuses["hold"], &statuses["finally"]),
        (
            &json!("timed_out"),
            &json!("timed_out"),
            &json!("succeeded")
        ),
        "{statuses}"
    );
    let ended = world.ended(&slow).await?;
    assert_eq!(
        (
            &ended["status"],
            &ended["error"]["code"],
            &ended["error"]["step"]
        ),
        (&json!("failed"), &json!("timeout"), &json!("finally")),
        "{ended}"
    );
    let statuses = world.statuses(&slow).await?;
    assert_eq!(
        (&statuses["finally"], &statuses["finally.rest"]),
        (&json!("timed_out"), &json!("timed_out")),
        "{statuses}"
    );
    Ok(())
}
