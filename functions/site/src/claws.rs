//! Claws: agents of one's own that the platform runs, what has become of them, and what they cost.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::try_join4;
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, part, see};
use crate::group::{Group, Place, signed_in};
use crate::models::dollars;
use crate::ui::{self, Field};
use crate::visitor::Visitor;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Claws",
        path: "/claws",
        icon: "agents",
        key: "x",
        shown: signed_in,
    }],
    routes: || {
        Router::new()
            .route("/claws", get(list).post(create))
            .route("/claws/{claw}", get(show))
            .route("/claws/{claw}/change", post(change))
            .route("/claws/{claw}/messages", post(say))
            .route("/parts/claws", get(list_part))
            .route("/parts/claws/{claw}", get(live_part))
    },
};

/// The states by which the list can be narrowed.
const STATES: [&str; 6] = [
    "provisioning",
    "running",
    "unhealthy",
    "paused",
    "stopped",
    "failed",
];

#[derive(Debug, Deserialize)]
struct Account {
    id: String,
    name: String,
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Named {
    id: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Claw {
    id: String,
    account: Account,
    owner: Account,
    persona: Named,
    template: String,
    desired: String,
    status: String,
    reason: Option<String>,
    resumed: Option<String>,
    channels: Vec<Named>,
    public: bool,
    budget: Option<Budget>,
    expires_at: Option<String>,
    last_seen_at: Option<String>,
    created_at: String,
}

#[derive(Debug, Deserialize)]
struct Budget {
    limit_microusd: i64,
    period: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Transition {
    at: String,
    to: String,
    cause: String,
}

#[derive(Debug, Deserialize)]
struct Usage {
    day: String,
    model: String,
    calls: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost_microusd: i64,
}

/// A line of the output of a claw's container.
#[derive(Debug, Deserialize)]
struct Line {
    at: String,
    stream: String,
    text: String,
}

/// The claw of an answer to a request that changes it.
#[derive(Debug, Deserialize)]
struct Accepted {
    claw: Claw,
}

/// The part of the list that is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wish {
    status: String,
    after: String,
}

impl Wish {
    /// The wish as further parameters of a query.
    fn query(&self) -> String {
        let parameters = [("status", &self.status), ("after", &self.after)];
        let parameters = parameters.iter().filter(|(_, value)| !value.is_empty());
        let parameters = parameters.map(|(name, value)| format!("&{name}={}", ui::encode(value)));
        parameters.collect()
    }
}

/// A claw to make, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewClaw {
    name: String,
    persona: String,
    channels: String,
    public: bool,
}

/// A message to a claw, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewMessage {
    body: String,
}

/// What a button asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    what: String,
}

impl Claw {
    fn state(&self) -> Markup {
        html! {
            (state(&self.status))
            @if self.desired != self.status && self.status != "deleting" { " " span.meta { "shall be " (self.desired) } }
        }
    }

    /// What its owner can ask for now, with words for it. The function refuses what has become impossible meanwhile.
    fn buttons(&self) -> &'static [(&'static str, &'static str)] {
        match (self.status.as_str(), self.desired.as_str()) {
            (_, "deleted") => &[],
            (_, "stopped") => &[("start", "Start"), ("delete", "Delete")],
            ("failed", _) => &[("start", "Start"), ("delete", "Delete")],
            (_, "paused") => &[("resume", "Resume"), ("stop", "Stop"), ("delete", "Delete")],
            ("running", _) => &[
                ("pause", "Pause"),
                ("restart", "Restart"),
                ("stop", "Stop"),
                ("delete", "Delete"),
            ],
            _ => &[("stop", "Stop"), ("delete", "Delete")],
        }
    }
}

fn state(status: &str) -> Markup {
    let tone = match status {
        "running" => "good",
        "requested" | "provisioning" | "deleting" => "busy",
        "paused" | "unhealthy" => "warn",
        "failed" => "bad",
        _ => "quiet",
    };
    ui::status(tone, status)
}

fn address(id: &str) -> String {
    format!("/claws/{}", ui::encode(id))
}

fn api(id: &str) -> String {
    format!("/api/claws/{}", ui::encode(id))
}

async fn list(visitor: Visitor, Query(wish): Query<Wish>) -> Result<Page, Failure> {
    list_page(
        &visitor,
        &wish,
        None,
        &NewClaw::default(),
        &Proof::default(),
    )
    .await
}

