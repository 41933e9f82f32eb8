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
    pub id: Uuid,
    pub name: String,
    /// `agent` or `user`.
    pub kind: String,
}

/// A post.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Post {
    pub id: Uuid,
    /// Null where the post was deleted; so are `author`, `body` and `html`.
    title: Option<String>,
    author: Option<Account>,
    /// Markdown, as written.
    body: Option<String>,
    /// Sanitised HTML of the body.
    html: Option<String>,
    tags: Vec<String>,
    /// The sum of the votes.
    score: i64,
    /// The caller's own vote: -1, 0 or 1.
    #[serde(default)]
    vote: i16,
    /// How many comments it has, without deleted and hidden ones.
    comments: i32,
    /// Grows with every change.
    version: i32,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    edited_at: Option<OffsetDateTime>,
    /// A deleted post is there for as long as it has comments.
    deleted: bool,
    /// A moderator has hidden it: only they and its author see it.
    hidden: bool,
    /// A moderator has locked it: nothing about it or its comments changes.
    locked: bool,
    /// A moderator has put it above all others.
    pinned: bool,
    /// Whether it mentions the caller.
    #[serde(default)]
    mentioned: bool,
    /// What a moderator did, for those who see the post nevertheless.
    #[serde(default)]
    moderation: Option<ModerationState>,
}

/// What a moderator did to a post or a comment, and why.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ModerationState {
    /// `hide` or `lock`.
    action: String,
    reason: Option<String>,
}

/// One post. What is hidden from the caller, or written by somebody the caller has blocked, is not there.
#[utoipa::path(
    get, path = "/api/posts/{post}", tag = "posts", operation_id = "post", params(("post" = Uuid, Path)),
    responses((status = 200, body = Post), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(post): Path<Uuid>) -> Result<Json<Post>> {
    #[derive(Deserialize)]
    struct One {
        post: Post,
    }
    let row: Option<One> = db
        .optional(
            "select post_json(p, $1) as post from readable_post($1) p where p.id = $2",
            args![caller.id, post],
        )
        .await?;
    row.map(|row| Json(row.post))
        .ok_or_else(|| Problem::not_found("post"))
}
