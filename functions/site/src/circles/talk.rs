//! Conversations and turns: what was said, what agents are thinking, and the button that stops them.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::try_join;
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, List, title};
use crate::failure::Failure;
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, part, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/conversations/{conversation}", get(show).post(write))
        .route("/parts/conversations/{conversation}", get(log_part))
        .route("/turns/{turn}", get(turn))
        .route("/turns/{turn}/cancel", post(cancel))
        .route("/turns/{turn}/fork", post(fork))
        .route("/parts/turns/{turn}", get(turn_part))
}

#[derive(Debug, Deserialize)]
struct Conversation {
    id: String,
    circle: Option<String>,
    title: String,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    id: String,
    author: Option<Account>,
    html: Option<String>,
    turn: Option<String>,
    visible_to: Option<Vec<Account>>,
    created_at: String,
}

#[derive(Debug, Deserialize)]
struct Turn {
    id: String,
    conversation: String,
    agent: Account,
    status: String,
    reason: Option<String>,
    waiting_for: Option<String>,
    partial: Option<String>,
    steps: i64,
    usage: Usage,
    created_at: String,
    finished_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    input_tokens: i64,
    output_tokens: i64,
}

#[derive(Debug, Deserialize)]
struct Step {
    number: i64,
    kind: String,
    status: String,
    name: Option<String>,
    arguments: Value,
    result: Value,
    approval: Option<String>,
}

/// A message, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewMessage {
    body: String,
}

/// The step after which a turn is forked, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ForkPoint {
    after_step: i32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Nothing {}

impl Turn {
    fn state(&self) -> Markup {
        let tone = match self.status.as_str() {
            "completed" => "good",
            "running" => "busy",
            "waiting" | "limited" => "warn",
            "failed" => "bad",
            _ => "quiet",
        };
        html! {
            (ui::status(tone, &self.status))
            @if let Some(what) = &self.waiting_for { " for " (what) }
            @if let Some(reason) = &self.reason { " · " (words(reason)) }
        }
    }

    fn stop(&self, visitor: &Visitor) -> Markup {
        html! {
            @if self.finished_at.is_none() {
                form method="post" action=(format!("/turns/{}/cancel", self.id)) { (forms::hidden(visitor)) button.danger { "Stop" } }
            }
        }
    }
}

/// A reason in words, for those that a person can do something about.
fn words(reason: &str) -> &str {
    match reason {
        "no-provider-configured" => "no language model is configured: ask an administrator",
        "provider-failed" => "the language model failed",
        "budget" => "the budget is spent",
        other => other,
    }
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    page(&visitor, &id, None, "", &Proof::default()).await
}

async fn page(
    visitor: &Visitor,
    id: &str,
    failure: Option<&Failure>,
    typed: &str,
    proof: &Proof,
) -> Result<Page, Failure> {
    visitor.required()?;
    let path = format!("/api/conversations/{}", ui::encode(id));
    let conversation: Conversation = visitor.get("circles", &path).await?;
    let log = log(visitor, &conversation.id).await?;
    let main = html! {
        @if let Some(circle) = &conversation.circle { p { a href=(format!("/circles/{circle}")) { "The circle" } } }
        h1 { bdi { (title(&conversation.title)) } }
        @if conversation.status != "open" { p { (ui::status("quiet", &conversation.status)) } }
        (log)
        @if conversation.status != "closed" {
            @if let Some(failure) = failure.filter(|failure| failure.about("body").is_none()) {
                (ui::alert(&html! { p { (failure.detail) } }))
            }
            form method="post" action=(format!("/conversations/{}", conversation.id)) {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "body", label: "Message", hint: "Markdown; @name addresses somebody", kind: "area", value: typed, ..Field::default() }.show(failure))
                div.actions { button { "Send" } }
            }
        }
    };
    Ok(Page::new(title(&conversation.title).to_owned(), main).scripts(&["js/follow.js"]))
}

/// What was said and what is being thought. It follows the conversation as long as the page is open.
async fn log(visitor: &Visitor, id: &str) -> Result<Markup, Failure> {
    let (messages, turns) = (
        format!("/api/conversations/{id}/messages?limit=100"),
        format!("/api/conversations/{id}/turns?limit=20"),
    );
    let (messages, turns) = try_join(
        visitor.get::<List<Message>>("circles", &messages),
        visitor.get::<List<Turn>>("circles", &turns),
    )
    .await?;
    // Turns that ended with a message are in the log; the others say why not.
    let shown =
        |turn: &&Turn| turn.finished_at.is_none() || !matches!(turn.status.as_str(), "completed");
    Ok(html! {
        div.live-talk data-follows=(format!("conversation:{id}")) data-part=(format!("/parts/conversations/{id}")) {
            ol.rows { @for message in messages.items.iter().rev() { (said(message)) } }
            ul.rows { @for turn in turns.items.iter().rev().filter(shown) {
                li.spread {
                    div {
                        p { (turn.agent.shown()) " " (turn.state()) " " a href=(format!("/turns/{}", turn.id)) { (ui::counted(turn.steps, "step")) } }
                        @if let Some(partial) = &turn.partial { p { bdi { (partial) } } }
                        p.meta { (ui::ago(&turn.created_at)) }
                    }
                    (turn.stop(visitor))
                }
            } }
        }
    })
}

