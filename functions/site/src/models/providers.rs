//! The tab "Providers": who answers, whether they do, and new ones.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LLM, again, complaint, tabs};
use crate::failure::Failure;
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, see};
use crate::owners::{self, Owners};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/models/providers", get(show).post(create))
        .route("/models/providers/{provider}/check", post(check))
        .route("/models/providers/{provider}/drain", post(drain))
        .route("/models/providers/{provider}/delete", post(delete))
}

#[derive(Debug, Deserialize)]
struct List {
    items: Vec<Provider>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Provider {
    id: String,
    name: String,
    protocol: String,
    url: String,
    has_secret: bool,
    team_id: Option<String>,
    platform: bool,
    environment: bool,
    drain: bool,
    models: Vec<String>,
    down_since: Option<String>,
}

/// The answer of a provider that was asked for its models.
#[derive(Debug, Deserialize)]
struct Checked {
    ok: bool,
    latency_ms: u64,
    models: Vec<String>,
    error: Option<String>,
}

/// What is said above the list.
#[derive(Default)]
struct Notice<'a> {
    failure: Option<&'a Failure>,
    typed: Option<(&'a NewProvider, &'a Proof)>,
    checked: Option<(&'a str, &'a Checked)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct After {
    after: String,
}

async fn show(
    visitor: Visitor,
    axum::extract::Query(page_of): axum::extract::Query<After>,
) -> Result<Page, Failure> {
    page(&visitor, &page_of.after, &Notice::default()).await
}

async fn page(visitor: &Visitor, after: &str, notice: &Notice<'_>) -> Result<Page, Failure> {
    visitor.required()?;
    let mut path = "/api/llm/providers?limit=50".to_owned();
    if !after.is_empty() {
        path += &format!("&after={}", ui::encode(after));
    }
    let list: List = visitor.get(LLM, &path).await?;
    let owners = Owners::of(visitor).await?;
    let main = html! {
        h1 { "Providers" }
        (tabs(visitor))
        (complaint(notice.failure))
        @if list.items.is_empty() {
            p.empty { "None yet. Keys in the server’s environment make the platform’s, and you can bring your own below." }
        }
        ul.rows { @for provider in &list.items { (row(provider, visitor, notice)) } }
        (ui::more("/models/providers", list.next.as_deref()))
        @if visitor.may("llm:provide") { (new_form(visitor, &owners, notice)) }
    };
    Ok(Page::new("Providers of models", main))
}

fn row(provider: &Provider, visitor: &Visitor, notice: &Notice<'_>) -> Markup {
    let owner = match (&provider.team_id, provider.platform) {
        (_, true) => "of the platform",
        (Some(_), _) => "of a team",
        _ => "yours",
    };
    let own = format!("/models/providers/{}", provider.id);
    let is_managed = !provider.environment && (!provider.platform || visitor.may("llm:manage"));
    html! {
        li.spread id=(format!("provider-{}", provider.id)) {
            div {
                h2 { (provider.name) " " span.kind { (owner) } }
                p.meta { (provider.url) " · " (provider.protocol) "’s protocol · "
                    @if provider.has_secret { "with a key" } @else { "without a key" }
                    @if provider.environment { " · from the server’s environment" } }
                p {
                    @if let Some(since) = &provider.down_since { (ui::status("bad", "fails")) " since " (ui::ago(since)) }
                    @else if provider.drain { (ui::status("quiet", "gets no new calls")) }
                    @else { (ui::status("good", "in use")) }
                    " " span.meta { (ui::counted(i64::try_from(provider.models.len()).unwrap_or(i64::MAX), "model")) " listed" }
                }
                @if let Some((_, checked)) = notice.checked.filter(|(id, _)| *id == provider.id) { (answer(checked)) }
            }
            @if visitor.may("llm:provide") {
                div.actions {
                    form method="post" action=(format!("{own}/check")) { (forms::hidden(visitor)) button.quiet { "Check" span.hidden { " " (provider.name) } } }
                    @if is_managed {
                        form method="post" action=(format!("{own}/drain")) { (forms::hidden(visitor))
                            input type="hidden" name="drain" value=(!provider.drain);
                            button.quiet { @if provider.drain { "Use again" } @else { "Give no new calls" } span.hidden { ": " (provider.name) } } }
                        form method="post" action=(format!("{own}/delete")) { (forms::hidden(visitor)) button.danger { "Delete" span.hidden { " " (provider.name) } } }
                    }
                }
            }
        }
    }
}

fn answer(checked: &Checked) -> Markup {
    html! {
        p role="status" {
            @if checked.ok { (ui::status("good", "answers")) " after " (checked.latency_ms) " ms, and lists "
                (ui::counted(i64::try_from(checked.models.len()).unwrap_or(i64::MAX), "model")) "." }
            @else { (ui::status("bad", "does not answer")) " " @if let Some(error) = &checked.error { bdi { (error) } } }
        }
    }
}

fn new_form(visitor: &Visitor, owners: &Owners, notice: &Notice<'_>) -> Markup {
    let (empty, unsent) = (NewProvider::default(), Proof::default());
    let (typed, proof) = notice.typed.unwrap_or((&empty, &unsent));
    let failure = notice.failure.filter(|_| notice.typed.is_some());
    html! {
        section aria-labelledby="new" {
            h2 #new { "A new provider" }
            p { "Its key is a secret: " a href="/secrets" { "store it" } " first, with the kind provider. It is sent to this address and nowhere else." }
            form method="post" action="/models/providers" {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "name", label: "Name", hint: "It stands before the slash in the names of its models.", value: &typed.name, max: Some(40), ..Field::default() }.show(failure))
                div.field { label for="protocol" { "Protocol" }
                    select #protocol name="protocol" { @for protocol in ["openai", "anthropic"] {
                        option value=(protocol) selected[typed.protocol == protocol] { (protocol) } } } }
                (Field { name: "url", label: "Address", hint: "As its SDKs call it, such as https://api.openai.com/v1.", kind: "url", value: &typed.url, max: Some(2000), ..Field::default() }.show(failure))
                (Field { name: "secret", label: "Secret", hint: "The name of the secret with its key, if it needs one.", value: &typed.secret, max: Some(200), optional: true, ..Field::default() }.show(failure))
                (owners.field("provider-owner"))
                (ui::actions(&html! { button { "Add provider" } }))
            }
        }
    }
}

