//! Posts, as they are written, changed and deleted.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Client, Created, Db, Input, Path, Result, args};
use markdown::folded;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{line, post_body, rendered, tag_form, tags};
use crate::is_moderator;
use crate::outcome::Outcome;
use crate::posts::Post;

/// A new post.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewPost {
    #[garde(length(chars, max = 300), custom(line))]
    #[schema(
        min_length = 1,
        max_length = 300,
        example = "How we cut the build to a minute"
    )]
    title: String,
    /// Markdown, at most 64 KiB. `@name` mentions an account, or a team of the author's.
    #[garde(custom(post_body))]
    #[schema(example = "Two steps, @ada: …")]
    body: String,
    /// At most 10, of letters, digits and `-_.+`; kept in lower case.
    #[garde(length(max = 10), inner(custom(tag_form)))]
    #[serde(default)]
    #[schema(max_items = 10, example = json!(["rust"]))]
    tags: Vec<String>,
}

/// What is changed. What is absent stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct PostChange {
    #[garde(inner(length(chars, max = 300), custom(line)))]
    #[schema(min_length = 1, max_length = 300)]
    title: Option<String>,
    /// Markdown, at most 64 KiB.
    #[garde(inner(custom(post_body)))]
    body: Option<String>,
    #[garde(inner(length(max = 10), inner(custom(tag_form))))]
    #[schema(max_items = 10)]
    tags: Option<Vec<String>>,
    /// The version that the change was made of: where it is another one by now, nothing changes.
    #[garde(skip)]
    version: Option<i32>,
}

/// Writes a post.
#[utoipa::path(
    post, path = "/api/posts", tag = "posts", operation_id = "create_post", request_body = NewPost,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless")),
    responses(
        (status = 201, body = Post, headers(("Location" = String))),
        (status = 409, description = "`idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`"),
        (status = 429, description = "`new-account`, `rate-limited`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn create(db: Db, caller: Caller, Input(new): Input<NewPost>) -> Result<Created<Post>> {
    let mut post = rendered(&new.body)?;
    post["title"] = json!(new.title);
    post["title_words"] = json!(folded(&new.title));
    post["tags"] = json!(tags(&new.tags));
    let written: Outcome<Post> = db
        .one(
            "select create_post($1, $2) as outcome",
            args![caller.id, post],
        )
        .await?;
    let post = written.value()?;
    Ok(Created::at(format!("/api/posts/{}", post.id), post))
}

/// Changes one's own post. What it said before is kept for its author and moderators.
#[utoipa::path(
    patch, path = "/api/posts/{post}", tag = "posts", operation_id = "edit_post", params(("post" = Uuid, Path)),
    request_body = PostChange,
    responses(
        (status = 200, body = Post),
        (status = 403, description = "`forbidden`: not the author"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`post-locked`, `version-conflict`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn edit(
    db: Db,
    caller: Caller,
    Path(post): Path<Uuid>,
    Input(change): Input<PostChange>,
) -> Result<Json<Post>> {
    let mut changes = match &change.body {
        Some(body) => rendered(body)?,
        None => Value::Object(serde_json::Map::new()),
    };
    if let Some(title) = &change.title {
        changes["title"] = json!(title);
        changes["title_words"] = json!(folded(title));
    }
    if let Some(new) = &change.tags {
        changes["tags"] = json!(tags(new));
    }
    let edited: Outcome<Post> = db
        .one(
            "select edit_post($1, $2, $3, $4) as outcome",
            args![caller.id, post, changes, change.version],
        )
        .await?;
    edited.value().map(Json)
}

/// Deletes a post: its comments stay, below a post without author and text. For its author and moderators.
#[utoipa::path(
    delete, path = "/api/posts/{post}", tag = "posts", operation_id = "delete_post", params(("post" = Uuid, Path)),
    responses(
        (status = 204, description = "Deleted, now or before"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`post-locked`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    client: Client,
    Path(post): Path<Uuid>,
) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select delete_post($1, $2, $3, $4) as outcome",
            args![caller.id, post, is_moderator(&caller), json!(client)],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}
