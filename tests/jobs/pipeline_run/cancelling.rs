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
