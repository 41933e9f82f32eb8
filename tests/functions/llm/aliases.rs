//! Aliases: circles, owners, and rights for each target.

use anyhow::Result;
use e2e::agents::Agent;
use serde_json::json;

use super::world::{World, well};

#[tokio::test]
async fn circles_and_repeated_targets_are_refused() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let put = async |name: &str, targets: serde_json::Value| {
        let path = format!("/api/llm/models/{name}");
        world
            .ada
            .send(&world.server, "PUT", &path, &json!({ "targets": targets }))
            .await
    };
    assert_eq!(
        put("b", json!([{"provider": "open", "model": "m"}]))
            .await?
            .0,
        200
    );
    assert_eq!(
        put(
            "a",
            json!([{"model": "b"}, {"provider": "open", "model": "m"}])
        )
        .await?
        .0,
        200
    );
    let (status, circle) = put("b", json!([{"model": "a"}])).await?;
    assert_eq!((status, &circle["code"]), (422, &json!("alias-circle")));
    assert!(
        circle["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("b → a → b")),
        "{circle}"
    );
    assert_eq!(put("c", json!([{"model": "c"}])).await?.0, 422);
    assert_eq!(
        put("open%2Fx", json!([{"provider": "open", "model": "m"}]))
            .await?
            .0,
        422
    );
    let twice = json!([{"provider": "open", "model": "m"}, {"provider": "open", "model": "m"}]);
    assert_eq!(put("d", twice).await?.0, 422);
    assert_eq!(
        put("d", json!([{"provider": "nobody", "model": "m"}]))
            .await?
            .0,
        422
    );
    // The same model by two ways is asked once.
    let response = world.chat("a", false).await?;
    assert_eq!(
        (response.status().as_u16(), world.models.asked().len()),
        (200, 1)
    );
    Ok(())
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    world
        .alias(
            "mine",
            &json!({"targets": [{"provider": "open", "model": "m"}]}),
        )
        .await?;
    let (_, page) = world.ada.get(&world.server, "/api/llm/providers").await?;
    let id = page["items"][0]["id"].as_str().expect("an id");
    let path = format!("/api/llm/providers/{id}");
    for (method, path, body) in [
        ("GET", path.as_str(), json!({})),
        ("PATCH", &path, json!({"drain": true})),
        ("DELETE", &path, json!({})),
        ("POST", &format!("{path}/check"), json!({})),
        ("GET", "/api/llm/models/mine", json!({})),
        ("DELETE", "/api/llm/models/mine", json!({})),
    ] {
        assert_eq!(
            bob.send(&world.server, method, path, &body).await?.0,
            404,
            "{method} {path}"
        );
    }
    let platform =
        json!({"name": "p", "protocol": "openai", "url": "https://a.example", "platform": true});
    assert_eq!(
        bob.send(&world.server, "POST", "/api/llm/providers", &platform)
            .await?
            .0,
        403
    );
    let (status, made) = world
        .admin
        .send(&world.server, "POST", "/api/llm/providers", &platform)
        .await?;
    assert_eq!((status, &made["platform"]), (201, &json!(true)));
    let (status, _) = bob
        .get(
            &world.server,
            &format!("/api/llm/providers/{}", made["id"].as_str().expect("an id")),
        )
        .await?;
    assert_eq!(status, 200);
    let price = json!({"provider": "p", "model": "*", "input_microusd": 0, "output_microusd": 0});
    assert_eq!(
        bob.send(&world.server, "PUT", "/api/llm/prices", &price)
            .await?
            .0,
        403
    );
    let response = world.chat("mine", false).await?;
    let call = world.call(&response).await?;
    let path = format!("/api/llm/calls/{}", call["id"].as_str().expect("an id"));
    assert_eq!(bob.get(&world.server, &path).await?.0, 404);
    let limits = format!("/api/llm/limits/account:{}", bob.id);
    assert_eq!(
        bob.send(&world.server, "PUT", &limits, &json!({})).await?.0,
        403
    );
    Ok(())
}

