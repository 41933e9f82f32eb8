//! Schedules: what is planned, and what became of it.

mod calendar;

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{self, Failure};
use crate::forms::{self, Form, Nothing, Proof};
use crate::frame::{Page, part, see};
use crate::group::{Group, Place, signed_in};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Schedules",
        path: "/schedules",
        icon: "schedules",
        key: "w",
        shown: signed_in,
    }],
    routes: || {
        Router::new()
            .route("/schedules", get(list).post(create))
            .route("/schedules/{schedule}", get(show))
            .route("/schedules/{schedule}/pause", post(pause))
            .route("/schedules/{schedule}/resume", post(resume))
            .route("/schedules/{schedule}/run", post(run))
            .route("/schedules/{schedule}/delete", post(delete))
            .route("/parts/schedules/{schedule}/firings", get(firings_part))
    },
};

/// A page of a list.
#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// The part of a list that is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    after: String,
    month: String,
}

impl Wish {
    /// A path of the API with the place in its list.
    fn of(&self, path: &str) -> String {
        match self.after.as_str() {
            "" => path.to_owned(),
            after => format!("{path}&after={}", ui::encode(after)),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Schedule {
    id: String,
    name: String,
    action: Value,
    timezone: String,
    #[serde(default)]
    cron: Vec<String>,
    every_ms: Option<u64>,
    paused: bool,
    pause_reason: Option<String>,
    next_at: Option<String>,
    #[serde(default)]
    next: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Firing {
    due_at: String,
    status: String,
    reason: Option<String>,
    run: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    name: String,
    cron: String,
    timezone: String,
    action: String,
}

fn address(id: &str) -> String {
    format!("/schedules/{}", ui::encode(id))
}

fn api(id: &str) -> String {
    format!("/api/schedules/{}", ui::encode(id))
}

impl Schedule {
    fn times(&self) -> String {
        match self.every_ms {
            Some(every) => format!("every {} s", every as f64 / 1000.0),
            None if self.cron.is_empty() => "at fixed times".to_owned(),
            None => format!("{} ({})", self.cron.join(", "), self.timezone),
        }
    }

    fn what(&self) -> String {
        self.action["type"]
            .as_str()
            .unwrap_or_default()
            .replace('_', " ")
    }
}

fn state(status: &str) -> Markup {
    let tone = match status {
        "succeeded" => "good",
        "running" | "due" => "busy",
        "missed" => "warn",
        "failed" => "bad",
        _ => "quiet",
    };
    ui::status(tone, status)
}

async fn list(visitor: Visitor, Query(wish): Query<Wish>) -> Result<Page, Failure> {
    shown(&visitor, &wish, &Entry::default(), None, &Proof::default()).await
}

async fn shown(
    visitor: &Visitor,
    wish: &Wish,
    entry: &Entry,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Result<Page, Failure> {
    visitor.required()?;
    let path = wish.of("/api/schedules?limit=25");
    let schedules: List<Schedule> = visitor.get("pipelines", &path).await?;
    let month = calendar::month(visitor, &schedules.items, &wish.month).await?;
    let main = html! {
        h1 { "Schedules" }
        @if schedules.items.is_empty() {
            (ui::empty("A schedule starts work at times. You have none yet.", &html! { a.button.quiet href="/docs" { "Look at the reference" } }))
        } @else { (month) h2 { "All schedules" } }
        ul.rows { @for schedule in &schedules.items {
            li.spread {
                div {
                    p { a href=(address(&schedule.id)) { bdi { (schedule.name) } }
                        @if schedule.paused { " " (ui::status("warn", "paused")) } }
                    p.meta { (schedule.what()) " · " (schedule.times())
                        @if let Some(next) = schedule.next_at.as_deref().filter(|_| !schedule.paused) { " · next " (ui::ago(next)) } }
                }
            }
        } }
        (ui::more("/schedules", schedules.next.as_deref()))
        @if visitor.may("schedules:write") {
            h2 { "A new schedule" }
            form method="post" action="/schedules" {
                (forms::hidden_again(visitor, failure, proof))
                @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
                (Field { name: "name", label: "Name", value: &entry.name, max: Some(100), ..Field::default() }.show(failure))
                (Field { name: "cron", label: "Times, as a cron expression", hint: "Five fields: minute, hour, day, month, weekday.", value: &entry.cron, max: Some(200), ..Field::default() }.show(failure))
                (Field { name: "timezone", label: "Time zone", hint: "Such as Europe/Berlin.", value: if entry.timezone.is_empty() { "UTC" } else { &entry.timezone }, max: Some(100), ..Field::default() }.show(failure))
                (Field { name: "action", label: "Action, as JSON", hint: "Such as {\"type\": \"execute_pipeline\", \"pipeline\": \"nightly-report\"}.", kind: "area", value: &entry.action, ..Field::default() }.show(failure))
                button { "Make the schedule" }
            }
        }
    };
    Ok(Page::new("Schedules", main))
}

async fn create(visitor: Visitor, form: Form<Entry>) -> Result<Response, Failure> {
    let entry = &form.fields;
    // What is not JSON is refused by the function as what it is: a text.
    let action = serde_json::from_str(&entry.action).unwrap_or_else(|_| json!(entry.action));
    let new = json!({"name": entry.name, "cron": [entry.cron], "timezone": entry.timezone, "action": action});
    match visitor
        .create::<Schedule>("pipelines", "/api/schedules", &new, &form.proof)
        .await
    {
        Ok(schedule) => Ok(see(&address(&schedule.id))),
        Err(failure) => {
            let page = shown(
                &visitor,
                &Wish::default(),
                entry,
                Some(&failure),
                &form.proof,
            )
            .await?;
            Ok(page.status(failure.status).into_response())
        }
    }
}

async fn show(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<Page, Failure> {
    visitor.required()?;
    let schedule: Schedule = visitor.get("pipelines", &api(&id)).await?;
    let firings = firings(&visitor, &schedule.id, &wish).await?;
    let control = |what: &str, label: &str| {
        html! { form method="post" action=(format!("{}/{what}", address(&schedule.id))) { (forms::hidden(&visitor)) button.quiet { (label) } } }
    };
    let main = html! {
        p { a href="/schedules" { "All schedules" } }
        h1 { bdi { (schedule.name) } }
        p.meta { (schedule.what()) " · " (schedule.times())
            @if let Some(reason) = &schedule.pause_reason { " · paused (" (reason.replace('-', " ")) ")" } }
        @if visitor.may("schedules:write") {
            (ui::actions(&html! {
                (control("run", "Fire now"))
                @if schedule.paused { (control("resume", "Resume")) } @else { (control("pause", "Pause")) }
                (control("delete", "Delete"))
            }))
        }
        @if !schedule.paused && !schedule.next.is_empty() {
            h2 { "Next" }
            ul { @for time in &schedule.next { li { (ui::ago(time)) } } }
        }
        h2 { "What became of earlier times" }
        (firings)
        h2 { "Action" }
        pre tabindex="0" { code { (serde_json::to_string_pretty(&schedule.action).unwrap_or_default()) } }
    };
    Ok(Page::new(schedule.name, main).scripts(&["js/follow.js"]))
}

/// What became of the times of a schedule. The first page of it follows the schedule's events.
async fn firings(visitor: &Visitor, id: &str, wish: &Wish) -> Result<Markup, Failure> {
    let path = wish.of(&format!("{}/firings?limit=50", api(id)));
    let firings: List<Firing> = visitor.get("pipelines", &path).await?;
    let topic = wish.after.is_empty().then(|| format!("schedule:{id}"));
    Ok(html! {
        div data-follows=[topic] data-part=(format!("/parts/schedules/{}/firings", ui::encode(id))) {
            @if firings.items.is_empty() { p { "No time of it has come yet." } }
            @else { table.list {
                thead { tr { th scope="col" { "Time" } th scope="col" { "State" } th scope="col" { "Reason" } } }
                tbody { @for firing in &firings.items { tr {
                    td { (ui::ago(&firing.due_at)) }
                    td { (state(&firing.status)) @if let Some(run) = &firing.run { " " a href=(format!("/runs/{}", ui::encode(run))) { "Run" } } }
                    td { bdi { (firing.reason.as_deref().unwrap_or_default()) } }
                } } }
            } }
            (ui::more(&address(id), firings.next.as_deref()))
        }
    })
}

async fn firings_part(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    visitor.required()?;
    Ok(part(firings(&visitor, &id, &Wish::default()).await?))
}

async fn change(
    visitor: &Visitor,
    id: &str,
    what: &str,
    form: &Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("{}/{what}", api(id));
    visitor
        .change(Method::POST, "pipelines", &path, &json!({}), &form.proof)
        .await?;
    Ok(see(&address(id)))
}

async fn pause(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    change(&visitor, &id, "pause", &form).await
}

async fn resume(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    change(&visitor, &id, "resume", &form).await
}

async fn run(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    change(&visitor, &id, "run", &form).await
}

async fn delete(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    visitor.delete("pipelines", &api(&id), &form.proof).await?;
    Ok(see("/schedules"))
}
