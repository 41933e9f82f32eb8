//! Bring your own program: `docs/examples/claw.py` as a container of a claw would run it.

use anyhow::{Context, Result, ensure};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use e2e::{
    errands::quick,
    libraries::installed,
    models::{Asked, Say},
    people::Person,
    root,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::Mutex,
    time::{sleep, timeout},
};

use super::life::{command, say, until};
use crate::jobs::agent_turn::world::{World, ask, body, plain, text};

const PROGRAM: &str = "docs/examples/claw.py";
/// The longest time until something has happened, on a machine with much to do.
const LIMIT: Duration = Duration::from_secs(60);

/// A stand-in for the provisioner, which answers as that does. Its instances are processes of this machine, with the
/// environment of a container.
struct Runtime {
    python: PathBuf,
    platform: String,
    instances: Mutex<BTreeMap<String, Instance>>,
}

struct Instance {
    generation: Value,
    program: Child,
}

type Found = Result<Json<Value>, StatusCode>;

impl Runtime {
    /// Listens, and returns its URL.
    async fn serve(self: Arc<Self>) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route("/provision", post(provision))
            .route(
                "/instances",
                get(|| async { Json(json!({"instances": []})) }),
            )
            .route("/instances/{id}", get(find))
            .route(
                "/instances/{id}/logs",
                get(|| async { Json(json!({"lines": []})) }),
            )
            .route("/instances/{id}/stop", post(stop))
            .with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(url)
    }

    fn start(&self, environment: &Value) -> io::Result<Child> {
        let environment: BTreeMap<String, String> = serde_json::from_value(environment.clone())?;
        Command::new(&self.python)
            .arg(root().join(PROGRAM))
            .env_clear()
            .envs(environment)
            .env("GATHER_URL", &self.platform)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

impl Instance {
    /// Ends the program as runtimes do.
    async fn stop(&mut self) -> io::Result<()> {
        if let Some(process) = self.program.id() {
            let process = process.to_string();
            let mut kill = Command::new("kill");
            kill.args(["-s", "TERM", &process]).status().await?;
        }
        timeout(LIMIT, self.program.wait()).await??;
        Ok(())
    }

    fn described(&mut self, id: &str) -> io::Result<Value> {
        let mut described =
            json!({"id": id, "generation": self.generation, "state": "running", "volume": false});
        if let Some(status) = self.program.try_wait()? {
            described["state"] = json!("exited");
            described["reason"] = json!("exited");
            described["exit_code"] = json!(status.code());
        }
        Ok(described)
    }
}

fn failed(_: io::Error) -> StatusCode {
    StatusCode::BAD_GATEWAY
}

async fn provision(State(runtime): State<Arc<Runtime>>, Json(wanted): Json<Value>) -> Found {
    let id = wanted["id"].as_str().ok_or(StatusCode::BAD_REQUEST)?;
    let mut instances = runtime.instances.lock().await;
    let is_older = |instance: &Instance| instance.generation != wanted["generation"];
    if instances.get(id).is_none_or(is_older) {
        let instance = Instance {
            generation: wanted["generation"].clone(),
            program: runtime.start(&wanted["env"]).map_err(failed)?,
        };
        instances.insert(id.to_owned(), instance);
    }
    let instance = instances.get_mut(id).ok_or(StatusCode::NOT_FOUND)?;
    instance.described(id).map(Json).map_err(failed)
}

async fn find(State(runtime): State<Arc<Runtime>>, Path(id): Path<String>) -> Found {
    let mut instances = runtime.instances.lock().await;
    let instance = instances.get_mut(&id).ok_or(StatusCode::NOT_FOUND)?;
    instance.described(&id).map(Json).map_err(failed)
}

async fn stop(State(runtime): State<Arc<Runtime>>, Path(id): Path<String>) -> Found {
    let mut instances = runtime.instances.lock().await;
    let instance = instances.get_mut(&id).ok_or(StatusCode::NOT_FOUND)?;
    instance.stop().await.map_err(failed)?;
    instance.described(&id).map(Json).map_err(failed)
}

/// The script of the model: asked for channels, it searches, and answers only if the tool has found the one that there is.
fn script(asked: &Asked) -> Say {
    let body = body(asked);
    let messages = body["messages"].as_array();
    let last = messages.and_then(|all| all.last());
    let last = last.cloned().unwrap_or_default();
    let said = last["content"].as_str().unwrap_or_default();
    let mut reason = "stop";
    let mut message = json!({"role": "assistant", "content": "You are welcome."});
    if last["role"] == "tool" {
        let is_found = said.contains("lighthouse");
        message["content"] = json!(if is_found { "The lighthouse." } else { said });
    } else if said.contains("channels") {
        reason = "tool_calls";
        message = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "x", "type": "function",
            "function": {"name": "search", "arguments": "{\"query\": \"lighthouse\"}"}}]});
    }
    Say::json(
        &json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": 25, "completion_tokens": 15, "total_tokens": 40}}),
    )
}

