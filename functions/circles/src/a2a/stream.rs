//! Streams of a task: the task itself, then each change until its end.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use guest::task::{Writer, body, sleep, spawn};
use guest::{Caller, Db};
use serde_json::{Value, json};

use super::Door;
use super::rpc::Error;
use super::task::{Shown, State, Task};

/// The interval at which a task is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The number of looks without a change after which a comment shows that the stream lives.
const PING_EVERY: u32 = 50;

/// Answers with the changes of a task until it ends.
pub fn answer(db: Db, caller: Caller, door: Door, id: Value, task: Task) -> Response<Body> {
    let (mut writer, body) = body();
    spawn(async move {
        // An error means that the client has left.
        _ = follow(&db, &caller, &door, &id, task, &mut writer).await;
    });
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn follow(
    db: &Db,
    caller: &Caller,
    door: &Door,
    id: &Value,
    mut task: Task,
    writer: &mut Writer,
) -> Result<(), ()> {
    send(writer, id, Ok(json!({"task": task.shown(Shown::ALL)}))).await?;
    let mut told = Told {
        state: task.state,
        text: String::new(),
        artifacts: task.artifacts().len(),
    };
    let mut quiet = 0;
    while !task.has_ended() {
        sleep(LOOK).await;
        task = match Task::find(db, caller, door, task.id).await {
            Ok(task) => task,
            Err(error) => return send(writer, id, Err(error)).await,
        };
        let changes = told.changes(&task);
        quiet = if changes.is_empty() { quiet + 1 } else { 0 };
        if quiet == PING_EVERY {
            quiet = 0;
            kept(writer.write(": \n\n").await)?;
        }
        for change in changes {
            send(writer, id, Ok(change)).await?;
        }
    }
    Ok(())
}

/// What a client was told of a task.
struct Told {
    state: State,
    /// The words of the artifact that is not complete.
    text: String,
    artifacts: usize,
}

impl Told {
    /// The news of a task: words, complete artifacts, and the state last.
    fn changes(&mut self, task: &Task) -> Vec<Value> {
        let mut changes = Vec::new();
        let artifacts = task.artifacts();
        for artifact in artifacts.iter().skip(self.artifacts) {
            self.text.clear();
            changes.push(task.artifact_update(artifact, false, true));
        }
        self.artifacts = artifacts.len();
        let said = task.partial.as_deref().unwrap_or_default();
        if !task.has_ended() && said.len() > self.text.len() {
            let more = said.strip_prefix(self.text.as_str());
            let artifact = json!({"artifactId": format!("{}-draft", task.id), "name": "draft",
                "parts": [{"text": more.unwrap_or(said)}]});
            changes.push(task.artifact_update(
                &artifact,
                more.is_some() && !self.text.is_empty(),
                false,
            ));
            said.clone_into(&mut self.text);
        }
        if task.state != self.state {
            self.state = task.state;
            changes.push(task.status_update());
        }
        changes
    }
}

async fn send(writer: &mut Writer, id: &Value, result: Result<Value, Error>) -> Result<(), ()> {
    let message = match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => error.render(id),
    };
    kept(writer.write(format!("data: {message}\n\n")).await)
}

/// Whether the client still reads.
fn kept(is_read: bool) -> Result<(), ()> {
    if is_read { Ok(()) } else { Err(()) }
}
