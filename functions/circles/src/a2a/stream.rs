//! Streams of a task: the task itself, then each change until its end.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use guest::task::{Writer, body, spawn};
use guest::{Caller, Db};
use serde_json::{Value, json};

use super::Door;
use super::news::{Heard, News, Words};
use super::rpc::Error;
use super::task::{Shown, State, Task};

/// The time without a change after which a comment shows that the stream lives.
const PING_AFTER: Duration = Duration::from_secs(10);

/// Answers with the changes of a task until it ends, or the credential of the caller does.
pub fn answer(
    db: Db,
    caller: Caller,
    door: Door,
    id: Value,
    task: Task,
    news: News,
) -> Response<Body> {
    let (mut writer, body) = body();
    spawn(async move {
        // An error means that the client has left.
        _ = follow(&db, &caller, &door, &id, task, news, &mut writer).await;
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
    mut news: News,
    writer: &mut Writer,
) -> Result<(), ()> {
    send(writer, id, Ok(json!({"task": task.shown(Shown::ALL)}))).await?;
    let mut told = Told {
        state: task.state,
        step: None,
        text: String::new(),
        artifacts: task.artifacts().len(),
    };
    let mut written = Instant::now();
    while !task.has_ended() {
        let mut changes = match news.next().await {
            Heard::Over => return Ok(()),
            Heard::Refused => return send(writer, id, Err(Error::too_many_streams())).await,
            Heard::Words(words) => told.words(&task, &words),
            Heard::Change => Vec::new(),
        };
        if changes.is_empty() {
            task = match Task::find(db, caller, door, task.id).await {
                Ok(task) => task,
                Err(error) => return send(writer, id, Err(error)).await,
            };
            changes = told.changes(&task);
        }
        if !changes.is_empty() {
            news.hurry();
        } else if written.elapsed() > PING_AFTER {
            kept(writer.write(": \n\n").await)?;
            written = Instant::now();
        }
        for change in changes {
            send(writer, id, Ok(change)).await?;
            written = Instant::now();
        }
    }
    Ok(())
}

/// What a client was told of a task.
struct Told {
    state: State,
    /// The step that says the words.
    step: Option<i32>,
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
        if !task.has_ended() && (task.step != self.step || said.len() > self.text.len()) {
            self.step = task.step;
            changes.extend(self.draft(task, said));
        }
        if task.state != self.state {
            self.state = task.state;
            changes.push(task.status_update());
        }
        changes
    }

    /// The news that a piece of words is. None if the words before it are not known, or all of it was told.
    fn words(&mut self, task: &Task, words: &Words) -> Vec<Value> {
        let told = self.text.chars().count();
        let said = if words.offset == 0 && self.step != Some(words.step) {
            words.text.clone()
        } else if words.offset <= told && self.step == Some(words.step) {
            let more: String = words.text.chars().skip(told - words.offset).collect();
            format!("{}{more}", self.text)
        } else {
            return Vec::new();
        };
        self.step = Some(words.step);
        self.draft(task, &said).into_iter().collect()
    }

    /// The news that the agent has said so much of an answer.
    fn draft(&mut self, task: &Task, said: &str) -> Option<Value> {
        let told = std::mem::replace(&mut self.text, said.to_owned());
        let more = said.strip_prefix(told.as_str());
        let piece = more.unwrap_or(said);
        let artifact = json!({"artifactId": format!("{}-draft", task.id), "name": "draft",
            "parts": [{"text": piece}]});
        let is_more = more.is_some() && !told.is_empty();
        (!piece.is_empty()).then(|| task.artifact_update(&artifact, is_more, false))
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
