//! Conversations: channels in which agents answer. Their messages, read state, sockets and search are those of channels.

use agent_parts::Account;
use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{
    Caller, Client, Created, Db, Input, Items, Page, Path, Problem, Query, Result, args, given,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::definition::Limits;
use crate::input::line;
use crate::outcome::Outcome;

/// A conversation of agents and people.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Conversation {
    /// The conversation's id, which is also its channel's.
    pub id: Uuid,
    /// The id of the circle that talks in it; null if there is none.
    circle: Option<Uuid>,
    /// What the conversation is about, in one line.
    title: String,
    /// Whether messages are taken and agents answer.
    status: Status,
    /// The limits of each turn in it, beside those of the persona: the lower one holds. Null: there are none.
    limits: Option<Limits>,
    /// The accounts that are in it, up to 200.
    members: Vec<Account>,
    /// The time at which the conversation was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the newest message; null if there is none.
    #[serde(with = "time::serde::rfc3339::option")]
    last_message_at: Option<OffsetDateTime>,
}

/// Whether messages are taken and agents answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ConversationStatus)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Messages are taken, and agents answer.
    Open,
    /// Messages are taken, and agents answer when it is open again.
    Paused,
    /// Nothing more is written.
    Closed,
}

/// A conversation to make: of a circle, or of the caller and others.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConversation {
    /// The id or name of the circle whose members talk.
    #[garde(inner(length(min = 1, max = 60)))]
    circle: Option<String>,
    /// The ids or names of the accounts that the caller talks with.
    #[garde(inner(length(min = 1, max = 50), inner(length(min = 1, max = 60))))]
    #[schema(min_items = 1, max_items = 50)]
    with: Option<Vec<String>>,
    /// What the conversation is about, in one line.
    #[garde(length(chars, max = 200), custom(line))]
    #[serde(default)]
    #[schema(max_length = 200)]
    title: String,
    /// The limits of each turn in it, beside those of the persona: the lower one holds.
    #[garde(dive)]
    limits: Option<Limits>,
}

/// The changes to a conversation. Absent properties stay as they are.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversationChange {
    /// What the conversation is about, in one line.
    #[garde(inner(length(chars, max = 200), custom(line)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    title: Option<String>,
    /// The limits of each turn in it, in the place of the former ones; null for none.
    #[garde(dive)]
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<Limits>)]
    limits: Option<Option<Limits>>,
    /// Whether messages are taken and agents answer. Closing it cancels its turns.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// The filters of a list of conversations.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only conversations of this circle, by its id or name.
    #[garde(inner(length(min = 1, max = 60)))]
    circle: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    conversation: Conversation,
}

/// Lists the conversations that the caller is in, the newest first. Direct channels with agents that the platform thinks for
/// are among them.
#[utoipa::path(
    get, path = "/api/conversations", tag = "conversations", operation_id = "list_conversations",
    params(Filter, guest::PageParams),
    responses((status = 200, body = Items<Conversation>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Conversation>>> {
    let rows: Vec<Row> = db
        .many(
            "select o.conversation from conversations_of($1, $2, $3, $4) o",
            args![caller.id, filter.circle, page.after, page.fetch()],
        )
        .await?;
    let items = rows.into_iter().map(|row| row.conversation).collect();
    Ok(Json(page.answer(items, |one: &Conversation| one.id)))
}

/// Makes a conversation.
#[utoipa::path(
    post, path = "/api/conversations", tag = "conversations", operation_id = "create_conversation",
    request_body = NewConversation,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 201, body = Conversation, headers(("Location" = String))),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`: the circle"),
        (status = 409, description = "`idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`, `mode-needs-moderator`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Input(new): Input<NewConversation>,
) -> Result<Created<Conversation>> {
    if new.circle.is_some() == new.with.is_some() {
        return Err(Problem::invalid(
            "with",
            "is needed, or `circle`, and not both",
        ));
    }
    let made: Outcome<Conversation> = db
        .one(
            "select create_conversation($1, $2) as outcome",
            args![
                caller.id,
                json!({"circle": new.circle, "with": new.with, "title": new.title, "limits": new.limits})
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())?;
    let conversation = made.value()?;
    Ok(Created::at(
        format!("/api/conversations/{}", conversation.id),
        conversation,
    ))
}

/// Reads a conversation. A direct channel with an agent that the platform thinks for is one too.
#[utoipa::path(
    get, path = "/api/conversations/{conversation}", tag = "conversations", operation_id = "read_conversation",
    params(("conversation" = Uuid, Path, description = "The conversation's id.")),
    responses((status = 200, body = Conversation), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(
    db: Db,
    caller: Caller,
    Path(conversation): Path<Uuid>,
) -> Result<Json<Conversation>> {
    let row: Option<Row> = db
        .optional(
            "select conversation_json(v) as conversation from find_conversation($1, $2) v",
            args![caller.id, conversation],
        )
        .await?;
    row.map(|row| Json(row.conversation))
        .ok_or_else(|| Problem::not_found("conversation"))
}

/// Changes a conversation. Its maker can do this, and owners and moderators of its circle.
#[utoipa::path(
    patch, path = "/api/conversations/{conversation}", tag = "conversations", operation_id = "change_conversation",
    params(("conversation" = Uuid, Path, description = "The conversation's id.")), request_body = ConversationChange,
    responses(
        (status = 200, body = Conversation),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`conversation-closed`: its circle is deleted"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(conversation): Path<Uuid>,
    Input(change): Input<ConversationChange>,
) -> Result<Json<Conversation>> {
    let changed: Outcome<Conversation> = db
        .one(
            "select change_conversation($1, $2, $3) as outcome",
            args![caller.id, conversation, json!(change)],
        )
        .await?;
    changed.value().map(Json)
}

/// Deletes a conversation with its messages and turns; turns that run are cancelled. Its maker can do this, and owners and
/// moderators of its circle. A direct channel can't be deleted.
#[utoipa::path(
    delete, path = "/api/conversations/{conversation}", tag = "conversations", operation_id = "delete_conversation",
    params(("conversation" = Uuid, Path, description = "The conversation's id.")),
    responses(
        (status = 204, description = "The conversation was deleted."),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    client: Client,
    Path(conversation): Path<Uuid>,
) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select delete_conversation($1, $2, $3) as outcome",
            args![caller.id, conversation, json!(client)],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}
