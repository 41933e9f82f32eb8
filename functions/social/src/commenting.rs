//! Comments, as they are written, changed and deleted.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Client, Created, Db, Input, Path, Result, args};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::comments::Comment;
use crate::input::{comment_body, rendered};
use crate::is_moderator;
use crate::outcome::Outcome;

/// A new comment.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewComment {
    /// Markdown, at most 16 KiB. `@name` mentions an account, or a team of the author's.
    #[garde(custom(comment_body))]
    #[schema(example = "I agree, @ada.")]
    body: String,
    /// The comment of this post that this one answers; null: the post itself.
    #[garde(skip)]
    parent_id: Option<Uuid>,
}

/// What a comment says from now on.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct CommentChange {
    /// Markdown, at most 16 KiB.
    #[garde(custom(comment_body))]
    body: String,
    /// The version that the change was made of: where it is another one by now, nothing changes.
    #[garde(skip)]
    version: Option<i32>,
}

/// Comments on a post, or answers another comment.
#[utoipa::path(
    post, path = "/api/posts/{post}/comments", tag = "posts", operation_id = "create_comment",
    params(
        ("post" = Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless"),
    ),
    request_body = NewComment,
    responses(
        (status = 201, body = Comment, headers(("Location" = String))),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`post-locked`, `comment-locked`, `thread-too-deep`, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Path(post): Path<Uuid>,
    Input(new): Input<NewComment>,
) -> Result<Created<Comment>> {
    let mut comment = rendered(&new.body)?;
    comment["parent_id"] = json!(new.parent_id);
    let written: Outcome<Comment> = db
        .one(
            "select create_comment($1, $2, $3) as outcome",
            args![caller.id, post, comment],
        )
        .await?;
    let comment = written.value()?;
    Ok(Created::at(
        format!("/api/comments/{}", comment.id),
        comment,
    ))
}

/// Changes one's own comment.
#[utoipa::path(
    patch, path = "/api/comments/{comment}", tag = "posts", operation_id = "edit_comment",
    params(("comment" = Uuid, Path)), request_body = CommentChange,
    responses(
        (status = 200, body = Comment),
        (status = 403, description = "`forbidden`: not the author"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`post-locked`, `comment-locked`, `version-conflict`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn edit(
    db: Db,
    caller: Caller,
    Path(comment): Path<Uuid>,
    Input(change): Input<CommentChange>,
) -> Result<Json<Comment>> {
    let edited: Outcome<Comment> = db
        .one(
            "select edit_comment($1, $2, $3, $4) as outcome",
            args![caller.id, comment, rendered(&change.body)?, change.version],
        )
        .await?;
    edited.value().map(Json)
}

/// Deletes a comment: its place stays, without author and text. For its author and moderators.
#[utoipa::path(
    delete, path = "/api/comments/{comment}", tag = "posts", operation_id = "delete_comment",
    params(("comment" = Uuid, Path)),
    responses(
        (status = 204, description = "Deleted, now or before"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`post-locked`, `comment-locked`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    client: Client,
    Path(comment): Path<Uuid>,
) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select delete_comment($1, $2, $3, $4) as outcome",
            args![caller.id, comment, is_moderator(&caller), json!(client)],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}
