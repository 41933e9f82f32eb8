//! The page of a run: what it was given and what came of it, its graph and its steps as they go on, and what a person can
//! do about them.

mod acts;
mod facts;
mod step;
mod table;
mod values;

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::{try_join, try_join3};
use guest::Path;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::graph::{Graph, Links};
use super::{List, Pipeline, Run, Version, state, with};
use crate::failure::{self, Failure};
use crate::forms::{Form, Proof};
use crate::frame::{Page, part, see};
use crate::ui;
use crate::visitor::Visitor;
use acts::Fields;
use step::Step;

pub fn routes() -> Router {
    Router::new()
        .route("/runs/{run}", get(show))
        .route("/runs/{run}/{what}", post(act))
        .route("/parts/runs/{run}", get(live_part))
}

/// The number of steps on a page. Their list has values of up to 16 KiB.
const PAGE: usize = 50;
/// The number of steps that the page names of those that wait.
const WAITING: usize = 10;
/// The value of `open` with which no step is open.
const CLOSED: &str = "-";

/// The part of a run that is looked at: the page of its steps, their filters, and the step that is open.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
struct View {
    path: String,
    status: String,
    after: String,
    open: String,
}

impl View {
    fn filters(&self) -> [(&str, &str); 3] {
        [
            ("path", &self.path),
            ("status", &self.status),
            ("after", &self.after),
        ]
    }

    /// The address of something below a run, with the same part of the run.
    fn address(&self, base: String) -> String {
        with(with(base, &self.filters()), &[("open", &self.open)])
    }

    /// The address of the page on which a step is open, at its details.
    fn opening(&self, run: &str, step: &str) -> String {
        let view = Self {
            open: step.to_owned(),
            ..self.clone()
        };
        view.address(page(run)) + "#step"
    }

    /// The address of the page on which no step is open, at the row of this one.
    fn closing(&self, run: &str, step: &str) -> String {
        let view = Self {
            open: CLOSED.to_owned(),
            ..self.clone()
        };
        view.address(page(run)) + "#at-" + &ui::encode(step)
    }

    /// The address of the steps below a path, or in a state.
    fn narrowed(run: &str, path: &str, status: &str) -> String {
        with(page(run), &[("path", path), ("status", status)]) + "#steps"
    }
}

/// The steps that wait, a few of each kind.
#[derive(Debug, Default)]
struct Waits {
    /// Those about which a person has to decide.
    uncertain: Vec<Step>,
    waiting: Vec<Step>,
}

/// A form of the page that was refused.
struct Refusal<'a> {
    what: &'a str,
    fields: &'a Fields,
    failure: &'a Failure,
    proof: &'a Proof,
}

impl Refusal<'_> {
    fn alert(&self) -> Markup {
        ui::alert(&failure::message(self.failure))
    }
}

/// A run with all that its page shows of it.
struct Shown<'a> {
    visitor: &'a Visitor,
    run: Run,
    pipeline: Pipeline,
    definition: Value,
    graph: Graph,
    steps: List<Step>,
    waits: Waits,
    opened: Option<Step>,
    /// The item of a map for which the step that is open is done.
    item: Option<Box<RawValue>>,
    view: View,
    refusal: Option<Refusal<'a>>,
}

fn page(run: &str) -> String {
    format!("/runs/{}", ui::encode(run))
}

fn api(run: &str) -> String {
    format!("/api/runs/{}", ui::encode(run))
}

fn step_api(run: &str, path: &str) -> String {
    format!("{}/steps/{}", api(run), ui::encode(path))
}

impl Waits {
    async fn read(visitor: &Visitor, run: &Run) -> Result<Self, Failure> {
        if run.waiting_for.is_empty() {
            return Ok(Self::default());
        }
        let of = |status: &str| format!("{}/steps?limit={WAITING}&status={status}", api(&run.id));
        let (uncertain, waiting) = (of("uncertain"), of("waiting"));
        let (uncertain, waiting) = try_join(
            visitor.get::<List<Step>>("pipelines", &uncertain),
            visitor.get::<List<Step>>("pipelines", &waiting),
        )
        .await?;
        Ok(Self {
            uncertain: uncertain.items,
            waiting: waiting.items,
        })
    }

    /// The step that a person is most likely to have come for.
    fn first(&self, definition: &Value) -> Option<&str> {
        let acts = |step: &&Step| !step.signals(definition).is_empty();
        let first = self.uncertain.first();
        let first = first.or_else(|| self.waiting.iter().find(acts));
        first.map(|step| step.path.as_str())
    }
}

