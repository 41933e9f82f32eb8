//! Votes: one of an account, changeable, on posts and comments.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Input, Path, Result, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::outcome::Outcome;

/// The caller's vote.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct Vote {
    /// -1, 1, or 0 to take the vote back.
    #[garde(range(min = -1, max = 1))]
    #[schema(minimum = -1, maximum = 1, example = 1)]
    value: i32,
}

/// What came of the votes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Score {
    /// The sum of all votes.
    score: i64,
    /// The caller's own.
    vote: i16,
}

/// Votes on a post, or takes the vote back.
#[utoipa::path(
    put, path = "/api/posts/{post}/vote", tag = "posts", operation_id = "vote_on_post", params(("post" = Uuid, Path)),
    request_body = Vote,
    responses(
        (status = 200, body = Score),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`post-locked`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn on_post(
    db: Db,
    caller: Caller,
    Path(post): Path<Uuid>,
    Input(vote): Input<Vote>,
) -> Result<Json<Score>> {
    let voted: Outcome<Score> = db
        .one(
            "select vote_post($1, $2, $3) as outcome",
            args![caller.id, post, vote.value],
        )
        .await?;
    voted.value().map(Json)
}

/// Votes on a comment, or takes the vote back.
#[utoipa::path(
    put, path = "/api/comments/{comment}/vote", tag = "posts", operation_id = "vote_on_comment",
    params(("comment" = Uuid, Path)), request_body = Vote,
    responses(
        (status = 200, body = Score),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`post-locked`, `comment-locked`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn on_comment(
    db: Db,
    caller: Caller,
    Path(comment): Path<Uuid>,
    Input(vote): Input<Vote>,
) -> Result<Json<Score>> {
    let voted: Outcome<Score> = db
        .one(
            "select vote_comment($1, $2, $3) as outcome",
            args![caller.id, comment, vote.value],
        )
        .await?;
    voted.value().map(Json)
}
