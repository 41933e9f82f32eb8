//! Jobs: what runs, how far it is, how it ended, and what can be done about it.

use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use futures::future::join3;
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::forms::{self, Form, Nothing};
use crate::frame::{Page, part, see};
use crate::group::{Group, Place, signed_in};
use crate::ui;
use crate::visitor::Visitor;

mod charts;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Jobs",
        path: "/jobs",
        icon: "jobs",
        key: "j",
        shown: signed_in,
    }],
    routes: || {
        Router::new()
            .route("/jobs", get(list))
            .route("/jobs/{job}", get(show))
            .route("/jobs/{job}/cancel", post(cancel))
            .route("/jobs/{job}/retry", post(retry))
            .route("/parts/jobs/{job}", get(one_part))
    },
};

#[derive(Debug, Deserialize)]
struct Job {
    id: String,
    kind: String,
    status: String,
    progress: Progress,
    attempts: u32,
    max_attempts: u32,
    result: Value,
    error: Option<String>,
    cancelling: bool,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    failures: Option<Vec<Attempt>>,
}

#[derive(Debug, Deserialize)]
struct Progress {
    percent: u8,
    note: String,
}

#[derive(Debug, Deserialize)]
struct Attempt {
    attempt: u32,
    outcome: String,
    error: String,
    ended_at: String,
}

