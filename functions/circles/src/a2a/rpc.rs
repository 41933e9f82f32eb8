//! The JSON-RPC endpoint of an agent or of a circle.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;
use guest::task::sleep;
use guest::{Caller, Db, MAX_BODY_BYTES, Moment, Path, Problem, Result, args, read_body};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::message::{self, Sending};
use super::news::{Heard, News, Timer, before};
use super::task::{Shown, State, Task};
use super::{Door, card, door, stream};
use crate::input::{message_body, rendered};
use crate::outcome::Refusal;

/// The header, or the parameter of the address, with the version of the protocol.
const VERSION: &str = "a2a-version";
/// The longest time that an answer waits for the end of a task.
const WAIT: Duration = Duration::from_secs(90);
/// The largest number of tasks of a page.
const MAX_PAGE: i32 = 100;

/// An error of JSON-RPC.
#[derive(Debug)]
pub struct Error {
    code: i32,
    message: String,
}

impl Error {
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// There is no such task, or it is another's.
    pub fn no_task() -> Self {
        Self::new(-32001, "There is no such task.")
    }

    /// The account has as many streams as it may have.
    pub fn too_many_streams() -> Self {
        let message =
            "This account has too many open streams. End one, or read the task with GetTask.";
        Self::new(-32000, message)
    }

    /// The database can't be reached; what happened is for the log alone.
    pub fn of_database(error: guest::db::Error) -> Self {
        guest::error!("a task can't be read", cause = format!("{error:?}"));
        Self::new(-32603, "The database can't be reached at the moment.")
    }

    pub fn render(&self, id: &Value) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        // The errors of A2A itself say their reason (A2A 1.0, 9.5).
        let reason = match self.code {
            -32001 => Some("TASK_NOT_FOUND"),
            -32002 => Some("TASK_NOT_CANCELABLE"),
            -32003 => Some("PUSH_NOTIFICATION_NOT_SUPPORTED"),
            -32004 => Some("UNSUPPORTED_OPERATION"),
            -32005 => Some("CONTENT_TYPE_NOT_SUPPORTED"),
            -32009 => Some("VERSION_NOT_SUPPORTED"),
            _ => None,
        };
        if let Some(reason) = reason {
            let info = "type.googleapis.com/google.rpc.ErrorInfo";
            error["data"] =
                json!([{"@type": info, "reason": reason, "domain": "a2a-protocol.org"}]);
        }
        json!({"jsonrpc": "2.0", "id": id, "error": error})
    }
}

