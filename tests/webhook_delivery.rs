//! What receivers of webhooks are sent, and what becomes of it where they misbehave.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    Database, Server,
    agents::Agent,
    component_file,
    errands::{WorkerProcess, quick},
    receiver::{Answer, Receiver, Taken},
};
use hmac::{Hmac, Mac};
use host::jobs::{JobTimes, JobWorker};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(60);

/// The platform, with receivers that its operator vouches for.
struct World {
    server: Server,
    ada: Agent,
    hosts: BTreeMap<String, SocketAddr>,
}

impl World {
    async fn new(receivers: &[(&str, &Receiver)]) -> Result<Self> {
        let names: Vec<_> = receivers.iter().map(|(name, _)| *name).collect();
        let server = Server::told(&[("webhook_hosts", &names.join(","))]).await?;
        let hosts = receivers
            .iter()
            .map(|(name, receiver)| ((*name).to_owned(), receiver.address));
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        Ok(Self {
            server,
            ada,
            hosts: hosts.collect(),
        })
    }

    async fn worker(&self, times: JobTimes) -> Result<JobWorker> {
        self.server.worker_reaching(times, self.hosts.clone()).await
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.server.url);
        let request = self.server.http.request(method.parse()?, url);
        let request = request.bearer_auth(&self.ada.token).json(&body);
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// A webhook of the test's own events; its path and its secret.
    async fn webhook(&self, url: &str) -> Result<(String, String)> {
        let new = json!({ "url": url, "topics": ["account:me"], "types": ["test.*"] });
        let (status, made) = self.call("POST", "/api/webhooks", new).await?;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().context("id")?;
        let secret = made["secret"].as_str().context("secret")?;
        Ok((format!("/api/webhooks/{id}"), secret.to_owned()))
    }

    async fn emit(&self, number: u64, subject: Option<&str>) -> Result<()> {
        sqlx::query("select events.emit(array[$1], 'test.number', $2, subject => $3)")
            .bind(format!("account:{}", self.ada.id))
            .bind(json!({ "n": number }))
            .bind(subject)
            .execute(&mut self.server.database.connect().await?)
            .await?;
        Ok(())
    }

    async fn deliveries(&self, webhook: &str) -> Result<Vec<Value>> {
        let (_, page) = self
            .call("GET", &format!("{webhook}/deliveries"), json!({}))
            .await?;
        let items = page["items"].as_array();
        Ok(items.with_context(|| page.to_string())?.clone())
    }

