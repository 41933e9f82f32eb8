//! The gateway as clients find it that others have written: `openai`, `anthropic` and `openai-agents` of PyPI; `openai`,
//! `@anthropic-ai/sdk` and `ai` of npm.

use anyhow::{Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    libraries,
    models::{Asked, Say},
};
use serde_json::{Value, json};
use std::path::PathBuf;

use super::world::{World, well};

/// The packages of PyPI; npm's are in `clients/package.json`.
const PACKAGES: [&str; 5] = [
    "anthropic==0.74.1",
    "mem0ai==2.2.1",
    "openai==2.8.1",
    "openai-agents==0.6.1",
    "tokenizers==0.23.3",
];

/// The folder of the clients; `None`: they can't be installed here.
pub async fn installed() -> Result<Option<PathBuf>> {
    libraries::installed("llm-clients", "tests/functions/llm/clients", &PACKAGES).await
}

/// Three tools called at once, their arguments interleaved, as each protocol streams them.
fn tools(is_anthropic: bool) -> Say {
    if !is_anthropic {
        let chunk = |calls: Value| {
            json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": calls}, "finish_reason": null}]})
        };
        let call = |index: u64, id: Value, name: Value, arguments: &str| json!([{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]);
        let more = |index: u64, arguments: &str| json!([{"index": index, "function": {"arguments": arguments}}]);
        let end = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
        let chunks = [
            chunk(call(0, json!("a"), json!("f"), "")),
            chunk(call(1, json!("b"), json!("g"), "{\"y\"")),
            chunk(more(0, "{\"x\":")),
            chunk(call(2, json!("c"), json!("h"), "{}")),
            chunk(more(1, ":2}")),
            chunk(more(0, "1}")),
            end,
        ];
        let text: String = chunks
            .iter()
            .map(|chunk| format!("data: {chunk}\n\n"))
            .collect();
        return Say::stream(&format!("{text}data: [DONE]\n\n"));
    }
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 1}}}),
    ];
    let start = |index: u64, name: &str| {
        json!({"type": "content_block_start", "index": index,
        "content_block": {"type": "tool_use", "id": format!("t{index}"), "name": name, "input": {}}})
    };
    let delta = |index: u64, text: &str| {
        json!({"type": "content_block_delta", "index": index,
        "delta": {"type": "input_json_delta", "partial_json": text}})
    };
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    events.extend([
        start(0, "f"), start(1, "g"), delta(0, "{\"x\":"), delta(1, "{\"y\":"), delta(0, "1}"), stop(0), start(2, "h"),
        delta(1, "2}"), stop(1), stop(2),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]);
    Say::stream(&named(&events))
}

/// The call of one tool, as each protocol has it, streamed or not.
fn weather(is_anthropic: bool, stream: bool) -> Say {
    let arguments = "{\"city\":\"Oslo\"}";
    if !is_anthropic {
        let call = json!({"index": 0, "id": "w", "type": "function", "function": {"name": "weather", "arguments": arguments}});
        let usage = json!({"prompt_tokens": 25, "completion_tokens": 15, "total_tokens": 40});
        let choice = |name: &str| json!({"index": 0, name: {"role": "assistant", "content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"});
        if !stream {
            return Say::json(
                &json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice("message")], "usage": usage}),
            );
        }
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice("delta")]});
        let end = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage});
        return Say::stream(&format!("data: {chunk}\n\ndata: {end}\n\ndata: [DONE]\n\n"));
    }
    let block =
        |input: Value| json!({"type": "tool_use", "id": "w", "name": "weather", "input": input});
    let usage = json!({"input_tokens": 25, "output_tokens": 15});
    let message = |content: Value, stop: Value| {
        json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": stop,
            "stop_sequence": null, "usage": usage})
    };
    if !stream {
        let content = json!([block(json!({"city": "Oslo"}))]);
        return Say::json(&message(content, json!("tool_use")));
    }
    let events = [
        json!({"type": "message_start", "message": message(json!([]), Value::Null)}),
        json!({"type": "content_block_start", "index": 0, "content_block": block(json!({}))}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": arguments}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 15}}),
        json!({"type": "message_stop"}),
    ];
    Say::stream(&named(&events))
}

/// Events of Anthropic's protocol, which name their types twice.
fn named(events: &[Value]) -> String {
    let lines = events.iter().map(|event| {
        let kind = event["type"].as_str().unwrap_or_default();
        format!("event: {kind}\ndata: {event}\n\n")
    });
    lines.collect()
}

/// Whether a request has the result of a tool.
fn has_result(body: &Value) -> bool {
    let messages = body["messages"].as_array().into_iter().flatten();
    let texts: Vec<_> = messages.map(Value::to_string).collect();
    texts
        .iter()
        .any(|text| text.contains("\"role\":\"tool\"") || text.contains("tool_result"))
}

fn answer(asked: &Asked) -> Say {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    match (
        asked.path.as_str(),
        body["model"].as_str().unwrap_or_default(),
    ) {
        ("/v1/embeddings", _) => {
            // The SDK asks for base64: little-endian floats.
            let vector = [0.5_f32, -1.0].map(f32::to_le_bytes).concat();
            let vector = BASE64_STANDARD.encode(vector);
            let one =
                |index: u64| json!({"object": "embedding", "index": index, "embedding": vector});
            Say::json(
                &json!({"object": "list", "model": "e", "data": [one(0), one(1)], "usage": {"prompt_tokens": 2, "total_tokens": 2}}),
            )
        }
        (path, "tools") => tools(path.ends_with("/messages")),
        (path, "agent") if !has_result(&body) => {
            weather(path.ends_with("/messages"), body["stream"] == true)
        }
        (_, "nowhere") => Say::error(404, "no such model"),
        _ => well(asked),
    }
}

#[tokio::test]
async fn the_sdks_find_what_they_know() -> Result<()> {
    let Some(folder) = installed().await? else {
        return Ok(());
    };
    let world = World::new(|asked, _| answer(asked)).await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query("update llm.provider set models = '{m}' where name = 'open'")
        .execute(&mut database)
        .await?;
    for script in ["client.py", "client.mjs", "agent.py"] {
        let arguments = [world.server.url.as_str(), &world.ada.token];
        let said = libraries::run(&folder, script, &arguments).await?;
        ensure!(said.contains("all is well"), "{script}: {said}");
    }
    world.audit().await?;
    Ok(())
}
