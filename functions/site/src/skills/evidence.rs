//! The tab "Evidence": what a review saw, in words, and the signed statement about it.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use futures::future::join;
use guest::Path;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{List, Skill, Version, arguments, page, path, read, run};
use crate::failure::Failure;
use crate::forms::{self, Form, Nothing};
use crate::frame::{Page, see};
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/skills/{skill}/evidence", get(newest))
        .route("/skills/{skill}/versions/{version}", get(one))
        .route("/skills/{skill}/versions/{version}/yank", post(yank))
}

/// A version with everything that is known about it.
#[derive(Debug, Deserialize)]
struct Whole {
    #[serde(flatten)]
    version: Version,
    license: Option<String>,
    readme: Option<String>,
    permissions: Value,
    limits: Value,
    facts: Value,
    review: Option<Value>,
    published_by: String,
    job_id: Option<String>,
}

async fn newest(visitor: Visitor, Path(name): Path<String>) -> Result<Page, Failure> {
    let skill = read(&visitor, &name).await?;
    let first = skill
        .versions
        .first()
        .map(|version| version.version.clone());
    let Some(version) = skill.summary.latest_version.clone().or(first) else {
        let content = ui::empty("There is no version to review yet.", &html! {});
        return Ok(page(&skill, "/evidence", &content));
    };
    evidence(&visitor, &skill, &version).await
}

async fn one(
    visitor: Visitor,
    Path((name, version)): Path<(String, String)>,
) -> Result<Page, Failure> {
    let skill = read(&visitor, &name).await?;
    evidence(&visitor, &skill, &version).await
}

async fn evidence(visitor: &Visitor, skill: &Skill, version: &str) -> Result<Page, Failure> {
    let api = format!(
        "/api{}/versions/{}",
        path(&skill.summary.name),
        ui::encode(version)
    );
    let statements = format!("{api}/attestations");
    let (whole, statements) = join(
        visitor.get::<Whole>("skills", &api),
        visitor.get::<List<Value>>("skills", &statements),
    )
    .await;
    let (whole, statements) = (whole?, statements?);
    let content = html! {
        h2 { "Version " (whole.version.version) " " (whole.version.status()) }
        (verdict(&whole, visitor))
        (asks(&whole))
        (behaviour(whole.review.as_ref()))
        h3 { "Signed statements" }
        @if statements.items.is_empty() { p.meta { "None yet: the review signs what it found when it decides." } }
        @for statement in &statements.items { (run::envelope("Statement of the review", statement)) }
        p.meta { "Component: " code { (whole.version.digest) } " · "
            a href=(format!("{api}/component")) { "download" } " and check it against the statement"
            @if let Some(license) = &whole.license { " · licence " (license) } }
        @if let Some(readme) = &whole.readme { details { summary { "Readme" } pre { (readme) } } }
        @if visitor.account().is_some_and(|account| account.id == whole.published_by) && whole.version.status == "approved" {
            details.confirm { summary { "Take this version back" }
                form method="post" action=(format!("{}/versions/{}/yank", path(&skill.summary.name), ui::encode(version))) {
                    (forms::hidden(visitor))
                    p { "Calls reach it only if they name it. It can still be downloaded. This can’t be undone." }
                    button.danger { "Take back" }
                }
            }
        }
    };
    Ok(page(skill, "/evidence", &content).scripts(&["js/receipt.js"]))
}

/// The decision with its findings, the most serious first.
fn verdict(whole: &Whole, visitor: &Visitor) -> Markup {
    let Some(review) = &whole.review else {
        return html! {
            p { "The review is under way." @if let (Some(job), true) = (&whole.job_id, visitor.account().is_some()) { " " a href=(format!("/jobs/{job}")) { "Follow it" } } }
        };
    };
    let findings = review["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let rank = |finding: &&Value| match finding["severity"].as_str() {
        Some("reject") => 0,
        Some("hold") => 1,
        _ => 2,
    };
    let mut sorted: Vec<&Value> = findings.iter().collect();
    sorted.sort_by_key(rank);
    html! {
        @if sorted.is_empty() { p { "The review found nothing to remark." } }
        ul.rows {
            @for finding in sorted {
                li {
                    @match finding["severity"].as_str() {
                        Some("reject") => (ui::status("bad", "rejects")),
                        Some("hold") => (ui::status("warn", "a person must decide")),
                        _ => (ui::status("quiet", "noted")),
                    }
                    " " code { (finding["code"].as_str().unwrap_or_default()) }
                    p { (finding["detail"].as_str().unwrap_or_default()) }
                }
            }
        }
    }
}

/// What the version asks for beyond computing, and its limits.
fn asks(whole: &Whole) -> Markup {
    let permissions = &whole.permissions;
    let origins = permissions["http"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let has = |name: &str| permissions[name] == true;
    html! {
        h3 { "Permissions" }
        ul {
            @for origin in origins { li { "Sends requests to " code { (origin.as_str().unwrap_or_default()) } } }
            @if let Some(bytes) = permissions["kv"]["max_bytes"].as_i64() { li { "Keeps up to " (ui::number(bytes)) " bytes in a store of its own" } }
            @if has("clock") { li { "Reads the real time" } }
            @if has("random") { li { "Takes real random numbers" } }
            @if origins.is_empty() && permissions["kv"].is_null() && !has("clock") && !has("random") { li { "None: it only computes" } }
        }
        details { summary { "Limits and facts" }
            h4 { "Limits of a call" } (arguments::shown(&whole.limits))
            h4 { "Imports, exports, toolchain" } (arguments::shown(&whole.facts))
        }
    }
}

/// What happened when the review ran the examples and the generated calls.
fn behaviour(review: Option<&Value>) -> Markup {
    let evidence = review.map_or(&Value::Null, |review| &review["evidence"]);
    let list = |name: &str| evidence[name].as_array().cloned().unwrap_or_default();
    let (examples, probes) = (list("examples"), list("probes"));
    html! {
        @if !examples.is_empty() {
            h3 { "Examples" }
            ul.rows { @for example in &examples {
                li {
                    @if example["is_as_expected"] == true { (ui::status("good", "as the author said")) }
                    @else if example["is_open"] == true { (ui::status("quiet", "left open: no network")) }
                    @else { (ui::status("bad", "something else")) }
                    " " code { (example["tool"].as_str().unwrap_or_default()) "(" (example["arguments"]) ")" }
                    @if example["is_as_expected"] != true { p { "Expected " code { (example["expected"]) } ", got " code { (example["actual"]) } } }
                }
            } }
        }
        @if !probes.is_empty() {
            h3 { "Generated calls" }
            table.list {
                thead { tr { @for head in ["Tool", "Calls", "Succeeded", "Own errors", "Trapped", "Over a limit", "Not the same twice"] { th scope="col" { (head) } } } }
                tbody { @for probe in &probes {
                    tr {
                        th scope="row" { code { (probe["tool"].as_str().unwrap_or_default()) } }
                        @for (name, label) in [("calls", "calls"), ("succeeded", "succeeded"), ("failed", "own errors"), ("trapped", "trapped"), ("overran", "over a limit"), ("nondeterministic", "not the same twice")] {
                            td { (ui::number(probe["report"][name].as_i64().unwrap_or(0))) " " span.narrow { (label) } }
                        }
                    }
                } }
            }
        }
    }
}

async fn yank(
    visitor: Visitor,
    Path((name, version)): Path<(String, String)>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let api = format!("/api{}/versions/{}", path(&name), ui::encode(&version));
    visitor.delete("skills", &api, &form.proof).await?;
    Ok(see(&format!("{}/versions", path(&name))))
}