/// The form of a provider.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewProvider {
    name: String,
    protocol: String,
    url: String,
    secret: String,
    owner: String,
}

async fn create(visitor: Visitor, Form { fields, proof }: Form<NewProvider>) -> Response {
    let mut body =
        json!({"name": fields.name.trim(), "protocol": fields.protocol, "url": fields.url.trim()});
    let secret = fields.secret.trim();
    if !secret.is_empty() {
        body["secret"] = json!(match secret.contains(':') {
            true => secret.to_owned(),
            false => format!("vault:{secret}"),
        });
    }
    owners::add(&mut body, &fields.owner);
    let made = visitor.create::<Value>(LLM, "/api/llm/providers", &body, &proof);
    match made.await {
        Ok(_) => see("/models/providers"),
        Err(failure) => {
            let notice = Notice {
                failure: Some(&failure),
                typed: Some((&fields, &proof)),
                checked: None,
            };
            again(page(&visitor, "", &notice).await, &failure)
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    drain: bool,
}

async fn check(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Change>,
) -> Result<Page, Failure> {
    let path = format!("/api/llm/providers/{}/check", ui::encode(&id));
    let checked: Checked = visitor.create(LLM, &path, &json!({}), &form.proof).await?;
    let notice = Notice {
        checked: Some((&id, &checked)),
        ..Notice::default()
    };
    page(&visitor, "", &notice).await
}

async fn drain(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Change>,
) -> Result<Response, Failure> {
    let path = format!("/api/llm/providers/{}", ui::encode(&id));
    let body = json!({"drain": form.fields.drain});
    visitor
        .change(Method::PATCH, LLM, &path, &body, &form.proof)
        .await?;
    Ok(see("/models/providers"))
}

async fn delete(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Change>,
) -> Result<Response, Failure> {
    let path = format!("/api/llm/providers/{}", ui::encode(&id));
    visitor.delete(LLM, &path, &form.proof).await?;
    Ok(see("/models/providers"))
}
