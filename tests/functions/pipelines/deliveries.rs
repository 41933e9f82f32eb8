//! Webhooks of pipelines: requests of other systems that start runs.

use crate::jobs::pipeline_run::world::{World, transform};
use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::client::{read, refusal};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

type Headers = Vec<(&'static str, String)>;

/// A webhook of a pipeline of ada's.
struct Webhook<'a> {
    world: &'a World,
    id: String,
    url: String,
    secret: String,
}

impl<'a> Webhook<'a> {
    async fn new(world: &'a World, mut said: Value) -> Result<Self> {
        said["kind"] = json!("webhook");
        let path = "/api/pipelines/taken/triggers";
        let (status, made) = world.call("POST", path, said).await?;
        ensure!(status == 201, "{made}");
        let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        let path = format!("/api/triggers/{}", text("id"));
        let (_, shown) = world.ada.get(&world.server, &path).await?;
        ensure!(
            shown["secret"].is_null() && shown["url"].is_null(),
            "{shown}"
        );
        Ok(Self {
            world,
            id: text("id"),
            url: text("url"),
            secret: text("secret"),
        })
    }

    async fn send(&self, headers: Headers, body: &str) -> Result<(u16, Value)> {
        let request = self.world.server.http.post(&self.url);
        let request = headers
            .into_iter()
            .fold(request.body(body.to_owned()), |request, (name, value)| {
                request.header(name, value)
            });
        read(request.send().await?).await
    }

    async fn json(&self, mut headers: Headers, body: &str) -> Result<(u16, Value)> {
        headers.push(("content-type", "application/json".to_owned()));
        self.send(headers, body).await
    }

    /// The headers of Standard Webhooks.
    fn standard(&self, id: &str, body: &str) -> Result<Headers> {
        let secret = self.secret.trim_start_matches("whsec_");
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64_STANDARD.decode(secret)?)?;
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        let tag = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        Ok(vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", format!("v1,{tag}")),
        ])
    }

    /// The headers of GitHub.
    fn github(&self, body: &str) -> Result<Headers> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes())?;
        mac.update(body.as_bytes());
        let tag = mac.finalize().into_bytes();
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(vec![
            ("x-hub-signature-256", format!("sha256={tag}")),
            ("x-github-event", "push".to_owned()),
        ])
    }
}

/// A world with a pipeline that answers its input.
async fn world() -> Result<World> {
    let world = World::new().await?;
    let definition = json!({"nodes": {"a": transform("input")}, "result": {"$": "nodes.a.output"}});
    let new = json!({"name": "taken", "definition": definition});
    let made = world.call("POST", "/api/pipelines", new).await?;
    ensure!(made.0 == 201, "{made:?}");
    Ok(world)
}

fn run_of(taken: &Value) -> Result<String> {
    let run = taken["run"].as_str().context("run")?;
    Ok(format!("/api/runs/{run}"))
}

const FORM: &str = "application/x-www-form-urlencoded";

fn form() -> Headers {
    vec![("content-type", FORM.to_owned())]
}

