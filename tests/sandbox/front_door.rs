//! What a skill can and can't do, through the front door, with a skill that tries.

use anyhow::Result;
use e2e::{
    Server,
    agents::Agent,
    publishing::{approved, invoke, manifest},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

struct World {
    server: Server,
    ada: Agent,
}

impl World {
    /// The platform with the probe as a skill of these permissions.
    async fn with(permissions: Value) -> Result<Self> {
        Self::over(Server::start().await?, permissions).await
    }

    async fn over(server: Server, permissions: Value) -> Result<Self> {
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let mut manifest = manifest("probe", "1.0.0");
        manifest["permissions"] = permissions;
        approved(&server, &ada, &manifest, "probe-skill").await?;
        Ok(Self { server, ada })
    }

    async fn call(&self, tool: &str, arguments: Value) -> Result<(u16, Value)> {
        invoke(&self.server, &self.ada, "probe", tool, arguments).await
    }

    async fn code(&self, tool: &str, arguments: Value) -> Result<(u16, String)> {
        let (status, answer) = self.call(tool, arguments).await?;
        Ok((
            status,
            answer["code"].as_str().unwrap_or("answered").to_owned(),
        ))
    }
}

#[tokio::test]
async fn every_kind_of_value_comes_back_as_it_was() -> Result<()> {
    let world = World::with(json!({})).await?;
    let cases = [
        ("bool", json!(true)),
        ("s8", json!(-128)),
        ("u8", json!(255)),
        ("s16", json!(-32768)),
        ("u16", json!(65535)),
        ("s32", json!(-2147483648)),
        ("u32", json!(4294967295_u32)),
        ("s64", json!(-9007199254740991_i64)),
        ("s64", json!("-9223372036854775808")),
        ("u64", json!(9007199254740991_u64)),
        ("u64", json!("18446744073709551615")),
        ("f32", json!(0.5)),
        ("f64", json!(1e-300)),
        ("f64", json!("NaN")),
        ("f64", json!("-Infinity")),
        ("char", json!("\u{1f680}")),
        (
            "string",
            json!("e\u{301} \u{0} \u{202e}\u{1f469}\u{200d}\u{1f680}"),
        ),
        ("bytes", json!("AP+A")),
        ("bytes", json!("")),
        ("strings", json!(["", "a"])),
        ("strings", json!([])),
        ("point-of", json!({"x": -1, "y": 2, "label": null})),
        ("shape-of", json!("empty")),
        ("shape-of", json!({"circle": 1.5})),
        (
            "shape-of",
            json!({"polygon": [{"x": 0, "y": 0, "label": "a"}]}),
        ),
        ("colour-of", json!("dark-green")),
        ("rights-of", json!(["read", "execute"])),
        ("rights-of", json!([])),
        ("nested", json!(null)),
        ("nested", json!({"some": null})),
        ("nested", json!({"some": 7})),
        ("outcomes", json!([{"ok": 1}, {"err": "no"}])),
        ("pair", json!(["a", 1])),
    ];
    for (tool, value) in cases {
        let (status, answer) = world.call(tool, json!({"v": value})).await?;
        assert_eq!(
            (status, &answer["result"]),
            (200, &value),
            "{tool}: {answer:#}"
        );
    }
    let (_, left_out) = world
        .call("point-of", json!({"v": {"x": 1, "y": 1}}))
        .await?;
    assert_eq!(
        left_out["result"]["label"],
        Value::Null,
        "an option may be left out"
    );
    let (_, small) = world.call("u64", json!({"v": "12"})).await?;
    assert_eq!(
        small["result"], 12,
        "a string is taken for a small number too"
    );
    Ok(())
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_named() -> Result<()> {
    let world = World::with(json!({})).await?;
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let cases = [
        ("u8", json!({"v": 256}), "arguments.v"),
        ("u8", json!({"v": 1.5}), "arguments.v"),
        ("u8", json!({"v": "x"}), "arguments.v"),
        ("u8", json!({}), "arguments.v"),
        ("u8", json!({"v": 1, "w": 2}), "arguments.w"),
        ("u8", json!([1]), "arguments"),
        ("char", json!({"v": "ab"}), "arguments.v"),
        ("bytes", json!({"v": "not base64!"}), "arguments.v"),
        (
            "point-of",
            json!({"v": {"x": 1, "y": "2"}}),
            "arguments.v.y",
        ),
        (
            "point-of",
            json!({"v": {"x": 1, "y": 2, "z": 3}}),
            "arguments.v.z",
        ),
        ("shape-of", json!({"v": "circle"}), "arguments.v.circle"),
        (
            "shape-of",
            json!({"v": {"polygon": [{"x": 1}]}}),
            "arguments.v.polygon[0].y",
        ),
        ("colour-of", json!({"v": "green"}), "arguments.v"),
        ("rights-of", json!({"v": ["read", "read"]}), "arguments.v"),
        ("nested", json!({"v": 7}), "arguments.v"),
        ("pair", json!({"v": ["a"]}), "arguments.v"),
    ];
    for (tool, arguments, field) in cases {
        let (status, problem) = world.call(tool, arguments.clone()).await?;
        assert_eq!(
            (status, &problem["code"]),
            (422, &json!("invalid-arguments")),
            "{tool} {arguments}: {problem:#}"
        );
        assert_eq!(problem["errors"][0]["field"], field, "{tool} {arguments}");
    }
    let body = format!("{{\"tool\": \"strings\", \"arguments\": {{\"v\": {deep}}}}}");
    let request = world
        .ada
        .request(&world.server, "POST", "/api/skills/probe/invoke")
        .header("content-type", "application/json");
    let response = request.body(body).send().await?;
    assert_eq!(response.status(), 422, "10,000 levels");
    assert_eq!(
        world.code("no-such-tool", json!({})).await?,
        (404, "unknown-tool".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn the_world_is_inert() -> Result<()> {
    let world = World::with(json!({})).await?;
    let (_, surroundings) = world.call("surroundings", json!({})).await?;
    assert_eq!(
        surroundings["result"],
        json!([0, 0, "no files"]),
        "{surroundings:#}"
    );
    let (_, refused) = world
        .call("connect", json!({"address": "127.0.0.1:5432"}))
        .await?;
    assert_ne!(refused["result"], "connected");
    let (_, now) = world.call("now", json!({})).await?;
    assert_eq!(now["result"], 1_767_225_600, "the clock stands still");
    let first = world.call("random", json!({})).await?.1["result"].clone();
    assert_eq!(
        first,
        world.call("random", json!({})).await?.1["result"],
        "the same call, the same numbers"
    );
    Ok(())
}

/// How long something takes could be told from how often one can look until one has waited long enough.
#[tokio::test]
async fn waiting_takes_no_time_without_the_clock() -> Result<()> {
    let world = World::with(json!({})).await?;
    let (status, first) = world.call("sleep", json!({"ms": 60_000})).await?;
    assert_eq!(status, 200, "{first:#}");
    let (_, second) = world.call("sleep", json!({"ms": 60_000})).await?;
    assert_eq!(first["usage"]["fuel"], second["usage"]["fuel"]);
    Ok(())
}

#[tokio::test]
async fn clock_and_random_are_real_where_granted() -> Result<()> {
    let world = World::with(json!({"clock": true, "random": true})).await?;
    let (_, now) = world.call("now", json!({})).await?;
    assert!(now["result"].as_u64() > Some(1_767_225_600), "{now:#}");
    let first = world.call("random", json!({})).await?.1["result"].clone();
    assert_ne!(first, world.call("random", json!({})).await?.1["result"]);
    Ok(())
}

#[tokio::test]
async fn each_way_to_go_wrong_has_its_code() -> Result<()> {
    let world = World::with(
        json!({"clock": true, "deadline_ms": 400, "memory_bytes": 33_554_432, "fuel": 100_000_000_000_u64}),
    )
    .await?;
    let cases = [
        ("spin", json!({}), 504, "skill-deadline"),
        ("sleep", json!({"ms": 60_000}), 504, "skill-deadline"),
        ("recurse", json!({"depth": 0}), 502, "skill-trapped"),
        (
            "panic",
            json!({"message": "on purpose"}),
            502,
            "skill-trapped",
        ),
        ("exit", json!({}), 502, "skill-trapped"),
        ("allocate", json!({"mib": 200}), 507, "skill-memory"),
        ("grow", json!({}), 507, "skill-memory"),
        ("flood", json!({"kib": 1024}), 507, "skill-output"),
        ("big-string", json!({"mib": 5}), 507, "skill-output"),
        (
            "get",
            json!({"url": "https://api.example.org/"}),
            403,
            "permission-denied",
        ),
        (
            "keep",
            json!({"key": "a", "size": 1}),
            403,
            "permission-denied",
        ),
    ];
    for (tool, arguments, status, code) in cases {
        let began = Instant::now();
        assert_eq!(
            world.code(tool, arguments).await?,
            (status, code.to_owned()),
            "{tool}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{tool} took {:?}",
            began.elapsed()
        );
    }
    assert_eq!(
        world.call("u8", json!({"v": 1})).await?.0,
        200,
        "and nobody else was harmed"
    );
    Ok(())
}

#[tokio::test]
async fn fuel_runs_out() -> Result<()> {
    let world = World::with(json!({"fuel": 1_000_000})).await?;
    assert_eq!(
        world.code("spin", json!({})).await?,
        (422, "skill-fuel".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn an_endless_loop_ends_on_time_and_starves_nobody() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    let world = World::with(json!({"deadline_ms": 3_000, "fuel": 100_000_000_000_u64})).await?;
    world.call("u8", json!({"v": 1})).await?;
    let loops = async {
        let began = Instant::now();
        let four = futures::future::join_all((0..4).map(|_| world.code("spin", json!({})))).await;
        (began.elapsed(), four)
    };
    let others = async {
        let began = Instant::now();
        tokio::time::sleep(Duration::from_millis(100)).await;
        for _ in 0..10 {
            let (status, _) = world.call("u8", json!({"v": 1})).await?;
            assert_eq!(status, 200);
        }
        anyhow::Ok(began.elapsed())
    };
    let ((took, loops), answered) = tokio::join!(loops, others);
    for ended in loops {
        assert_eq!(ended?, (504, "skill-deadline".to_owned()));
    }
    assert!(took < Duration::from_secs(8), "{took:?}");
    let answered = answered?;
    assert!(answered < took, "others waited for the loops: {answered:?}");
    Ok(())
}

/// Answers each connection with one HTTP response.
async fn web_server(response: String) -> Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            drop(stream.read(&mut head).await);
            drop(stream.write_all(response.as_bytes()).await);
        }
    });
    Ok(address)
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn granted_origins_can_be_reached_and_no_others() -> Result<()> {
    let address = web_server(ok("hello from outside")).await?;
    let trusted = BTreeMap::from([("api.example.org".to_owned(), address)]);
    let server = Server::start_trusting(e2e::limits(), trusted).await?;
    let world = World::over(server, json!({"http": ["http://api.example.org"]})).await?;
    let (status, answer) = world
        .call("get", json!({"url": "http://api.example.org/x"}))
        .await?;
    assert_eq!(
        (status, &answer["result"]),
        (200, &json!([200, "hello from outside"])),
        "{answer:#}"
    );
    for url in [
        "http://other.example.org/",
        "https://api.example.org/",
        "http://api.example.org:81/",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://user:pw@api.example.org/",
    ] {
        let (status, code) = world.code("get", json!({"url": url})).await?;
        assert!(
            status == 403 && code == "permission-denied" || status == 422 && code == "skill-failed",
            "{url}: {status} {code}"
        );
        assert_ne!(status, 200, "{url}");
    }
    Ok(())
}

#[tokio::test]
async fn a_granted_name_in_a_private_network_is_refused() -> Result<()> {
    // `localtest.me` and its like resolve to 127.0.0.1; here the system's own names do.
    let world = World::with(json!({"http": ["http://private.localhost.example"]})).await?;
    let (status, code) = world
        .code("get", json!({"url": "http://private.localhost.example/"}))
        .await?;
    assert!([403, 422].contains(&status), "{status} {code}");
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_a_request_like_any_other() -> Result<()> {
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned();
    let address = web_server(redirect).await?;
    let trusted = BTreeMap::from([("api.example.org".to_owned(), address)]);
    let server = Server::start_trusting(e2e::limits(), trusted).await?;
    let world = World::over(server, json!({"http": ["http://api.example.org"]})).await?;
    let (_, answer) = world
        .call("get", json!({"url": "http://api.example.org/"}))
        .await?;
    assert_eq!(
        answer["result"][0], 302,
        "it is not followed for the skill: {answer:#}"
    );
    assert_eq!(
        world
            .code("get", json!({"url": "http://169.254.169.254/"}))
            .await?
            .0,
        403
    );
    Ok(())
}

#[tokio::test]
async fn keys_are_kept_within_the_quota_even_by_calls_at_once() -> Result<()> {
    let world = World::with(json!({"kv": {"max_bytes": 1_100}})).await?;
    assert_eq!(
        world
            .call("keep", json!({"key": "a", "size": 100}))
            .await?
            .0,
        200
    );
    assert_eq!(
        world.call("kept", json!({"key": "a"})).await?.1["result"],
        100
    );
    assert_eq!(
        world.call("kept", json!({"key": "b"})).await?.1["result"],
        Value::Null
    );
    let at_once = (0..8).map(|n| {
        let world = &world;
        async move {
            world
                .call("keep", json!({"key": format!("k{n}"), "size": 300}))
                .await
        }
    });
    let mut kept = 0;
    for answer in futures::future::join_all(at_once).await {
        let (status, answer) = answer?;
        assert!(
            status == 200
                || answer["error"]
                    .as_str()
                    .is_some_and(|why| why.contains("quota")),
            "{answer:#}"
        );
        kept += i32::from(status == 200);
    }
    assert_eq!(kept, 2, "two fit beside the first, a third does not");
    let counts = futures::future::join_all(
        (0..10).map(|_| world.call("count", json!({"key": "n", "delta": 2}))),
    )
    .await;
    let mut numbers: Vec<_> = counts
        .into_iter()
        .filter_map(|answer| answer.ok()?.1["result"].as_i64())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).map(|n| n * 2).collect::<Vec<i64>>());
    let total: i64 = sqlx::query_scalar("select bytes from skills.kv_total")
        .fetch_one(&mut world.server.database.connect().await?)
        .await?;
    let real: i64 =
        sqlx::query_scalar("select sum(skills.kv_size(bucket, key, value))::bigint from skills.kv")
            .fetch_one(&mut world.server.database.connect().await?)
            .await?;
    assert_eq!(total, real);
    Ok(())
}

#[tokio::test]
async fn only_our_own_components_may_ask_the_sandbox() -> Result<()> {
    let server = Server::start().await?;
    let sandbox = &server.variables["sandbox_url"];
    for path in ["/invoke", "/probe", "/attest", "/components"] {
        let stranger = server
            .http
            .post(format!("{sandbox}{path}"))
            .bearer_auth("x.y.z")
            .json(&json!({}))
            .send()
            .await?;
        assert_eq!(stranger.status(), 401, "{path}");
    }
    assert_eq!(
        server
            .http
            .get(format!("{sandbox}/health"))
            .send()
            .await?
            .status(),
        200
    );
    Ok(())
}
