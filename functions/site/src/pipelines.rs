//! Pipelines and their runs: what is defined, what runs, and what waits for somebody.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
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
            .route("/runs/{run}", get(run))
            .route("/runs/{run}/cancel", post(cancel))
            .route("/parts/runs/{run}", get(run_part))
    },
};

#[derive(Debug, Deserialize)]
struct Pipeline {
    id: String,
    name: String,
    active_version: u32,
    paused: bool,
    created_at: String,
}

#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
}

#[derive(Debug, Deserialize)]
struct Run {
    id: String,
    pipeline: String,
    version: u32,
    status: String,
    result: Value,
    error: Value,
    created_at: String,
    finished_at: Option<String>,
    waiting_for: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Step {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    status: String,
    attempts: u32,
    error: Value,
    approval: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Version {
    definition: Value,
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

async fn list(visitor: Visitor) -> Result<Page, Failure> {
    visitor.required()?;
    let pipelines: List<Pipeline> = visitor.get("pipelines", "/api/pipelines?limit=100").await?;
    let runs: List<Run> = visitor.get("pipelines", "/api/runs?limit=20").await?;
    let main = html! {
        h1 { "Pipelines" }
        @if pipelines.items.is_empty() {
            (ui::empty("A pipeline is work of many steps, written as data, that reaches its end through every crash. You have none yet.",
                &html! { a.button.quiet href="/docs" { "Look at the reference" } }))
        }
        ul.rows { @for pipeline in &pipelines.items {
            li.spread {
                div {
                    p { a href=(format!("/pipelines/{}", ui::encode(&pipeline.id))) { bdi { (pipeline.name) } }
                        @if pipeline.paused { " " (ui::status("warn", "paused")) } }
                    p.meta { "version " (pipeline.active_version) " · " (ui::ago(&pipeline.created_at)) }
                }
            }
        } }
        @if !runs.items.is_empty() { h2 { "Newest runs" } (rows(&runs.items)) }
    };
    Ok(Page::new("Pipelines", main))
}

fn rows(runs: &[Run]) -> Markup {
    html! { ul.rows { @for run in runs {
        li {
            p { a href=(format!("/runs/{}", ui::encode(&run.id))) { code { (run.id) } } " " (state(&run.status)) }
            p.meta { "version " (run.version) " · " (ui::ago(&run.created_at))
                @if !run.waiting_for.is_empty() { " · waits for " bdi { (run.waiting_for.join(", ")) } } }
        }
    } } }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    visitor.required()?;
    let path = format!("/api/pipelines/{}", ui::encode(&id));
    let pipeline: Pipeline = visitor.get("pipelines", &path).await?;
    let version = format!("{path}/versions/{}", pipeline.active_version);
    let version: Version = visitor.get("pipelines", &version).await?;
    let runs = format!("/api/runs?limit=20&pipeline={}", ui::encode(&pipeline.id));
    let runs: List<Run> = visitor.get("pipelines", &runs).await?;
    let main = html! {
        p { a href="/pipelines" { "All pipelines" } }
        h1 { bdi { (pipeline.name) } }
        p.meta { "version " (pipeline.active_version) @if pipeline.paused { " · paused" } }
        (graph(&version.definition, &BTreeMap::new()))
        @if visitor.may("pipelines:run") && !pipeline.paused {
            form method="post" action=(format!("/pipelines/{}/run", ui::encode(&pipeline.id))) {
                (forms::hidden(&visitor))
                p { label for="input" { "Input, as JSON" } textarea #input name="input" rows="4" { "null" } }
                button { "Start a run" }
            }
        }
        @if !runs.items.is_empty() { h2 { "Runs" } (rows(&runs.items)) }
        h2 { "Definition" }
        pre tabindex="0" { code { (pretty(&version.definition)) } }
    };
    Ok(Page::new(pipeline.name, main))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A run with its steps and its definition.
struct Shown {
    run: Run,
    steps: Vec<Step>,
    definition: Value,
}

async fn read(visitor: &Visitor, id: &str) -> Result<Shown, Failure> {
    visitor.required()?;
    let path = format!("/api/runs/{}", ui::encode(id));
    let run: Run = visitor.get("pipelines", &path).await?;
    let version = format!(
        "/api/pipelines/{}/versions/{}",
        ui::encode(&run.pipeline),
        run.version
    );
    let version: Version = visitor.get("pipelines", &version).await?;
    let steps: List<Step> = visitor
        .get("pipelines", &format!("{path}/steps?limit=100"))
        .await?;
    Ok(Shown {
        run,
        steps: steps.items,
        definition: version.definition,
    })
}

async fn run(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    let shown = read(&visitor, &id).await?;
    let main = html! {
        p { a href=(format!("/pipelines/{}", ui::encode(&shown.run.pipeline))) { "The pipeline" } }
        h1 { "Run" }
        (live(&shown, &visitor))
    };
    Ok(Page::new("Run", main))
}

async fn run_part(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    let shown = read(&visitor, &id).await?;
    Ok(part(live(&shown, &visitor)))
}

/// The part of the page that changes while the run goes on. It is asked for again until the run has ended.
fn live(shown: &Shown, visitor: &Visitor) -> Markup {
    let Shown {
        run,
        steps,
        definition,
    } = shown;
    let again = run
        .finished_at
        .is_none()
        .then(|| format!("/parts/runs/{}", run.id));
    let statuses = steps
        .iter()
        .map(|step| (step.path.as_str(), step.status.as_str()))
        .collect();
    html! {
        div.live-run hx-get=[again] hx-trigger="every 2s" hx-swap="outerHTML" {
            p { (state(&run.status)) " " code { (run.id) } }
            (graph(definition, &statuses))
            table {
                thead { tr { th scope="col" { "Step" } th scope="col" { "Type" } th scope="col" { "State" } th scope="col" { "Attempts" } th scope="col" { "Error" } } }
                tbody { @for step in steps { tr {
                    td { code { (step.path) } }
                    td { (step.kind) }
                    td { (state(&step.status)) @if step.status == "waiting" { @if let Some(approval) = &step.approval {
                        " " a href=(format!("/approvals/{}", ui::encode(approval))) { "Approval" } } } }
                    td { (step.attempts) }
                    td { bdi { (step.error["detail"].as_str().unwrap_or_default()) } }
                } } }
            }
            @if run.finished_at.is_none() && visitor.may("pipelines:run") {
                form method="post" action=(format!("/runs/{}/cancel", ui::encode(&run.id))) { (forms::hidden(visitor)) button.danger { "Cancel run" } }
            }
            @if let Some(detail) = run.error["detail"].as_str() { h2 { "Error" } pre tabindex="0" { code { (detail) } } }
            @if !run.result.is_null() { h2 { "Result" } pre tabindex="0" { code { (pretty(&run.result)) } } }
        }
    }
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
    let path = format!("/api/pipelines/{}/runs", ui::encode(&id));
    let run: Run = visitor
        .create("pipelines", &path, &json!({"input": input}), &form.proof)
        .await?;
    Ok(see(&format!("/runs/{}", ui::encode(&run.id))))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nothing {}

async fn cancel(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/api/runs/{}/cancel", ui::encode(&id));
    visitor
        .change(Method::POST, "pipelines", &path, &json!({}), &form.proof)
        .await?;
    Ok(see(&format!("/runs/{}", ui::encode(&id))))
}

const WIDTH: usize = 170;
const HEIGHT: usize = 64;

/// The graph of a definition: each node in the column after those that lead to it.
fn graph(definition: &Value, statuses: &BTreeMap<&str, &str>) -> Markup {
    let nodes: Vec<&str> = definition["nodes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(id, _)| id.as_str())
        .collect();
    let edges = definition["edges"].as_array().into_iter().flatten();
    let edges: Vec<(&str, &str)> = edges
        .filter_map(|edge| Some((edge["from"].as_str()?, edge["to"].as_str()?)))
        .collect();
    let places = places(&nodes, &edges);
    let columns = places
        .values()
        .map(|(column, _)| column + 1)
        .max()
        .unwrap_or(1);
    let rows = places.values().map(|(_, row)| row + 1).max().unwrap_or(1);
    let at = |id: &str| {
        places
            .get(id)
            .map(|(column, row)| (column * WIDTH + 10, row * HEIGHT + 10))
    };
    html! {
        div.graph tabindex="0" {
            svg viewBox=(format!("0 0 {} {}", columns * WIDTH, rows * HEIGHT)) width=(columns * WIDTH) height=(rows * HEIGHT) role="img" aria-label="The steps and what leads from one to another; the table or the definition has the same" {
                @for (from, to) in &edges {
                    @if let (Some((x1, y1)), Some((x2, y2))) = (at(from), at(to)) {
                        line x1=(x1 + 140) y1=(y1 + 20) x2=(x2) y2=(y2 + 20) {}
                    }
                }
                @for id in &nodes {
                    @if let Some((x, y)) = at(id) {
                        g class=(format!("node {}", statuses.get(id).copied().unwrap_or("none"))) {
                            rect x=(x) y=(y) width="140" height="40" rx="6" {}
                            text x=(x + 70) y=(y + 25) text-anchor="middle" { (short(id)) }
                        }
                    }
                }
            }
        }
    }
}

fn short(id: &str) -> String {
    if id.len() <= 16 {
        id.to_owned()
    } else {
        format!("{}…", &id[..15])
    }
}

/// The column and the row of each node.
fn places<'a>(
    nodes: &[&'a str],
    edges: &[(&'a str, &'a str)],
) -> BTreeMap<&'a str, (usize, usize)> {
    let mut columns: BTreeMap<&str, usize> = nodes.iter().map(|id| (*id, 0)).collect();
    for _ in 0..nodes.len() {
        let before = columns.clone();
        for (from, to) in edges {
            let after = before.get(from).map_or(0, |column| column + 1);
            if let Some(column) = columns.get_mut(to) {
                *column = (*column).max(after);
            }
        }
        if columns == before {
            break;
        }
    }
    let mut taken: BTreeSet<(usize, usize)> = BTreeSet::new();
    let places = columns.into_iter().map(|(id, column)| {
        let row = (0..)
            .find(|row| !taken.contains(&(column, *row)))
            .unwrap_or_default();
        taken.insert((column, row));
        (id, (column, row))
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_stands_behind_those_that_lead_to_it() {
        let places = places(
            &["a", "b", "c", "d"],
            &[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")],
        );
        let expected = [("a", (0, 0)), ("b", (1, 0)), ("c", (1, 1)), ("d", (2, 0))];
        assert_eq!(places, expected.into());
    }
}
