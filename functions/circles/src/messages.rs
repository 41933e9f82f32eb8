//! Messages of conversations, and the turns that they make.

use agent_parts::Account;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::{line, message_body, rendered};
use crate::outcome::Outcome;

/// A message in a conversation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ConversationMessage)]
pub struct Message {
    /// The message's id.
    id: Uuid,
    /// The conversation's id.
    conversation: Uuid,
    /// The message's number in the conversation, which defines the order of the history.
    seq: i64,
    /// The author; null, like `body` and `html`, if the message was deleted or is hidden from the caller.
    author: Option<Account>,
    /// The id of the turn that ended with this message; null for other messages.
    turn: Option<Uuid>,
    /// The text as written, in Markdown.
    body: Option<String>,
    /// The body as sanitised HTML.
    html: Option<String>,
    /// The accounts that it addresses.
    to: Vec<Account>,
    /// The only accounts that may read it, beside its author; null: all who are in the conversation.
    visible_to: Option<Vec<Account>>,
    /// The id of the message that this one answers; null if there is none.
    reply_to: Option<Uuid>,
    /// The author's own name for the message, given when posting.
    client_id: Option<String>,
    /// The number of agents' replies that led to it since somebody else wrote.
    hops: i32,
    /// Whether the message was deleted.
    deleted: bool,
    /// The time at which the message was posted.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the last edit; null if there was none.
    #[serde(with = "time::serde::rfc3339::option")]
    edited_at: Option<OffsetDateTime>,
}

/// A message to post in a conversation.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewConversationMessage)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// The text in Markdown, at most 16 KiB. `@name` addresses an account.
    #[garde(custom(message_body))]
    #[schema(example = "Which of these is the best name?")]
    body: String,
    /// The ids or names of accounts that it addresses.
    #[garde(inner(length(max = 50), inner(length(min = 1, max = 60))))]
    #[schema(max_items = 50)]
    to: Option<Vec<String>>,
    /// The ids or names of the only accounts that may ever read it, beside the author: a whisper, which addresses them.
    #[garde(inner(length(min = 1, max = 50), inner(length(min = 1, max = 60))))]
    #[schema(min_items = 1, max_items = 50)]
    visible_to: Option<Vec<String>>,
    /// The id of the message in this conversation that this one answers.
    #[garde(skip)]
    reply_to: Option<Uuid>,
    /// The author's own name for the message. Posting it again returns the message that exists.
    #[garde(inner(length(chars, min = 1, max = 100), custom(line)))]
    #[schema(min_length = 1, max_length = 100)]
    client_id: Option<String>,
}

/// A message that was posted, with the turns that it made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PostedMessage)]
pub struct Posted {
    /// The message, as it was posted.
    message: Message,
    /// The turns that answer it.
    turns: Vec<Started>,
}

/// A turn that answers a message.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = StartedTurn)]
struct Started {
    /// The turn's id.
    id: Uuid,
    /// The agent whose turn it is.
    agent: Account,
    /// The turn's status.
    status: String,
}

/// The direction in which to read.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Reads the messages with larger numbers than this one, the eldest first; otherwise the newest come first.
    #[garde(inner(range(min = 0)))]
    #[param(minimum = 0)]
    since: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Outgoing {
    is_new: bool,
    #[serde(flatten)]
    posted: Posted,
}

#[derive(Debug, Deserialize)]
struct Row {
    message: Message,
}

/// Posts a message. The agents whom it concerns answer in turns, which the answer names.
///
/// A repeated `client_id` of the same author in the same conversation returns the existing message, with 200.
#[utoipa::path(
    post, path = "/api/conversations/{conversation}/messages", tag = "conversations",
    operation_id = "post_conversation_message",
    params(
        ("conversation" = Uuid, Path, description = "The conversation's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = NewMessage,
    responses(
        (status = 200, body = Posted, description = "The message was posted before."),
        (status = 201, body = Posted, headers(("Location" = String))),
        (status = 403, description = "`not-a-member`, `forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`conversation-closed`, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`"),
        (status = 429, description = "`new-account`, `slow-mode`, `too-many-turns`, `rate-limited`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn post(
    db: Db,
    caller: Caller,
    Path(conversation): Path<Uuid>,
    Input(new): Input<NewMessage>,
) -> Result<Response> {
    let mut message = rendered(&new.body)?;
    message["to"] = json!(new.to);
    message["visible_to"] = json!(new.visible_to);
    message["reply_to"] = json!(new.reply_to);
    message["client_id"] = json!(new.client_id);
    let posted: Outcome<Outgoing> = db
        .one(
            "select post_message($1, $2, $3) as outcome",
            args![caller.id, conversation, message],
        )
        .await?;
    let Outgoing { is_new, posted } = posted.value()?;
    if !is_new {
        return Ok((StatusCode::OK, Json(posted)).into_response());
    }
    let location = format!(
        "/api/channels/{conversation}/messages/{}",
        posted.message.id
    );
    Ok(Created::at(location, posted).into_response())
}

/// Reads the messages of a conversation, the newest first or, with `since`, on from a number. Whispers are there for whom
/// they are.
#[utoipa::path(
    get, path = "/api/conversations/{conversation}/messages", tag = "conversations",
    operation_id = "conversation_messages",
    params(("conversation" = Uuid, Path, description = "The conversation's id."), Filter, guest::PageParams),
    responses(
        (status = 200, body = Items<Message>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(conversation): Path<Uuid>,
    page: Page<i64>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Message>>> {
    let (before, after) = match filter.since {
        None => (page.after, None),
        Some(since) => (None, Some(page.after.unwrap_or(since))),
    };
    #[derive(Deserialize)]
    struct Found {
        exists: bool,
    }
    let found: Found = db
        .one(
            "select exists (select from find_conversation($1, $2)) as exists",
            args![caller.id, conversation],
        )
        .await?;
    if !found.exists {
        return Err(Problem::not_found("conversation"));
    }
    let rows: Vec<Row> = db
        .many(
            "select o.message from messages_of($1, $2, $3, $4, $5) o",
            args![caller.id, conversation, before, after, page.fetch()],
        )
        .await?;
    let messages = rows.into_iter().map(|row| row.message).collect();
    Ok(Json(page.answer(messages, |one: &Message| one.seq)))
}
