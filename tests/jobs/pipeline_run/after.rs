//! What follows when something has ended or is in doubt: `finally`, verification, and waiting for events.

use super::world::{World, transform};
use anyhow::{Context, Result};
use e2e::{
    Server,
    client::refusal,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};

#[tokio::test]
async fn finally_runs_however_the_run_ends() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({
        "nodes": {"a": transform("12 / input"), "open": {"type": "wait", "any": [{"signal": "never"}], "when": "input == 0"}},
        "result": {"$": "nodes.a.output"},
        "finally": {"nodes": {
            "told": {"type": "transform", "value": {"status": {"$": "run.status"}, "a": {"$": "nodes.a.output"}}},
            "hold": {"type": "wait", "any": [{"signal": "go"}], "when": "input == 0"},
            "fails": {"type": "transform", "value": {"$": "1 / (input - 1)"}}}},
    });
    let mut runs = Vec::new();
    for (name, input) in [("whole", 3), ("fails", 0), ("late", 1)] {
        runs.push(world.start(name, definition.clone(), json!(input)).await?);
    }
    let whole = world.ended(&runs[0]).await?;
    assert_eq!(
        (&whole["status"], &whole["result"]),
        (&json!("succeeded"), &json!(4)),
        "{whole}"
    );
    let path = format!("{}/steps/finally.told", runs[0]);
    let (_, told) = world.ada.get(&world.server, &path).await?;
    assert_eq!(told["output"], json!({"status": "succeeded", "a": 4}));

    // What was open when the run failed is cancelled, and the run ends when the last step has.
    let waiting = world
        .until(&runs[1], |run| {
            run["waiting_for"] == json!(["finally", "finally.hold"]) && run["status"] == "waiting"
        })
        .await?;
    assert!(waiting["finished_at"].is_null(), "{waiting}");
    let go = format!("{}/signals/go", runs[1]);
    world.call("POST", &go, json!({})).await?;
    let failed = world.ended(&runs[1]).await?;
    assert_eq!(
        (&failed["status"], &failed["error"]["step"]),
        (&json!("failed"), &json!("a")),
        "{failed}"
    );
    let statuses = world.statuses(&runs[1]).await?;
    assert_eq!(
        (&statuses["open"], &statuses["finally.told"]),
        (&json!("cancelled"), &json!("succeeded")),
        "{statuses}"
    );
    // A failure there fails what had succeeded.
    let late = world.ended(&runs[2]).await?;
    assert_eq!(
        (&late["status"], &late["error"]["step"]),
        (&json!("failed"), &json!("finally.fails")),
        "{late}"
    );
    let refused =
        json!({"nodes": {"a": transform("1")}, "finally": {"nodes": {"a": transform("2")}}});
    let new = json!({"name": "twice", "definition": refused});
    let refused = world.call("POST", "/api/pipelines", new).await?;
    assert_eq!(refusal(&refused), (422, "invalid-definition"));
    assert_eq!(refused.1["problems"][0]["path"], "finally.nodes.a");
    Ok(())
}

#[tokio::test]
async fn a_wait_ends_by_an_event_that_fits() -> Result<()> {
    let world = World::new().await?;
    let own = format!("account:{}", world.ada.id);
    let says = json!({"nodes": {"say": {"type": "action", "do": "event",
        "input": {"type": "custom.go", "topic": own, "data": {"n": {"$": "input"}}}}}});
    let waits = json!({
        "nodes": {
            "first": transform("[7]"),
            "each": {"type": "map", "items": "nodes.first.output", "body": {"nodes": {"hold": {"type": "wait", "any": [
                {"signal": "never"},
                {"event": "custom.*", "topic": own, "where": "event.data.n == item && input == 'x'"}]}}}},
        },
        "edges": [{"from": "first", "to": "each"}],
        "result": {"$": "nodes.each.output[0].output"},
    });
    let run = world.start("waits", waits, json!("x")).await?;
    let is_waiting = |run: &Value| {
        run["status"] == "waiting" && run["waiting_for"] == json!(["each", "each[0].hold"])
    };
    world.until(&run, is_waiting).await?;
    let said = world.start("says", says, json!(6)).await?;
    world.ended(&said).await?;
    let again = json!({"input": 7});
    let (_, said) = world
        .call("POST", "/api/pipelines/says/runs", again)
        .await?;
    assert!(said["id"].is_string(), "{said}");
    let ended = world.ended(&run).await?;
    assert_eq!(
        (&ended["result"]["which"], &ended["result"]["data"]["data"]),
        (&json!(1), &json!({"n": 7})),
        "{ended}"
    );

    // An expression that fails ends the step, and a run that is cancelled waits for nothing any more.
    let odd = |condition: &str| json!({"nodes": {"hold": {"type": "wait", "any": [{"event": "custom.go", "where": condition}]}}});
    let bad = world
        .start("odd", odd("event.data.n > 'x'"), json!(null))
        .await?;
    world.waits(&bad, "hold").await?;
    let other = world.start("other", odd("false"), json!(null)).await?;
    world.waits(&other, "hold").await?;
    world
        .call("POST", "/api/pipelines/says/runs", json!({"input": 1}))
        .await?;
    let failed = world.ended(&bad).await?;
    assert_eq!(failed["error"]["code"], "expression-failed", "{failed}");
    world
        .call("POST", &format!("{other}/cancel"), json!({}))
        .await?;
    let left = "select count(*) from events.subscription where name like 'wait:%'";
    assert_eq!(world.number(left).await?, 0);
    for any in [
        json!([{"event": "A B"}]),
        json!([{"event": "a.b", "topic": "nonsense"}]),
        json!([{"event": "a.b", "where": "1 +"}]),
        json!([{"event": "a.b", "until": "1"}]),
    ] {
        let definition = json!({"nodes": {"hold": {"type": "wait", "any": any}}});
        let new = json!({"name": "refused", "definition": definition});
        let refused = world.call("POST", "/api/pipelines", new).await?;
        assert_eq!(refusal(&refused), (422, "invalid-definition"), "{any}");
    }
    Ok(())
}

