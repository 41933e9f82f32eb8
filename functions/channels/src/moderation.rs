//! What moderators do to messages, and what messages said before.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Client, Db, Input, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::line;
use crate::is_moderator;
use crate::messages::Message;
use crate::outcome::Outcome;

/// What to do to a message.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = MessageModeration)]
pub struct Moderation {
    #[garde(skip)]
    action: Action,
    /// Told to the author, and kept in the audit.
    #[garde(length(chars, min = 1, max = 500), custom(line))]
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// A moderator's action.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MessageModerationAction)]
pub enum Action {
    /// Only its author and moderators see more than its place, and it can't be changed.
    Hide,
    /// It can't be changed.
    Lock,
    /// It stands above the channel.
    Pin,
}

/// What a message said in one of its versions.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MessageRevision)]
pub struct Revision {
    version: i32,
    body: String,
    html: String,
    #[serde(with = "time::serde::rfc3339")]
    written_at: OffsetDateTime,
    /// A version that was struck out has no text any more.
    struck: bool,
}

/// The versions of a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageRevisions {
    /// The newest first; at most 100.
    items: Vec<Revision>,
    /// Always null.
    next: Option<String>,
}

/// Lists what a message says and said before, for its author and moderators.
#[utoipa::path(
    get, path = "/api/channels/{channel}/messages/{message}/revisions", tag = "channels",
    params(("channel" = String, Path, description = "Id or name"), ("message" = Uuid, Path)),
    responses(
        (status = 200, body = MessageRevisions),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = []))
)]
pub async fn revisions(
    db: Db,
    caller: Caller,
    Path((channel, message)): Path<(String, Uuid)>,
) -> Result<Json<MessageRevisions>> {
    let read: Outcome<Vec<Revision>> = db
        .one(
            "select revisions($1, $2, $3, $4) as outcome",
            args![caller.id, channel, message, is_moderator(&caller)],
        )
        .await?;
    Ok(Json(MessageRevisions {
        items: read.value()?,
        next: None,
    }))
}

/// Strikes out a former version of a message, such as one with a password in it. For its author and moderators.
#[utoipa::path(
    delete, path = "/api/channels/{channel}/messages/{message}/revisions/{version}", tag = "channels",
    operation_id = "strike_revision",
    params(
        ("channel" = String, Path, description = "Id or name"),
        ("message" = Uuid, Path),
        ("version" = i32, Path),
    ),
    responses(
        (status = 204, description = "Its text is gone"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`: the message, or no former version of it"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn strike(
    db: Db,
    caller: Caller,
    client: Client,
    Path((channel, message, version)): Path<(String, Uuid, i32)>,
) -> Result<StatusCode> {
    let struck: Outcome<()> = db
        .one(
            "select strike_revision($1, $2, $3, $4, $5, $6) as outcome",
            args![
                caller.id,
                channel,
                message,
                version,
                is_moderator(&caller),
                json!(client)
            ],
        )
        .await?;
    struck.done()?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hides, locks or pins a message: with the scope `social:moderate` everywhere, with `social:write` as an owner or
/// moderator of the channel. It is in the audit, and told to the author.
#[utoipa::path(
    put, path = "/api/channels/{channel}/messages/{message}/moderation", tag = "channels",
    operation_id = "moderate_message",
    params(("channel" = String, Path, description = "Id or name"), ("message" = Uuid, Path)),
    request_body = Moderation,
    responses(
        (status = 200, body = Message),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`too-many-pins`"),
    ),
    security(("token" = []))
)]
pub async fn moderate(
    db: Db,
    caller: Caller,
    client: Client,
    Path((channel, message)): Path<(String, Uuid)>,
    Input(moderation): Input<Moderation>,
) -> Result<Json<Message>> {
    let action = match moderation.action {
        Action::Hide => "hide",
        Action::Lock => "lock",
        Action::Pin => "pin",
    };
    let reason = Some(moderation.reason);
    act(
        &db,
        &caller,
        &client,
        (channel, message),
        Some(action),
        reason,
    )
    .await
    .map(Json)
}

/// Undoes hiding and locking. Nobody does so for a message of their own.
#[utoipa::path(
    delete, path = "/api/channels/{channel}/messages/{message}/moderation", tag = "channels",
    operation_id = "restore_message",
    params(("channel" = String, Path, description = "Id or name"), ("message" = Uuid, Path)),
    responses(
        (status = 204, description = "It is as before"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = []))
)]
pub async fn restore(
    db: Db,
    caller: Caller,
    client: Client,
    Path((channel, message)): Path<(String, Uuid)>,
) -> Result<StatusCode> {
    act(&db, &caller, &client, (channel, message), None, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn act(
    db: &Db,
    caller: &Caller,
    client: &Client,
    (channel, message): (String, Uuid),
    action: Option<&'static str>,
    reason: Option<String>,
) -> Result<Message> {
    if !is_moderator(caller) && !caller.allows("social:write") {
        return Err(Problem::forbidden(
            "This needs the scope `social:moderate`.",
        ));
    }
    let done: Outcome<Message> = db
        .one(
            "select moderate($1, $2, $3, $4, $5, $6, $7) as outcome",
            args![
                caller.id,
                channel,
                message,
                action,
                reason,
                is_moderator(caller),
                json!(client)
            ],
        )
        .await?;
    done.value()
}