#[tokio::test]
async fn signed_requests_start_one_run_each() -> Result<()> {
    let world = world().await?;
    let input =
        json!({"n": {"$": "event.data.body.n"}, "kind": {"$": "event.data.headers['x-kind']"}});
    let said =
        json!({"verify": "standard-webhooks", "where": "event.data.body.n > 0", "input": input});
    let hook = Webhook::new(&world, said).await?;
    let body = "{\"n\": 1}";
    let mut headers = hook.standard("one", body)?;
    headers.push(("x-kind", "{\"$\": \"run.id\"}".to_owned()));
    let (status, first) = hook.json(headers.clone(), body).await?;
    assert_eq!(status, 202, "{first}");
    let (_, again) = hook.json(headers, body).await?;
    assert_eq!(first["run"], again["run"]);
    let run = world.ended(&run_of(&first)?).await?;
    assert_eq!(
        (&run["result"], &run["cause"]),
        (
            &json!({"n": 1, "kind": "{\"$\": \"run.id\"}"}),
            &json!("webhook")
        ),
        "{run}"
    );
    let none = "{\"n\": 0}";
    let (status, taken) = hook.json(hook.standard("two", none)?, none).await?;
    assert_eq!((status, &taken["run"]), (202, &json!(null)));
    for headers in [vec![], hook.standard("three", "{}")?, hook.github(body)?] {
        let refused = hook.json(headers.clone(), body).await?;
        assert_eq!(refusal(&refused), (401, "bad-signature"), "{headers:?}");
    }
    let nul = "{\"n\": \"\\u0000\"}";
    let refused = hook.json(hook.standard("nul", nul)?, nul).await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    let refused = hook.json(hook.standard("odd", "{")?, "{").await?;
    assert_eq!(refusal(&refused), (400, "malformed-json"));
    let path = format!("/api/triggers/{}/firings", hook.id);
    let (_, firings) = world.ada.get(&world.server, &path).await?;
    let items = firings["items"].as_array().context("items")?.iter();
    let statuses: Vec<&str> = items.filter_map(|one| one["status"].as_str()).collect();
    assert_eq!(statuses, ["filtered", "started"], "{firings}");

    let github = Webhook::new(&world, json!({"verify": "github"})).await?;
    let (status, first) = github.json(github.github(body)?, body).await?;
    assert_eq!(status, 202, "{first}");
    let mut replayed = github.github(body)?;
    replayed.push(("x-github-delivery", "another".to_owned()));
    let (_, again) = github.json(replayed, body).await?;
    assert_eq!(first["run"], again["run"], "what was signed is known");
    let refused = github.json(github.standard("x", body)?, body).await?;
    assert_eq!(refusal(&refused), (401, "bad-signature"));
    Ok(())
}

#[tokio::test]
async fn an_address_that_takes_nothing_does_not_say_why() -> Result<()> {
    let world = world().await?;
    let open = Webhook::new(&world, json!({"input": {"$": "event.data.body"}})).await?;
    assert_eq!(open.secret, "", "nobody signs");
    let (status, taken) = open.send(form(), "a=1&b=x+y").await?;
    assert_eq!(status, 202, "{taken}");
    let run = world.ended(&run_of(&taken)?).await?;
    assert_eq!(run["result"], json!({"a": "1", "b": "x y"}));
    let image = vec![("content-type", "image/png".to_owned())];
    let refused = open.send(image, "x").await?;
    assert_eq!(refusal(&refused), (415, "unsupported-media-type"));

    // A pipeline that is paused takes nothing and notes nothing, so that the sender's next attempt counts.
    let named = || {
        let id = ("webhook-id", "late".to_owned());
        form().into_iter().chain([id]).collect::<Headers>()
    };
    let path = "/api/pipelines/taken";
    let paused = world.call("PATCH", path, json!({"paused": true})).await?;
    assert_eq!(paused.0, 200);
    let refused = open.send(named(), "a=1").await?;
    assert_eq!(refusal(&refused), (409, "pipeline-paused"));
    let resumed = world.call("PATCH", path, json!({"paused": false})).await?;
    assert_eq!(resumed.0, 200);
    let (status, late) = open.send(named(), "a=1").await?;
    assert!(status == 202 && late["run"].is_string(), "{late}");

    let trigger = format!("/api/triggers/{}", open.id);
    let off = world
        .call("PATCH", &trigger, json!({"enabled": false}))
        .await?;
    assert_eq!(off.0, 200, "{off:?}");
    let disabled = open.send(form(), "a=1").await?;
    assert_eq!(world.call("DELETE", &trigger, json!({})).await?.0, 204);
    let deleted = open.send(form(), "a=1").await?;
    let wrong = Webhook {
        url: format!("{}x", open.url),
        ..open
    };
    let wrong = wrong.send(form(), "a=1").await?;
    for answer in [&disabled, &deleted, &wrong] {
        assert_eq!(refusal(answer), (404, "not-found"));
        assert_eq!(answer.1["detail"], wrong.1["detail"]);
    }
    Ok(())
}