    /// Waits until the newest delivery of a webhook is so.
    async fn until(&self, webhook: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let begin = Instant::now();
        loop {
            let deliveries = self.deliveries(webhook).await?;
            if let Some(newest) = deliveries.first().filter(|newest| fits(newest)) {
                return Ok(newest.clone());
            }
            if begin.elapsed() > LIMIT {
                anyhow::bail!("never so: {deliveries:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn notes(&self) -> Result<Vec<Value>> {
        let (_, page) = self
            .call("GET", "/api/inbox?kind=webhook", json!({}))
            .await?;
        let items = page["items"].as_array();
        Ok(items.with_context(|| page.to_string())?.clone())
    }
}

/// Whether one of a request's signatures is that of a secret, as the specification says.
fn verifies(taken: &Taken, secret: &str) -> Result<bool> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").context("a secret")?)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    let (id, at) = (
        &taken.headers["webhook-id"],
        &taken.headers["webhook-timestamp"],
    );
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(&taken.body);
    let tag = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    let mut signatures = taken.headers["webhook-signature"].split(' ');
    Ok(signatures.any(|signature| signature == tag))
}

#[tokio::test]
async fn an_event_is_sent_signed_and_once() -> Result<()> {
    let good = Receiver::start(|_| Answer::status(204)).await?;
    let world = World::new(&[("good.example", &good)]).await?;
    let (webhook, secret) = world.webhook("http://good.example/hook?x=1").await?;
    let _worker = world.worker(quick()).await?;
    for number in 0..10 {
        world.emit(number, None).await?;
    }
    let taken = good.until(10).await?;
    let mut numbers = vec![];
    for one in &taken {
        assert!(verifies(one, &secret)?, "{one:?}");
        assert!(!verifies(one, "whsec_AAAA")?);
        let body: Value = serde_json::from_slice(&one.body)?;
        assert_eq!(body["type"], "test.number");
        assert_eq!(body["topic"], format!("account:{}", world.ada.id));
        assert!(
            body["timestamp"].is_string() && body["id"].is_string(),
            "{body}"
        );
        assert_eq!(one.headers["content-type"], "application/json");
        assert_eq!(one.headers["host"], "good.example");
        numbers.push(body["data"]["n"].as_u64().context("n")?);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    let sent = world
        .until(&webhook, |newest| newest["state"] == "delivered")
        .await?;
    assert_eq!(
        (&sent["status"], &sent["attempts"], &sent["error"]),
        (&json!(204), &json!(1), &Value::Null)
    );
    let mut ids: Vec<_> = taken.iter().map(|one| &one.headers["webhook-id"]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10);

    // A test, and the same delivery once more.
    let (status, test) = world
        .call("POST", &format!("{webhook}/test"), json!({}))
        .await?;
    assert_eq!(
        (status, &test["type"]),
        (202, &json!("webhook.test")),
        "{test}"
    );
    let taken = good.until(11).await?;
    let body: Value = serde_json::from_slice(&taken[10].body)?;
    assert_eq!(
        (&body["type"], verifies(&taken[10], &secret)?),
        (&json!("webhook.test"), true)
    );
    let of = |delivery: &Value| {
        format!(
            "/api/webhooks/deliveries/{}/redeliver",
            delivery["id"].as_str().unwrap_or_default()
        )
    };
    world
        .until(&webhook, |newest| newest["state"] == "delivered")
        .await?;
    let (status, again) = world.call("POST", &of(&sent), json!({})).await?;
    assert_eq!(
        (status, &again["state"]),
        (202, &json!("waiting")),
        "{again}"
    );
    let taken = good.until(12).await?;
    assert_eq!(json!(taken[11].headers["webhook-id"]), sent["id"]);
    let first = taken
        .iter()
        .find(|one| json!(one.headers["webhook-id"]) == sent["id"]);
    assert_eq!(first.context("the first")?.body, taken[11].body);
    Ok(())
}

#[tokio::test]
async fn receivers_that_misbehave_hold_up_nobody_and_are_tried_again() -> Result<()> {
    let good = Receiver::start(|_| Answer::status(200)).await?;
    let silent = Receiver::start(|_| Answer::Silence).await?;
    let reset = Receiver::start(|_| Answer::Reset).await?;
    let endless = Receiver::start(|_| Answer::Endless).await?;
    let garbage = Receiver::start(|_| Answer::Garbage).await?;
    let elsewhere = Receiver::start(|_| Answer::status(200)).await?;
    let target = format!("location: http://{}/\r\n", elsewhere.address);
    let moved = Receiver::start(move |_| Answer::Status(301, target.clone())).await?;
    let busy = Receiver::start(|_| Answer::Status(429, "retry-after: 3600\r\n".into())).await?;
    let world = World::new(&[
        ("good.example", &good),
        ("silent.example", &silent),
        ("reset.example", &reset),
        ("endless.example", &endless),
        ("garbage.example", &garbage),
        ("moved.example", &moved),
        ("busy.example", &busy),
    ])
    .await?;
    let mut webhooks = BTreeMap::new();
    for name in [
        "silent", "reset", "garbage", "moved", "busy", "endless", "good",
    ] {
        let (webhook, _) = world.webhook(&format!("http://{name}.example/")).await?;
        webhooks.insert(name, webhook);
    }
    // What resolves to this machine is not reached, whatever it is called.
    let inside = Receiver::start(|_| Answer::status(200)).await?;
    let (private, _) = world
        .webhook(&format!("https://localhost:{}/", inside.address.port()))
        .await?;

    // The silent one would take the only place.
    let _worker = world
        .worker(JobTimes {
            concurrency: 1,
            ..quick()
        })
        .await?;
    for number in 0..5 {
        world.emit(number, None).await?;
    }
    good.until(5).await?;
    let no_answer = |newest: &Value| newest["error"].is_string() && newest["status"].is_null();
    for name in ["silent", "reset", "garbage"] {
        let oldest = async || -> Result<bool> {
            let deliveries = world.deliveries(&webhooks[name]).await?;
            Ok(deliveries
                .iter()
                .any(|one| no_answer(one) && one["state"] == "waiting"))
        };
        let begin = Instant::now();
        while !oldest().await? {
            assert!(begin.elapsed() < LIMIT, "{name}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let begin = Instant::now();
    while !world
        .deliveries(&webhooks["busy"])
        .await?
        .iter()
        .any(|one| one["status"] == 429)
    {
        assert!(begin.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, shown) = world.call("GET", &webhooks["busy"], json!({})).await?;
    assert!(
        shown["failing_since"].is_string() && shown["retry_at"].is_string(),
        "{shown}"
    );
    let begin = Instant::now();
    while !world
        .deliveries(&webhooks["moved"])
        .await?
        .iter()
        .any(|one| one["status"] == 301)
    {
        assert!(begin.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(elsewhere.taken().len(), 0, "the redirect was followed");
    // Of an answer without end the head is kept.
    let taken = world
        .until(&webhooks["endless"], |newest| {
            newest["state"] == "delivered"
        })
        .await?;
    let head = taken["reply"].as_str().context("reply")?;
    assert!((1..=1000).contains(&head.len()) && head.starts_with("xxx"));
    let begin = Instant::now();
    while !world.deliveries(&private).await?.iter().any(no_answer) {
        assert!(begin.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(inside.taken().len(), 0);
    // Who wants to be left alone is.
    assert_eq!(busy.taken().len(), 1);
    assert_eq!(world.notes().await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn attempts_repeat_id_and_body_are_signed_anew_and_carry_nothing_that_was_deleted()
-> Result<()> {
    let late = Receiver::start(|number| Answer::status(if number < 2 { 500 } else { 200 })).await?;
    let world = World::new(&[("late.example", &late)]).await?;
    let (webhook, old) = world.webhook("http://late.example/").await?;
    let _worker = world.worker(quick()).await?;
    world.emit(1, None).await?;
    let first = late.until(1).await?.remove(0);
    assert!(verifies(&first, &old)?);
    world
        .until(&webhook, |newest| newest["status"] == 500)
        .await?;
    let (_, rotated) = world
        .call("POST", &format!("{webhook}/rotate"), json!({}))
        .await?;
    let new = rotated["secret"].as_str().context("secret")?;
    let second = late.until(2).await?.remove(1);
    assert!(
        verifies(&second, &old)? && verifies(&second, new)?,
        "{second:?}"
    );
    assert_eq!(second.headers["webhook-id"], first.headers["webhook-id"]);
    assert_eq!(second.body, first.body);

    world
        .until(&webhook, |newest| {
            newest["attempts"] == 2 && newest["status"] == 500
        })
        .await?;
    world.server.database.execute("update webhooks.secret set until = now() - interval '1 second' where until is not null").await?;
    world.server.database.execute("update events.event set subject = 'thing:1' where type = 'test.number'; select events.erase('thing:1')").await?;
    // Its owner need not wait for the next attempt.
    world
        .call("POST", &format!("{webhook}/enable"), json!({}))
        .await?;
    let third = late.until(3).await?.remove(2);
    assert!(!verifies(&third, &old)? && verifies(&third, new)?);
    let body: Value = serde_json::from_slice(&third.body)?;
    assert_eq!(body["data"], json!({ "id": "1", "deleted": true }));
    let done = world
        .until(&webhook, |newest| newest["state"] == "delivered")
        .await?;
    assert_eq!(done["attempts"], 3);
    Ok(())
}

#[tokio::test]
async fn who_is_gone_or_never_there_is_sent_nothing_until_enabled_again() -> Result<()> {
    let gone =
        Receiver::start(|number| Answer::status(if number == 0 { 410 } else { 200 })).await?;
    let dead = Receiver::start(|_| Answer::status(503)).await?;
    let world = World::new(&[("gone.example", &gone), ("dead.example", &dead)]).await?;
    let (webhook, _) = world.webhook("http://gone.example/secret-path").await?;
    let worker = world.worker(quick()).await?;
    world.emit(1, None).await?;
    let first = world
        .until(&webhook, |newest| newest["state"] == "dead")
        .await?;
    assert_eq!(first["status"], 410);
    let (_, shown) = world.call("GET", &webhook, json!({})).await?;
    assert_eq!(shown["state"], "gone");
    world.emit(2, None).await?;
    let second = world
        .until(&webhook, |newest| {
            newest["state"] == "dead" && newest["id"] != first["id"]
        })
        .await?;
    assert_eq!((&second["attempts"], gone.taken().len()), (&json!(0), 1));
    let notes = world.notes().await?;
    assert_eq!(notes.len(), 1, "{notes:?}");
    let text = notes[0]["text"].as_str().context("text")?;
    assert!(
        text.contains("gone.example") && !text.contains("secret-path"),
        "{text}"
    );
    let redeliver = format!(
        "/api/webhooks/deliveries/{}/redeliver",
        second["id"].as_str().context("id")?
    );
    let (status, problem) = world.call("POST", &redeliver, json!({})).await?;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("webhook-disabled"))
    );
    let (status, shown) = world
        .call("POST", &format!("{webhook}/enable"), json!({}))
        .await?;
    assert_eq!((status, &shown["state"]), (200, &json!("enabled")));
    let (status, _) = world.call("POST", &redeliver, json!({})).await?;
    assert_eq!(status, 202);
    assert_eq!(
        json!(gone.until(2).await?[1].headers["webhook-id"]),
        second["id"]
    );
    let (status, problem) = world
        .call(
            "GET",
            &format!("{webhook}/deliveries?state=nonsense"),
            json!({}),
        )
        .await?;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid-input")));
    let (_, page) = world.call("DELETE", &webhook, json!({})).await?;
    assert_eq!(page, Value::Null);

    // A day of failures disables; its deliveries end, and one note says so.
    let (webhook, _) = world.webhook("http://dead.example/").await?;
    for number in 0..3 {
        world.emit(number, None).await?;
    }
    world
        .until(&webhook, |newest| newest["id"].is_string())
        .await?;
    dead.until(1).await?;
    let failed = |newest: &Value| newest["attempts"] == 0 || newest["status"] == 503;
    world.until(&webhook, failed).await?;
    world
        .server
        .database
        .execute(
            "update webhooks.webhook set failing_since = now() - interval '25 hours', retry_at = null;
             update graphile_worker._private_jobs set run_at = now() where locked_at is null",
        )
        .await?;
    let begin = Instant::now();
    loop {
        let (_, shown) = world.call("GET", &webhook, json!({})).await?;
        if shown["state"] == "failing" {
            break;
        }
        assert!(begin.elapsed() < LIMIT, "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let notes = world.notes().await?;
    assert_eq!(notes.len(), 2, "{notes:?}");
    worker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::test]
async fn what_its_owner_may_not_read_any_more_is_not_sent() -> Result<()> {
    let late = Receiver::start(|_| Answer::status(500)).await?;
    let world = World::new(&[("late.example", &late)]).await?;
    let mut connection = world.server.database.connect().await?;
    let hook = json!({ "source": "generic" });
    let (_, hook) = world.call("POST", "/api/hooks", hook).await?;
    let topic = format!("hook:{}", hook["id"].as_str().context("id")?);
    let new = json!({ "url": "http://late.example/", "topics": [topic] });
    let (status, made) = world.call("POST", "/api/webhooks", new).await?;
    assert_eq!(status, 201, "{made}");
    let webhook = format!("/api/webhooks/{}", made["id"].as_str().context("id")?);
    let _worker = world.worker(quick()).await?;
    sqlx::query("select events.emit(array[$1], 'test.number', '{}')")
        .bind(&topic)
        .execute(&mut connection)
        .await?;
    world
        .until(&webhook, |newest| newest["status"] == 500)
        .await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    sqlx::query("update webhooks.hook set owner_id = $1")
        .bind(bob.id)
        .execute(&mut connection)
        .await?;
    let ended = world
        .until(&webhook, |newest| newest["state"] == "dead")
        .await?;
    let why = ended["error"].as_str().context("error")?;
    assert!(why.contains("may not read"), "{ended}");
    assert_eq!(late.taken().len(), 1);
    let redeliver = format!(
        "/api/webhooks/deliveries/{}/redeliver",
        ended["id"].as_str().context("id")?
    );
    let (status, _) = world.call("POST", &redeliver, json!({})).await?;
    assert_eq!(status, 202);
    world
        .until(&webhook, |newest| newest["state"] == "dead")
        .await?;
    assert_eq!(late.taken().len(), 1);
    Ok(())
}

/// A manifest with the one component: a worker compiles no more than it does.
fn only_deliveries(database: &Database) -> String {
    let source = component_file("webhook-delivery");
    let port = database.admin.port().unwrap_or(5432);
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "deliveries"
[variables]
webhook_key = {{ required = true, secret = true }}
webhook_delivery_database_url = {{ required = true, secret = true }}
[component.webhook-delivery]
source = {source:?}
allowed_outbound_hosts = ["postgres://127.0.0.1:{port}", "http://*:*"]
[component.webhook-delivery.variables]
database_url = "{{{{ webhook_delivery_database_url }}}}"
webhook_key = "{{{{ webhook_key }}}}"
[component.webhook-delivery.tool.gather]
role = "gather_webhook_delivery"
public_only = true
concurrency = 16
job = {{ attempts = 100, own_places = true }}
"#
    )
}

#[tokio::test]
async fn killed_workers_lose_no_delivery_and_broken_receivers_delay_no_other() -> Result<()> {
    let mut receivers = vec![];
    for number in 0..9 {
        let answer = match number {
            0 => Answer::Silence,
            1 => Answer::Reset,
            2 => Answer::status(500),
            _ => Answer::status(200),
        };
        receivers.push(Receiver::start(move |_| answer.clone()).await?);
    }
    let names: Vec<_> = (0..receivers.len())
        .map(|number| format!("r{number}.example"))
        .collect();
    let named: Vec<_> = names.iter().map(String::as_str).zip(&receivers).collect();
    let world = World::new(&named).await?;
    let mut webhooks = vec![];
    for name in &names {
        webhooks.push(world.webhook(&format!("http://{name}/")).await?.0);
    }
    let folder = tempfile::tempdir()?;
    let mut arguments = vec!["--worker-lease".to_owned(), "2s".to_owned()];
    for (name, address) in &world.hosts {
        arguments.extend(["--webhook-host".to_owned(), format!("{name}={address}")]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let manifest = folder.path().join("spin.toml");
    std::fs::write(&manifest, only_deliveries(&world.server.database))?;
    let start =
        || WorkerProcess::start(&world.server.database, &manifest, folder.path(), &arguments);
    let mut workers = vec![start()?, start()?];
    for number in 0..30 {
        world.emit(number, None).await?;
        if number % 10 == 5 {
            receivers[8].until(1).await?;
            workers.remove(0).signal("KILL")?;
            workers.push(start()?);
        }
    }
    for receiver in &receivers[3..] {
        let begin = Instant::now();
        loop {
            let numbers: std::collections::BTreeSet<_> = receiver
                .taken()
                .iter()
                .filter_map(|one| serde_json::from_slice::<Value>(&one.body).ok())
                .filter_map(|body| body["data"]["n"].as_u64())
                .collect();
            if numbers.len() == 30 {
                break;
            }
            assert!(begin.elapsed() < LIMIT, "{} of 30", numbers.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // What came twice, after a kill, came under one id.
        let mut bodies = BTreeMap::new();
        for one in receiver.taken() {
            let body = bodies
                .entry(one.headers["webhook-id"].clone())
                .or_insert_with(|| one.body.clone());
            assert_eq!(*body, one.body);
        }
        assert_eq!(bodies.len(), 30);
    }
    for webhook in &webhooks[..3] {
        let deliveries = world.deliveries(webhook).await?;
        assert!(
            deliveries.iter().all(|one| one["state"] == "waiting"),
            "{deliveries:#?}"
        );
    }
    Ok(())
}
