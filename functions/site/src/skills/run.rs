//! The tab "Use": runs a tool, and shows its result, what it used, and its receipt.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use guest::Path;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Skill, Tool, arguments, path, read};
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, part};
use crate::ui;
use crate::visitor::Visitor;

/// What the bars of a call's usage are measured against: the defaults of the limits.
const FUEL: f64 = 5e9;
const MEMORY: f64 = 128.0 * 1024.0 * 1024.0;
const TIME_MS: f64 = 5_000.0;

pub fn routes() -> Router {
    Router::new().route("/skills/{skill}", get(show).post(run))
}

#[derive(Debug, Deserialize)]
struct Answer {
    result: Value,
    usage: Usage,
    receipt: Value,
}

#[derive(Debug, Deserialize)]
struct Usage {
    fuel: f64,
    memory_bytes: f64,
    duration_ms: f64,
}

/// A try of a tool: what was typed, and what came of it.
struct Try<'a> {
    tool: &'a str,
    typed: &'a [(String, String)],
    proof: &'a Proof,
    outcome: Result<&'a Answer, &'a Failure>,
}

async fn show(visitor: Visitor, Path(name): Path<String>) -> Result<Page, Failure> {
    let skill = read(&visitor, &name).await?;
    Ok(super::page(&skill, "", &tools(&skill, &visitor, None)).scripts(&["js/receipt.js"]))
}

fn tools(skill: &Skill, visitor: &Visitor, tried: Option<&Try>) -> Markup {
    html! {
        @if skill.tools.is_empty() {
            (ui::empty("No version is approved yet, so there is nothing to call.", &html! { a href=(format!("{}/versions", path(&skill.summary.name))) { "Versions" } }))
        }
        @for tool in &skill.tools {
            section.tool id=(format!("tool-{}", tool.name)) {
                h2 { code { (tool.name) } }
                @if !tool.description.is_empty() { p { (tool.description) } }
                @if visitor.account().is_some() {
                    (form(skill, tool, visitor, tried.filter(|tried| tried.tool == tool.name)))
                } @else {
                    p { a href=(ui::sign_in_address(visitor)) { "Sign in" } " to run it here." }
                }
            }
        }
    }
}

fn form(skill: &Skill, tool: &Tool, visitor: &Visitor, tried: Option<&Try>) -> Markup {
    let path = path(&skill.summary.name);
    let failure = tried.and_then(|tried| tried.outcome.err());
    let typed = tried.map_or(&[][..], |tried| tried.typed);
    let proof = tried.map(|tried| tried.proof.clone()).unwrap_or_default();
    html! {
        form method="post" action=(format!("{path}#tool-{}", tool.name)) hx-post=(path) hx-target="next .outcome" hx-swap="innerHTML" {
            (forms::hidden_again(visitor, failure, &proof))
            input type="hidden" name="tool" value=(tool.name);
            (arguments::fields(&tool.name, &tool.input_schema, typed, failure))
            (ui::actions(&html! { button { "Run " (tool.name) } }))
        }
        div.outcome aria-live="polite" { @if let Some(tried) = tried { (outcome(tried.outcome)) } }
    }
}

/// What came of a call.
fn outcome(outcome: Result<&Answer, &Failure>) -> Markup {
    match outcome {
        Ok(answer) => html! {
            h3 { "Result" }
            (arguments::shown(&answer.result))
            dl.usage {
                (bar("Fuel", answer.usage.fuel, FUEL, &ui::number(answer.usage.fuel as i64)))
                (bar("Memory", answer.usage.memory_bytes, MEMORY, &format!("{:.1} MiB", answer.usage.memory_bytes / 1_048_576.0)))
                (bar("Time", answer.usage.duration_ms, TIME_MS, &format!("{:.1} ms", answer.usage.duration_ms)))
            }
            (envelope("Receipt", &answer.receipt))
        },
        Err(failure) => html! {
            (ui::alert(&html! {
                p { strong { code { (failure.code) } } }
                (failure::message(failure))
                @if !failure.more["error"].is_null() { p { "The skill’s own words:" } (arguments::shown(&failure.more["error"])) }
            }))
        },
    }
}

fn bar(label: &str, value: f64, of: f64, text: &str) -> Markup {
    html! {
        div { dt { (label) } dd { (ui::meter(value / of, text)) " " (text) } }
    }
}

/// A signed statement, which `js/receipt.js` verifies in the browser with the platform's public keys.
pub fn envelope(label: &str, envelope: &Value) -> Markup {
    html! {
        details.receipt data-envelope=(envelope.to_string()) {
            summary { (ui::icon("seal")) (label) " " span.verdict.meta { "signed by the platform" } }
            div.statement {}
            (ui::copyable(&serde_json::to_string_pretty(envelope).unwrap_or_default()))
            p.meta { "A DSSE envelope with an in-toto statement. Keys: " a href="/.well-known/jwks.json" { "jwks.json" } }
        }
    }
}

async fn run(
    visitor: Visitor,
    Path(name): Path<String>,
    Form { fields, proof }: Form<Vec<(String, String)>>,
) -> Response {
    let skill = match read(&visitor, &name).await {
        Ok(skill) => skill,
        Err(failure) => return failure.into_response(),
    };
    let tool = fields
        .iter()
        .find(|(field, _)| field == "tool")
        .map_or("", |(_, tool)| tool.as_str());
    let answer = call(&visitor, &skill, tool, &fields, &proof).await;
    let tried = Try {
        tool,
        typed: &fields,
        proof: &proof,
        outcome: answer.as_ref(),
    };
    if visitor.wants_part() {
        return part(outcome(tried.outcome));
    }
    let status = tried
        .outcome
        .map_or_else(|failure| failure.status, |_| StatusCode::OK);
    let page = super::page(&skill, "", &tools(&skill, &visitor, Some(&tried)));
    page.scripts(&["js/receipt.js"])
        .status(status)
        .into_response()
}

async fn call(
    visitor: &Visitor,
    skill: &Skill,
    tool: &str,
    fields: &[(String, String)],
    proof: &Proof,
) -> Result<Answer, Failure> {
    let known = skill.tools.iter().find(|known| known.name == tool);
    let known = known.ok_or_else(|| guest::Problem::not_found("tool"))?;
    let arguments = arguments::read(&known.input_schema, fields)
        .map_err(|(field, why)| guest::Problem::invalid(field, why))?;
    let body = json!({"tool": tool, "arguments": arguments});
    visitor
        .create(
            "skills",
            &format!("/api{}/invoke", path(&skill.summary.name)),
            &body,
            proof,
        )
        .await
}
