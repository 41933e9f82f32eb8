//! Turns over a provider that speaks Anthropic's protocol, and that refuses calls without results as real ones do.

use anyhow::Result;
use e2e::errands::quick;
use e2e::models::{Asked, Say};
use serde_json::{Value, json};

use super::world::{World, body, with};

/// Whether each call of a tool is followed at once by its result, and nothing else is a result.
fn are_paired(messages: &[Value]) -> bool {
    let ids = |message: Option<&Value>, kind: &str, name: &str| -> Vec<Value> {
        let content = message.and_then(|message| message["content"].as_array());
        let blocks = content.into_iter().flatten();
        let blocks = blocks.filter(|block| block["type"] == kind);
        blocks.map(|block| block[name].clone()).collect()
    };
    (0..=messages.len()).all(|at| {
        let before = at.checked_sub(1).and_then(|at| messages.get(at));
        let asked = ids(before, "tool_use", "id");
        asked == ids(messages.get(at), "tool_result", "tool_use_id")
    })
}

/// A stream of events.
fn stream(blocks: &[Value], stop: &str) -> Say {
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 25, "output_tokens": 1}}}),
    ];
    for (index, block) in blocks.iter().enumerate() {
        let (empty, delta) = match block["type"].as_str() {
            Some("text") => (
                json!({"type": "text", "text": ""}),
                json!({"type": "text_delta", "text": block["text"]}),
            ),
            _ => (
                json!({"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}),
                json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}),
            ),
        };
        events.extend([
            json!({"type": "content_block_start", "index": index, "content_block": empty}),
            json!({"type": "content_block_delta", "index": index, "delta": delta}),
            json!({"type": "content_block_stop", "index": index}),
        ]);
    }
    events.extend([
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
            "usage": {"output_tokens": 15}}),
        json!({"type": "message_stop"}),
    ]);
    let lines = events.iter().map(|event| {
        let name = event["type"].as_str().unwrap_or_default();
        format!("event: {name}\ndata: {event}\n\n")
    });
    Say::stream(&lines.collect::<String>())
}

/// What the model says: it asks for two calls, of which one makes no sense, then for one, and is done.
fn script(asked: &Asked) -> Say {
    let body = body(asked);
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    if asked.path != "/v1/messages" || !are_paired(&messages) {
        let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "unpaired"}});
        return Say::Whole(400, vec![], error.to_string());
    }
    let results = json!(messages).to_string().matches("tool_result").count();
    let call = |id: &str, name: &str, input: Value| json!({"type": "tool_use", "id": id, "name": name, "input": input});
    let text = |text: &str| json!({"type": "text", "text": text});
    match results {
        0 => stream(
            &[
                text("I look."),
                call("toolu_1", "who_am_i", json!({})),
                call("toolu_2", "nothing", json!({"a": 1})),
            ],
            "tool_use",
        ),
        2 => stream(
            &[call("toolu_3", "search", json!({"query": "news"}))],
            "tool_use",
        ),
        _ => stream(&[text("Nothing new.")], "end_turn"),
    }
}

#[tokio::test]
async fn a_turn_goes_through_anthropics_protocol_with_its_tools() -> Result<()> {
    let world = World::without_worker(|asked, _| script(asked)).await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query("select llm.put_platform_provider('claude', 'anthropic', $1, null)")
        .bind(&world.models.url)
        .execute(&mut database)
        .await?;
    sqlx::query("select llm.keep_platform_providers(array['claude'], $1)")
        .bind(json!({"default": {"provider": "claude", "model": "m"}}))
        .execute(&mut database)
        .await?;
    let _worker = world.server.worker(quick()).await?;
    let tools = ["api:who_am_i", "api:search"];
    let talk = world.talk(&with(&tools, &json!({}))).await?;
    for question in ["What is new?", "And now?"] {
        let turn = world.say(&talk, question).await?;
        let ended = world.ended(&turn).await?;
        assert_eq!(ended["status"], "completed", "{ended:#}");
        assert_eq!(
            (
                &ended["usage"]["input_tokens"],
                &ended["usage"]["output_tokens"]
            ),
            (&json!(75), &json!(45)),
            "{ended:#}"
        );
        let steps = world.steps(&turn).await?;
        let ends: Vec<_> = steps
            .iter()
            .map(|step| step["status"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(
            ends,
            [
                "succeeded",
                "succeeded",
                "failed",
                "succeeded",
                "succeeded",
                "succeeded"
            ],
            "{steps:#?}"
        );
    }
    let said = world.messages(&talk).await?;
    let replies: Vec<_> = said.iter().filter(|(who, _)| who == "bot").collect();
    assert!(
        replies.iter().all(|(_, body)| body == "Nothing new."),
        "{said:?}"
    );
    assert_eq!(world.models.asked().len(), 6, "nothing was refused");
    Ok(())
}
