//! The actions of moderators on messages, and the earlier versions of messages.

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

/// An action on a message.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = MessageModeration)]
pub struct Moderation {
    /// The action to take.
    #[garde(skip)]
    action: Action,
    /// The reason, which the author is told and the audit trail keeps.
    #[garde(length(chars, min = 1, max = 500), custom(line))]
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// An action of a moderator: `hide`, `lock` or `pin`.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MessageModerationAction)]
pub enum Action {
    /// Hides the message from everybody but its author and moderators, and locks it.
    Hide,
    /// Locks the message, so that it can't be changed.
    Lock,
    /// Pins the message in its channel.
    Pin,
}

/// One version of a message's text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MessageRevision)]
pub struct Revision {
    /// The version's number.
    version: i32,
    /// The text of this version, in Markdown.
    body: String,
    /// The body as sanitised HTML.
    html: String,
    /// The time at which this version was written.
    #[serde(with = "time::serde::rfc3339")]
    written_at: OffsetDateTime,
    /// Whether this version was struck out, so that its text is gone.
    struck: bool,
}

/// The versions of a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageRevisions {
    /// The versions, the newest first, at most 100.
    items: Vec<Revision>,
    /// Always null, because there is only one page.
    next: Option<String>,
}

/// Lists the present and earlier versions of a message, for its author and moderators.
#[utoipa::path(
    get, path = "/api/channels/{channel}/messages/{message}/revisions", tag = "channels",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
    ),
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

/// Strikes out an earlier version of a message, for example one with a password in it.
///
/// The author and moderators can do this.
#[utoipa::path(
    delete, path = "/api/channels/{channel}/messages/{message}/revisions/{version}", tag = "channels",
    operation_id = "strike_revision",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
        ("version" = i32, Path, description = "The version's number."),
    ),
    responses(
        (status = 204, description = "The text of this version was removed."),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`: the message does not exist, or has no such earlier version"),
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

/// Hides, locks or pins a message.
///
/// The scope `social:moderate` allows this everywhere, the scope `social:write` to owners and moderators of the
/// channel. The action is recorded in the audit trail, and the author is notified.
#[utoipa::path(
    put, path = "/api/channels/{channel}/messages/{message}/moderation", tag = "channels",
    operation_id = "moderate_message",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
    ),
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

/// Undoes hiding and locking. Nobody can do this for their own message.
#[utoipa::path(
    delete, path = "/api/channels/{channel}/messages/{message}/moderation", tag = "channels",
    operation_id = "restore_message",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
    ),
    responses(
        (status = 204, description = "The message is neither hidden nor locked."),
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
