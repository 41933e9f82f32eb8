//! The page of a run: its graph and its steps as they go on, and what a person can do about them.

use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use futures::future::try_join3;
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::graph::Graph;
use super::{List, Run, pretty, state};
use crate::failure::Failure;
use crate::forms::{self, Form, Nothing};
use crate::frame::{Page, part, see};
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/runs/{run}", get(show))
        .route("/runs/{run}/cancel", post(cancel))
        .route("/runs/{run}/pause", post(pause))
        .route("/runs/{run}/resume", post(resume))
        .route("/runs/{run}/resolve", post(resolve))
        .route("/parts/runs/{run}", get(live_part))
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
    child: Option<String>,
}

/// Where the page of steps begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    after: String,
}

impl Place {
    fn query(&self) -> String {
        match self.after.as_str() {
            "" => String::new(),
            after => format!("&after={}", ui::encode(after)),
        }
    }
}

/// A run with its steps and its graph.
struct Shown {
    run: Run,
    steps: List<Step>,
    graph: Graph,
    place: Place,
}

async fn read(visitor: &Visitor, id: &str, place: Place) -> Result<Shown, Failure> {
    visitor.required()?;
    let path = format!("/api/runs/{}", ui::encode(id));
    let (steps, graph) = (
        format!("{path}/steps?limit=100{}", place.query()),
        format!("{path}/graph"),
    );
    let (run, steps, graph) = try_join3(
        visitor.get("pipelines", &path),
        visitor.get("pipelines", &steps),
        visitor.get("pipelines", &graph),
    )
    .await?;
    Ok(Shown {
        run,
        steps,
        graph,
        place,
    })
}

async fn show(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(place): Query<Place>,
) -> Result<Page, Failure> {
    let shown = read(&visitor, &id, place).await?;
    let main = html! {
        p { a href=(format!("/pipelines/{}", ui::encode(&shown.run.pipeline))) { "The pipeline" }
            @if let Some(parent) = &shown.run.parent { " · " a href=(format!("/runs/{}", ui::encode(parent))) { "the run that started this one" } }
            @if let Some(first) = &shown.run.restarted_from { " · " a href=(format!("/runs/{}", ui::encode(first))) { "the run that this one began anew" } }
        }
        h1 { "Run" }
        (live(&shown, &visitor))
    };
    Ok(Page::new("Run", main).scripts(&["js/follow.js"]))
}

async fn live_part(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(place): Query<Place>,
) -> Result<Response, Failure> {
    let shown = read(&visitor, &id, place).await?;
    Ok(part(live(&shown, &visitor)))
}

/// The part of the page that changes while the run goes on.
fn live(shown: &Shown, visitor: &Visitor) -> Markup {
    let Shown {
        run,
        steps,
        graph,
        place,
    } = shown;
    let topic = run.finished_at.is_none().then(|| format!("run:{}", run.id));
    let query = place.query().replacen('&', "?", 1);
    html! {
        div.live-run data-follows=[topic] data-part=(format!("/parts/runs/{}{query}", run.id)) {
            p { (state(&run.status)) " " code { (run.id) } }
            p.meta { "version " (run.version) " · " (run.cause) " · started " (ui::ago(&run.created_at))
                @if let Some(at) = &run.finished_at { " · ended " (ui::ago(at)) } }
            (graph.show())
            @if steps.items.is_empty() { p { "No step has begun yet." } }
            @else { (table(&run.id, &steps.items, visitor)) }
            (ui::more(&format!("/runs/{}", run.id), steps.next.as_deref()))
            @if run.finished_at.is_none() && visitor.may("pipelines:run") { (controls(run, visitor)) }
            @if let Some(detail) = run.error["detail"].as_str() { h2 { "Error" } pre #error tabindex="0" { code { (detail) } } }
            @if !run.result.is_null() { h2 { "Result" } pre #result tabindex="0" { code { (pretty(&run.result)) } } }
        }
    }
}

fn table(run: &str, steps: &[Step], visitor: &Visitor) -> Markup {
    html! {
        table.list {
            thead { tr { th scope="col" { "Step" } th scope="col" { "Type" } th scope="col" { "State" } th scope="col" { "Attempts" } th scope="col" { "Error" } } }
            tbody { @for step in steps { tr {
                td { code { (step.path) } }
                td { (step.kind) }
                td { (state(&step.status))
                    @if let Some(approval) = step.approval.as_deref().filter(|_| step.status == "waiting") {
                        " " a href=(format!("/approvals/{}", ui::encode(approval))) { "Approval" } }
                    @if let Some(child) = &step.child { " " a href=(format!("/runs/{}", ui::encode(child))) { "Its run" } }
                }
                td { (step.attempts) span.narrow { (if step.attempts == 1 { " attempt" } else { " attempts" }) } }
                td { bdi { (step.error["detail"].as_str().unwrap_or_default()) }
                    @if step.status == "uncertain" && visitor.may("pipelines:run") { (question(run, step, visitor)) }
                }
            } } }
        }
    }
}

/// Asks a person whether the request of a step has arrived.
fn question(run: &str, step: &Step, visitor: &Visitor) -> Markup {
    html! {
        form.actions method="post" action=(format!("/runs/{run}/resolve")) aria-label=(format!("Has the request of {} arrived?", step.path)) {
            (forms::hidden(visitor))
            input type="hidden" name="path" value=(step.path);
            button.quiet id=(format!("arrived-{}", step.path)) name="outcome" value="succeeded" { "It has arrived" }
            button.quiet id=(format!("again-{}", step.path)) name="outcome" value="retry" { "Send it again" }
            button.quiet id=(format!("failed-{}", step.path)) name="outcome" value="failed" { "It has failed" }
        }
    }
}

fn controls(run: &Run, visitor: &Visitor) -> Markup {
    let button = |what: &str, label: &str, is_dangerous: bool| {
        html! {
            form method="post" action=(format!("/runs/{}/{what}", ui::encode(&run.id))) {
                (forms::hidden(visitor))
                button id=(what) .danger[is_dangerous] .quiet[!is_dangerous] { (label) }
            }
        }
    };
    ui::actions(&html! {
        @if run.status == "paused" { (button("resume", "Resume run", false)) } @else { (button("pause", "Pause run", false)) }
        (button("cancel", "Cancel run", true))
    })
}

async fn act(
    visitor: &Visitor,
    id: &str,
    what: &str,
    body: &Value,
    proof: &forms::Proof,
) -> Result<Response, Failure> {
    let path = format!("/api/runs/{}/{what}", ui::encode(id));
    visitor
        .change(Method::POST, "pipelines", &path, body, proof)
        .await?;
    Ok(see(&format!("/runs/{}", ui::encode(id))))
}

async fn cancel(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    act(&visitor, &id, "cancel", &json!({}), &form.proof).await
}

async fn pause(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    act(&visitor, &id, "pause", &json!({}), &form.proof).await
}

async fn resume(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    act(&visitor, &id, "resume", &json!({}), &form.proof).await
}

/// A decision about a step, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Decision {
    path: String,
    outcome: String,
}

async fn resolve(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<Decision>,
) -> Result<Response, Failure> {
    let what = format!("steps/{}/resolve", ui::encode(&fields.path));
    act(
        &visitor,
        &id,
        &what,
        &json!({"outcome": fields.outcome}),
        &proof,
    )
    .await
}
