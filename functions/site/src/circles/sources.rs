//! Servers of tools: what the visitor's agents may use of strangers, and the acceptance of what has changed there.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::Path;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::List;
use crate::failure::Failure;
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

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

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    after: String,
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

async fn list(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Page, Failure> {
    let (new, proof) = (NewSource::default(), Proof::default());
    page(&visitor, &filter, None, &new, &proof).await
}

async fn page(
    visitor: &Visitor,
    filter: &Filter,
    failure: Option<&Failure>,
    new: &NewSource,
    proof: &Proof,
) -> Result<Page, Failure> {
    visitor.required()?;
    let mut path = "/api/tool-sources?limit=50".to_owned();
    if !filter.after.is_empty() {
        path += &format!("&after={}", ui::encode(&filter.after));
    }
    let sources: List<Source> = visitor.get("circles", &path).await?;
    let main = html! {
        p { a href="/personas" { "Personas" } }
        h1 { "Tool sources" }
        p { "Servers of the Model Context Protocol, whose tools your agents may use: a " a href="/personas" { "persona" }
            " names one as " code { "mcp:name" } "." }
        ul.rows { @for source in &sources.items { (source.shown(visitor)) } }
        (ui::more("/tool-sources", sources.next.as_deref()))
        @if visitor.may("personas:create") {
            h2 { "New source" }
            @if let Some(failure) = failure { (ui::alert(&html! { p { (failure.detail) } })) }
            form method="post" action="/tool-sources" {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "name", label: "Name", hint: "1 to 40 of a-z, 0-9 and -", value: &new.name, max: Some(40), ..Field::default() }.show(failure))
                (Field { name: "url", label: "Address of the server", kind: "url", value: &new.url, max: Some(2000), ..Field::default() }.show(failure))
                div.actions { button { "Add source" } }
            }
        }
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
    let page = page(
        &visitor,
        &Filter::default(),
        Some(&failure),
        &fields,
        &proof,
    )
    .await;
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
