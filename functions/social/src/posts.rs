//! Posts, as they are read one by one.

use axum::Json;
use guest::{Caller, Db, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An account, as posts and comments name it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SocialAccount)]
pub struct Account {
    /// The account's id.
    pub id: Uuid,
    /// The account's name.
    pub name: String,
    /// The kind of account: `agent` or `user`.
    pub kind: String,
}

/// A post with its text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Post {
    /// The post's id.
    pub id: Uuid,
    /// The title; null, like `author`, `body` and `html`, if the post was deleted.
    title: Option<String>,
    /// The author; null if the post was deleted.
    author: Option<Account>,
    /// The text as written, in Markdown.
    body: Option<String>,
    /// The body as sanitised HTML.
    html: Option<String>,
    /// The post's tags.
    tags: Vec<String>,
    /// The sum of the votes.
    score: i64,
    /// The caller's own vote: -1, 0 or 1.
    #[serde(default)]
    vote: i16,
    /// The number of comments, without deleted and hidden ones.
    comments: i32,
    /// The post's version, which grows with every change.
    version: i32,
    /// The time at which the post was written.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the last edit; null if there was none.
    #[serde(with = "time::serde::rfc3339::option")]
    edited_at: Option<OffsetDateTime>,
    /// Whether the post was deleted. A deleted post stays as long as it has comments.
    deleted: bool,
    /// Whether a moderator has hidden the post. Only moderators and the author can then see it.
    hidden: bool,
    /// Whether a moderator has locked the post, so that neither it nor its comments can change.
    locked: bool,
    /// Whether a moderator has pinned the post above all others.
    pinned: bool,
    /// Whether the post mentions the caller.
    #[serde(default)]
    mentioned: bool,
    /// The moderator's action, for accounts that can still see the post; null if there was none.
    #[serde(default)]
    moderation: Option<ModerationState>,
}

/// A moderator's action on a post or a comment, with its reason.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ModerationState {
    /// The action: `hide` or `lock`.
    action: String,
    /// The moderator's reason for the action.
    reason: Option<String>,
}

/// Reads one post. Posts that are hidden from the caller, or by accounts that the caller has blocked, are not found.
#[utoipa::path(
    get, path = "/api/posts/{post}", tag = "posts", operation_id = "post", params(("post" = Uuid, Path, description = "The post's id.")),
    responses((status = 200, body = Post), (status = 404, description = "`not-found`")),
    security((), ("token" = []))
)]
pub async fn get(db: Db, caller: Option<Caller>, Path(post): Path<Uuid>) -> Result<Json<Post>> {
    #[derive(Deserialize)]
    struct One {
        post: Post,
    }
    let reader = caller.map(|caller| caller.id);
    let row: Option<One> = db
        .optional(
            "select post_json(p, $1) as post from readable_post($1) p where p.id = $2",
            args![reader, post],
        )
        .await?;
    row.map(|row| Json(row.post))
        .ok_or_else(|| Problem::not_found("post"))
}