async fn list_page(
    visitor: &Visitor,
    wish: &Wish,
    failure: Option<&Failure>,
    new: &NewClaw,
    proof: &Proof,
) -> Result<Page, Failure> {
    let claws = listed(visitor, wish).await?;
    let is_here = |status: &str| (wish.status == status).then_some("page");
    let main = html! {
        h1 { "Claws" }
        @if !claws.items.is_empty() || !wish.status.is_empty() {
            nav.pills aria-label="State of the claws" {
                a href="/claws" aria-current=[is_here("")] { "all" }
                @for status in STATES { a href=(format!("/claws?status={status}")) aria-current=[is_here(status)] { (status) } }
            }
        }
        @if claws.items.is_empty() {
            (ui::empty("A claw is an agent of your own, which the platform runs: give it a persona, and talk with it. There is none here.",
                &html! { a.button.quiet href="/personas" { "Look at personas" } }))
        }
        (rows(&claws, wish))
        (ui::more(&if wish.status.is_empty() { "/claws".to_owned() } else { format!("/claws?status={}", ui::encode(&wish.status)) }, claws.next.as_deref()))
        @if visitor.may("claws:create") {
            h2 { "New claw" }
            @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
            form method="post" action="/claws" {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "name", label: "Name of its account", hint: "3 to 40 of a-z, 0-9 and -", value: &new.name, max: Some(40), ..Field::default() }.show(failure))
                (Field { name: "persona", label: "Persona", hint: "Its name, or its id", value: &new.persona, max: Some(70), ..Field::default() }.show(failure))
                (Field { name: "channels", label: "Channels", hint: "Names with commas between them, such as general, help", value: &new.channels, max: Some(1000), optional: true, ..Field::default() }.show(failure))
                div.field { label.check { input type="checkbox" name="public" value="true" checked[new.public]; " Everybody may talk with it, at your cost" } }
                div.actions { button { "Make claw" } }
            }
        }
    };
    Ok(Page::new("Claws", main).scripts(&["js/follow.js"]))
}

/// The claws that are asked for.
async fn listed(visitor: &Visitor, wish: &Wish) -> Result<List<Claw>, Failure> {
    visitor.required()?;
    visitor
        .get("claws", &format!("/api/claws?limit=50{}", wish.query()))
        .await
}

async fn list_part(visitor: Visitor, Query(wish): Query<Wish>) -> Result<Response, Failure> {
    let claws = listed(&visitor, &wish).await?;
    Ok(part(rows(&claws, &wish)))
}

/// The part of the list that changes with its claws.
fn rows(claws: &List<Claw>, wish: &Wish) -> Markup {
    let topics = claws.items.iter().map(|claw| format!("claw:{}", claw.id));
    let topics = topics.collect::<Vec<_>>().join(" ");
    let follows = (!topics.is_empty()).then_some(topics);
    html! {
        ul.rows data-follows=[follows] data-part=(format!("/parts/claws?{}", wish.query().trim_start_matches('&'))) { @for claw in &claws.items {
            li {
                p { a href=(address(&claw.id)) { (ui::named(&claw.account.kind, &claw.account.id, &claw.account.name)) } " " (claw.state()) }
                p.meta { "thinks as " bdi { (claw.persona.name) } " · " (ui::ago(&claw.created_at))
                    @if let Some(reason) = &claw.reason { " · " bdi { (reason) } } }
            }
        } }
    }
}

async fn create(visitor: Visitor, Form { fields, proof }: Form<NewClaw>) -> Response {
    let channels = fields.channels.split(',').map(str::trim);
    let channels: Vec<&str> = channels.filter(|name| !name.is_empty()).collect();
    let body = json!({"name": fields.name.trim(), "persona": fields.persona.trim(), "channels": channels,
        "public": fields.public});
    let failure = match visitor
        .create::<Accepted>("claws", "/api/claws", &body, &proof)
        .await
    {
        Ok(made) => return see(&address(&made.claw.id)),
        Err(failure) => failure,
    };
    let page = list_page(&visitor, &Wish::default(), Some(&failure), &fields, &proof).await;
    page.map(|page| page.status(failure.status)).into_response()
}

/// A claw with what has become of it.
struct Shown {
    claw: Claw,
    history: List<Transition>,
    usage: List<Usage>,
    output: List<Line>,
}

async fn read(visitor: &Visitor, id: &str) -> Result<Shown, Failure> {
    visitor.required()?;
    let path = api(id);
    let (history, usage, output) = (
        format!("{path}/history?limit=20"),
        format!("{path}/usage?limit=30"),
        format!("{path}/logs?limit=100"),
    );
    let (claw, history, usage, output) = try_join4(
        visitor.get("claws", &path),
        visitor.get("claws", &history),
        visitor.get("claws", &usage),
        visitor.get("claws", &output),
    )
    .await?;
    Ok(Shown {
        claw,
        history,
        usage,
        output,
    })
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
    let shown = read(visitor, id).await?;
    let claw = &shown.claw;
    let main = html! {
        p { a href="/claws" { "All claws" } }
        h1 { (ui::avatar(&claw.account.kind, &claw.account.id, &claw.account.name)) bdi { (claw.account.name) } }
        (live(&shown, visitor))
        @if visitor.may("chat:create") {
            h2 { "Talk with it" }
            @if let Some(failure) = failure.filter(|failure| failure.about("body").is_none()) { (ui::alert(&failure::message(failure))) }
            form method="post" action=(format!("{}/messages", address(&claw.id))) {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "body", label: "Message", hint: "Markdown. It answers in your direct channel with it.", kind: "area", value: typed, ..Field::default() }.show(failure))
                div.actions { button { "Send" } }
            }
        }
    };
    Ok(Page::new(claw.account.name.clone(), main).scripts(&["js/follow.js"]))
}

