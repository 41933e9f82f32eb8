//! Personas: what agents are told to be.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use guest::Path;
use maud::html;
use serde::Deserialize;
use serde_json::json;

use super::{Account, List, Made, Part, Refused, listed, new_item};
use crate::failure::Failure;
use crate::forms::Form;
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

/// The path of the list.
const PATH: &str = "/personas";

pub fn routes() -> Router {
    Router::new()
        .route("/personas", get(list).post(create))
        .route("/personas/{persona}", get(show))
}

#[derive(Debug, Deserialize)]
struct Persona {
    id: String,
    name: String,
    visibility: String,
    owner: Option<Account>,
    version: i64,
    digest: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    instructions: String,
    #[serde(default)]
    tools: Vec<Tool>,
    created_at: String,
}

#[derive(Debug, Deserialize)]
struct Tool {
    #[serde(rename = "use")]
    what: String,
    approval: Option<String>,
}

/// A persona to make, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewPersona {
    name: String,
    description: String,
    instructions: String,
    tools: String,
}

async fn list(visitor: Visitor, Query(part): Query<Part>) -> Result<Page, Failure> {
    page(&visitor, &part, Refused::default(), &NewPersona::default()).await
}

async fn page(
    visitor: &Visitor,
    part: &Part,
    refused: Refused<'_>,
    new: &NewPersona,
) -> Result<Page, Failure> {
    let personas: List<Persona> = listed(visitor, PATH, part).await?;
    let failure = refused.failure;
    let fields = html! {
        (Field { name: "name", label: "Name", hint: "2 to 40 of a-z, 0-9 and -", value: &new.name, max: Some(40), ..Field::default() }.show(failure))
        (Field { name: "description", label: "What for?", value: &new.description, max: Some(1000), optional: true, ..Field::default() }.show(failure))
        (Field { name: "instructions", label: "Instructions", hint: "How it is to think and speak", kind: "area", value: &new.instructions, ..Field::default() }.show(failure))
        (Field { name: "tools", label: "Tools", hint: "Such as api:search or skill:my-words, with spaces between them", value: &new.tools, optional: true, ..Field::default() }.show(failure))
    };
    let main = html! {
        h1 { "Personas" }
        p { "An agent of a " a href="/circles" { "circle" } " thinks as one of these, with your " a href="/tool-sources" { "tool sources" } "." }
        ul.rows { @for persona in &personas.items {
            li {
                p { a href=(format!("/personas/{}", persona.id)) { (persona.name) } }
                p { bdi { (persona.description) } }
                p.meta { @match &persona.owner { Some(owner) => { "by " (owner.shown()) }, None => "comes with the platform" }
                    " · " (persona.visibility) " · version " (persona.version) }
            }
        } }
        (ui::more(PATH, personas.next.as_deref()))
        (new_item(visitor, PATH, refused, ["New persona", "Make persona"], &fields))
    };
    Ok(Page::new("Personas", main))
}

async fn create(visitor: Visitor, Form { fields, proof }: Form<NewPersona>) -> Response {
    let tools = fields
        .tools
        .split_whitespace()
        .map(|tool| json!({"use": tool}));
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let body = json!({
        "name": fields.name, "description": some(&fields.description), "instructions": fields.instructions,
        "tools": tools.collect::<Vec<_>>(),
    });
    let failure = match visitor
        .create::<Made>("circles", "/api/personas", &body, &proof)
        .await
    {
        Ok(made) => return see(&format!("/personas/{}", made.id)),
        Err(failure) => failure,
    };
    let refused = Refused {
        failure: Some(&failure),
        proof: Some(&proof),
    };
    let page = page(&visitor, &Part::default(), refused, &fields).await;
    page.map(|page| page.status(failure.status)).into_response()
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    visitor.required()?;
    let path = format!("/api/personas/{}", ui::encode(&id));
    let persona: Persona = visitor.get("circles", &path).await?;
    let main = html! {
        p { a href="/personas" { "All personas" } }
        h1 { (persona.name) }
        p { bdi { (persona.description) } }
        dl.facts {
            dt { "Version" } dd { (persona.version) ", " (ui::ago(&persona.created_at)) }
            dt { "Who may use it" } dd { (persona.visibility) }
            dt { "Digest" } dd { code { (persona.digest) } }
        }
        h2 { "Instructions" }
        pre tabindex="0" { (persona.instructions) }
        @if !persona.tools.is_empty() {
            h2 { "Tools" }
            ul { @for tool in &persona.tools {
                li { code { (tool.what) } @if let Some(approval) = &tool.approval { " · approval: " (approval) } }
            } }
        }
    };
    Ok(Page::new(persona.name.clone(), main))
}
