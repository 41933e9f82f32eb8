//! Skills of WASI 0.3, whose functions are asynchronous.

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

struct World {
    server: Server,
    ada: Agent,
}

impl World {
    async fn with(server: Server, permissions: Value) -> Result<Self> {
        Self::within(500, server, permissions).await
    }

    async fn within(deadline_ms: u32, server: Server, permissions: Value) -> Result<Self> {
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let mut manifest = manifest("waiter", "1.0.0");
        manifest["permissions"] = permissions;
        manifest["limits"] = json!({"deadline_ms": deadline_ms});
        approved(&server, &ada, &manifest, "waiter").await?;
        Ok(Self { server, ada })
    }

    async fn call(&self, tool: &str, arguments: Value) -> Result<(u16, Value)> {
        invoke(&self.server, &self.ada, "waiter", tool, arguments).await
    }
}

#[tokio::test]
async fn a_function_waits_for_several_things_at_once() -> Result<()> {
    let world = World::with(Server::start().await?, json!({"clock": true})).await?;
    let path = "/api/skills/waiter/versions/1.0.0";
    let (_, version) = world.ada.get(&world.server, path).await?;
    assert!(
        ["0.3", "both"].contains(&version["facts"]["wasi"].as_str().unwrap_or_default()),
        "{version:#}"
    );
    let arguments = json!({"a": 40, "b": 2, "ms": [150, 150, 150]});
    let (status, answer) = world.call("add-after", arguments).await?;
    assert_eq!((status, &answer["result"]), (200, &json!(42)), "{answer:#}");
    let took = answer["usage"]["duration_ms"].as_f64().unwrap_or_default();
    assert!((150.0..450.0).contains(&took), "one after another? {took}");
    let (_, now) = world.call("now", json!({})).await?;
    assert!(now["result"][0].as_i64() > Some(1_767_225_600), "{now:#}");
    Ok(())
}

#[tokio::test]
async fn without_permissions_time_stands_still_and_chance_follows_from_the_call() -> Result<()> {
    let world = World::with(Server::start().await?, json!({})).await?;
    let arguments = json!({"a": 1, "b": 2, "ms": [60_000, 100_000]});
    let (status, first) = world.call("add-after", arguments.clone()).await?;
    assert_eq!((status, &first["result"]), (200, &json!(3)), "{first:#}");
    let (_, again) = world.call("add-after", arguments).await?;
    assert_eq!(first["usage"]["fuel"], again["usage"]["fuel"]);
    let (_, now) = world.call("now", json!({})).await?;
    assert_eq!(now["result"][0], 1_767_225_600, "{now:#}");
    assert_eq!(
        now["result"],
        world.call("now", json!({})).await?.1["result"]
    );
    Ok(())
}

#[tokio::test]
async fn requests_go_to_granted_origins_only() -> Result<()> {
    let site = Server::start().await?;
    let address = site.url.trim_start_matches("http://").parse()?;
    let trusted = BTreeMap::from([("api.example.org".to_owned(), address)]);
    let server = Server::start_trusting(e2e::limits(), trusted).await?;
    let world = World::with(server, json!({"http": ["http://api.example.org"]})).await?;
    let url = "http://api.example.org/health/live";
    let (status, answer) = world.call("status", json!({"url": url})).await?;
    assert_eq!(
        (status, &answer["result"]),
        (200, &json!(200)),
        "{answer:#}"
    );
    for url in [
        "http://other.example.org/",
        "https://api.example.org/",
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
    ] {
        let (status, answer) = world.call("status", json!({"url": url})).await?;
        assert_eq!(
            (status, &answer["code"]),
            (403, &json!("permission-denied")),
            "{url} {answer:#}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_never_comes_ends_in_time_and_keeps_nobody_waiting() -> Result<()> {
    let world = World::within(4000, Server::start().await?, json!({})).await?;
    let began = Instant::now();
    let waiting = async {
        let calls = (0..4).map(|_| world.call("never", json!({})));
        (futures::future::join_all(calls).await, began.elapsed())
    };
    let working = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let call = world.call("add-after", json!({"a": 1, "b": 1, "ms": []}));
        (call.await, began.elapsed())
    };
    let ((ended, waited), (answered, worked)) = tokio::join!(waiting, working);
    assert_eq!(answered?.0, 200);
    // Within the deadline of what never comes.
    assert!(worked < Duration::from_secs(4), "{worked:?} of {waited:?}");
    for answer in ended {
        let (status, answer) = answer?;
        assert!(
            (status, answer["code"].as_str()) == (504, Some("skill-deadline"))
                || (status, answer["code"].as_str()) == (502, Some("skill-trapped")),
            "{answer:#}"
        );
    }
    assert!(waited < Duration::from_secs(30), "{waited:?}");
    Ok(())
}

#[tokio::test]
async fn output_is_kept_up_to_its_bound() -> Result<()> {
    let world = World::with(Server::start().await?, json!({})).await?;
    let (status, answer) = world.call("say", json!({"text": "hello"})).await?;
    assert_eq!((status, &answer["result"]), (200, &json!(5)), "{answer:#}");
    let long = "x".repeat(100 << 10);
    let (status, answer) = world.call("say", json!({"text": long})).await?;
    assert_eq!(
        (status, &answer["code"]),
        (507, &json!("skill-output")),
        "{answer:#}"
    );
    Ok(())
}
