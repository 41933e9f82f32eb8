//! The editor of definitions: a text that is checked while it is written, and published as a pipeline or a version.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::Path;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::graph::Graph;
use super::{Pipeline, Version, address, api, pretty};
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, part, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/pipelines/new", get(new).post(create))
        .route("/pipelines/{pipeline}/edit", get(edit).post(publish))
        .route("/parts/pipelines/check", post(check_part))
}

/// The largest definition, in characters.
const MAX_DEFINITION: u32 = 262_144;

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Draft {
    name: String,
    definition: String,
    note: String,
    activate: bool,
    what: String,
}

/// The definition as it was typed, so that the function sees what a parser would drop, such as a name that stands twice.
#[derive(Serialize)]
struct Candidate<'a> {
    definition: &'a RawValue,
}

#[derive(Serialize)]
struct NewPipeline<'a> {
    name: &'a str,
    definition: &'a RawValue,
}

#[derive(Serialize)]
struct NewVersion<'a> {
    definition: &'a RawValue,
    note: &'a str,
    activate: bool,
}

#[derive(Debug, Deserialize)]
struct Published {
    number: u32,
}

/// The result of the checks.
#[derive(Debug, Deserialize)]
pub struct Checked {
    valid: bool,
    problems: Vec<Problem>,
    /// The graph, if the definition has one.
    pub graph: Option<Graph>,
}

/// Something that is wrong in a definition.
#[derive(Debug, Deserialize)]
struct Problem {
    path: String,
    code: String,
    detail: String,
}

/// Checks a definition that is stored. This changes nothing, so the session itself is the proof.
pub async fn checked(visitor: &Visitor, definition: &Value) -> Result<Checked, Failure> {
    let proof = Proof {
        csrf: visitor.csrf().unwrap_or_default(),
        ..Proof::default()
    };
    let candidate = json!({"definition": definition});
    visitor
        .create("pipelines", "/api/pipelines/validate", &candidate, &proof)
        .await
}

impl Draft {
    fn json(&self) -> Result<&RawValue, String> {
        serde_json::from_str(&self.definition).map_err(|error| format!("It is not JSON: {error}."))
    }

    /// What is wrong with the definition, and its graph.
    async fn verdict(&self, visitor: &Visitor, proof: &Proof) -> Result<Markup, Failure> {
        let definition = match self.json() {
            Ok(definition) => definition,
            Err(why) => return Ok(ui::alert(&html! { p { (why) } })),
        };
        // Each look at the text is another question than the one before, so none is answered by its key.
        let proof = Proof {
            key: String::new(),
            ..proof.clone()
        };
        let candidate = Candidate { definition };
        let asked = visitor.create("pipelines", "/api/pipelines/validate", &candidate, &proof);
        let checked: Checked = match asked.await {
            Ok(checked) => checked,
            Err(failure) if failure.status == http::StatusCode::UNPROCESSABLE_ENTITY => {
                return Ok(ui::alert(&failure::message(&failure)));
            }
            Err(failure) => return Err(failure),
        };
        Ok(html! {
            @if checked.valid { p { (ui::status("good", "The definition can be published")) } }
            @else { (problems(&checked.problems)) }
            @if let Some(graph) = &checked.graph { (graph.show(None)) }
        })
    }
}

fn problems(problems: &[Problem]) -> Markup {
    let count = i64::try_from(problems.len()).unwrap_or(i64::MAX);
    html! {
        p { (ui::status("bad", &ui::counted(count, "problem"))) }
        ul.problems { @for problem in problems {
            li { @if !problem.path.is_empty() { code { (problem.path) } " " } (ui::marked(&problem.detail)) " " span.meta { (problem.code) } }
        } }
    }
}

/// The problems that a refusal names.
fn refused(failure: &Failure) -> Markup {
    let listed = Vec::deserialize(&failure.more["problems"]).unwrap_or_default();
    if listed.is_empty() {
        return ui::alert(&failure::message(failure));
    }
    problems(&listed)
}

async fn check_part(
    visitor: Visitor,
    Form { fields, proof }: Form<Draft>,
) -> Result<Response, Failure> {
    visitor.required()?;
    Ok(part(fields.verdict(&visitor, &proof).await?))
}

