//! Pipelines and their runs: what is defined, what runs, and what waits for somebody.

mod editor;
mod graph;
mod run;
mod triggers;

use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use futures::future::{try_join, try_join3};
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::forms::{self, Form};
use crate::frame::{Page, part, see};
use crate::group::{Group, Place, signed_in};
use crate::ui;
use crate::visitor::Visitor;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Pipelines",
        path: "/pipelines",
        icon: "pipelines",
        key: "y",
        shown: signed_in,
    }],
    routes: || {
        Router::new()
            .route("/pipelines", get(list))
            .route("/pipelines/{pipeline}", get(show))
            .route("/pipelines/{pipeline}/run", post(start))
            .route("/pipelines/{pipeline}/change", post(change))
            .route("/runs", get(runs))
            .route("/parts/pipelines/{pipeline}/runs", get(runs_part))
            .merge(editor::routes())
            .merge(run::routes())
    },
};

/// The states of runs by which a list can be narrowed.
const STATES: [&str; 8] = [
    "queued",
    "running",
    "waiting",
    "paused",
    "succeeded",
    "failed",
    "cancelled",
    "timed_out",
];

#[derive(Debug, Deserialize)]
struct Pipeline {
    id: String,
    name: String,
    active_version: u32,
    paused: bool,
    #[serde(default)]
    archived: bool,
    created_at: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Run {
    id: String,
    pipeline: String,
    version: u32,
    status: String,
    key: Option<String>,
    // Lists leave out large ones.
    #[serde(default)]
    input: Option<Box<RawValue>>,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    error: Value,
    cause: String,
    parent: Option<String>,
    parent_step: Option<String>,
    restarted_from: Option<String>,
    schedule: Option<String>,
    trigger: Option<String>,
    usage: Value,
    budget: Value,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    waiting_for: Vec<String>,
}

/// A version, of which lists leave out the definition.
#[derive(Debug, Deserialize)]
struct Version {
    number: u32,
    note: String,
    created_at: String,
    #[serde(default)]
    definition: Value,
}

/// The part of a list that is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    after: String,
    pipeline: String,
    status: String,
    version: Option<u32>,
}

fn address(id: &str) -> String {
    format!("/pipelines/{}", ui::encode(id))
}