#[derive(Debug, Deserialize)]
struct List {
    items: Vec<Job>,
    next: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Queue {
    jobs: Counts,
    oldest_queued_ms: Option<i64>,
    workers: Workers,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    by_status: std::collections::BTreeMap<String, i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Workers {
    alive: i64,
}

impl Job {
    fn has_ended(&self) -> bool {
        matches!(self.status.as_str(), "succeeded" | "dead" | "cancelled")
    }

    fn state(&self) -> Markup {
        let tone = match self.status.as_str() {
            "succeeded" => "good",
            "running" => "busy",
            "failed" => "warn",
            "dead" => "bad",
            _ => "quiet",
        };
        html! { (ui::status(tone, &self.status)) @if self.cancelling { " " (ui::status("warn", "stopping")) } }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    status: String,
    kind: String,
    after: String,
}

const STATES: [&str; 6] = [
    "queued",
    "running",
    "failed",
    "dead",
    "succeeded",
    "cancelled",
];

async fn list(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Page, Failure> {
    visitor.required()?;
    let query = |status: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("status", status), ("kind", &filter.kind)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    };
    let mut path = format!("/api/jobs?limit=50&{}", query(&filter.status));
    if !filter.after.is_empty() {
        path += &format!("&after={}", ui::encode(&filter.after));
    }
    let jobs = visitor.get::<List>("jobs", &path);
    let queue = visitor.get::<Queue>("jobs", "/api/status");
    let history = visitor.get::<charts::History>("jobs", "/api/jobs/history");
    let (jobs, queue, history) = join3(jobs, queue, history).await;
    let (jobs, queue) = (jobs?, queue.unwrap_or_default());
    let count = |status: &str| ui::number(queue.jobs.by_status.get(status).copied().unwrap_or(0));
    let main = html! {
        h1 { "Jobs" }
        dl.numbers {
            div { dt { "Workers alive" } dd { (ui::number(queue.workers.alive)) } }
            div { dt { "Running" } dd { (count("running")) } }
            div { dt { "Queued" } dd { (count("queued")) } }
            div { dt { "Dead" } dd { (count("dead")) } }
            div { dt { "Oldest waits, s" } dd { (ui::number(queue.oldest_queued_ms.unwrap_or(0) / 1000)) } }
        }
        (charts::charts(&history.unwrap_or_default()))
        nav.pills aria-label="Status" {
            a href=(format!("/jobs?{}", query(""))) aria-current=[filter.status.is_empty().then_some("page")] { "All" }
            @for status in STATES { a href=(format!("/jobs?{}", query(status))) aria-current=[(filter.status == status).then_some("page")] { (status) } }
        }
        @if !filter.kind.is_empty() { p { "Kind " code { (filter.kind) } ". " a href="/jobs" { "All kinds" } } }
        @if jobs.items.is_empty() {
            (ui::empty("Whatever takes longer than a request is a job, such as the review of a skill. There is none here.", &html! { a.button.quiet href="/skills" { "Look at skills" } }))
        }
        ul.rows { @for job in &jobs.items { (row(job)) } }
        (ui::more(&format!("/jobs?{}", query(&filter.status)), jobs.next.as_deref()))
    };
    Ok(Page::new("Jobs", main))
}

fn row(job: &Job) -> Markup {
    html! {
        li.spread {
            div {
                p { a href=(format!("/jobs/{}", job.id)) { code { (job.kind) } } " " (job.state()) }
                p.meta { (ui::ago(&job.created_at)) " · attempt " (job.attempts) " of " (job.max_attempts)
                    @if let Some(error) = &job.error { " · " bdi { (first_line(error)) } } }
            }
            @if job.status == "running" { (bar(job)) }
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(120)
        .collect()
}

fn bar(job: &Job) -> Markup {
    html! { progress max="100" value=(job.progress.percent) aria-label=(format!("Progress of {}", job.kind)) { (job.progress.percent) " %" } }
}

async fn read(visitor: &Visitor, id: &str) -> Result<Job, Failure> {
    visitor.required()?;
    visitor
        .get("jobs", &format!("/api/jobs/{}", ui::encode(id)))
        .await
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    let job = read(&visitor, &id).await?;
    let main = html! {
        p { a href="/jobs" { "All jobs" } }
        h1 { code { (job.kind) } }
        (live(&job, &visitor))
    };
    Ok(Page::new(format!("Job {}", job.kind), main))
}

/// The part of the page that changes while the job runs. It is asked for again until the job has ended.
fn live(job: &Job, visitor: &Visitor) -> Markup {
    let again = (!job.has_ended()).then(|| format!("/parts/jobs/{}", job.id));
    html! {
        div.live-job hx-get=[again] hx-trigger="every 2s" hx-swap="outerHTML" {
            p { (job.state()) " " @if !job.progress.note.is_empty() { bdi { (job.progress.note) } } }
            @if !job.has_ended() { (bar(job)) }
            dl.facts {
                dt { "Created" } dd { (ui::ago(&job.created_at)) }
                @if let Some(at) = &job.started_at { dt { "Began" } dd { (ui::ago(at)) } }
                @if let Some(at) = &job.finished_at { dt { "Ended" } dd { (ui::ago(at)) } }
                dt { "Attempts" } dd { (job.attempts) " of " (job.max_attempts) }
                dt { "Id" } dd { code { (job.id) } }
            }
            @if visitor.may("jobs:manage") {
                div.actions {
                    @if !job.has_ended() && !job.cancelling {
                        form method="post" action=(format!("/jobs/{}/cancel", job.id)) { (forms::hidden(visitor)) button.danger { "Cancel job" } }
                    }
                    @if job.status == "dead" {
                        form method="post" action=(format!("/jobs/{}/retry", job.id)) { (forms::hidden(visitor)) button { "Retry job" } }
                    }
                }
            }
            @if let Some(error) = &job.error { h2 { "Last error" } pre tabindex="0" { code { (error) } } }
            @if !job.result.is_null() {
                h2 { "Result" }
                pre tabindex="0" { code { (serde_json::to_string_pretty(&job.result).unwrap_or_default()) } }
            }
            @if let Some(failures) = job.failures.as_ref().filter(|failures| !failures.is_empty()) {
                h2 { "Attempts that did not succeed" }
                ol.rows { @for failure in failures {
                    li { p { "Attempt " (failure.attempt) " " (failure.outcome) " " (ui::ago(&failure.ended_at)) } pre tabindex="0" { code { (failure.error) } } }
                } }
            }
        }
    }
}

async fn one_part(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    let job = read(&visitor, &id).await?;
    Ok(part(live(&job, &visitor)))
}

async fn cancel(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    act(&visitor, &id, "cancel", &form).await
}

async fn retry(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    act(&visitor, &id, "retry", &form).await
}

async fn act(
    visitor: &Visitor,
    id: &str,
    what: &str,
    form: &Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/api/jobs/{}/{what}", ui::encode(id));
    visitor
        .change(Method::POST, "jobs", &path, &json!({}), &form.proof)
        .await?;
    Ok(see(&format!("/jobs/{}", ui::encode(id))))
}