/// The form, with what is known about the definition below the text.
fn form(
    visitor: &Visitor,
    pipeline: Option<&Pipeline>,
    draft: &Draft,
    verdict: &Markup,
    hidden: &Markup,
    failure: Option<&Failure>,
) -> Markup {
    let action = pipeline.map_or_else(
        || "/pipelines/new".to_owned(),
        |pipeline| format!("{}/edit", address(&pipeline.id)),
    );
    html! {
        @if !visitor.may("pipelines:write") {
            (ui::alert(&html! { p { "Definitions can be checked here, but not published: that needs the scope " code { "pipelines:write" } ", which an admin can give." } }))
        }
        form.editor method="post" action=(action) {
            (hidden)
            @if pipeline.is_none() {
                (Field { name: "name", label: "Name", hint: "1 to 60 of a-z, 0-9 and -", value: &draft.name, max: Some(60), ..Field::default() }.show(failure))
            }
            div.field.wide {
                label for="definition" { "Definition" }
                textarea #definition name="definition" rows="20" maxlength=(MAX_DEFINITION) required spellcheck="false" autocapitalize="off"
                    aria-describedby="definition-hint" { (draft.definition) }
                p.hint #definition-hint { "JSON, as " a href="/docs" { "the reference" } " explains it. Problems show below, each with its path." }
            }
            div #verdict aria-live="polite" hx-post="/parts/pipelines/check" hx-include="closest form" hx-trigger="input delay:500ms from:#definition" {
                (verdict)
            }
            @if pipeline.is_some() {
                (Field { name: "note", label: "Note", hint: "What is new in this version.", value: &draft.note, max: Some(1000), optional: true, ..Field::default() }.show(failure))
                div.field { label.check { input type="checkbox" name="activate" value="true" checked[draft.activate]; " Runs start with it from now on" } }
            }
            div.actions {
                @if visitor.may("pipelines:write") {
                    button name="what" value="publish" { @if pipeline.is_some() { "Publish version" } @else { "Publish pipeline" } }
                }
                button.quiet name="what" value="check" { "Check" }
            }
        }
    }
}

/// The page of the editor.
fn page(pipeline: Option<&Pipeline>, form: &Markup) -> Page {
    let main = html! {
        @match pipeline {
            Some(pipeline) => {
                p { a href=(address(&pipeline.id)) { "The pipeline" } }
                h1 { "New version of " bdi { (pipeline.name) } }
            }
            None => {
                p { a href="/pipelines" { "All pipelines" } }
                h1 { "New pipeline" }
            }
        }
        (form)
    };
    let title = pipeline.map_or("New pipeline", |_| "New version");
    Page::new(title, main)
}

/// A small definition to begin with.
fn example() -> Value {
    json!({
        "input": {"type": "object", "required": ["text"]},
        "nodes": {
            "greet": {"type": "transform", "value": {"$": "'Hello, ' + input.text"}},
            "done": {"type": "merge"},
        },
        "edges": [{"from": "greet", "to": "done"}],
        "result": {"$": "nodes.greet.output"},
    })
}

async fn new(visitor: Visitor) -> Result<Page, Failure> {
    visitor.required()?;
    let draft = Draft {
        definition: pretty(&example()),
        ..Draft::default()
    };
    let hidden = forms::hidden(&visitor);
    Ok(page(
        None,
        &form(&visitor, None, &draft, &html! {}, &hidden, None),
    ))
}

async fn edit(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    visitor.required()?;
    let pipeline: Pipeline = visitor.get("pipelines", &api(&id)).await?;
    let version = format!("{}/versions/{}", api(&id), pipeline.active_version);
    let version: Version = visitor.get("pipelines", &version).await?;
    let draft = Draft {
        definition: pretty(&version.definition),
        activate: true,
        ..Draft::default()
    };
    let hidden = forms::hidden(&visitor);
    let form = form(&visitor, Some(&pipeline), &draft, &html! {}, &hidden, None);
    Ok(page(Some(&pipeline), &form))
}

/// Shows the form again with what the function says about it.
async fn again(
    visitor: &Visitor,
    pipeline: Option<&Pipeline>,
    draft: &Draft,
    proof: &Proof,
    failure: Option<Failure>,
) -> Result<Response, Failure> {
    let verdict = match &failure {
        Some(failure) => refused(failure),
        None => draft.verdict(visitor, proof).await?,
    };
    let hidden = forms::hidden_again(visitor, failure.as_ref(), proof);
    let form = form(
        visitor,
        pipeline,
        draft,
        &verdict,
        &hidden,
        failure.as_ref(),
    );
    let page = page(pipeline, &form);
    let status = failure.map_or(http::StatusCode::OK, |failure| failure.status);
    Ok(page.status(status).into_response())
}

async fn create(
    visitor: Visitor,
    Form { fields, proof }: Form<Draft>,
) -> Result<Response, Failure> {
    visitor.required()?;
    let (true, Ok(definition)) = (fields.what != "check", fields.json()) else {
        return again(&visitor, None, &fields, &proof, None).await;
    };
    let new = NewPipeline {
        name: &fields.name,
        definition,
    };
    match visitor
        .create::<Pipeline>("pipelines", "/api/pipelines", &new, &proof)
        .await
    {
        Ok(pipeline) => Ok(see(&address(&pipeline.id))),
        Err(failure) => again(&visitor, None, &fields, &proof, Some(failure)).await,
    }
}

async fn publish(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<Draft>,
) -> Result<Response, Failure> {
    visitor.required()?;
    let pipeline: Pipeline = visitor.get("pipelines", &api(&id)).await?;
    let (true, Ok(definition)) = (fields.what != "check", fields.json()) else {
        return again(&visitor, Some(&pipeline), &fields, &proof, None).await;
    };
    let new = NewVersion {
        definition,
        note: &fields.note,
        activate: fields.activate,
    };
    let path = format!("{}/versions", api(&id));
    match visitor
        .create::<Published>("pipelines", &path, &new, &proof)
        .await
    {
        Ok(version) => Ok(see(&format!(
            "{}?version={}",
            address(&pipeline.id),
            version.number
        ))),
        Err(failure) => again(&visitor, Some(&pipeline), &fields, &proof, Some(failure)).await,
    }
}
