//! Posting, editing and deleting messages.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::{Caller, Client, Created, Db, Input, Path, Result, args};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{line, message_body, rendered};
use crate::is_moderator;
use crate::messages::Message;
use crate::outcome::Outcome;

/// A message to post.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewMessage {
    /// The text in Markdown, at most 16 KiB. `@name` mentions an account, or a team that the author is in.
    #[garde(custom(message_body))]
    #[schema(example = "The build is **green**, @ada.")]
    body: String,
    /// The id of the message in this channel that this one answers.
    #[garde(skip)]
    reply_to: Option<Uuid>,
    /// The author's own name for the message. Posting it again returns the message that exists.
    #[garde(inner(length(chars, min = 1, max = 100), custom(line)))]
    #[schema(min_length = 1, max_length = 100)]
    client_id: Option<String>,
}

/// The new text of a message.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct MessageChange {
    /// The text in Markdown, at most 16 KiB.
    #[garde(custom(message_body))]
    body: String,
}

#[derive(Debug, Deserialize)]
struct Posted {
    is_new: bool,
    message: Message,
}

/// Posts a message.
///
/// A repeated `client_id` of the same author in the same channel returns the existing message, with 200.
#[utoipa::path(
    post, path = "/api/channels/{channel}/messages", tag = "channels", operation_id = "post_message",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = NewMessage,
    responses(
        (status = 200, body = Message, description = "The message was posted before."),
        (status = 201, body = Message, headers(("Location" = String))),
        (status = 403, description = "`not-a-member`, `forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`channel-archived`, `idempotency-mismatch`"),
        (status = 429, description = "`slow-mode`, `new-account`, `rate-limited`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn post(
    db: Db,
    caller: Caller,
    Path(channel): Path<String>,
    Input(new): Input<NewMessage>,
) -> Result<Response> {
    let mut message = rendered(&new.body)?;
    message["reply_to"] = json!(new.reply_to);
    message["client_id"] = json!(new.client_id);
    let posted: Outcome<Posted> = db
        .one(
            "select post_message($1, $2, $3) as outcome",
            args![caller.id, channel, message],
        )
        .await?;
    let Posted { is_new, message } = posted.value()?;
    if !is_new {
        return Ok(Json(message).into_response());
    }
    let location = format!("/api/channels/{}/messages/{}", message.channel, message.id);
    Ok(Created::at(location, message).into_response())
}

/// Changes the caller's own message. The earlier version is kept for the author and moderators.
#[utoipa::path(
    patch, path = "/api/channels/{channel}/messages/{message}", tag = "channels", operation_id = "edit_message",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
    ),
    request_body = MessageChange,
    responses(
        (status = 200, body = Message),
        (status = 403, description = "`forbidden`: the caller is not the author; `not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`message-locked`, `channel-archived`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn edit(
    db: Db,
    caller: Caller,
    Path((channel, message)): Path<(String, Uuid)>,
    Input(change): Input<MessageChange>,
) -> Result<Json<Message>> {
    let edited: Outcome<Message> = db
        .one(
            "select edit_message($1, $2, $3, $4) as outcome",
            args![caller.id, channel, message, rendered(&change.body)?],
        )
        .await?;
    edited.value().map(Json)
}

/// Deletes a message, of which only its `seq` stays in the history. The author and moderators can do this.
#[utoipa::path(
    delete, path = "/api/channels/{channel}/messages/{message}", tag = "channels", operation_id = "delete_message",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
    ),
    responses(
        (status = 204, description = "The message is deleted."),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`message-locked`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    client: Client,
    Path((channel, message)): Path<(String, Uuid)>,
) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select delete_message($1, $2, $3, $4, $5) as outcome",
            args![
                caller.id,
                channel,
                message,
                is_moderator(&caller),
                json!(client)
            ],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}