async fn read<'a>(visitor: &'a Visitor, id: &str, mut view: View) -> Result<Shown<'a>, Failure> {
    visitor.required()?;
    let path = api(id);
    let (steps, graph) = (
        with(format!("{path}/steps?limit={PAGE}"), &view.filters()),
        format!("{path}/graph"),
    );
    let (run, steps, graph) = try_join3(
        visitor.get::<Run>("pipelines", &path),
        visitor.get("pipelines", &steps),
        visitor.get("pipelines", &graph),
    )
    .await?;
    let pipeline = super::api(&run.pipeline);
    let version = format!("{pipeline}/versions/{}", run.version);
    let (pipeline, version, waits) = try_join3(
        visitor.get("pipelines", &pipeline),
        visitor.get::<Version>("pipelines", &version),
        Waits::read(visitor, &run),
    )
    .await?;
    let definition = version.definition;
    if view.open.is_empty() {
        let failed = run.error["step"].as_str();
        let first = failed.or_else(|| waits.first(&definition));
        view.open = first.unwrap_or_default().to_owned();
    }
    let opened = match view.open.as_str() {
        "" | CLOSED => None,
        step => Step::read(visitor, &run.id, step).await?,
    };
    let item = match &opened {
        Some(step) => step.item(visitor, &run.id).await?,
        None => None,
    };
    Ok(Shown {
        visitor,
        run,
        pipeline,
        definition,
        graph,
        steps,
        waits,
        opened,
        item,
        view,
        refusal: None,
    })
}

async fn show(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(view): Query<View>,
) -> Result<Page, Failure> {
    let shown = read(&visitor, &id, view).await?;
    Ok(shown.page())
}

async fn live_part(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(view): Query<View>,
) -> Result<Response, Failure> {
    let shown = read(&visitor, &id, view).await?;
    Ok(part(shown.live()))
}

async fn act(
    visitor: Visitor,
    Path((id, what)): Path<(String, String)>,
    Query(view): Query<View>,
    Form { fields, proof }: Form<Fields>,
) -> Response {
    let failure = match acts::send(&visitor, &id, &what, &fields, &proof).await {
        Ok(Some(begun)) => return see(&page(&begun)),
        Ok(None) => return see(&view.address(page(&id))),
        Err(failure) => failure,
    };
    match read(&visitor, &id, view).await {
        Ok(mut shown) => {
            shown.refusal = Some(Refusal {
                what: &what,
                fields: &fields,
                failure: &failure,
                proof: &proof,
            });
            shown.page().status(failure.status).into_response()
        }
        Err(_) => failure.into_response(),
    }
}

impl Shown<'_> {
    fn page(&self) -> Page {
        let name = &self.pipeline.name;
        let main = html! {
            p { a href=(super::address(&self.run.pipeline)) { "The pipeline" } }
            h1 { "Run of " bdi { (name) } }
            (self.live())
        };
        Page::new(format!("Run of {name}"), main).scripts(&["js/follow.js", "js/receipt.js"])
    }

    /// The refusal of a form that is about a step.
    fn refused(&self, what: &str, step: &Step) -> Option<&Refusal<'_>> {
        let refusal = self.refusal.as_ref();
        refusal.filter(|refusal| refusal.what == what && refusal.fields.path == step.path)
    }

    /// The refusal that the details of a step don't show.
    fn alert(&self) -> Option<Markup> {
        let refusal = self.refusal.as_ref()?;
        let is_below = |step: &Step| step.path == refusal.fields.path;
        (!self.opened.as_ref().is_some_and(is_below)).then(|| refusal.alert())
    }

    /// The part of the page that changes while the run goes on. It asks for the same part again, so that what is open stays
    /// so. A page with a refused form stands still.
    fn live(&self) -> Markup {
        let Self {
            run, view, graph, ..
        } = self;
        let follows = run.finished_at.is_none() && self.refusal.is_none();
        let topic = follows.then(|| format!("run:{}", run.id));
        let links = Links {
            address: &|step| view.opening(&run.id, step),
            open: &view.open,
        };
        let is_on_page = |step: &Step| self.steps.items.iter().any(|one| one.path == step.path);
        html! {
            div.live-run data-follows=[topic] data-part=(view.address(format!("/parts{}", page(&run.id)))) {
                @if let Some(alert) = self.alert() { (alert) }
                p { (state(&run.status)) }
                (facts::failure(self))
                (facts::waits(self))
                (facts::show(run))
                @if run.finished_at.is_none() && self.visitor.may("pipelines:run") { (acts::controls(self)) }
                (facts::values(run))
                (graph.show(Some(&links)))
                h2 #steps { "Steps" }
                @if let Some(step) = self.opened.as_ref().filter(|step| !is_on_page(step)) { (step.show(self)) }
                (table::show(self))
            }
        }
    }
}

/// Whether a failure says that something is not there.
fn is_missing(failure: &Failure) -> bool {
    failure.status == StatusCode::NOT_FOUND
}
