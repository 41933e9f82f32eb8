//! Models: which the visitor may use, who provides them, what they cost, and a chat to try one.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{self, Failure};
use crate::forms::{self, Form};
use crate::frame::{Page, see};
use crate::group::{Group, Place, signed_in};
use crate::owners::{self, Owners};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

mod chat;
mod limits;
mod providers;
mod usage;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Models",
        path: "/models",
        icon: "models",
        key: "l",
        shown: signed_in,
    }],
    routes: || {
        Router::new()
            .route("/models", get(show))
            .route("/models/aliases", post(put))
            .route("/models/aliases/delete", post(delete))
            .merge(chat::routes())
            .merge(limits::routes())
            .merge(providers::routes())
            .merge(usage::routes())
    },
};

/// The component behind these pages.
const LLM: &str = "llm";
/// The models that are shown on one page.
const SHOWN: usize = 200;

#[derive(Debug, Deserialize)]
struct Models {
    models: Vec<Model>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
    alias: bool,
    targets: Vec<String>,
    prices: Option<Prices>,
    available: bool,
}

#[derive(Debug, Deserialize)]
struct Prices {
    input_microusd: i64,
    output_microusd: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Search {
    query: String,
}

/// The models that the visitor may use.
async fn models(visitor: &Visitor) -> Result<Vec<Model>, Failure> {
    visitor.required()?;
    let list: Models = visitor.get(LLM, "/api/ai/models").await?;
    Ok(list.models)
}

/// The tabs of these pages.
fn tabs(visitor: &Visitor) -> Markup {
    let all = [
        ("Models", "/models"),
        ("Try one", "/models/chat"),
        ("Providers", "/models/providers"),
        ("Usage", "/models/usage"),
        ("Limits", "/models/limits"),
    ];
    let tabs = all.map(|(label, path)| (label, path.to_owned(), visitor.path() == path));
    ui::tabs("Models", &tabs)
}

/// Says what went wrong above a page that is shown again.
fn complaint(failure: Option<&Failure>) -> Markup {
    html! { @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) } }
}

/// Millionths of a dollar as dollars.
pub fn dollars(microusd: i64) -> String {
    let part = format!("{:06}", microusd.unsigned_abs() % 1_000_000);
    let part = part.trim_end_matches('0');
    format!("${}.{part:0<2}", ui::number(microusd / 1_000_000))
}

async fn show(visitor: Visitor, Query(search): Query<Search>) -> Result<Page, Failure> {
    page(&visitor, &search.query, None).await
}

/// The page; `refused` is the form that failed, and why.
async fn page(
    visitor: &Visitor,
    query: &str,
    refused: Option<(&Alias, &Failure)>,
) -> Result<Page, Failure> {
    let all = models(visitor).await?;
    let owners = Owners::of(visitor).await?;
    let wanted = query.to_lowercase();
    let mut found: Vec<_> = all
        .iter()
        .filter(|model| model.id.to_lowercase().contains(&wanted))
        .collect();
    let has_more = found.len() > SHOWN;
    found.truncate(SHOWN);
    let main = html! {
        h1 { "Models" }
        (tabs(visitor))
        (complaint(refused.map(|(_, failure)| failure)))
        @if all.is_empty() {
            (ui::empty("No provider of language models is there, so there is no model.", &html! { a.button.quiet href="/models/providers" { "Add a provider" } }))
        } @else {
            form.filter action="/models" role="search" {
                label.hidden for="find" { "Part of a name" }
                input #find name="query" type="search" value=(query) placeholder="Part of a name" maxlength="100";
                button.quiet { "Find" }
            }
            (table(&found, visitor))
            @if has_more { p.meta { "More than " (SHOWN) " are there: a part of a name finds the others." } }
        }
        @if visitor.may("llm:provide") { (alias_form(visitor, &owners, refused)) }
    };
    Ok(Page::new("Models", main))
}

fn table(models: &[&Model], visitor: &Visitor) -> Markup {
    html! {
        table.list {
            thead { tr { th scope="col" { "Name" } th scope="col" { "Leads to" } th scope="col" { "Input, a million tokens" } th scope="col" { "Output" } th scope="col" { "State" } } }
            tbody { @for model in models {
                tr {
                    th scope="row" { a href=(format!("/models/chat?model={}", ui::encode(&model.id))) { (model.id) } }
                    td { @if model.alias { (model.targets.join(", ")) } }
                    @match &model.prices {
                        Some(prices) => { td { (dollars(prices.input_microusd)) } td { (dollars(prices.output_microusd)) } }
                        None => { td { "no price" } td {} }
                    }
                    td {
                        @if model.available { (ui::status("good", "ready")) } @else { (ui::status("warn", "cools down")) }
                        @if model.alias && visitor.may("llm:provide") {
                            form method="post" action="/models/aliases/delete" { (forms::hidden(visitor))
                                input type="hidden" name="alias" value=(model.id);
                                button.link { "Delete" span.hidden { " the alias " (model.id) } } }
                        }
                    }
                }
            } }
        }
    }
}

