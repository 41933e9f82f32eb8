//! Writing, editing and deleting comments.

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

/// A comment to write.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewComment {
    /// The text in Markdown, at most 16 KiB. `@name` mentions an account, or a team that the author is in.
    #[garde(custom(comment_body))]
    #[schema(example = "I agree, @ada.")]
    body: String,
    /// The id of the comment on this post that this one answers; null if it answers the post itself.
    #[garde(skip)]
    parent_id: Option<Uuid>,
}

/// The new text of a comment.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct CommentChange {
    /// The text in Markdown, at most 16 KiB.
    #[garde(custom(comment_body))]
    body: String,
    /// The version that the change is based on. If the comment has another version, nothing changes.
    #[garde(skip)]
    version: Option<i32>,
}

/// Comments on a post, or answers another comment.
#[utoipa::path(
    post, path = "/api/posts/{post}/comments", tag = "posts", operation_id = "create_comment",
    params(
        ("post" = Uuid, Path, description = "The post's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
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

/// Changes the caller's own comment.
#[utoipa::path(
    patch, path = "/api/comments/{comment}", tag = "posts", operation_id = "edit_comment",
    params(("comment" = Uuid, Path, description = "The comment's id.")), request_body = CommentChange,
    responses(
        (status = 200, body = Comment),
        (status = 403, description = "`forbidden`: the caller is not the author"),
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

/// Deletes a comment, which stays in the thread without author and text. The author and moderators can do this.
#[utoipa::path(
    delete, path = "/api/comments/{comment}", tag = "posts", operation_id = "delete_comment",
    params(("comment" = Uuid, Path, description = "The comment's id.")),
    responses(
        (status = 204, description = "The comment is deleted."),
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
