//! A stand-in for the provisioner, which answers as that does and remembers containers without running any, and claws in it.

use anyhow::{Result, ensure};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    Server,
    agents::{Agent, key},
    errands::quick,
    people::Person,
};
use host::jobs::JobWorker;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::jobs::agent_turn::world::{World, ask, plain, says, text};

/// The longest time until something has happened, on a machine with much to do.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Containers that are only remembered.
#[derive(Clone, Default)]
pub struct Containers(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    /// Whether requests are cut off, and those that were.
    cuts: bool,
    cut: BTreeSet<String>,
    instances: BTreeMap<String, Instance>,
    /// The newest generation that was removed, by the id.
    removed: BTreeMap<String, i64>,
}

/// A container that is only remembered.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The generation that it was made for.
    pub generation: i64,
    /// Its state, as the provisioner says it.
    pub state: &'static str,
    /// Its environment.
    pub env: Value,
}

/// A provisioner over containers, which ends with this value as one that is killed: its connections break off.
pub struct Provisioner {
    /// Its URL.
    pub url: String,
    serving: JoinHandle<()>,
}

impl Drop for Provisioner {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Containers {
    /// Serves them at an address, such as `127.0.0.1:0`.
    pub async fn serve(&self, address: &str) -> Result<Provisioner> {
        let listener = TcpListener::bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/provision", post(provision))
            .route("/deprovision", post(deprovision))
            .route("/instances", get(list))
            .route("/instances/{id}", get(find))
            .route(
                "/instances/{id}/logs",
                // A program may write anything.
                get(|| async {
                    Json(json!({"lines": [{"at": "2026-01-01T00:00:00Z", "stream": "stdout", "text": "a\0b"}]}))
                }),
            )
            .route("/instances/{id}/{change}", post(change))
            .with_state(self.clone());
        let serving = tokio::spawn(async move {
            // It ends when it is aborted.
            drop(axum::serve(listener, router).await);
        });
        Ok(Provisioner { url, serving })
    }

