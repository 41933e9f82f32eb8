//! Budgets that hold, whatever happens at once.

use anyhow::{Result, ensure};
use e2e::{
    agents::Agent,
    models::{Piece, Say},
};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::world::{World, chat, well};

/// A request whose estimate of input is exact enough: its answer has at most 15 tokens.
fn small(model: &str) -> Value {
    json!({"model": model, "max_tokens": 15, "messages": [{"role": "user", "content": "Hello"}]})
}

/// What is spent once nothing is reserved.
async fn settled(world: &World) -> Result<i64> {
    let begin = Instant::now();
    loop {
        let (spent, reserved) = world.spent().await?;
        if reserved == 0 {
            return Ok(spent);
        }
        ensure!(begin.elapsed() < Duration::from_secs(60), "{reserved}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn many_at_once_spend_no_more_than_there_is() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    world.price().await?;
    // A call costs 40: 25 tokens of input and 15 of output, at a microdollar each.
    world.limit(400).await?;
    let asking = (0..200).map(|_| async {
        let response = world.ask("/v1/chat/completions", &small("open/m")).await?;
        let status = response.status().as_u16();
        // Who leaves before the end is booked later.
        response.bytes().await?;
        anyhow::Ok(status)
    });
    let mut answered = 0;
    for status in join_all(asking).await {
        match status? {
            200 => answered += 1,
            // Refused, or turned away by a machine that has too much to do.
            status => assert!([402, 503].contains(&status), "{status}"),
        }
    }
    assert!((1..=10).contains(&answered), "{answered}");
    assert_eq!(world.models.asked().len(), answered);
    // One after the other, the rest goes too. A call is settled after its answer has gone out.
    let left = 10 - answered;
    for _ in 0..left {
        settled(&world).await?;
        let last = world.ask("/v1/chat/completions", &small("open/m")).await?;
        answered += usize::from(last.status() == 200);
        last.bytes().await?;
    }
    let spent = settled(&world).await?;
    assert_eq!(spent, 40 * i64::try_from(answered)?);
    assert!(spent <= 400);
    let audit = world.audit().await?;
    assert_eq!(audit["cost_microusd"], spent);
    let usage = world
        .ada
        .get(&world.server, "/api/llm/usage?by=model")
        .await?
        .1;
    assert_eq!(
        usage["items"][0],
        json!({"key": "open/m", "calls": answered, "input_tokens": 25 * answered,
        "output_tokens": 15 * answered, "cost_microusd": spent})
    );
    Ok(())
}

#[tokio::test]
async fn a_budget_ends_a_stream_with_the_reason_of_its_length() -> Result<()> {
    let word = |text: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    let long = "x".repeat(300);
    let world = World::new(move |asked, _| {
        let is_anthropic = asked.path.ends_with("/messages");
        let mut pieces = Vec::new();
        if is_anthropic {
            pieces.push(Piece::text("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"));
        }
        for _ in 0..200 {
            pieces.push(Piece::text(&if is_anthropic {
                format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{long}\"}}}}\n\n")
            } else {
                word(&long)
            }));
            pieces.push(Piece::Pause(Duration::from_millis(2)));
        }
        pieces.push(Piece::Hold);
        Say::Stream(pieces)
    })
    .await?;
    world.price().await?;
    for (path, model, end) in [
        (
            "/v1/chat/completions",
            "open/m",
            "\"finish_reason\":\"length\"",
        ),
        ("/v1/messages", "anth/m", "\"stop_reason\":\"max_tokens\""),
        ("/v1/messages", "open/m", "\"stop_reason\":\"max_tokens\""),
    ] {
        world.limit(0).await?;
        let (spent, _) = world.spent().await?;
        world.limit(spent + 5000).await?;
        let mut body = chat(model, true);
        body["max_tokens"] = json!(100_000);
        let response = world.ask(path, &body).await?;
        assert_eq!(response.status(), 200);
        let call = world.call(&response).await?;
        assert_eq!(call["status"], "cut", "{call}");
        let text = response.text().await?;
        assert!(
            text.contains(end) && !text.contains("\"error\""),
            "{model}: {}",
            &text[text.len() - 300..]
        );
        let (now, reserved) = world.spent().await?;
        assert_eq!(reserved, 0);
        assert!(now - spent <= 5200 && now - spent > 2000, "{}", now - spent);
    }
    world.models.until_hung_up(3).await?;
    world.audit().await?;
    Ok(())
}

#[tokio::test]
async fn limits_refuse_with_their_own_codes() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let code = async |model: &str| {
        let response = world.ask("/v1/chat/completions", &small(model)).await?;
        let status = response.status().as_u16();
        let body: Value = response.json().await?;
        anyhow::Ok((
            status,
            body["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        ))
    };
    world.limit(1000).await?;
    assert_eq!(code("open/m").await?, (400, "price-unknown".to_owned()));
    world.price().await?;
    assert_eq!(code("open/m").await?.0, 200);
    world.limits(&json!({"models": ["anth/*"]})).await?;
    assert_eq!(code("open/m").await?, (404, "model-unknown".to_owned()));
    let (_, list) = world.ada.get(&world.server, "/v1/models").await?;
    assert!(!list.to_string().contains("open/"), "{list}");
    world.limits(&json!({"requests_per_minute": 1})).await?;
    assert_eq!(code("open/m").await?.0, 200);
    assert_eq!(code("open/m").await?, (429, "rate-limited".to_owned()));
    world.limits(&json!({"concurrency": 0})).await?;
    assert_eq!(code("open/m").await?, (429, "rate-limited".to_owned()));
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    // The platform's own model, which makes vectors alone, is none.
    let vectors = "select llm.put_platform_provider('local', 'openai', 'http://127.0.0.1:9', null)";
    for own in [None, Some(vectors)] {
        if let Some(own) = own {
            world.server.database.execute(own).await?;
        }
        let response = bob
            .request(&world.server, "POST", "/v1/chat/completions")
            .json(&small("open/m"))
            .send()
            .await?;
        assert_eq!(response.status(), 503);
        let body: Value = response.json().await?;
        assert_eq!(body["error"]["code"], "no-provider-configured");
    }
    let none = bob
        .get(
            &world.server,
            &format!("/api/llm/limits/account:{}", world.ada.id),
        )
        .await?;
    assert_eq!(none.0, 404);
    Ok(())
}

#[tokio::test]
async fn a_call_whose_server_died_costs_what_it_had_reserved() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    world.price().await?;
    world.limit(10_000).await?;
    let asked = json!({"account": world.ada.id, "model": "open/m", "route": "chat", "input": 10, "output": 90, "stream": false});
    let mut database = world.server.database.connect().await?;
    let begun: Value = sqlx::query_scalar("select llm.begin($1)")
        .bind(&asked)
        .fetch_one(&mut database)
        .await?;
    assert_eq!(world.spent().await?, (0, 100));
    let id = begun["call"].as_str().expect("an id");
    sqlx::query("select llm.sent($1)")
        .bind(format!("{id}.1"))
        .execute(&mut database)
        .await?;
    sqlx::query("update llm.call set lease = now() - interval '1 second' where status = 'running'")
        .execute(&mut database)
        .await?;
    assert_eq!(world.spent().await?, (100, 0));
    let call = world.ended(id).await?;
    assert_eq!(
        (&call["status"], &call["cost_microusd"]),
        (&json!("lost"), &json!(100))
    );
    world.audit().await?;
    Ok(())
}

#[tokio::test]
async fn sums_agree_after_all_clients_left_their_streams() -> Result<()> {
    let half = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hal\"}}]}\n\n";
    let world = World::new(move |_, _| Say::Stream(vec![Piece::text(half), Piece::Hold])).await?;
    world.price().await?;
    world.limit(1_000_000_000).await?;
    let streams = (0..20).map(|_| async {
        let mut response = world.chat("open/m", true).await?;
        ensure!(response.status() == 200, "{}", response.text().await?);
        response.chunk().await?;
        anyhow::Ok(response)
    });
    let streams: Vec<_> = join_all(streams).await.into_iter().collect::<Result<_>>()?;
    let mut database = world.server.database.connect().await?;
    drop(streams);
    world.models.until_hung_up(20).await?;
    // They are booked without the lapse of any lease.
    let begin = Instant::now();
    loop {
        sqlx::query(
            "update llm.call set lease = now() + interval '1 hour' where status = 'running'",
        )
        .execute(&mut database)
        .await?;
        let booked: i64 =
            sqlx::query_scalar("select count(*) from llm.call where status = 'cancelled'")
                .fetch_one(&mut database)
                .await?;
        if booked == 20 {
            break;
        }
        ensure!(begin.elapsed() < Duration::from_secs(60), "{booked} of 20");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let audit: Value = sqlx::query_scalar("select llm.audit()")
        .fetch_one(&mut database)
        .await?;
    assert_eq!(
        (&audit["differences"], &audit["running"], &audit["calls"]),
        (&json!([]), &json!(0), &json!(20))
    );
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_is_paid_once() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    for stream in [false, true] {
        let key = format!("key-{stream}");
        let send = async |model: &str| {
            let request = world
                .ada
                .request(&world.server, "POST", "/v1/chat/completions");
            let response = request
                .header("idempotency-key", &key)
                .json(&chat(model, stream))
                .send()
                .await?;
            let cache = response
                .headers()
                .get("gather-cache")
                .map(|value| value.to_str().unwrap_or_default().to_owned());
            anyhow::Ok((response.status().as_u16(), cache, response.text().await?))
        };
        let before = world.models.asked().len();
        let first = send("open/m").await?;
        let second = send("open/m").await?;
        assert_eq!((first.0, first.1.as_deref()), (200, Some("none")));
        assert_eq!((second.0, second.1.as_deref()), (200, Some("replay")));
        assert_eq!(first.2, second.2);
        assert_eq!(world.models.asked().len(), before + 1);
        assert_eq!(send("open/n").await?.0, 409);
    }
    // Another account with the same key, provider and body gets an answer of its own.
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let own = json!({"name": "open", "protocol": "openai", "url": world.models.url});
    let (status, made) = bob
        .send(&world.server, "POST", "/api/llm/providers", &own)
        .await?;
    assert_eq!(status, 201, "{made}");
    let before = world.models.asked().len();
    let request = bob.request(&world.server, "POST", "/v1/chat/completions");
    let request = request.header("idempotency-key", "key-false");
    let response = request.json(&chat("open/m", false)).send().await?;
    assert_eq!(response.headers()["gather-cache"], "none");
    assert_eq!(world.models.asked().len(), before + 1);
    Ok(())
}

#[tokio::test]
async fn an_answer_is_told_again_though_its_target_gets_no_calls() -> Result<()> {
    let world = World::new(|asked, number| match number {
        0 => well(asked),
        _ => Say::Whole(429, vec![("retry-after", "60".to_owned())], "{}".to_owned()),
    })
    .await?;
    let send = async || {
        let request = world
            .ada
            .request(&world.server, "POST", "/v1/chat/completions");
        let request = request.header("idempotency-key", "key");
        let response = request.json(&small("open/m")).send().await?;
        let cache = response.headers().get("gather-cache").cloned();
        anyhow::Ok((response.status().as_u16(), cache, response.text().await?))
    };
    let first = send().await?;
    assert_eq!(first.0, 200, "{first:?}");
    assert_eq!(world.chat("open/m", false).await?.status(), 429);
    // Nor does it matter that money is limited now, and the model has no price.
    for _ in 0..2 {
        let second = send().await?;
        assert_eq!(second.0, 200, "{second:?}");
        assert_eq!(
            second.1.as_ref().map(|cache| cache.as_bytes()),
            Some(&b"replay"[..])
        );
        assert_eq!(first.2, second.2);
        world.limit(1000).await?;
    }
    assert_eq!(world.models.asked().len(), 2);
    // An answer of a model that may not be used any more is not told.
    world.limits(&json!({"models": ["anth/*"]})).await?;
    assert_eq!(send().await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn the_tokens_of_a_minute_are_counted_once() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    world.limits(&json!({"tokens_per_minute": 100_000})).await?;
    for calls in 1..=2 {
        let response = world.chat("open/m", false).await?;
        assert_eq!(response.status(), 200);
        world.call(&response).await?;
        let counted: i64 = sqlx::query_scalar("select tokens from llm.payer where subject = $1")
            .bind(format!("account:{}", world.ada.id))
            .fetch_one(&mut world.server.database.connect().await?)
            .await?;
        assert_eq!(counted, 40 * calls);
    }
    Ok(())
}

#[tokio::test]
async fn a_free_model_answers_though_a_budget_is_overspent() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    world.price().await?;
    world.limit(1000).await?;
    let paid = world.ask("/v1/chat/completions", &small("open/m")).await?;
    world.call(&paid).await?;
    world.limit(10).await?;
    let refused = world.ask("/v1/chat/completions", &small("open/m")).await?;
    assert_eq!(refused.status(), 402);
    let free =
        json!({"provider": "open", "model": "free", "input_microusd": 0, "output_microusd": 0});
    let put = world
        .ada
        .send(&world.server, "PUT", "/api/llm/prices", &free)
        .await?;
    assert_eq!(put.0, 200, "{put:?}");
    let answer = world
        .ask("/v1/chat/completions", &small("open/free"))
        .await?;
    assert_eq!(answer.status(), 200, "{}", answer.text().await?);
    Ok(())
}

#[tokio::test]
async fn a_statement_that_fails_does_not_cut_a_stream() -> Result<()> {
    let word = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "x".repeat(300)
    );
    let world = World::new(move |_, _| {
        let mut pieces = vec![Piece::text(&word); 40];
        pieces.push(Piece::text(
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ));
        Say::Stream(pieces)
    })
    .await?;
    world.price().await?;
    world.limit(1_000_000).await?;
    // The first time that more is reserved, the statement fails. Sequences go on in spite of that.
    world
        .server
        .database
        .execute(
            "create sequence llm.reserving;
             create function llm.fail_once() returns trigger language plpgsql security definer as $$
             begin
                 if nextval('llm.reserving') = 1 then
                     raise 'this statement fails';
                 end if;
                 return new;
             end
             $$;
             create trigger fail_once before update on llm.call for each row
             when (new.reserved_output > old.reserved_output) execute function llm.fail_once()",
        )
        .await?;
    let mut body = chat("open/m", true);
    body["max_tokens"] = json!(100_000);
    let response = world.ask("/v1/chat/completions", &body).await?;
    let call = world.call(&response).await?;
    assert_eq!(call["status"], "succeeded", "{call}");
    assert!(response.text().await?.ends_with("data: [DONE]\n\n"));
    let reserved: i64 = sqlx::query_scalar("select last_value from llm.reserving")
        .fetch_one(&mut world.server.database.connect().await?)
        .await?;
    assert!(reserved > 1, "{reserved}");
    Ok(())
}

#[tokio::test]
async fn prices_are_listed_by_model_and_the_latest_first() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let times = [
        "2001-09-09T01:46:39.000001Z",
        "2001-09-09T01:46:39.000002Z",
        "2001-09-09T01:46:41Z",
    ];
    let mut expected = Vec::new();
    for model in ["a", "a 9", "b"] {
        for time in times {
            let price = json!({"provider": "open", "model": model, "input_microusd": 1, "output_microusd": 1, "valid_from": time});
            let put = world
                .ada
                .send(&world.server, "PUT", "/api/llm/prices", &price)
                .await?;
            assert_eq!(put.0, 200, "{put:?}");
        }
        let latest = times.iter().rev();
        expected.extend(latest.map(|time| (model.to_owned(), (*time).to_owned())));
    }
    let mut listed = Vec::new();
    let mut path = "/api/llm/prices?limit=1".to_owned();
    loop {
        let (status, page) = world.ada.get(&world.server, &path).await?;
        assert_eq!(status, 200, "{page}");
        for price in page["items"].as_array().into_iter().flatten() {
            let text = |name: &str| price[name].as_str().unwrap_or_default().to_owned();
            listed.push((text("model"), text("valid_from")));
        }
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/llm/prices?limit=1&after={next}");
    }
    assert_eq!(listed, expected);
    Ok(())
}