#[tokio::test]
async fn an_uncertain_request_is_verified_before_somebody_is_asked() -> Result<()> {
    // Each is asked by POST first, which breaks off. Then somebody looks: it has arrived, it has not, nobody knows.
    let arrived = Receiver::start(|count| match count {
        0 => Answer::Reset,
        _ => Answer::status(200),
    })
    .await?;
    let missing = Receiver::start(|count| match count {
        0 => Answer::Reset,
        1 => Answer::status(404),
        _ => Answer::status(201),
    })
    .await?;
    let away = Receiver::start(|count| match count {
        0 => Answer::Reset,
        _ => Answer::status(503),
    })
    .await?;
    let origins: Vec<String> = [&arrived, &missing, &away]
        .iter()
        .map(|target| format!("http://{}", target.address))
        .collect();
    let allowed: Vec<&str> = origins.iter().map(String::as_str).collect();
    let world = World::over(Server::letting_out(&allowed).await?).await?;
    let mut runs = Vec::new();
    for (name, origin) in ["arrived", "missing", "away"].iter().zip(&origins) {
        let url = format!("{origin}/pay");
        let definition = json!({
            "nodes": {"pay": {"type": "action", "do": "http", "private": true,
                "input": {"method": "POST", "url": url, "body": {"sum": 1}},
                "verify": {"do": "http", "input": {"url": url}, "arrived": "item.status == 200",
                    "value": {"found": {"$": "item.status"}}}}},
            "result": {"$": "nodes.pay.output"},
            "permissions": {"http": [origin]},
        });
        runs.push(world.start(name, definition, json!(null)).await?);
    }
    let ended = world.ended(&runs[0]).await?;
    assert_eq!(ended["result"], json!({"found": 200}), "{ended}");
    assert_eq!(arrived.count(), 2, "it was not sent again");
    let ended = world.ended(&runs[1]).await?;
    assert_eq!(ended["result"]["status"], 201, "{ended}");
    assert_eq!(missing.count(), 3);
    world.waits(&runs[2], "pay").await?;
    let (_, inbox) = world.ada.get(&world.server, "/api/inbox?kind=run").await?;
    assert_eq!(
        inbox["items"].as_array().map(Vec::len),
        Some(1),
        "only about the last one: {inbox}"
    );
    let resolve = format!("{}/steps/pay/resolve", runs[2]);
    let answer = world
        .call("POST", &resolve, json!({"outcome": "retry"}))
        .await?;
    assert_eq!(answer.0, 200, "{answer:?}");
    // It is private what the server has answered.
    let failed = world.ended(&runs[2]).await?;
    let detail = failed["error"]["detail"].as_str().context("detail")?;
    assert!(
        failed["error"]["code"] == "http-status" && !detail.contains("503"),
        "{failed}"
    );
    let unfit = json!({"nodes": {"a": {"type": "transform", "value": 1,
        "verify": {"do": "http", "input": {"url": "https://example.org", "method": "POST"}, "arrived": "true"}}}});
    let new = json!({"name": "unfit", "definition": unfit});
    let refused = world.call("POST", "/api/pipelines", new).await?;
    assert_eq!(refusal(&refused), (422, "invalid-definition"));
    Ok(())
}