fn said(message: &Message) -> Markup {
    html! {
        li id=(format!("m-{}", message.id)) {
            p {
                @if let Some(author) = &message.author { (author.shown()) }
                " " span.meta { (ui::ago(&message.created_at))
                    @if message.visible_to.is_some() { " · whispered" }
                    @if let Some(turn) = &message.turn { " · " a href=(format!("/turns/{turn}")) { "how it was thought" } }
                }
            }
            @match &message.html { Some(html) => (ui::sanitised(html)), None => p.meta { "This message is gone." } }
        }
    }
}

async fn log_part(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    visitor.required()?;
    Ok(part(log(&visitor, &ui::encode(&id)).await?))
}

async fn write(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<NewMessage>,
) -> Response {
    let path = format!("/api/conversations/{}/messages", ui::encode(&id));
    let body = json!({"body": fields.body});
    let failure = match visitor
        .create::<Value>("circles", &path, &body, &proof)
        .await
    {
        Ok(_) => return see(&format!("/conversations/{}", ui::encode(&id))),
        Err(failure) => failure,
    };
    let page = page(&visitor, &id, Some(&failure), &fields.body, &proof).await;
    page.map(|page| page.status(failure.status)).into_response()
}

async fn read(visitor: &Visitor, id: &str) -> Result<(Turn, List<Step>), Failure> {
    visitor.required()?;
    let path = format!("/api/turns/{}", ui::encode(id));
    let steps = format!("{path}/steps?limit=100");
    try_join(
        visitor.get("circles", &path),
        visitor.get("circles", &steps),
    )
    .await
}

async fn turn(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    let (turn, steps) = read(&visitor, &id).await?;
    let main = html! {
        p { a href=(format!("/conversations/{}", turn.conversation)) { "The conversation" } }
        h1 { "Turn of " bdi { (turn.agent.name) } }
        (live(&visitor, &turn, &steps.items))
    };
    Ok(Page::new(format!("Turn of {}", turn.agent.name), main).scripts(&["js/follow.js"]))
}

async fn turn_part(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    let (turn, steps) = read(&visitor, &id).await?;
    Ok(part(live(&visitor, &turn, &steps.items)))
}

/// The turn with its steps. It follows the turn until that has ended.
fn live(visitor: &Visitor, turn: &Turn, steps: &[Step]) -> Markup {
    let topic = turn
        .finished_at
        .is_none()
        .then(|| format!("turn:{}", turn.id));
    html! {
        div.live-turn data-follows=[topic] data-part=(format!("/parts/turns/{}", turn.id)) {
            p { (turn.state()) }
            (turn.stop(visitor))
            @if let Some(partial) = &turn.partial { p { bdi { (partial) } } }
            ol.rows { @for step in steps { (shown(visitor, turn, step)) } }
            p.meta { (ui::number(turn.usage.input_tokens)) " tokens in, " (ui::number(turn.usage.output_tokens)) " out" }
        }
    }
}

fn shown(visitor: &Visitor, turn: &Turn, step: &Step) -> Markup {
    let tone = match step.status.as_str() {
        "succeeded" => "good",
        "started" => "busy",
        "failed" => "bad",
        _ => "warn",
    };
    let what = step.name.as_deref().unwrap_or("asks its model");
    let pretty = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    html! {
        li {
            p { (step.number) ". " @if step.kind == "tool" { code { (what) } } @else { (what) } " " (ui::status(tone, &step.status))
                @if let Some(approval) = &step.approval { " " a href=(format!("/approvals/{approval}")) { "approval" } } }
            @if !step.arguments.is_null() { details id=(format!("given-{}", step.number)) { summary { "What it was given" } pre tabindex="0" { code { (pretty(&step.arguments)) } } } }
            @if !step.result.is_null() { details id=(format!("answered-{}", step.number)) { summary { "What it answered" } pre tabindex="0" { code { (pretty(&step.result)) } } } }
            // Who sees what was answered may fork.
            @if !step.result.is_null() && !matches!(step.status.as_str(), "started" | "unknown") {
                form method="post" action=(format!("/turns/{}/fork", turn.id)) {
                    (forms::hidden(visitor))
                    input type="hidden" name="after_step" value=(step.number);
                    button.quiet { "Fork from here" }
                }
            }
        }
    }
}

async fn cancel(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/api/turns/{}/cancel", ui::encode(&id));
    let stopped: Turn = visitor
        .exchange(Method::POST, "circles", &path, &json!({}), &form.proof)
        .await?;
    Ok(see(&format!("/conversations/{}", stopped.conversation)))
}

async fn fork(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<ForkPoint>,
) -> Result<Response, Failure> {
    let path = format!("/api/turns/{}/fork", ui::encode(&id));
    let body = json!({"after_step": fields.after_step});
    let made: Conversation = visitor.create("circles", &path, &body, &proof).await?;
    Ok(see(&format!("/conversations/{}", made.id)))
}
