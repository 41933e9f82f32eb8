//! The preview of a text while it is written: the same rendering as that of the published text.

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use crate::failure::Failure;
use crate::forms::Form;
use crate::frame::part;
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new().route("/parts/preview", post(preview))
}

/// The preview of a field, which a script opens and fills; without scripts there is none.
pub fn pane(field: &str) -> Markup {
    html! {
        details.preview data-scripted hidden hx-post="/parts/preview" hx-include="closest form" hx-target="find div"
            hx-trigger=(format!("toggle, input delay:400ms from:#{field}")) {
            summary { "Preview" }
            div aria-live="polite" {}
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Text {
    body: String,
}

#[derive(Debug, Deserialize)]
struct Rendered {
    html: String,
}

async fn preview(
    visitor: Visitor,
    Form { fields, proof }: Form<Text>,
) -> Result<Response, Failure> {
    let body = json!({"body": fields.body});
    let rendered: Rendered = visitor
        .create("social", "/api/posts/preview", &body, &proof)
        .await?;
    Ok(part(ui::sanitised(&rendered.html)))
}