fn api(id: &str) -> String {
    format!("/api/pipelines/{}", ui::encode(id))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn state(status: &str) -> Markup {
    let tone = match status {
        "succeeded" => "good",
        "running" | "ready" => "busy",
        "waiting" | "retrying" | "uncertain" => "warn",
        "failed" | "timed_out" => "bad",
        _ => "quiet",
    };
    ui::status(tone, &status.replace('_', " "))
}

/// Adds to a query what is not empty.
fn with(mut path: String, values: &[(&str, &str)]) -> String {
    for (name, value) in values.iter().filter(|(_, value)| !value.is_empty()) {
        let joint = if path.contains('?') { '&' } else { '?' };
        path += &format!("{joint}{name}={}", ui::encode(value));
    }
    path
}

async fn list(visitor: Visitor, Query(wish): Query<Wish>) -> Result<Page, Failure> {
    visitor.required()?;
    let path = with(
        "/api/pipelines?limit=50".to_owned(),
        &[("after", &wish.after)],
    );
    let (pipelines, runs) = try_join(
        visitor.get::<List<Pipeline>>("pipelines", &path),
        visitor.get::<List<Run>>("pipelines", "/api/runs?limit=20"),
    )
    .await?;
    let can_write = visitor.may("pipelines:write");
    let new = html! { a.button href="/pipelines/new" { "New pipeline" } };
    let main = html! {
        h1 { "Pipelines" }
        @if pipelines.items.is_empty() {
            @let action = if can_write { new.clone() } else { html! { a.button.quiet href="/docs" { "Look at the reference" } } };
            (ui::empty("A pipeline is work of many steps, written as data, that reaches its end through every crash. You have none yet.", &action))
        } @else if can_write { (ui::actions(&new)) }
        ul.rows { @for pipeline in &pipelines.items {
            li.spread {
                div {
                    p { a href=(address(&pipeline.id)) { bdi { (pipeline.name) } }
                        @if pipeline.paused { " " (ui::status("warn", "paused")) } }
                    p.meta { "version " (pipeline.active_version) " · " (ui::ago(&pipeline.created_at)) }
                }
            }
        } }
        (ui::more("/pipelines", pipelines.next.as_deref()))
        @if !runs.items.is_empty() {
            h2 { "Newest runs" }
            (rows(&runs.items))
            p { a href="/runs" { "All runs" } }
        }
    };
    Ok(Page::new("Pipelines", main))
}

fn rows(runs: &[Run]) -> Markup {
    html! { ul.rows { @for run in runs {
        li {
            p { a href=(format!("/runs/{}", ui::encode(&run.id))) { code { (run.id) } } " " (state(&run.status)) }
            p.meta { "version " (run.version) " · " (run.cause) " · " (ui::ago(&run.created_at))
                @if !run.waiting_for.is_empty() { " · waits for " bdi { (names(&run.waiting_for)) } } }
        }
    } } }
}

/// The first of the steps that a run waits for, which may be thousands.
fn names(steps: &[String]) -> String {
    const SHOWN: usize = 3;
    let first = steps[..steps.len().min(SHOWN)].join(", ");
    match steps.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

async fn runs(visitor: Visitor, Query(wish): Query<Wish>) -> Result<Page, Failure> {
    visitor.required()?;
    let filters = [
        ("pipeline", wish.pipeline.as_str()),
        ("status", wish.status.as_str()),
    ];
    let path = with("/api/runs?limit=50".to_owned(), &filters);
    let path = with(path, &[("after", &wish.after)]);
    let runs: List<Run> = visitor.get("pipelines", &path).await?;
    let here = |status: &str| {
        let filters = [("pipeline", wish.pipeline.as_str()), ("status", status)];
        (
            with("/runs".to_owned(), &filters),
            (wish.status == status).then_some("page"),
        )
    };
    let main = html! {
        @if wish.pipeline.is_empty() { p { a href="/pipelines" { "All pipelines" } } }
        @else { p { a href=(address(&wish.pipeline)) { "The pipeline" } } }
        h1 { "Runs" }
        nav.pills aria-label="State of the runs" {
            @let (all, is_here) = here("");
            a href=(all) aria-current=[is_here] { "all" }
            @for status in STATES {
                @let (address, is_here) = here(status);
                a href=(address) aria-current=[is_here] { (status.replace('_', " ")) }
            }
        }
        @if runs.items.is_empty() {
            (ui::empty("No run is so. A run is one execution of a pipeline.", &html! { a.button.quiet href="/pipelines" { "Look at the pipelines" } }))
        }
        (rows(&runs.items))
        (ui::more(&with("/runs".to_owned(), &filters), runs.next.as_deref()))
    };
    Ok(Page::new("Runs", main))
}

async fn show(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<Page, Failure> {
    visitor.required()?;
    let pipeline: Pipeline = visitor.get("pipelines", &api(&id)).await?;
    let number = wish.version.unwrap_or(pipeline.active_version);
    let (version, versions) = (
        format!("{}/versions/{number}", api(&id)),
        with(
            format!("{}/versions?limit=20", api(&id)),
            &[("after", &wish.after)],
        ),
    );
    let (version, versions) = try_join(
        visitor.get::<Version>("pipelines", &version),
        visitor.get::<List<Version>>("pipelines", &versions),
    )
    .await?;
    let (checked, runs, triggers) = try_join3(
        editor::checked(&visitor, &version.definition),
        of_pipeline(&visitor, &pipeline.id),
        triggers::of_pipeline(&visitor, &pipeline.id),
    )
    .await?;
    let can_write = visitor.may("pipelines:write") && !pipeline.archived;
    let main = html! {
        p { a href="/pipelines" { "All pipelines" } }
        h1 { bdi { (pipeline.name) } }
        p.meta { "version " (version.number)
            @if version.number != pipeline.active_version { ", while " (pipeline.active_version) " is active" }
            @if pipeline.paused { " · paused" } @if pipeline.archived { " · archived" } }
        @if let Some(graph) = &checked.graph { (graph.show(None)) }
        @if can_write { (controls(&pipeline, &version, &visitor)) }
        @if visitor.may("pipelines:run") && !pipeline.paused && !pipeline.archived {
            form method="post" action=(format!("{}/run", address(&pipeline.id))) {
                (forms::hidden(&visitor))
                div.field { label for="input" { "Input, as JSON" } textarea #input name="input" rows="4" { "null" } }
                button { "Start a run" }
            }
        }
        h2 { "Runs" }
        (runs)
        (triggers)
        h2 { "Versions" }
        ul.rows { @for one in &versions.items {
            li {
                p { a href=(format!("{}?version={}", address(&pipeline.id), one.number)) { "Version " (one.number) }
                    @if one.number == pipeline.active_version { " " (ui::status("good", "active")) } }
                p.meta { (ui::ago(&one.created_at)) @if !one.note.is_empty() { " · " bdi { (one.note) } } }
            }
        } }
        (ui::more(&address(&pipeline.id), versions.next.as_deref()))
        h2 { "Definition" }
        pre tabindex="0" { code { (pretty(&version.definition)) } }
    };
    Ok(Page::new(pipeline.name, main).scripts(&["js/follow.js"]))
}

fn controls(pipeline: &Pipeline, version: &Version, visitor: &Visitor) -> Markup {
    let (what, label) = if pipeline.paused {
        ("resume", "Resume pipeline")
    } else {
        ("pause", "Pause pipeline")
    };
    html! {
        form.actions method="post" action=(format!("{}/change", address(&pipeline.id))) {
            (forms::hidden(visitor))
            input type="hidden" name="version" value=(version.number);
            a.button.quiet href=(format!("{}/edit", address(&pipeline.id))) { "New version" }
            @if version.number != pipeline.active_version {
                button.quiet name="what" value="activate" { "Make version " (version.number) " active" }
            }
            button.quiet name="what" value=(what) { (label) }
            button.danger name="what" value="archive" { "Archive" }
        }
    }
}

/// The newest runs of a pipeline, which follow its events.
async fn of_pipeline(visitor: &Visitor, id: &str) -> Result<Markup, Failure> {
    let path = format!("/api/runs?limit=20&pipeline={}", ui::encode(id));
    let runs: List<Run> = visitor.get("pipelines", &path).await?;
    Ok(html! {
        div data-follows=(format!("pipeline:{id}")) data-part=(format!("/parts/pipelines/{}/runs", ui::encode(id))) {
            @if runs.items.is_empty() { p { "It has not run yet." } }
            (rows(&runs.items))
            @if runs.next.is_some() { p { a href=(format!("/runs?pipeline={}", ui::encode(id))) { "All runs" } } }
        }
    })
}

async fn runs_part(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    visitor.required()?;
    Ok(part(of_pipeline(&visitor, &id).await?))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Input {
    input: String,
}

async fn start(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Input>,
) -> Result<Response, Failure> {
    // What is not JSON is the text itself, which the definition's schema accepts or refuses.
    let input =
        serde_json::from_str(&form.fields.input).unwrap_or_else(|_| json!(form.fields.input));
    let path = format!("{}/runs", api(&id));
    let run: Run = visitor
        .create("pipelines", &path, &json!({"input": input}), &form.proof)
        .await?;
    Ok(see(&format!("/runs/{}", ui::encode(&run.id))))
}

/// A change of a pipeline, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    what: String,
    version: u32,
}

async fn change(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<Change>,
) -> Result<Response, Failure> {
    let change = match fields.what.as_str() {
        "archive" => {
            visitor.delete("pipelines", &api(&id), &proof).await?;
            return Ok(see("/pipelines"));
        }
        "activate" => json!({"active_version": fields.version}),
        what => json!({"paused": what == "pause"}),
    };
    visitor
        .change(Method::PATCH, "pipelines", &api(&id), &change, &proof)
        .await?;
    Ok(see(&address(&id)))
}
