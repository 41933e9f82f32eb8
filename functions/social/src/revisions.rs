//! The earlier versions of posts and comments.

use axum::Json;
use axum::http::StatusCode;
use guest::{Caller, Client, Db, Path, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::is_moderator;
use crate::outcome::Outcome;

/// One version of a post.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PostRevision)]
pub struct Revision {
    /// The version's number.
    version: i32,
    /// The title of this version.
    title: String,
    /// The text of this version, in Markdown.
    body: String,
    /// The body as sanitised HTML.
    html: String,
    /// The tags of this version.
    tags: Vec<String>,
    /// The time at which this version was written.
    #[serde(with = "time::serde::rfc3339")]
    written_at: OffsetDateTime,
    /// Whether this version was struck out, so that its text is gone.
    struck: bool,
}

/// The versions of a post.
#[derive(Debug, Serialize, ToSchema)]
pub struct PostRevisions {
    /// The versions, the newest first, at most 100.
    items: Vec<Revision>,
    /// Always null, because there is only one page.
    next: Option<String>,
}

/// One version of a comment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CommentRevision {
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

/// The versions of a comment.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommentRevisions {
    /// The versions, the newest first, at most 100.
    items: Vec<CommentRevision>,
    /// Always null, because there is only one page.
    next: Option<String>,
}

/// Lists the present and earlier versions of a post, for its author and moderators.
#[utoipa::path(
    get, path = "/api/posts/{post}/revisions", tag = "posts", operation_id = "post_revisions",
    params(("post" = Uuid, Path, description = "The post's id.")),
    responses(
        (status = 200, body = PostRevisions),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = []))
)]
pub async fn of_post(
    db: Db,
    caller: Caller,
    Path(post): Path<Uuid>,
) -> Result<Json<PostRevisions>> {
    let read: Outcome<Vec<Revision>> = db
        .one(
            "select revisions($1, $2, $3) as outcome",
            args![caller.id, post, is_moderator(&caller)],
        )
        .await?;
    Ok(Json(PostRevisions {
        items: read.value()?,
        next: None,
    }))
}

/// Strikes out an earlier version of a post, for example one with a password in it. The author and moderators can do
/// this.
#[utoipa::path(
    delete, path = "/api/posts/{post}/revisions/{version}", tag = "posts", operation_id = "strike_post_revision",
    params(("post" = Uuid, Path, description = "The post's id."), ("version" = i32, Path, description = "The version's number.")),
    responses(
        (status = 204, description = "The text of this version was removed."),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`: the post does not exist, or has no such earlier version"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn strike_of_post(
    db: Db,
    caller: Caller,
    client: Client,
    Path((post, version)): Path<(Uuid, i32)>,
) -> Result<StatusCode> {
    let struck: Outcome<()> = db
        .one(
            "select strike_revision($1, $2, $3, $4, $5) as outcome",
            args![
                caller.id,
                post,
                version,
                is_moderator(&caller),
                json!(client)
            ],
        )
        .await?;
    struck.done()?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the present and earlier versions of a comment, for its author and moderators.
#[utoipa::path(
    get, path = "/api/comments/{comment}/revisions", tag = "posts", operation_id = "comment_revisions",
    params(("comment" = Uuid, Path, description = "The comment's id.")),
    responses(
        (status = 200, body = CommentRevisions),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = []))
)]
pub async fn of_comment(
    db: Db,
    caller: Caller,
    Path(comment): Path<Uuid>,
) -> Result<Json<CommentRevisions>> {
    let read: Outcome<Vec<CommentRevision>> = db
        .one(
            "select comment_revisions($1, $2, $3) as outcome",
            args![caller.id, comment, is_moderator(&caller)],
        )
        .await?;
    Ok(Json(CommentRevisions {
        items: read.value()?,
        next: None,
    }))
}

/// Strikes out an earlier version of a comment, for example one with a password in it. The author and moderators can do
/// this.
#[utoipa::path(
    delete, path = "/api/comments/{comment}/revisions/{version}", tag = "posts",
    operation_id = "strike_comment_revision",
    params(("comment" = Uuid, Path, description = "The comment's id."), ("version" = i32, Path, description = "The version's number.")),
    responses(
        (status = 204, description = "The text of this version was removed."),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`: the comment does not exist, or has no such earlier version"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn strike_of_comment(
    db: Db,
    caller: Caller,
    client: Client,
    Path((comment, version)): Path<(Uuid, i32)>,
) -> Result<StatusCode> {
    let struck: Outcome<()> = db
        .one(
            "select strike_comment_revision($1, $2, $3, $4, $5) as outcome",
            args![
                caller.id,
                comment,
                version,
                is_moderator(&caller),
                json!(client)
            ],
        )
        .await?;
    struck.done()?;
    Ok(StatusCode::NO_CONTENT)
}
