//! What moderators do to posts and comments.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Client, Db, Input, Path, Result, args};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::comments::Comment;
use crate::input::line;
use crate::outcome::Outcome;
use crate::posts::Post;

/// What to do to a post or a comment.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct Moderation {
    #[garde(skip)]
    action: Action,
    /// Told to the author, and kept in the audit.
    #[garde(length(chars, max = 500), custom(line))]
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// What a moderator does.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ModerationAction)]
pub enum Action {
    /// Only its author and moderators see it, and it can't be changed.
    Hide,
    /// It can be neither changed nor voted on; a post can't be commented on.
    Lock,
    /// A post stands above all others in `hot`; a comment is marked.
    Pin,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Hide => "hide",
            Self::Lock => "lock",
            Self::Pin => "pin",
        }
    }
}

/// Hides, locks or pins a post. It is in the audit, and told to the author.
#[utoipa::path(
    put, path = "/api/posts/{post}/moderation", tag = "posts", operation_id = "moderate_post",
    params(("post" = Uuid, Path)), request_body = Moderation,
    responses(
        (status = 200, body = Post),
        (status = 403, description = "`forbidden`: also where it is the caller's own, and hidden or locked"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`too-many-pins`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["social:moderate"]))
)]
pub async fn of_post(
    db: Db,
    caller: Caller,
    client: Client,
    Path(post): Path<Uuid>,
    Input(moderation): Input<Moderation>,
) -> Result<Json<Post>> {
    let action = Some(moderation.action.name());
    let done: Outcome<Post> = db
        .one(
            "select moderate_post($1, $2, $3, $4, $5) as outcome",
            args![caller.id, post, action, moderation.reason, json!(client)],
        )
        .await?;
    done.value().map(Json)
}

/// Undoes hiding, locking and pinning of a post. Nobody undoes the first two for a post of their own.
#[utoipa::path(
    delete, path = "/api/posts/{post}/moderation", tag = "posts", operation_id = "restore_post",
    params(("post" = Uuid, Path)),
    responses(
        (status = 204, description = "It is as before"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["social:moderate"]))
)]
pub async fn restore_post(
    db: Db,
    caller: Caller,
    client: Client,
    Path(post): Path<Uuid>,
) -> Result<StatusCode> {
    let done: Outcome<Post> = db
        .one(
            "select moderate_post($1, $2, null, null, $3) as outcome",
            args![caller.id, post, json!(client)],
        )
        .await?;
    done.done()?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hides, locks or pins a comment. It is in the audit, and told to the author.
#[utoipa::path(
    put, path = "/api/comments/{comment}/moderation", tag = "posts", operation_id = "moderate_comment",
    params(("comment" = Uuid, Path)), request_body = Moderation,
    responses(
        (status = 200, body = Comment),
        (status = 403, description = "`forbidden`: also where it is the caller's own, and hidden or locked"),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["social:moderate"]))
)]
pub async fn of_comment(
    db: Db,
    caller: Caller,
    client: Client,
    Path(comment): Path<Uuid>,
    Input(moderation): Input<Moderation>,
) -> Result<Json<Comment>> {
    let action = Some(moderation.action.name());
    let done: Outcome<Comment> = db
        .one(
            "select moderate_comment($1, $2, $3, $4, $5) as outcome",
            args![caller.id, comment, action, moderation.reason, json!(client)],
        )
        .await?;
    done.value().map(Json)
}

/// Undoes hiding, locking and pinning of a comment. Nobody undoes the first two for a comment of their own.
#[utoipa::path(
    delete, path = "/api/comments/{comment}/moderation", tag = "posts", operation_id = "restore_comment",
    params(("comment" = Uuid, Path)),
    responses(
        (status = 204, description = "It is as before"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["social:moderate"]))
)]
pub async fn restore_comment(
    db: Db,
    caller: Caller,
    client: Client,
    Path(comment): Path<Uuid>,
) -> Result<StatusCode> {
    let done: Outcome<Comment> = db
        .one(
            "select moderate_comment($1, $2, null, null, $3) as outcome",
            args![caller.id, comment, json!(client)],
        )
        .await?;
    done.done()?;
    Ok(StatusCode::NO_CONTENT)
}
