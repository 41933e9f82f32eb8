//! Requests and answers that go on as they are, or translated.

use anyhow::Result;
use e2e::models::Say;
use serde_json::{Value, json};

use super::world::{
    ANTHROPIC_ANSWER, ANTHROPIC_STREAM, OPENAI_ANSWER, OPENAI_STREAM, World, chat, well,
};

#[tokio::test]
async fn bytes_go_on_unchanged_but_for_the_model() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let odd = r#"{ "zeta" : 1.0,"model":"open/m" , "n":9007199254740993,"a\u0062":"\u0041","messages":[ {"role":"user","content":"é\/"}]}"#;
    let request = world
        .ada
        .request(&world.server, "POST", "/v1/chat/completions");
    let response = request
        .header("content-type", "application/json")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .header("baggage", "a=b")
        .body(odd)
        .send()
        .await?;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["gather-model"], "open/m");
    assert_eq!(response.headers()["gather-attempts"], "1");
    assert_eq!(
        response.headers()["request-id"],
        response.headers()["x-request-id"]
    );
    let call = world.call(&response).await?;
    assert_eq!(response.text().await?, OPENAI_ANSWER);
    let numbers = ["input_tokens", "output_tokens"].map(|name| call[name].as_i64());
    assert_eq!(
        (numbers, &call["estimated"], &call["status"]),
        ([Some(25), Some(15)], &json!(false), &json!("succeeded"))
    );

    let response = world.ask("/v1/messages", &chat("anth/m", true)).await?;
    let call = world.call(&response).await?;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.text().await?, ANTHROPIC_STREAM);
    assert_eq!(
        (
            call["input_tokens"].as_i64(),
            call["output_tokens"].as_i64()
        ),
        (Some(25), Some(15))
    );

    let asked = world.models.asked();
    assert_eq!(asked[0].body, odd.replace("open/m", "m"));
    assert_eq!(asked[0].path, "/v1/chat/completions");
    for header in [
        "authorization",
        "x-api-key",
        "cookie",
        "gather-call",
        "gather-target",
        "gather-provider",
        "traceparent",
        "baggage",
    ] {
        assert!(!asked[0].headers.contains_key(header), "{header}");
    }
    assert_eq!(asked[1].headers["anthropic-version"], "2023-06-01");
    Ok(())
}

#[tokio::test]
async fn the_usage_is_asked_for_and_shown_to_those_who_asked() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let plain = world.chat("open/m", true).await?;
    let call = world.call(&plain).await?;
    let text = plain.text().await?;
    assert!(
        !text.contains("usage") && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
    assert_eq!(call["output_tokens"], 15);
    let mut body = chat("open/m", true);
    body["stream_options"] = json!({"include_usage": true});
    let asked_for = world.ask("/v1/chat/completions", &body).await?;
    assert_eq!(asked_for.text().await?, OPENAI_STREAM);
    let sent: Value = serde_json::from_slice(&world.models.asked()[0].body)?;
    assert_eq!(sent["stream_options"]["include_usage"], true);
    Ok(())
}

#[tokio::test]
async fn each_protocol_reaches_the_other() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let response = world.chat("anth/m", false).await?;
    let call = world.call(&response).await?;
    let answer: Value = response.json().await?;
    assert_eq!(answer["choices"][0]["message"]["content"], "Hi");
    assert_eq!(answer["usage"]["prompt_tokens"], 25);
    let other = world.message("open/m", false).await?;
    let other_call = world.call(&other).await?;
    let answer: Value = other.json().await?;
    let expected: Value = serde_json::from_str(ANTHROPIC_ANSWER)?;
    assert_eq!(
        (&answer["content"], &answer["stop_reason"]),
        (&expected["content"], &expected["stop_reason"])
    );
    for name in ["input_tokens", "output_tokens", "cost_microusd"] {
        assert_eq!(call[name], other_call[name], "{name}");
    }
    let streamed = world.chat("anth/m", true).await?.text().await?;
    assert!(
        streamed.contains("日本 ") && streamed.ends_with("data: [DONE]\n\n"),
        "{streamed}"
    );
    let streamed = world.message("open/m", true).await?.text().await?;
    assert!(
        streamed.contains("🙂") && streamed.trim_end().ends_with(r#"{"type":"message_stop"}"#),
        "{streamed}"
    );
    Ok(())
}