fn alias_form(visitor: &Visitor, owners: &Owners, refused: Option<(&Alias, &Failure)>) -> Markup {
    let empty = Alias::default();
    let (typed, failure) =
        refused.map_or((&empty, None), |(typed, failure)| (typed, Some(failure)));
    let field = |name, label, hint, value| Field {
        name,
        label,
        hint,
        value,
        optional: true,
        ..Field::default()
    };
    let seconds = "In seconds, for each target.";
    html! {
        section aria-labelledby="alias" {
            h2 #alias { "An alias" }
            p { "A name that leads to models. Another one answers where the first fails. An alias of the same name is replaced." }
            form method="post" action="/models/aliases" {
                (forms::hidden(visitor))
                (Field { name: "name", label: "Name of the alias", hint: "Such as default or small.", value: &typed.name, max: Some(64), ..Field::default() }.show(failure))
                (Field { name: "targets", label: "Targets", hint: "One in each line: provider/model, or another alias. The first is tried first.", kind: "area", value: &typed.targets, ..Field::default() }.show(failure))
                (field("silence", "Longest silence", seconds, &typed.silence).show(failure))
                (field("total", "Longest time of an attempt", seconds, &typed.total).show(failure))
                (owners.field("alias-owner"))
                (ui::actions(&html! { button { "Save alias" } }))
            }
        }
    }
}

/// The form of an alias.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Alias {
    name: String,
    targets: String,
    silence: String,
    total: String,
    owner: String,
}

impl Alias {
    fn body(&self) -> Result<Value, Failure> {
        let silence = milliseconds("silence", &self.silence)?;
        let total = milliseconds("total", &self.total)?;
        let lines = self.targets.lines().map(str::trim);
        let targets = lines.filter(|line| !line.is_empty()).enumerate();
        let targets = targets.map(|(order, line)| {
            let mut target = match line.split_once('/') {
                Some((provider, model)) => json!({"provider": provider, "model": model}),
                None => json!({"model": line}),
            };
            target["order"] = json!(order);
            for (name, limit) in [("silence_ms", silence), ("total_ms", total)] {
                if let Some(limit) = limit {
                    target[name] = json!(limit);
                }
            }
            target
        });
        let mut body = json!({"targets": targets.collect::<Vec<_>>()});
        owners::add(&mut body, &self.owner);
        Ok(body)
    }
}

/// The milliseconds of a field with seconds; `None` if it is empty.
fn milliseconds(name: &str, text: &str) -> Result<Option<u32>, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = text.parse::<u32>().ok();
    let seconds = seconds.filter(|seconds| (1..=3600).contains(seconds));
    let refused = || guest::Problem::invalid(name, "must be 1 to 3600 seconds");
    Ok(Some(seconds.ok_or_else(refused)? * 1000))
}

async fn put(visitor: Visitor, Form { fields, proof }: Form<Alias>) -> Response {
    let path = format!("/api/llm/models/{}", ui::encode(fields.name.trim()));
    let put = async {
        let body = fields.body()?;
        visitor.change(Method::PUT, LLM, &path, &body, &proof).await
    };
    match put.await {
        Ok(_) => see("/models"),
        Err(failure) => again(
            page(&visitor, "", Some((&fields, &failure))).await,
            &failure,
        ),
    }
}

/// A page that is shown again after a failure, with its status.
fn again(page: Result<Page, Failure>, failure: &Failure) -> Response {
    match page {
        Ok(page) => page.status(failure.status).into_response(),
        Err(failure) => failure.into_response(),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Deleted {
    alias: String,
}

/// Deletes an alias of the visitor's, or else of a team's or the platform's, as far as the visitor may.
async fn delete(visitor: Visitor, form: Form<Deleted>) -> Result<Response, Failure> {
    let path = format!("/api/llm/models/{}", ui::encode(&form.fields.alias));
    let owners = Owners::of(&visitor).await?;
    let mut deleted = visitor.delete(LLM, &path, &form.proof).await;
    for query in owners.queries() {
        match &deleted {
            Err(failure) if failure.status == http::StatusCode::NOT_FOUND => {}
            _ => break,
        }
        let path = format!("{path}?{query}");
        deleted = visitor.delete(LLM, &path, &form.proof).await;
    }
    deleted?;
    Ok(see("/models"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_have_two_digits_at_least() {
        for (microusd, expected) in [
            (0, "$0.00"),
            (1_250_000, "$1.25"),
            (3_000_000, "$3.00"),
            (40, "$0.00004"),
        ] {
            assert_eq!(dollars(microusd), expected);
        }
    }

    #[test]
    fn targets_are_lines() {
        let alias = Alias {
            targets: "openai/gpt-5.5\r\n\n small ".to_owned(),
            total: "60".to_owned(),
            ..Alias::default()
        };
        let body = alias.body().unwrap_or_default();
        assert_eq!(
            body["targets"],
            json!([{"provider": "openai", "model": "gpt-5.5", "order": 0, "total_ms": 60000},
                {"model": "small", "order": 1, "total_ms": 60000}])
        );
        let late = Alias {
            silence: "0".to_owned(),
            ..Alias::default()
        };
        assert!(late.body().is_err());
    }
}
