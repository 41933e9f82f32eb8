//! The gateway as the SDKs of OpenAI and Anthropic find it (PyPI `openai` and `anthropic`).

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    models::{Asked, Say},
    root,
};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{process::Command, sync::Mutex, time::timeout};

use super::world::{World, well};

/// The Python with the SDKs; `None`: they can't be installed here.
pub async fn installed() -> Result<Option<PathBuf>> {
    static INSTALLING: Mutex<()> = Mutex::const_new(());
    let _installing = INSTALLING.lock().await;
    let folder = root().join("target/llm-clients");
    std::fs::create_dir_all(&folder)?;
    let pip = folder.join("venv/bin/pip").display().to_string();
    let steps: [(&str, &[&str]); 2] = [
        ("python3", &["-m", "venv", "venv"]),
        (
            &pip,
            &[
                "install",
                "--quiet",
                "openai==2.8.1",
                "anthropic==0.74.1",
                "tokenizers==0.23.3",
            ],
        ),
    ];
    for (program, arguments) in steps {
        let status = Command::new(program)
            .args(arguments)
            .current_dir(&folder)
            .status()
            .await;
        if !status.is_ok_and(|status| status.success()) {
            let why = format!("{program} {} does not work here", arguments.join(" "));
            if std::env::var_os("GATHER_TESTS_SKIP_NONE").is_some() {
                bail!("nothing may be skipped: {why}");
            }
            eprintln!("skipped: {why}");
            return Ok(None);
        }
    }
    Ok(Some(folder.join("venv/bin/python")))
}

/// Three tools called at once, their arguments interleaved, as each protocol streams them.
fn tools(is_anthropic: bool) -> Say {
    if !is_anthropic {
        let chunk = |calls: Value| {
            json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": null}]})
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
    let text: String = events
        .iter()
        .map(|event| {
            format!(
                "event: {}\ndata: {event}\n\n",
                event["type"].as_str().unwrap_or_default()
            )
        })
        .collect();
    Say::stream(&text)
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
        (_, "nowhere") => Say::error(404, "no such model"),
        _ => well(asked),
    }
}

#[tokio::test]
async fn the_sdks_find_what_they_know() -> Result<()> {
    let Some(python) = installed().await? else {
        return Ok(());
    };
    let world = World::new(|asked, _| answer(asked)).await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query("update llm.provider set models = '{m}' where name = 'open'")
        .execute(&mut database)
        .await?;
    let run = Command::new(python)
        .arg(root().join("tests/functions/llm/clients/client.py"))
        .args([&world.server.url, &world.ada.token])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = timeout(Duration::from_secs(300), run)
        .await
        .context("the clients do not end")??;
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(said.contains("all is well"), "{said}");
    Ok(())
}