    /// Serves them at the address of a provisioner that has just ended.
    pub async fn serve_again(&self, address: &str) -> Result<Provisioner> {
        let begin = Instant::now();
        loop {
            match self.serve(address).await {
                Ok(provisioner) => return Ok(provisioner),
                Err(error) => ensure!(begin.elapsed() < LIMIT, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All containers that there are, by the claws' ids.
    pub fn all(&self) -> BTreeMap<String, Instance> {
        self.lock().instances.clone()
    }

    /// Ends the program of a claw's container.
    pub fn end(&self, claw: &str) {
        if let Some(instance) = self.lock().instances.get_mut(claw) {
            instance.state = "exited";
        }
    }

    /// Removes the container of a claw behind the provisioner's back.
    pub fn lose(&self, claw: &str) {
        self.lock().instances.remove(claw);
    }

    /// Whether to let the first request of each kind for a claw be cut off: in turns before it is done, and after that.
    pub fn cut(&self, cuts: bool) {
        self.lock().cuts = cuts;
    }

    /// The token by which the container of a claw enrols, once there is one of a generation.
    pub async fn token(&self, claw: &str, generation: i64) -> Result<String> {
        let begin = Instant::now();
        loop {
            let found = self.all().remove(claw);
            if let Some(found) = found.filter(|found| found.generation == generation) {
                return text(&found.env["GATHER_ENROLMENT_TOKEN"]);
            }
            ensure!(begin.elapsed() < LIMIT, "no container: {:?}", self.all());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Remembered {
    /// Whether a request is cut off before it is done, and whether after it: the first of each kind for a claw, in turns.
    fn is_cut(&mut self, id: &str, what: &str) -> (bool, bool) {
        let is_cut = self.cuts && self.cut.insert(format!("{what} {id}"));
        let is_before = self.cut.len().is_multiple_of(2);
        (is_cut && is_before, is_cut && !is_before)
    }
}

/// To the client, this is the same as a provisioner that is killed.
fn broken() -> Response {
    StatusCode::BAD_GATEWAY.into_response()
}

type Answer = std::result::Result<Response, Response>;

fn stale() -> Response {
    let problem = json!({"code": "stale-generation", "detail": "A newer generation is there."});
    (StatusCode::CONFLICT, Json(problem)).into_response()
}

fn gone() -> Response {
    let problem = json!({"code": "not-found", "detail": "There is no such instance."});
    (StatusCode::NOT_FOUND, Json(problem)).into_response()
}

fn described(id: &str, instance: &Instance) -> Response {
    let state = json!({"id": id, "generation": instance.generation, "state": instance.state, "volume": false,
        "reason": (instance.state == "exited").then_some("exited")});
    Json(state).into_response()
}

async fn provision(State(containers): State<Containers>, Json(wanted): Json<Value>) -> Answer {
    let id = wanted["id"].as_str().unwrap_or_default().to_owned();
    let generation = wanted["generation"].as_i64().unwrap_or_default();
    let mut all = containers.lock();
    let (before, after) = all.is_cut(&id, "provision");
    if before {
        return Err(broken());
    }
    let newest = all.instances.get(&id).map(|there| there.generation);
    let removed = all.removed.get(&id).copied();
    if newest > Some(generation) || removed >= Some(generation) {
        return Err(stale());
    }
    if newest != Some(generation) {
        let instance = Instance {
            generation,
            state: "running",
            env: wanted["env"].clone(),
        };
        all.instances.insert(id.clone(), instance);
    }
    if after {
        return Err(broken());
    }
    let made = all.instances.get(&id).ok_or_else(stale)?;
    Ok(described(&id, made))
}

async fn deprovision(State(containers): State<Containers>, Json(which): Json<Value>) -> Answer {
    let id = which["id"].as_str().unwrap_or_default().to_owned();
    let generation = which["generation"].as_i64().unwrap_or_default();
    let mut all = containers.lock();
    let (before, after) = all.is_cut(&id, "deprovision");
    if before {
        return Err(broken());
    }
    if all
        .instances
        .get(&id)
        .is_some_and(|there| there.generation > generation)
    {
        return Err(stale());
    }
    all.instances.remove(&id);
    let removed = all.removed.entry(id).or_default();
    *removed = generation.max(*removed);
    if after {
        return Err(broken());
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn list(State(containers): State<Containers>) -> Response {
    let all = containers.all();
    let all = all
        .iter()
        .map(|(id, there)| json!({"id": id, "generation": there.generation, "state": there.state}));
    Json(json!({"instances": all.collect::<Vec<_>>()})).into_response()
}

async fn find(State(containers): State<Containers>, Path(id): Path<String>) -> Response {
    match containers.all().get(&id) {
        Some(instance) => described(&id, instance),
        None => gone(),
    }
}

async fn change(
    State(containers): State<Containers>,
    Path((id, change)): Path<(String, String)>,
    Json(which): Json<Value>,
) -> Answer {
    let mut all = containers.lock();
    let (before, after) = all.is_cut(&id, &change);
    if before {
        return Err(broken());
    }
    let Some(instance) = all.instances.get_mut(&id) else {
        return Err(gone());
    };
    let wanted = which["generation"].as_i64().unwrap_or_default();
    if wanted < instance.generation {
        return Err(stale());
    }
    if wanted > instance.generation {
        if ["pause", "stop"].contains(&change.as_str()) {
            instance.state = "exited";
        }
        return Err(gone());
    }
    instance.state = match change.as_str() {
        "pause" => "paused",
        "stop" => "exited",
        _ => "running",
    };
    if after {
        return Err(broken());
    }
    Ok(described(&id, instance))
}

/// A world with a worker, whose claws of the template `shell` live in containers that are only remembered.
pub struct Contained {
    pub world: World,
    pub containers: Containers,
    provisioner: Option<Provisioner>,
    _worker: JobWorker,
}

impl Contained {
    /// Starts it; ada has a persona `plain`.
    pub async fn new() -> Result<Self> {
        let containers = Containers::default();
        let provisioner = containers.serve("127.0.0.1:0").await?;
        let mut world = World::without_worker(|_, _| says("Hello.")).await?;
        let variables = &mut world.server.variables;
        variables.insert("provisioner_url".to_owned(), provisioner.url.clone());
        world.persona(&plain()).await?;
        template(&world.server).await?;
        let worker = world.server.worker(quick()).await?;
        Ok(Self {
            world,
            containers,
            provisioner: Some(provisioner),
            _worker: worker,
        })
    }

    /// Ends the provisioner, and returns its address.
    pub fn end_provisioner(&mut self) -> String {
        let provisioner = self.provisioner.take();
        let url = provisioner.map(|provisioner| provisioner.url.clone());
        let url = url.unwrap_or_default();
        url.trim_start_matches("http://").to_owned()
    }

    /// Starts another provisioner at the address of the one before.
    pub async fn start_provisioner(&mut self, address: &str) -> Result<()> {
        self.provisioner = Some(self.containers.serve_again(address).await?);
        Ok(())
    }
}

/// Lets claws be made of a template `shell` in containers. Returns an administrator.
pub async fn template(server: &Server) -> Result<Person> {
    let admin = Person::register(server, "operator").await?;
    let admin = admin.into_admin(server).await?;
    let image = format!("localhost/claw@sha256:{}", "0a".repeat(32));
    let template = json!({"name": "shell", "backend": "docker", "image": image, "cpu_millis": 500,
        "memory_bytes": 256 << 20, "disk_bytes": 16 << 20});
    let made = admin
        .send(server, "POST", "/api/claw-templates", &template)
        .await?;
    ensure!(made.0 == 201, "{made:?}");
    Ok(admin)
}

/// Enrols a claw as its container would, with the key of a number, and signs it in.
pub async fn enrolled(
    world: &World,
    containers: &Containers,
    claw: &Value,
    generation: i64,
    number: u8,
) -> Result<Agent> {
    let id = text(&claw["id"])?;
    let token = containers.token(&id, generation).await?;
    let public_key = BASE64_STANDARD.encode(*key(number).pk);
    let body = json!({"token": token, "public_key": public_key});
    let answer = world.server.post("/api/claws/enrol", &body).await?;
    let status = answer.status();
    ensure!(status == 200, "{status}: {}", answer.text().await?);
    let agent = Agent {
        id: id.parse()?,
        token: Agent::token(&world.server, number).await?,
    };
    Ok(agent)
}

/// Says that a claw is well, and returns its orders.
pub async fn beat(world: &World, claw: &Agent) -> Result<Value> {
    let path = "/api/claws/me/heartbeat";
    ask(&world.server, claw, "PUT", path, &json!({}), 200).await
}