async fn live_part(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Failure> {
    let shown = read(&visitor, &id).await?;
    Ok(part(live(&shown, &visitor)))
}

/// The part of the page that changes with the claw.
fn live(shown: &Shown, visitor: &Visitor) -> Markup {
    let claw = &shown.claw;
    html! {
        div.live-claw data-follows=(format!("claw:{}", claw.id)) data-part=(format!("/parts/claws/{}", ui::encode(&claw.id))) {
            p { (claw.state()) @if let Some(reason) = &claw.reason { " " bdi { (reason) } } }
            @if visitor.may("claws:create") && !claw.buttons().is_empty() {
                form.actions method="post" action=(format!("{}/change", address(&claw.id))) {
                    (forms::hidden(visitor))
                    @for (what, label) in claw.buttons() {
                        button id=(what) .danger[*what == "delete"] .quiet[*what != "delete"] name="what" value=(what) { (label) }
                    }
                }
            }
            (facts(claw))
            h2 { "What it costs" }
            @if shown.usage.items.is_empty() { p { "It has asked no model yet." } }
            @else { (costs(&shown.usage.items)) }
            @if !shown.output.items.is_empty() { (output(&shown.output.items)) }
            h2 { "What became of it" }
            ol.rows { @for change in &shown.history.items {
                li { p { (state(&change.to)) " " bdi { (change.cause) } } p.meta { (ui::ago(&change.at)) } }
            } }
            @if shown.history.next.is_some() { p.meta { "The latest 20 changes are shown." } }
        }
    }
}

fn facts(claw: &Claw) -> Markup {
    html! {
        dl.facts {
            dt { "Persona" } dd { a href=(format!("/personas/{}", ui::encode(&claw.persona.id))) { bdi { (claw.persona.name) } } }
            dt { "Owner" } dd { (ui::account(&claw.owner.kind, &claw.owner.id, &claw.owner.name)) }
            dt { "Runs in" } dd { (claw.template) }
            @if !claw.channels.is_empty() {
                dt { "Channels" } dd { @for channel in &claw.channels { a href=(format!("/channels/{}", ui::encode(&channel.id))) { "#" bdi { (channel.name) } } " " } }
            }
            dt { "Who may talk with it" } dd { @if claw.public { "everybody who is signed in" } @else { "its owner, and who is in its channels" } }
            @if let Some(budget) = &claw.budget { dt { "Limit" } dd { (dollars(budget.limit_microusd)) " a " (budget.period) } }
            @if let Some(at) = &claw.expires_at { dt { "Expires" } dd { (ui::ago(at)) } }
            @if let Some(at) = &claw.last_seen_at { dt { "Last seen" } dd { (ui::ago(at)) } }
            @if let Some(what) = &claw.resumed { dt { "Kept when it last began" } dd { (kept(what)) } }
            dt { "Made" } dd { (ui::ago(&claw.created_at)) }
        }
    }
}

fn kept(resumed: &str) -> &str {
    match resumed {
        "kept" => "all",
        "disk" => "what is stored",
        _ => "nothing: it began anew",
    }
}

/// The newest lines of the output, the newest last.
fn output(lines: &[Line]) -> Markup {
    html! {
        h2 { "Output" }
        pre.output #output tabindex="0" { @for line in lines.iter().rev() {
            span title=(line.at) .error[line.stream == "stderr"] { (line.text) "\n" }
        } }
    }
}

fn costs(usage: &[Usage]) -> Markup {
    html! {
        table.list {
            thead { tr { th scope="col" { "Day" } th scope="col" { "Model" } th scope="col" { "Calls" } th scope="col" { "Tokens" } th scope="col" { "Cost" } } }
            tbody { @for one in usage { tr {
                td { (one.day) }
                td { bdi { (if one.model.is_empty() { "none answered" } else { one.model.as_str() }) } }
                td { (ui::counted(one.calls, "call")) }
                td { (ui::number(one.input_tokens)) " in, " (ui::number(one.output_tokens)) " out" }
                td { (dollars(one.cost_microusd)) }
            } } }
        }
    }
}

async fn change(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<Change>,
) -> Result<Response, Failure> {
    if fields.what == "delete" {
        visitor.delete("claws", &api(&id), &proof).await?;
        return Ok(see("/claws"));
    }
    let path = format!("{}/{}", api(&id), ui::encode(&fields.what));
    visitor
        .change(Method::POST, "claws", &path, &json!({}), &proof)
        .await?;
    Ok(see(&address(&id)))
}

/// The channel of a message that was posted.
#[derive(Debug, Deserialize)]
struct Posted {
    message: Value,
}

async fn say(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<NewMessage>,
) -> Response {
    let path = format!("{}/messages", api(&id));
    let body = json!({"body": fields.body});
    let failure = match visitor
        .create::<Posted>("claws", &path, &body, &proof)
        .await
    {
        Ok(posted) => {
            let channel = posted.message["channel"].as_str().unwrap_or_default();
            return see(&format!("/channels/{}", ui::encode(channel)));
        }
        Err(failure) => failure,
    };
    let page = page(&visitor, &id, Some(&failure), &fields.body, &proof).await;
    page.map(|page| page.status(failure.status)).into_response()
}
