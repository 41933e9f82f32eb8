//! The tab "Try one": a talk with a model. Without scripts each answer comes with the next page; with them it streams in.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LLM, complaint, models, tabs};
use crate::failure::Failure;
use crate::forms::{self, Form};
use crate::frame::Page;
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new().route("/models/chat", get(show).post(say))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    model: String,
}

/// The talk so far: who said what.
#[derive(Debug, Default)]
struct Talk {
    model: String,
    system: String,
    prompt: String,
    said: Vec<(String, String)>,
}

/// Who speaks in a talk.
const ROLES: [&str; 2] = ["user", "assistant"];

impl Talk {
    fn of(fields: Vec<(String, String)>) -> Self {
        let mut talk = Self::default();
        for (name, text) in fields {
            match name.as_str() {
                "model" => talk.model = text,
                "system" => talk.system = text,
                "prompt" => talk.prompt = text,
                role if ROLES.contains(&role) => talk.said.push((name, text)),
                _ => {}
            }
        }
        talk
    }

    fn body(&self) -> Value {
        let system = (!self.system.trim().is_empty()).then_some(("system", &self.system));
        let said = self.said.iter().map(|(role, text)| (role.as_str(), text));
        let now = std::iter::once(("user", &self.prompt));
        let messages = system.into_iter().chain(said).chain(now);
        let messages = messages.map(|(role, text)| json!({"role": role, "content": text}));
        json!({"model": self.model, "messages": messages.collect::<Vec<_>>()})
    }
}

async fn show(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Page, Failure> {
    let talk = Talk {
        model: asked.model,
        ..Talk::default()
    };
    page(&visitor, &talk, None).await
}

async fn page(visitor: &Visitor, talk: &Talk, failure: Option<&Failure>) -> Result<Page, Failure> {
    let known = models(visitor).await?;
    let is_listed = known.iter().any(|model| model.id == talk.model);
    let main = html! {
        h1 { "Try a model" }
        (tabs(visitor))
        @if known.is_empty() {
            (ui::empty("No provider of language models is there, so there is nothing to talk to.", &html! { a.button.quiet href="/models/providers" { "Add a provider" } }))
        } @else {
            ol.talk #talk aria-live="polite" { @for (role, text) in &talk.said { (turn(role, text)) } }
            div #refused role="alert" { (complaint(failure)) }
            form #try method="post" action="/models/chat" {
                (forms::hidden(visitor))
                @for (role, text) in &talk.said { input type="hidden" name=(role) value=(text); }
                div.field { label for="model" { "Model" }
                    select #model name="model" {
                        @for model in &known { option value=(model.id) selected[model.id == talk.model] { (model.id) } }
                        @if !is_listed && !talk.model.is_empty() { option value=(talk.model) selected { (talk.model) } }
                    } }
                details open[!talk.system.is_empty()] {
                    summary { "Instructions" }
                    div.field.wide { label for="system" { "What the model is to keep to" }
                        textarea #system name="system" rows="3" maxlength="100000" { (talk.system) } }
                }
                div.field.wide { label for="prompt" { "You say" }
                    textarea #prompt name="prompt" rows="4" maxlength="100000" required { @if failure.is_some() { (talk.prompt) } } }
                div.actions { button { "Send" } a.button.quiet href=(format!("/models/chat?model={}", ui::encode(&talk.model))) { "Begin anew" } }
            }
            p.meta { "Each answer is a call that your account pays for: " a href="/models/usage" { "usage" } "." }
        }
    };
    Ok(Page::new("Try a model", main).scripts(&["js/models.js"]))
}

/// What one of the two said.
fn turn(role: &str, text: &str) -> Markup {
    let who = if role == "user" { "You" } else { "The model" };
    html! { li data-role=(role) { strong { (who) } p.kept-text dir="auto" { (text) } } }
}

async fn say(visitor: Visitor, Form { fields, proof }: Form<Vec<(String, String)>>) -> Response {
    let mut talk = Talk::of(fields);
    let path = "/v1/chat/completions";
    let body = talk.body();
    let answer = visitor.create::<Value>(LLM, path, &body, &proof).await;
    let failure = match answer {
        Ok(answer) => {
            let text = answer["choices"][0]["message"]["content"].as_str();
            let text = text.unwrap_or_default().to_owned();
            let prompt = std::mem::take(&mut talk.prompt);
            talk.said.push((ROLES[0].to_owned(), prompt));
            talk.said.push((ROLES[1].to_owned(), text));
            None
        }
        Err(failure) => Some(of_protocol(failure)),
    };
    let status = failure.as_ref().map_or(StatusCode::OK, |one| one.status);
    match page(&visitor, &talk, failure.as_ref()).await {
        Ok(page) => page.status(status).into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// A failure in the form of OpenAI's protocol, in this site's own.
fn of_protocol(mut failure: Failure) -> Failure {
    let text = |name: &str| {
        let member = failure.more["error"][name].as_str();
        member.map(str::to_owned)
    };
    if let (Some(code), Some(detail)) = (text("code"), text("message")) {
        (failure.code, failure.detail) = (code, detail);
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_talk_keeps_its_order() {
        let field = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let talk = Talk::of(vec![
            field("csrf", "x"),
            field("user", "Hello"),
            field("assistant", "Hi"),
            field("model", "m"),
            field("system", " "),
            field("prompt", "And?"),
        ]);
        assert_eq!(
            talk.body(),
            json!({"model": "m", "messages": [{"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "And?"}]})
        );
    }
}