/// The translated stream without what differs by the clock.
fn without_time(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| match line.split_once("\"created\":") {
            Some((before, after)) => format!(
                "{before}{}",
                after.trim_start_matches(|c: char| c.is_ascii_digit())
            ),
            None => line.to_owned(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_cut_at_any_byte_changes_nothing() -> Result<()> {
    let world = World::new(|asked, number| {
        let text = if asked.path.ends_with("/messages") {
            ANTHROPIC_STREAM
        } else {
            OPENAI_STREAM
        };
        // Each protocol is asked in turn, once whole and then cut.
        let step = number / 4;
        if step == 0 {
            Say::stream(text)
        } else {
            Say::cut(text, (step * 5) % text.len())
        }
    })
    .await?;
    let mut whole = Vec::new();
    for step in 0..60 {
        let answers = [
            world.chat("open/m", true).await?,
            world.chat("anth/m", true).await?,
            world.message("open/m", true).await?,
            world.message("anth/m", true).await?,
        ];
        for (at, answer) in answers.into_iter().enumerate() {
            let text = without_time(&answer.text().await?);
            if step == 0 {
                whole.push(text);
            } else {
                assert_eq!(text, whole[at], "step {step} of {at}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn models_are_listed_in_each_form() -> Result<()> {
    let world = World::new(|asked, _| match asked.path.as_str() {
        "/v1/models" => Say::json(&json!({"data": [{"id": "m"}, {"id": "n"}]})),
        _ => well(asked),
    })
    .await?;
    let (_, page) = world.ada.get(&world.server, "/api/llm/providers").await?;
    let id = page["items"]
        .as_array()
        .expect("items")
        .iter()
        .find(|one| one["name"] == "open")
        .expect("open")["id"]
        .clone();
    let path = format!("/api/llm/providers/{}/check", id.as_str().expect("an id"));
    let (status, checked) = world
        .ada
        .send(&world.server, "POST", &path, &json!({}))
        .await?;
    assert_eq!(
        (status, &checked["ok"], &checked["models"]),
        (200, &json!(true), &json!(["m", "n"]))
    );
    world
        .alias(
            "mine",
            &json!({"targets": [{"provider": "open", "model": "m"}]}),
        )
        .await?;
    let (_, list) = world.ada.get(&world.server, "/v1/models").await?;
    let names: Vec<_> = list["data"]
        .as_array()
        .expect("data")
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(names, ["mine", "open/m", "open/n"]);
    let (status, one) = world.ada.get(&world.server, "/v1/models/open%2Fm").await?;
    assert_eq!((status, &one["object"]), (200, &json!("model")));
    for name in ["open/m", "mine"] {
        let (status, one) = world
            .ada
            .get(&world.server, &format!("/v1/models/{name}"))
            .await?;
        assert_eq!((status, &one["id"]), (200, &json!(name)));
    }
    for name in ["open/x", "open", "anth/m", "none", "m"] {
        let (status, none) = world
            .ada
            .get(&world.server, &format!("/v1/models/{name}"))
            .await?;
        assert_eq!(
            (status, &none["error"]["code"]),
            (404, &json!("model-unknown")),
            "{name}"
        );
    }
    let request = world.ada.request(&world.server, "GET", "/v1/models");
    let list: Value = request
        .header("anthropic-version", "2023-06-01")
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(
        (&list["data"][0]["type"], &list["has_more"]),
        (&json!("model"), &json!(false))
    );
    let (status, goose) = world
        .ada
        .send(
            &world.server,
            "POST",
            "/api/ai/goose",
            &json!({"prompt": "Honk?", "model": "mine"}),
        )
        .await?;
    assert_eq!(
        (status, &goose["text"], &goose["model"]),
        (200, &json!("Hi"), &json!("open/m"))
    );
    Ok(())
}