/// A request of JSON-RPC.
#[derive(Debug, Deserialize)]
struct Call {
    jsonrpc: String,
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskParams {
    id: String,
    history_length: Option<i32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListParams {
    context_id: String,
    status: Option<State>,
    page_size: Option<i32>,
    page_token: String,
    history_length: Option<i32>,
    status_timestamp_after: Option<Moment>,
    include_artifacts: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sent {
    Task(Uuid),
    Refused(String),
}

#[derive(Debug, Deserialize)]
struct SentRow {
    sent: Sent,
}

#[derive(Debug, Deserialize)]
struct ListRow {
    /// `None`: the page is empty.
    task: Option<Task>,
    /// When it last changed, in microseconds since 1970.
    changed: Option<i64>,
    total: i64,
}

/// Speaks A2A 1.0 by JSON-RPC, with the methods SendMessage, SendStreamingMessage, GetTask, ListTasks, CancelTask and
/// SubscribeToTask.
///
/// Errors are those of JSON-RPC and of A2A, with the status 200. Requests need the header `A2A-Version: 1.0`, or the parameter.
#[utoipa::path(
    post, path = "/a2a/{kind}/{id}", tag = "a2a", operation_id = "a2a",
    params(
        ("kind" = String, Path, description = "The kind: `agents` or `circles`."),
        ("id" = String, Path, description = "The id or name of the agent or of the circle."),
    ),
    request_body(content = Object, content_type = "application/json", description = "A JSON-RPC 2.0 request"),
    responses(
        (status = 200, body = Object, description = "The result or the error as a JSON-RPC message, or a stream of such messages."),
        (status = 404, description = "`not-found`: there is none, or it is not public"),
        (status = 413, description = "`body-too-large`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn call(
    db: Db,
    caller: Caller,
    Path((kind, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response<Body>> {
    let found = door(&db, &kind, &id).await?;
    let found = found.ok_or_else(|| Problem::not_found("agent"))?;
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body, MAX_BODY_BYTES).await?;
    let call: Call = match serde_json::from_slice(&body) {
        Ok(call) => call,
        Err(error) if error.is_data() => {
            let error = Error::new(-32600, "The body must be one JSON-RPC 2.0 request.");
            return Ok(Json(error.render(&Value::Null)).into_response());
        }
        Err(_) => {
            let error = Error::new(-32700, "The body is not JSON.");
            return Ok(Json(error.render(&Value::Null)).into_response());
        }
    };
    let id = call.id.clone();
    let answered = match checked(&parts, &call) {
        Ok(()) => answer(db, caller, found, &parts.headers, call).await,
        Err(error) => Err(error),
    };
    Ok(answered.unwrap_or_else(|error| Json(error.render(&id)).into_response()))
}

fn checked(parts: &Parts, call: &Call) -> Result<(), Error> {
    if call.jsonrpc != "2.0" || !(call.id.is_string() || call.id.is_number()) {
        return Err(Error::new(
            -32600,
            "The body must be one JSON-RPC 2.0 request with an id.",
        ));
    }
    let header = parts.headers.get(VERSION);
    let header = header.and_then(|version| version.to_str().ok());
    let query = parts.uri.query().unwrap_or_default().split('&');
    let parameter = query
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case(VERSION))
        .map(|(_, version)| version);
    // Where neither says so, it is 0.3.
    let version = header
        .or(parameter)
        .filter(|version| !version.is_empty())
        .unwrap_or("0.3");
    if version != card::VERSION {
        let version: String = version.chars().take(20).collect();
        return Err(Error::new(
            -32009,
            format!("The version {version} of A2A is not supported, only 1.0."),
        ));
    }
    Ok(())
}

async fn answer(
    db: Db,
    caller: Caller,
    door: Door,
    headers: &HeaderMap,
    call: Call,
) -> Result<Response<Body>, Error> {
    let result = match call.method.as_str() {
        "SendMessage" => {
            let sending: Sending = params(call.params)?;
            let task = send(&db, &caller, &door, &sending).await?;
            let task = match sending.configuration.return_immediately {
                true => task,
                false => rested(&db, &caller, &door, headers, task).await?,
            };
            let shown = Shown {
                history: most(sending.configuration.history_length)?,
                ..Shown::ALL
            };
            json!({"task": task.shown(shown)})
        }
        "SendStreamingMessage" => {
            let task = send(&db, &caller, &door, &params(call.params)?).await?;
            let news = News::of(&task, headers, true);
            return Ok(stream::answer(db, caller, door, call.id, task, news));
        }
        "SubscribeToTask" => {
            let task = find(&db, &caller, &door, &params(call.params)?).await?;
            if task.has_ended() {
                return Err(Error::new(-32004, "The task has ended; GetTask reads it."));
            }
            let news = News::of(&task, headers, true);
            return Ok(stream::answer(db, caller, door, call.id, task, news));
        }
        "GetTask" => {
            let given: TaskParams = params(call.params)?;
            let shown = Shown {
                history: most(given.history_length)?,
                ..Shown::ALL
            };
            find(&db, &caller, &door, &given).await?.shown(shown)
        }
        "CancelTask" => {
            let given = params(call.params)?;
            cancel(&db, &caller, &door, &given).await?.shown(Shown::ALL)
        }
        "ListTasks" => list(&db, &caller, &door, params(call.params)?).await?,
        "CreateTaskPushNotificationConfig"
        | "GetTaskPushNotificationConfig"
        | "ListTaskPushNotificationConfigs"
        | "DeleteTaskPushNotificationConfig" => {
            return Err(Error::new(-32003, "Push notifications are not supported."));
        }
        "GetExtendedAgentCard" => {
            return Err(Error::new(
                -32004,
                "There is no extended card, as the card says.",
            ));
        }
        _ => return Err(Error::new(-32601, "There is no such method.")),
    };
    Ok(Json(json!({"jsonrpc": "2.0", "id": call.id, "result": result})).into_response())
}

fn params<T: DeserializeOwned>(params: Value) -> Result<T, Error> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_json::from_value(params).map_err(|error| Error::invalid(format!("`params`: {error}.")))
}

/// The most messages of the history that a client asks for.
fn most(length: Option<i32>) -> Result<usize, Error> {
    let length = length.map_or(Ok(usize::MAX), usize::try_from);
    length.map_err(|_| Error::invalid("`historyLength` must not be negative."))
}

async fn find(db: &Db, caller: &Caller, door: &Door, given: &TaskParams) -> Result<Task, Error> {
    let id = given.id.parse().map_err(|_| Error::no_task())?;
    Task::find(db, caller, door, id).await
}

async fn send(db: &Db, caller: &Caller, door: &Door, sending: &Sending) -> Result<Task, Error> {
    let (text, context, task) = sending.read()?;
    message_body(&text, &()).map_err(|error| Error::invalid(format!("The text {error}.")))?;
    let mut message = rendered(&text).map_err(|problem| Error::invalid(problem.detail()))?;
    message["client_id"] = json!(format!("a2a:{}", sending.message.message_id));
    let row: SentRow = db
        .apart()
        .one(
            "select a2a_send($1, $2, $3, $4, $5, $6) as sent",
            args![caller.id, &door.kind, door.id, context, task, message],
        )
        .await
        .map_err(Error::of_database)?;
    match row.sent {
        Sent::Task(id) => Task::find(db, caller, door, id).await,
        Sent::Refused(why) => Err(refusal(&why)),
    }
}

/// The error for a refusal by the schema's functions.
fn refusal(why: &str) -> Error {
    match why {
        "no-context" => Error::invalid("`contextId` is none of yours here."),
        "other-context" => Error::invalid("`contextId` is not that of the task."),
        "no-task" => Error::no_task(),
        "task-ended" => Error::new(
            -32004,
            "The task has ended. Send the message without `taskId`.",
        ),
        "nobody" => Error::new(-32004, "Nobody here can answer."),
        other => {
            let known = serde_json::from_value::<Refusal>(json!(other)).ok();
            let problem = known.map(|known| guest::Refusal::problem(known, None));
            let detail = problem.map(|problem| problem.detail().to_owned());
            Error::new(
                -32600,
                detail.unwrap_or_else(|| "The message was refused.".to_owned()),
            )
        }
    }
}

/// A task when it rests, or has not for a long time.
async fn rested(
    db: &Db,
    caller: &Caller,
    door: &Door,
    headers: &HeaderMap,
    mut task: Task,
) -> Result<Task, Error> {
    let mut news = News::of(&task, headers, false);
    let mut patience: Timer = Box::pin(sleep(WAIT));
    while !task.rests() {
        match before(&mut patience, news.next()).await {
            Some(Heard::Over | Heard::Refused) | None => break,
            Some(_) => task = Task::find(db, caller, door, task.id).await?,
        }
    }
    Ok(task)
}

async fn cancel(db: &Db, caller: &Caller, door: &Door, given: &TaskParams) -> Result<Task, Error> {
    #[derive(Deserialize)]
    struct Cancelled {
        cancelled: bool,
    }
    let task = find(db, caller, door, given).await?;
    let row: Cancelled = db
        .apart()
        .one(
            "select a2a_cancel($1, $2, $3) as cancelled",
            args![caller.id, &door.kind, task.id],
        )
        .await
        .map_err(Error::of_database)?;
    if !row.cancelled {
        return Err(Error::new(-32002, "The task has ended."));
    }
    Task::find(db, caller, door, task.id).await
}

async fn list(db: &Db, caller: &Caller, door: &Door, given: ListParams) -> Result<Value, Error> {
    let size = given.page_size.unwrap_or(50);
    if !(1..=MAX_PAGE).contains(&size) {
        return Err(Error::invalid("`pageSize` must be 1 to 100."));
    }
    let context = message::id(&given.context_id, || {
        Error::invalid("`contextId` is none of yours.")
    })?;
    let after = match given.page_token.as_str() {
        "" => None,
        token => {
            Some(place_of(token).ok_or_else(|| Error::invalid("`pageToken` is none of yours."))?)
        }
    };
    let (after_at, after) = after.unzip();
    let wanted = Shown {
        artifacts: given.include_artifacts,
        history: most(given.history_length)?,
    };
    let state = given.status.filter(|state| *state != State::Unspecified);
    let state = state.map(|state| json!(state));
    let state = state.as_ref().and_then(Value::as_str);
    let rows: Vec<ListRow> = db
        .apart()
        .many(
            "select l.task, l.changed, l.total
             from a2a_tasks($1, $2, $3, $4, $5, $6::text::timestamptz, $7, $8, $9) l",
            args![
                caller.id,
                &door.kind,
                door.id,
                context,
                state,
                given.status_timestamp_after,
                after_at,
                after,
                size
            ],
        )
        .await
        .map_err(Error::of_database)?;
    let total = rows.first().map_or(0, |row| row.total);
    let is_full = i32::try_from(rows.len()) == Ok(size);
    let last = rows.last().filter(|_| is_full);
    let next = last.and_then(|row| Some(format!("{}.{}", row.changed?, row.task.as_ref()?.id)));
    let tasks = rows.iter().filter_map(|row| row.task.as_ref());
    let shown: Vec<Value> = tasks.map(|task| task.shown(wanted)).collect();
    let next = next.unwrap_or_default();
    Ok(json!({"tasks": shown, "nextPageToken": next, "pageSize": size, "totalSize": total}))
}

/// The time of the change and the id of a page's last task, of which its token is made.
fn place_of(token: &str) -> Option<(i64, Uuid)> {
    let (at, task) = token.split_once('.')?;
    Some((at.parse().ok()?, task.parse().ok()?))
}
