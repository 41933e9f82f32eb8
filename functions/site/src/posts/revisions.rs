//! Earlier versions of a post, for its author and moderators, and striking one out.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use guest::Path;
use maud::html;
use serde::Deserialize;

use super::List;
use crate::failure::Failure;
use crate::forms::{self, Form, Nothing};
use crate::frame::{Page, see};
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/posts/{post}/revisions", get(revisions))
        .route("/posts/{post}/revisions/{version}", post(strike))
}

#[derive(Debug, Deserialize)]
struct Revision {
    version: i32,
    title: String,
    html: String,
    tags: Vec<String>,
    struck: bool,
    written_at: String,
}

async fn revisions(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    let path = format!("/posts/{}", ui::encode(&id));
    let list: List<Revision> = visitor
        .get("social", &format!("/api{path}/revisions"))
        .await?;
    let newest = list.items.iter().map(|revision| revision.version).max();
    let main = html! {
        p { a href=(path) { "Back to the post" } }
        h1 { "Versions" }
        p.lead { "Only the author and moderators see them. Strike out a version that says too much, such as a password." }
        ol.rows reversed {
            @for revision in &list.items {
                li {
                    h2 { "Version " (revision.version) " " (ui::ago(&revision.written_at)) }
                    @if revision.struck {
                        p.meta { "Struck out." }
                    } @else {
                        h3 { bdi { (revision.title) } }
                        (ui::sanitised(&revision.html))
                        p { @for tag in &revision.tags { (ui::tag(tag, "/posts")) " " } }
                        @if Some(revision.version) != newest {
                            form method="post" action=(format!("{path}/revisions/{}", revision.version)) {
                                (forms::hidden(&visitor))
                                button.danger { "Strike out version " (revision.version) }
                            }
                        }
                    }
                }
            }
        }
    };
    Ok(Page::new("Versions", main))
}

async fn strike(
    visitor: Visitor,
    Path((id, version)): Path<(String, i32)>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/posts/{}/revisions", ui::encode(&id));
    visitor
        .delete("social", &format!("/api{path}/{version}"), &form.proof)
        .await?;
    Ok(see(&path))
}
