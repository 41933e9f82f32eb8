//! Servers of tools: what the visitor's agents may use of strangers, and the acceptance of what has changed there.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::Path;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{List, Part, Refused, listed, new_item};
use crate::failure::Failure;
use crate::forms::{self, Form};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

/// The path of the list.
const PATH: &str = "/tool-sources";

pub fn routes() -> Router {
    Router::new()
        .route("/tool-sources", get(list).post(add))
        .route("/tool-sources/{source}/accept", post(accept))
        .route("/tool-sources/{source}/remove", post(remove))
}

#[derive(Debug, Deserialize)]
struct Source {
    name: String,
    url: String,
    tools: Vec<Tool>,
    digest: String,
    changed_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Tool {
    name: String,
    description: String,
}

/// A source to add, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewSource {
    name: String,
    url: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nothing {}

async fn list(visitor: Visitor, Query(part): Query<Part>) -> Result<Page, Failure> {
    page(&visitor, &part, Refused::default(), &NewSource::default()).await
}

async fn page(
    visitor: &Visitor,
    part: &Part,
    refused: Refused<'_>,
    new: &NewSource,
) -> Result<Page, Failure> {
    let sources: List<Source> = listed(visitor, PATH, part).await?;
    let failure = refused.failure;
    let fields = html! {
        (Field { name: "name", label: "Name", hint: "1 to 40 of a-z, 0-9 and -", value: &new.name, max: Some(40), ..Field::default() }.show(failure))
        (Field { name: "url", label: "Address of the server", kind: "url", value: &new.url, max: Some(2000), ..Field::default() }.show(failure))
    };
    let main = html! {
        p { a href="/personas" { "Personas" } }
        h1 { "Tool sources" }
        p { "Servers of the Model Context Protocol, whose tools your agents may use: a " a href="/personas" { "persona" }
            " names one as " code { "mcp:name" } "." }
        ul.rows { @for source in &sources.items { (source.shown(visitor)) } }
        (ui::more(PATH, sources.next.as_deref()))
        (new_item(visitor, PATH, refused, ["New source", "Add source"], &fields))
    };
    Ok(Page::new("Tool sources", main))
}

impl Source {
    fn shown(&self, visitor: &Visitor) -> Markup {
        html! {
            li {
                p { strong { (self.name) } " " bdi { (self.url) } }
                p.meta { code { (self.digest) } }
                ul { @for tool in &self.tools { li { code { (tool.name) } " " bdi { (tool.description) } } } }
                @if let Some(changed) = &self.changed_at {
                    p { (ui::status("warn", "changed")) " The server has other tools than those that you accepted, since "
                        (ui::ago(changed)) ". Calls of changed tools are refused." }
                    (self.button(visitor, "accept", "Accept what it has now"))
                }
                (self.button(visitor, "remove", "Remove"))
            }
        }
    }

    fn button(&self, visitor: &Visitor, what: &str, label: &str) -> Markup {
        html! {
            form method="post" action=(format!("/tool-sources/{}/{what}", self.name)) {
                (forms::hidden(visitor))
                div.actions { button.quiet { (label) } }
            }
        }
    }
}

async fn add(visitor: Visitor, Form { fields, proof }: Form<NewSource>) -> Response {
    let body = json!({"name": fields.name, "kind": "mcp", "url": fields.url});
    let made = visitor
        .create::<Value>("circles", "/api/tool-sources", &body, &proof)
        .await;
    let failure = match made {
        Ok(_) => return see("/tool-sources"),
        Err(failure) => failure,
    };
    let refused = Refused {
        failure: Some(&failure),
        proof: Some(&proof),
    };
    let page = page(&visitor, &Part::default(), refused, &fields).await;
    page.map(|page| page.status(failure.status)).into_response()
}

async fn accept(
    visitor: Visitor,
    Path(source): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/api/tool-sources/{}/accept", ui::encode(&source));
    let _accepted: Value = visitor
        .create("circles", &path, &json!({}), &form.proof)
        .await?;
    Ok(see("/tool-sources"))
}

async fn remove(
    visitor: Visitor,
    Path(source): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/api/tool-sources/{}", ui::encode(&source));
    visitor.delete("circles", &path, &form.proof).await?;
    Ok(see("/tool-sources"))
}
