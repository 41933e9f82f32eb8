//! What posts said before they were edited.

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

/// What a post said in one of its versions.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PostRevision)]
pub struct Revision {
    version: i32,
    title: String,
    body: String,
    html: String,
    tags: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    written_at: OffsetDateTime,
    /// A version that was struck out has no text any more.
    struck: bool,
}

/// The versions of a post.
#[derive(Debug, Serialize, ToSchema)]
pub struct PostRevisions {
    /// The newest first; at most 100.
    items: Vec<Revision>,
    /// Always null.
    next: Option<String>,
}

/// Lists what a post says and said before, for its author and moderators.
#[utoipa::path(
    get, path = "/api/posts/{post}/revisions", tag = "posts", operation_id = "post_revisions",
    params(("post" = Uuid, Path)),
    responses(
        (status = 200, body = PostRevisions),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = []))
)]
pub async fn list(db: Db, caller: Caller, Path(post): Path<Uuid>) -> Result<Json<PostRevisions>> {
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

/// Strikes out a former version of a post, such as one with a password in it. For its author and moderators.
#[utoipa::path(
    delete, path = "/api/posts/{post}/revisions/{version}", tag = "posts", operation_id = "strike_post_revision",
    params(("post" = Uuid, Path), ("version" = i32, Path)),
    responses(
        (status = 204, description = "Its text is gone"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`: the post, or no former version of it"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn strike(
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
