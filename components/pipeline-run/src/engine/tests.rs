//! Tests of bounds that take many steps.

use super::*;

/// A run that has begun nothing.
fn engine(definition: &Value, input: &Value) -> Engine {
    let definition = pipeline::check(definition).definition;
    let state = json!({
        "epoch": 1, "news": 0, "input": input, "account": Uuid::nil(), "pipeline": Uuid::nil(), "version": 1,
        "is_late": false, "is_paused": false, "is_admitted": true, "used": {}, "steps": [], "signals": [],
    });
    let state = serde_json::from_value(state).expect("a state");
    Engine::new(Uuid::nil(), definition.expect("a definition"), state)
}

#[test]
fn a_driver_commits_in_between_and_a_run_has_a_bounded_number_of_steps() {
    let inner = json!({"type": "map", "items": "item", "parallel": 64,
        "body": {"nodes": {"never": {"type": "transform", "value": 1, "when": "false"}}}});
    let lists = json!({"type": "map", "items": "item", "body": {"nodes": {"inner": inner}}});
    let outer = json!({"type": "map", "items": "input", "body": {"nodes": {"lists": lists}}});
    let input = json!(vec![vec![vec![1; 60]; 60]; 60]);
    let mut engine = engine(&json!({"nodes": {"outer": outer}}), &input);
    let (mut commits, mut total) = (0, 0);
    let ending = loop {
        let plan = engine.advance(true);
        let changes = engine.changes();
        let count = changes.as_array().map_or(0, Vec::len);
        assert!(count <= MAX_CHANGES + 200, "{count} changes in one commit");
        engine.committed();
        commits += 1;
        total += count;
        if let Some(ending) = plan.ending {
            break ending;
        }
        assert!(plan.goes_on, "it parks after {commits} commits");
    };
    assert_eq!(ending["error"]["code"], "too-many-items", "{ending}");
    assert!(total > MAX_STEPS && engine.steps.len() < MAX_STEPS + 200);
}
