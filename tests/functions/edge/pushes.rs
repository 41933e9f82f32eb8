//! Events that are pushed to an edge: in order, without gaps, to whom the operator lets them.

use crate::functions::channels::actions::grow_up;
use anyhow::{Context, Result, anyhow, bail};
use axum::{Json, Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use e2e::{Server, agents::Agent, master_key, sockets::WAIT, spin::Difference};
use gather::secrets::edge_key;
use serde_json::{Value, json};
use service_token::{EDGE, EDGE_PUSH, OnBehalf, Verifier};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// An edge as the contract has it, whose mistakes are made on purpose.
#[derive(Default)]
struct Edge {
    have: Option<String>,
    events: Vec<Value>,
    revoked: Vec<Value>,
    /// The number of pushes that are answered with a 500 before their effect.
    failures: usize,
    /// The number of pushes that take effect, and are answered with a 500 all the same.
    lost_answers: usize,
    /// Whether pushes with events are not answered, and how many are not.
    holds_events: bool,
    held: usize,
    /// What was revoked by pushes without events.
    revoked_alone: Vec<Value>,
    pushes: usize,
    gaps: usize,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Edge>>);

impl Shared {
    fn with<R>(&self, work: impl FnOnce(&mut Edge) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn until(&self, what: &str, holds: impl Fn(&Edge) -> bool) -> Result<()> {
        let begin = Instant::now();
        while !self.with(|edge| holds(edge)) {
            if begin.elapsed() > WAIT {
                bail!(
                    "{what}: {:?}",
                    self.with(|edge| (edge.events.clone(), edge.pushes))
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

async fn push(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Json(push): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let key = edge_key(&master_key());
    let token = headers["authorization"].to_str().unwrap_or_default();
    let token = token.trim_start_matches("Bearer ");
    if Verifier::new(EDGE_PUSH, [("edge", &*key)])
        .issuer(token)
        .is_none()
    {
        return (StatusCode::UNAUTHORIZED, Json(json!({})));
    }
    let has_events = push["events"]
        .as_array()
        .is_some_and(|events| !events.is_empty());
    if has_events && shared.with(|edge| edge.holds_events) {
        shared.with(|edge| edge.held += 1);
        while shared.with(|edge| edge.holds_events) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    shared.with(|edge| {
        edge.pushes += 1;
        if edge.failures > 0 {
            edge.failures -= 1;
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({})));
        }
        let revoked = push["revoke"].as_array().into_iter().flatten().cloned();
        edge.revoked.extend(revoked.clone());
        if !has_events {
            edge.revoked_alone.extend(revoked);
        }
        let after = push["after"].as_str().map(str::to_owned);
        if after.is_some() && after != edge.have {
            edge.gaps += 1;
            return (
                StatusCode::CONFLICT,
                Json(json!({"code": "gap", "have": edge.have})),
            );
        }
        edge.events
            .extend(push["events"].as_array().into_iter().flatten().cloned());
        edge.have = push["position"].as_str().map(str::to_owned);
        if edge.lost_answers > 0 {
            edge.lost_answers -= 1;
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({})));
        }
        (StatusCode::OK, Json(json!({"have": edge.have})))
    })
}

struct World {
    server: Server,
    ada: Agent,
    edge: Shared,
    callback: String,
}

impl World {
    async fn new() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let edge = Shared::default();
        let router = Router::new()
            .route("/push", post(push))
            .with_state(edge.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let server = Server::told(&[("edge_origins", &origin)]).await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        grow_up(&server).await?;
        Ok(Self {
            server,
            ada,
            edge,
            callback: format!("{origin}/push"),
        })
    }

    async fn lease(&self, have: Option<&str>) -> Result<String> {
        let service =
            service_token::make(&edge_key(&master_key()), "edge", EDGE, &OnBehalf::default())
                .map_err(|error| anyhow!("{error}"))?;
        let address = format!("{}/api/edge/topics/feed:all", self.server.url);
        let lease = json!({"callback": self.callback, "have": have});
        let request = self
            .server
            .http
            .put(address)
            .bearer_auth(service)
            .json(&lease);
        let response = request.send().await?;
        let status = response.status();
        let granted: Value = response.json().await?;
        assert_eq!(status, 200, "{granted}");
        assert_eq!(granted["lease_ms"], 90_000);
        let position = granted["position"].as_str().context("a position")?;
        Ok(position.to_owned())
    }

    /// A lease of an edge that stands where it was told.
    async fn stand(&self) -> Result<()> {
        let position = self.lease(None).await?;
        self.edge.with(|edge| edge.have = Some(position));
        Ok(())
    }

    async fn post(&self, title: &str) -> Result<()> {
        let post = json!({"title": title, "body": "A text."});
        let (status, made) = self
            .ada
            .send(&self.server, "POST", "/api/posts", &post)
            .await?;
        assert_eq!(status, 201, "{made}");
        Ok(())
    }
}

fn titles(edge: &Edge) -> Vec<String> {
    let events = edge
        .events
        .iter()
        .filter(|event| event["type"] == "post.created");
    let titles = events.map(|event| {
        event["data"]["title"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    titles.collect()
}

#[tokio::test]
async fn events_come_in_order_whatever_is_lost_on_the_way() -> Result<()> {
    if Difference::Operation.shows() {
        return Ok(());
    }
    let world = World::new().await?;
    world.stand().await?;
    let expected: Vec<_> = (0..12).map(|number| format!("Post {number}")).collect();
    for (number, title) in expected.iter().enumerate() {
        if number == 3 || number == 6 {
            // It goes wrong with what follows, and not before there was anything.
            let all = |edge: &Edge| titles(edge).len() >= number;
            world.edge.until("the posts so far", all).await?;
        }
        match number {
            3 => world.edge.with(|edge| edge.failures = 2),
            6 => world.edge.with(|edge| edge.lost_answers = 1),
            _ => {}
        }
        world.post(title).await?;
    }
    world
        .edge
        .until("all posts", |edge| titles(edge).len() >= 12)
        .await?;
    assert_eq!(world.edge.with(|edge| titles(edge)), expected);
    assert!(
        world.edge.with(|edge| edge.gaps) >= 1,
        "the answer that was lost"
    );
    let first = world.edge.with(|edge| edge.events[0].clone());
    assert_eq!(first["topic"], "feed:all");
    assert!(
        first["position"].is_string() && first["of"] == json!(world.ada.id),
        "{first}"
    );
    Ok(())
}

#[tokio::test]
async fn an_edge_that_stands_elsewhere_gets_the_events_from_there() -> Result<()> {
    if Difference::Operation.shows() {
        return Ok(());
    }
    let world = World::new().await?;
    world.stand().await?;
    let begin = world.edge.with(|edge| edge.have.clone());
    world.post("First").await?;
    world
        .edge
        .until("the first post", |edge| titles(edge).len() == 1)
        .await?;
    // It has lost what it had.
    world.edge.with(|edge| {
        edge.have = begin;
        edge.events.clear();
    });
    world.post("Second").await?;
    world
        .edge
        .until("both posts", |edge| titles(edge).len() >= 2)
        .await?;
    assert_eq!(world.edge.with(|edge| titles(edge)), ["First", "Second"]);
    // A position that nobody made: what followed is not known, so the edge begins anew.
    world
        .edge
        .with(|edge| edge.have = Some("invented".to_owned()));
    world.post("Third").await?;
    world
        .edge
        .until("a new beginning", |edge| {
            edge.have.as_deref() != Some("invented")
        })
        .await?;
    world.post("Fourth").await?;
    world
        .edge
        .until("the fourth post", |edge| {
            titles(edge).iter().any(|title| title == "Fourth")
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn an_edge_is_told_whose_sockets_have_to_end() -> Result<()> {
    if Difference::Operation.shows() {
        return Ok(());
    }
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    world.stand().await?;
    world.post("First").await?;
    world
        .edge
        .until("the first post", |edge| titles(edge).len() == 1)
        .await?;
    let (_, session) = bob.get(&world.server, "/api/events/session").await?;
    let path = format!(
        "/api/sessions/{}",
        session["session"].as_str().context("a session")?
    );
    assert_eq!(
        bob.send(&world.server, "DELETE", &path, &Value::Null)
            .await?
            .0,
        204
    );
    world
        .edge
        .until("the session", |edge| {
            edge.revoked.contains(&session["session"])
        })
        .await?;
    // Who blocks somebody must sign in again, since sockets are told what to leave out when they begin.
    let block = format!("/api/blocks/{}", bob.id);
    let (status, blocked) = world
        .ada
        .send(&world.server, "PUT", &block, &json!({}))
        .await?;
    assert!(status < 300, "{status} {blocked}");
    world
        .edge
        .until("the block", |edge| {
            edge.revoked.contains(&json!(world.ada.id))
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_lease_that_ends_is_pushed_no_more() -> Result<()> {
    if Difference::Operation.shows() {
        return Ok(());
    }
    let world = World::new().await?;
    world.stand().await?;
    world.post("First").await?;
    world
        .edge
        .until("the first post", |edge| titles(edge).len() == 1)
        .await?;
    let ended = "update edge.topic set lease_ends_at = now() - interval '1 second'";
    world.server.database.execute(ended).await?;
    let left = async || {
        let mut admin = world.server.database.connect().await?;
        let count: i64 = sqlx::query_scalar("select count(*) from edge.topic")
            .fetch_one(&mut admin)
            .await?;
        anyhow::Ok(count)
    };
    let begin = Instant::now();
    while left().await? > 0 {
        assert!(begin.elapsed() < WAIT, "the lease is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A new lease from where the edge stands: nothing is missing.
    world.post("Second").await?;
    let have = world.edge.with(|edge| edge.have.clone());
    world.lease(have.as_deref()).await?;
    world
        .edge
        .until("the second post", |edge| titles(edge).len() == 2)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_revocation_does_not_wait_for_events() -> Result<()> {
    if Difference::Operation.shows() {
        return Ok(());
    }
    let world = World::new().await?;
    world.stand().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let (_, session) = bob.get(&world.server, "/api/events/session").await?;
    let session = session["session"].clone();
    world.edge.with(|edge| edge.holds_events = true);
    world.post("Held").await?;
    world.edge.until("events", |edge| edge.held > 0).await?;
    let path = format!("/api/sessions/{}", session.as_str().context("a session")?);
    let ended = bob.send(&world.server, "DELETE", &path, &Value::Null);
    assert_eq!(ended.await?.0, 204);
    let is_told = |edge: &Edge| edge.revoked_alone.contains(&session);
    world.edge.until("the revocation", is_told).await?;
    world.edge.with(|edge| edge.holds_events = false);
    let has_come = |edge: &Edge| titles(edge).contains(&"Held".to_owned());
    world.edge.until("the events", has_come).await
}

#[tokio::test]
async fn whoever_changes_blocks_all_the_time_costs_a_push_a_second() -> Result<()> {
    const CHANGES: usize = 20;
    if Difference::Operation.shows() {
        return Ok(());
    }
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    world.stand().await?;
    world.post("First").await?;
    let has_come = |edge: &Edge| titles(edge).len() == 1;
    world.edge.until("the first post", has_come).await?;
    let before = world.edge.with(|edge| edge.pushes);
    let begin = Instant::now();
    let block = format!("/api/blocks/{}", bob.id);
    for number in 0..CHANGES {
        let method = ["PUT", "DELETE"][number % 2];
        let nothing = json!({});
        let changed = world.ada.send(&world.server, method, &block, &nothing);
        let (status, changed) = changed.await?;
        assert!(status < 300, "{status} {changed}");
    }
    let is_told = |edge: &Edge| edge.revoked_alone.contains(&json!(world.ada.id));
    world.edge.until("the changes", is_told).await?;
    let seconds = begin.elapsed().as_secs() as usize;
    let pushes = world.edge.with(|edge| edge.pushes) - before;
    assert!(pushes <= seconds + 2, "{pushes} pushes in {seconds} s");
    Ok(())
}
