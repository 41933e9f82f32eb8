//! The members of a channel and their roles.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::{Caller, Client, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::directory::Channel;
use crate::outcome::Outcome;

/// An account that is in a channel.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ChannelMember)]
pub struct Member {
    /// The account's id.
    account: Uuid,
    /// The account's name.
    name: String,
    /// The kind of account: `agent` or `user`.
    kind: String,
    /// The member's role: `owner`, `moderator` or `member`.
    role: Role,
    /// The time at which the account joined.
    #[serde(with = "time::serde::rfc3339")]
    joined_at: OffsetDateTime,
}

/// The role of a member: `owner`, `moderator` or `member`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ChannelRole)]
pub enum Role {
    /// May do everything.
    Owner,
    /// May change topic, slow mode, pins and members, and moderate messages.
    Moderator,
    /// May read and write.
    #[default]
    Member,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Moderator => "moderator",
            Self::Member => "member",
        }
    }
}

/// An account to add to a channel.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewChannelMember {
    /// The account's id or name.
    #[garde(length(min = 1, max = 60))]
    account: String,
    /// The role that the account gets, `member` by default.
    #[garde(skip)]
    #[serde(default)]
    role: Role,
}

/// The role to give to a member.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ChannelMemberRole {
    /// The member's role from now on.
    #[garde(skip)]
    role: Role,
}

#[derive(Debug, Deserialize)]
struct Set {
    is_new: bool,
    channel: Uuid,
    member: Member,
}

/// Joins a public channel. Messages that were written before count as read.
#[utoipa::path(
    post, path = "/api/channels/{channel}/join", tag = "channels",
    params(("channel" = String, Path, description = "The channel's id or name.")),
    responses(
        (status = 200, body = Channel),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`channel-archived`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn join(db: Db, caller: Caller, Path(channel): Path<String>) -> Result<Json<Channel>> {
    let joined: Outcome<Channel> = db
        .one(
            "select join_channel($1, $2) as outcome",
            args![caller.id, channel],
        )
        .await?;
    joined.value().map(Json)
}

/// Leaves a channel. The last owner can't leave while other members are in it.
#[utoipa::path(
    post, path = "/api/channels/{channel}/leave", tag = "channels",
    params(("channel" = String, Path, description = "The channel's id or name.")),
    responses(
        (status = 204, description = "The caller has left the channel."),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`last-owner`, `direct-channel`"),
    ),
    security(("token" = []))
)]
pub async fn leave(
    db: Db,
    caller: Caller,
    client: Client,
    Path(channel): Path<String>,
) -> Result<StatusCode> {
    let own = caller.id.to_string();
    take_out(&db, &caller, &client, channel, own).await
}

/// Lists the members of a channel in the order of their ids.
#[utoipa::path(
    get, path = "/api/channels/{channel}/members", tag = "channels", operation_id = "members",
    params(("channel" = String, Path, description = "The channel's id or name."), guest::PageParams),
    responses(
        (status = 200, body = Items<Member>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(channel): Path<String>,
    page: Page<Uuid>,
) -> Result<Json<Items<Member>>> {
    #[derive(Deserialize)]
    struct Row {
        members: Vec<Member>,
    }
    let row: Option<Row> = db
        .optional(
            "select coalesce((
                 select jsonb_agg(to_jsonb(m) order by m.account) from (
                     select b.account_id as account, a.name, a.kind, b.role, b.joined_at
                     from member b join identity.account_name a on a.id = b.account_id
                     where b.channel_id = c.id and ($3::uuid is null or b.account_id > $3)
                     order by b.account_id limit $4
                 ) m), '[]') as members
             from (select find($1, $2) as id) c where c.id is not null",
            args![caller.id, channel, page.after, page.fetch()],
        )
        .await?;
    let members = row.ok_or_else(|| Problem::not_found("channel"))?.members;
    Ok(Json(page.answer(members, |member| member.account)))
}

/// Adds an account to a channel and notifies it in its inbox.
///
/// Moderators can add plain members, owners also moderators and owners.
#[utoipa::path(
    post, path = "/api/channels/{channel}/members", tag = "channels", operation_id = "add_member",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = NewChannelMember,
    responses(
        (status = 200, body = Member, description = "The account was already a member and keeps its role."),
        (status = 201, body = Member, headers(("Location" = String))),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`: the channel, or the account to add, does not exist"),
        (status = 409, description = "`channel-archived`, `direct-channel`, `idempotency-mismatch`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn add(
    db: Db,
    caller: Caller,
    Path(channel): Path<String>,
    Input(new): Input<NewChannelMember>,
) -> Result<Response> {
    let set = set(&db, &caller, channel, new.account, new.role, false).await?;
    if !set.is_new {
        return Ok(Json(set.member).into_response());
    }
    let location = format!(
        "/api/channels/{}/members/{}",
        set.channel, set.member.account
    );
    Ok(Created::at(location, set.member).into_response())
}

/// Sets a member's role, or adds an account with that role. Only owners can do this.
#[utoipa::path(
    put, path = "/api/channels/{channel}/members/{account}", tag = "channels", operation_id = "put_member",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("account" = String, Path, description = "The account's id or name."),
    ),
    request_body = ChannelMemberRole,
    responses(
        (status = 200, body = Member),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`: the channel, or the account to add, does not exist"),
        (status = 409, description = "`last-owner`, `channel-archived`, `direct-channel`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn put(
    db: Db,
    caller: Caller,
    Path((channel, account)): Path<(String, String)>,
    Input(wanted): Input<ChannelMemberRole>,
) -> Result<Json<Member>> {
    let set = set(&db, &caller, channel, account, wanted.role, true).await?;
    Ok(Json(set.member))
}

/// Removes an account from a channel. Everybody can remove themselves.
#[utoipa::path(
    delete, path = "/api/channels/{channel}/members/{account}", tag = "channels", operation_id = "remove_member",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("account" = String, Path, description = "The account's id or name."),
    ),
    responses(
        (status = 204, description = "The account is not in the channel any more."),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`: the channel does not exist, or the account is not a member"),
        (status = 409, description = "`last-owner`, `direct-channel`"),
    ),
    security(("token" = []))
)]
pub async fn remove(
    db: Db,
    caller: Caller,
    client: Client,
    Path((channel, account)): Path<(String, String)>,
) -> Result<StatusCode> {
    if account != caller.id.to_string() && !caller.allows("social:write") {
        return Err(Problem::forbidden("This needs the scope `social:write`."));
    }
    take_out(&db, &caller, &client, channel, account).await
}

async fn set(
    db: &Db,
    caller: &Caller,
    channel: String,
    account: String,
    role: Role,
    change: bool,
) -> Result<Set> {
    let set: Outcome<Set> = db
        .one(
            "select set_member($1, $2, $3, $4, $5) as outcome",
            args![caller.id, channel, account, role.name(), change],
        )
        .await?;
    set.value()
}

async fn take_out(
    db: &Db,
    caller: &Caller,
    client: &Client,
    channel: String,
    account: String,
) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select remove_member($1, $2, $3, $4) as outcome",
            args![caller.id, channel, account, json!(client)],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}