#[tokio::test]
async fn a_drained_provider_gets_no_calls() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let made = world.provider("other", "openai", &world.models.url).await?;
    let path = format!("/api/llm/providers/{}", made["id"].as_str().expect("an id"));
    assert_eq!(world.chat("other/m", false).await?.status(), 200);
    let (status, _) = world
        .ada
        .send(&world.server, "PATCH", &path, &json!({"drain": true}))
        .await?;
    assert_eq!(status, 200);
    assert_eq!(world.chat("other/m", false).await?.status(), 404);
    assert_eq!(
        world
            .ada
            .send(&world.server, "DELETE", &path, &json!({}))
            .await?
            .0,
        204
    );
    assert_eq!(world.ada.get(&world.server, &path).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn whole_numbers_may_have_a_fraction_of_zero() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let limits = format!("/api/llm/limits/account:{}", world.ada.id);
    for (path, body) in [
        (
            "/api/llm/models/a",
            r#"{"targets":[{"provider":"open","model":"m","order":5.0,"max_output_tokens":5.0,"silence_ms":5000.0,
                "total_ms":5000.0}],"retries":2.0}"#,
        ),
        (
            "/api/llm/prices",
            r#"{"provider":"open","model":"m","input_microusd":5.0,"cached_input_microusd":5.0,"cache_write_microusd":5.0,
                "output_microusd":5.0,"above":{"tokens":5.0,"input_microusd":5.0,"cached_input_microusd":5.0,
                "cache_write_microusd":5.0,"output_microusd":5.0}}"#,
        ),
        (
            limits.as_str(),
            r#"{"limits":[{"period":"day","limit_microusd":5.0}],"requests_per_minute":5.0,"tokens_per_minute":5.0,
                "concurrency":5.0}"#,
        ),
    ] {
        let request = world.admin.request(&world.server, "PUT", path);
        let request = request
            .header("content-type", "application/json")
            .body(body);
        assert_eq!(request.send().await?.status(), 200, "{path}");
    }
    // What a provider is asked goes on as it is.
    let request = world.ada.request(&world.server, "POST", "/v1/embeddings");
    let body = r#"{"model":"anth/e","input":"a","dimensions":5.0}"#;
    let refused = request
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await?;
    assert_eq!(
        refused.status(),
        400,
        "Anthropic's protocol has no embeddings"
    );
    Ok(())
}

#[tokio::test]
async fn the_ways_through_aliases_are_bounded() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let models = |count: usize| -> Vec<_> {
        let model = |number| json!({"provider": "open", "model": format!("m{number}")});
        (0..count).map(model).collect()
    };
    let all = |layer: usize, count: usize| -> Vec<_> {
        let alias = |number| json!({"model": format!("layer{layer}-{number}")});
        (0..count).map(alias).collect()
    };
    let put = async |name: &str, targets: Vec<serde_json::Value>| {
        let path = format!("/api/llm/models/{name}");
        let body = json!({ "targets": targets });
        world.ada.send(&world.server, "PUT", &path, &body).await
    };
    for number in 0..20 {
        let put = put(&format!("layer0-{number}"), models(5)).await?;
        assert_eq!(put.0, 200, "{put:?}");
    }
    let (status, wide) = put("wide", all(0, 20)).await?;
    assert_eq!((status, &wide["code"]), (422, &json!("invalid-input")));
    assert!(wide.to_string().contains("more than 100 targets"), "{wide}");
    assert_eq!(put("narrow", all(0, 16)).await?.0, 200);
    assert_eq!(world.chat("narrow", false).await?.status(), 200);
    // Each names the one before.
    for number in 1..8 {
        let target = match number {
            1 => models(1),
            _ => vec![json!({"model": format!("deep{}", number - 1)})],
        };
        let put = put(&format!("deep{number}"), target).await?;
        assert_eq!(put.0, 200, "{put:?}");
    }
    assert_eq!(put("deep8", vec![json!({"model": "deep7"})]).await?.0, 200);
    assert_eq!(world.chat("deep8", false).await?.status(), 200);
    assert_eq!(put("deep9", vec![json!({"model": "deep8"})]).await?.0, 422);
    // What lies below an alias may become wider later on. Without a bound, this takes minutes.
    for layer in 1..7 {
        let mut database = world.server.database.connect().await?;
        sqlx::query(
            "with made as (
                 insert into llm.alias (account_id, name)
                 select $1, 'layer' || $2::integer || '-' || n from generate_series(0, 19) n returning id)
             insert into llm.target (alias_id, place, alias)
             select m.id, n + 1, 'layer' || $2::integer - 1 || '-' || n from made m, generate_series(0, 19) n",
        )
        .bind(world.ada.id)
        .bind(layer)
        .execute(&mut database)
        .await?;
    }
    let begin = std::time::Instant::now();
    world.chat("layer6-0", false).await?;
    assert_eq!(put("wide", all(6, 20)).await?.0, 422);
    let (status, _) = world.ada.get(&world.server, "/v1/models").await?;
    assert_eq!(status, 200);
    assert!(begin.elapsed() < std::time::Duration::from_secs(60));
    Ok(())
}
