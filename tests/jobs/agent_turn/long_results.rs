//! Results that are too long to be told at once.

use anyhow::Result;
use e2e::models::{Asked, Say};
use serde_json::{Value, json};

use super::servers::asking;
use super::tools::told;
use super::world::{World, body, calls, results, says, text};

/// A server with the tool `list`, whose answer has so many bytes.
fn server(asked: &Asked) -> Say {
    let request = body(asked);
    let schema = json!({"type": "object", "properties": {"bytes": {"type": "integer"}}, "required": ["bytes"]});
    let result = match request["method"].as_str() {
        Some("tools/list") => {
            json!({"tools": [{"name": "list", "description": "Lists.", "inputSchema": schema}], "resultType": "complete"})
        }
        _ => {
            let bytes = request["params"]["arguments"]["bytes"]
                .as_u64()
                .unwrap_or_default();
            let lines = (0..bytes / 10).map(|number| format!("{number:09}\n"));
            let text: String = lines.collect();
            json!({"content": [{"type": "text", "text": text}], "resultType": "complete"})
        }
    };
    let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
    let json = vec![("content-type", "application/json".to_owned())];
    Say::Whole(200, json, answer.to_string())
}

/// The arguments for reading on, as the last result says them.
fn further(asked: &Asked) -> Option<String> {
    let body = body(asked);
    let messages = body["messages"].as_array().into_iter().flatten();
    let mut results = messages.filter(|message| message["role"] == "tool");
    let last = results.next_back()?["content"].as_str()?.to_owned();
    let number = |after: &str| -> Option<u64> {
        let rest = last.rsplit_once(after)?.1;
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    let offset = number("offset ")?;
    Some(json!({"step": 2, "offset": offset}).to_string())
}

async fn world() -> Result<(World, String)> {
    let world = World::new(|asked, _| {
        if asked.path == "/mcp" {
            return server(asked);
        }
        let bytes = if body(asked).to_string().contains("everything") {
            5_000_000
        } else {
            50_000
        };
        let arguments = json!({"bytes": bytes}).to_string();
        match (results(asked), further(asked)) {
            (0, _) => calls(&[("mcp__sky__list", &arguments)]),
            (_, Some(further)) => calls(&[("read_result", &further)]),
            _ => says("I have read it."),
        }
    })
    .await?;
    let source = json!({"name": "sky", "kind": "mcp", "url": format!("{}/mcp", world.models.url)});
    world.ask("POST", "/api/tool-sources", &source, 201).await?;
    let talk = world.talk(&asking()).await?;
    Ok((world, talk))
}

#[tokio::test]
async fn a_long_result_is_read_page_by_page() -> Result<()> {
    let (world, talk) = world().await?;
    let turn = world.say(&talk, "List it.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let steps = world.steps(&turn).await?;
    let whole = text(&steps[1]["result"])?;
    assert_eq!(whole.len(), 50_000, "it is kept whole");
    let pages = told(&world);
    assert!(pages.len() > 3, "{}", pages.len());
    assert!(pages.iter().all(|page| page.len() <= (16 << 10) + 200));
    let read: String = pages
        .iter()
        .map(|page| page.split("\n[").next().unwrap_or_default())
        .collect();
    assert_eq!(read, whole, "each part was told once");
    let names: Vec<&Value> = steps
        .iter()
        .filter(|step| step["kind"] == "tool")
        .map(|step| &step["name"])
        .collect();
    assert!(
        names[1..].iter().all(|name| **name == "read_result"),
        "{names:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_result_of_five_megabytes_is_an_error_and_the_turn_goes_on() -> Result<()> {
    let (world, talk) = world().await?;
    let turn = world.say(&talk, "List everything.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let told = told(&world);
    assert_eq!(
        told,
        ["Error: The result is larger than 1 MiB. Ask for less."]
    );
    assert_eq!(world.steps(&turn).await?[1]["status"], "failed");
    Ok(())
}
