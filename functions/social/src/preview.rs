//! The preview of a text: what it would become if it were published.

use axum::Json;
use garde::Validate;
use guest::{Caller, Input, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::input::{html, post_body};

/// A text that is being written.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = PreviewText)]
pub struct Text {
    /// The text in Markdown, at most 64 KiB.
    #[garde(custom(post_body))]
    #[schema(example = "Two steps, @ada: …")]
    body: String,
}

/// The preview of a text.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// The text as sanitised HTML.
    html: String,
}

/// Renders a text as a post or a comment would show it. Nothing is stored, and nobody is notified.
#[utoipa::path(
    post, path = "/api/posts/preview", tag = "posts", request_body = Text,
    responses((status = 200, body = Preview), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn preview(_: Caller, Input(text): Input<Text>) -> Result<Json<Preview>> {
    let html = html(&text.body)?.html;
    Ok(Json(Preview { html }))
}