/// The answer to what ada has said, once it is there.
async fn answer(world: &World, posted: &Value) -> Result<Value> {
    let asked = &posted["message"];
    let path = format!("/api/channels/{}/messages", text(&asked["channel"])?);
    let begin = Instant::now();
    loop {
        let page = world.get(&path).await?;
        let mut messages = page["items"].as_array().into_iter().flatten();
        if let Some(answer) = messages.find(|one| one["reply_to"] == asked["id"]) {
            return Ok(answer.clone());
        }
        ensure!(begin.elapsed() < LIMIT, "no answer: {page:#}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_example_enrols_runs_answers_and_ends() -> Result<()> {
    let program = std::fs::read_to_string(root().join(PROGRAM))?;
    let mut lines = program.lines();
    let packages = lines.find_map(|line| line.split_once("pip install "));
    let packages: Vec<&str> = packages.context("packages")?.1.split(' ').collect();
    let files = "tests/functions/claws/clients";
    let Some(folder) = installed("claw-program", files, &packages).await? else {
        return Ok(());
    };
    let mut world = World::without_worker(|asked, _| script(asked)).await?;
    let runtime = Arc::new(Runtime {
        python: folder.join("venv/bin/python"),
        platform: world.server.url.clone(),
        instances: Mutex::default(),
    });
    let url = runtime.clone().serve().await?;
    let variables = &mut world.server.variables;
    variables.insert("provisioner_url".to_owned(), url);
    let _worker = world.server.worker(quick()).await?;
    let operator = Person::register(&world.server, "operator").await?;
    let operator = operator.into_admin(&world.server).await?;
    let image = format!("localhost/claw@sha256:{}", "0a".repeat(32));
    let template = json!({"name": "python", "backend": "docker", "image": image, "cpu_millis": 500,
        "memory_bytes": 256 << 20, "disk_bytes": 16 << 20});
    let path = "/api/claw-templates";
    ask(&world.server, &operator, "POST", path, &template, 201).await?;
    world.persona(&plain()).await?;
    let channel = json!({"name": "lighthouse"});
    world.ask("POST", "/api/channels", &channel, 201).await?;

    let new = json!({"name": "helper", "persona": "plain", "template": "python"});
    world.ask("POST", "/api/claws", &new, 202).await?;
    // This waits in its inbox until the program runs, and the next one is heard of over the socket.
    let early = say(&world, "helper", "Which channels are there?").await?;
    let claw = until(&world, "helper", "running").await?;
    assert!(claw["public_key"].is_string(), "{claw:#}");
    let answered = answer(&world, &early).await?;
    assert_eq!(answered["body"], "The lighthouse.", "{answered:#}");
    assert_eq!(answered["author"]["name"], "helper");
    let later = say(&world, "helper", "Thank you.").await?;
    let answered = answer(&world, &later).await?;
    assert_eq!(answered["body"], "You are welcome.", "{answered:#}");
    // It thinks through the gateway, which books it to the claw.
    let usage = world.get("/api/claws/helper/usage").await?;
    assert_eq!(usage["items"][0]["model"], "m", "{usage:#}");

    command(&world, "helper", "stop", 202).await?;
    until(&world, "helper", "stopped").await?;
    let id = text(&claw["id"])?;
    let mut instances = runtime.instances.lock().await;
    let instance = instances.get_mut(&id).context("its instance")?;
    assert_eq!(instance.described(&id)?["exit_code"], 0);
    Ok(())
}
