//! What the database refuses fails the step that asks for it, and what can be known before is refused at publishing.

use super::world::{World, transform};
use anyhow::Result;
use e2e::client::refusal;
use serde_json::{Value, json};

#[tokio::test]
async fn what_the_database_refuses_fails_a_step_and_not_every_commit() -> Result<()> {
    let world = World::new().await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query("alter table pipelines.step add constraint step_odd check (path <> 'odd' or status <> 'succeeded')")
        .execute(&mut database)
        .await?;
    let definition = json!({
        "nodes": {"a": transform("1"), "odd": transform("1"), "after": transform("nodes.odd.error.code"),
            "zero": {"type": "transform", "value": {"$": "'a\\u0000'"}, "on_error": "continue"},
            "many": {"type": "transform", "value": [{"$": "input"}, {"$": "input"}, {"$": "input"}], "on_error": "continue"}},
        "edges": [{"from": "odd", "to": "after", "on": "error"}],
        "result": {"$": "[nodes.after.output, nodes.zero.error.code, nodes.many.error.code]"},
    });
    let input = json!("x".repeat(400_000));
    let run = world.start("refused", definition, input).await?;
    let ended = world.ended(&run).await?;
    assert_eq!(
        ended["result"],
        json!(["output-invalid", "output-invalid", "output-too-large"]),
        "{}",
        ended["error"]
    );
    let odd = format!("{run}/steps/odd");
    let (_, odd) = world.ada.get(&world.server, &odd).await?;
    let detail = odd["error"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("step-odd"), "{odd}");
    let statuses = world.statuses(&run).await?;
    assert_eq!(
        (&statuses["a"], &statuses["odd"]),
        (&json!("succeeded"), &json!("failed")),
        "{statuses}"
    );
    for (node, path) in [
        (
            json!({"type": "wait", "any": [{"event": "custom.2fa"}]}),
            "nodes.a.any[0].event",
        ),
        (
            json!({"type": "approval", "who": world.ada.id, "need": 3_000_000_000_u32}),
            "nodes.a.need",
        ),
        (
            json!({"type": "pipeline", "pipeline": "refused", "version": 3_000_000_000_u32}),
            "nodes.a.version",
        ),
    ] {
        let new = json!({"name": "odd", "definition": {"nodes": {"a": node}}});
        let refused = world.call("POST", "/api/pipelines", new).await?;
        assert_eq!(refusal(&refused), (422, "invalid-definition"), "{path}");
        assert_eq!(refused.1["problems"][0]["path"], path, "{refused:?}");
    }
    let zero = json!({"name": "zero", "definition": {"nodes": {"a": {"type": "transform", "value": "a\u{0}"}}}});
    let refused = world.call("POST", "/api/pipelines", zero).await?;
    assert_eq!(refused.0, 422, "{refused:?}");
    let outputs = json!({"from": "after", "outputs": {"a": "a\u{0}"}});
    let refused = world
        .call("POST", &format!("{run}/restart"), outputs)
        .await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    let trigger = json!({"kind": "event", "type": "custom.2fa"});
    let refused = world
        .call("POST", "/api/pipelines/refused/triggers", trigger)
        .await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    Ok(())
}
