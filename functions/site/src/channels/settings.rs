//! The settings of a channel: what reaches the visitor's inbox, what owners and moderators change, and its members. Also
//! the search within a channel.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::Path;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::message::Message;
use super::panel::{self, Member};
use super::{Channel, List, read};
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/channels/{channel}/settings", get(show).post(change))
        .route("/channels/{channel}/members", post(change_member))
        .route("/channels/{channel}/search", get(search))
}

async fn show(visitor: Visitor, Path(channel): Path<String>) -> Result<Page, Failure> {
    page(&visitor, &channel, None, &Proof::default()).await
}

async fn page(
    visitor: &Visitor,
    channel: &str,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Result<Page, Failure> {
    let channel = read(visitor, channel).await?;
    let members = panel::members(visitor, &channel).await?;
    let is_owner = channel.role.as_deref() == Some("owner");
    let main = html! {
        p { a href=(channel.path()) { "Back to " bdi { (channel.title()) } } }
        h1 { "Settings of " bdi { (channel.title()) } }
        @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
        @if channel.role.is_some() { (notifications(&channel, visitor)) }
        @if channel.is_moderated_by_visitor() && !channel.is_direct() { (details(&channel, is_owner, failure, proof, visitor)) }
        (people(&channel, &members, is_owner, visitor))
        @if !channel.is_direct() { (ending(&channel, is_owner, visitor)) }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Ok(Page::new(format!("Settings of {}", channel.title()), main).status(status))
}

fn notifications(channel: &Channel, visitor: &Visitor) -> Markup {
    let chosen = channel.notify.as_deref().unwrap_or("mentions");
    html! {
        section aria-labelledby="notify" { h2 #notify { "What reaches your inbox" }
            form method="post" action=(format!("{}/settings", channel.path())) {
                (forms::hidden(visitor))
                input type="hidden" name="what" value="notify";
                fieldset { legend.hidden { "Messages" }
                    @for (value, label) in [("all", "All messages"), ("mentions", "Mentions and replies"), ("none", "Nothing")] {
                        label { input type="radio" name="notify" value=(value) checked[chosen == value]; " " (label) }
                    } }
                @if channel.is_direct() { p { label { input type="checkbox" name="hidden" value="true"; " Hide this conversation until somebody writes" } } }
                button.quiet { "Save" }
            }
        }
    }
}

fn details(
    channel: &Channel,
    is_owner: bool,
    failure: Option<&Failure>,
    proof: &Proof,
    visitor: &Visitor,
) -> Markup {
    let seconds = (channel.slow_mode_ms / 1000).to_string();
    html! {
        section aria-labelledby="details" { h2 #details { "Channel" }
            form method="post" action=(format!("{}/settings", channel.path())) {
                (forms::hidden_again(visitor, failure, proof))
                input type="hidden" name="what" value="details";
                @if is_owner { (Field { name: "name", label: "Name", hint: "2 to 60 of a-z, 0-9 and -.", value: channel.name.as_deref().unwrap_or_default(), max: Some(60), ..Field::default() }.show(failure)) }
                (Field { name: "topic", label: "Topic", value: &channel.topic, max: Some(250), optional: true, ..Field::default() }.show(failure))
                (Field { name: "slow_mode_s", label: "Slow mode, in seconds", hint: "How long members wait between two messages; 0 for not at all.", kind: "number", value: &seconds, ..Field::default() }.show(failure))
                @if is_owner { p { label { input type="checkbox" name="private" value="true" checked[channel.private]; " Only members can see it" } } }
                button { "Save changes" }
            }
        }
    }
}

fn people(channel: &Channel, members: &List<Member>, is_owner: bool, visitor: &Visitor) -> Markup {
    let may = channel.is_moderated_by_visitor() && !channel.is_direct();
    let own = visitor.account().map(|account| account.id.as_str());
    html! {
        section aria-labelledby="members" { h2 #members { (ui::counted(channel.members, "member")) }
            @if may {
                form.filter method="post" action=(format!("{}/members", channel.path())) { (forms::hidden(visitor))
                    input type="hidden" name="what" value="add";
                    label.hidden for="account" { "Name of an agent or a person" }
                    input #account name="account" placeholder="Name of an agent or a person" required maxlength="60" autocomplete="off";
                    button.quiet { "Add member" }
                }
            }
            ul.rows { @for member in &members.items {
                li.spread {
                    div { (ui::account(&member.kind, &member.account, &member.name)) span.meta { " " (member.role) } }
                    @if may && Some(member.account.as_str()) != own && (is_owner || member.role == "member") {
                        form.pills method="post" action=(format!("{}/members", channel.path())) { (forms::hidden(visitor))
                            input type="hidden" name="account" value=(member.account);
                            @if is_owner { @for role in ["member", "moderator", "owner"] {
                                button name="what" value=(role) aria-pressed=(member.role == role) { (role) }
                            } }
                            button name="what" value="remove" { "Remove" span.hidden { " " (member.name) } }
                        }
                    }
                }
            } }
            @if members.next.is_some() { p.meta { "The first hundred are shown." } }
        }
    }
}

fn ending(channel: &Channel, is_owner: bool, visitor: &Visitor) -> Markup {
    let path = channel.path();
    html! {
        section aria-labelledby="end" { h2 #end { "Leave or end" }
            @if channel.role.is_some() {
                form method="post" action=(format!("{path}/leave")) { (forms::hidden(visitor)) button.quiet { "Leave channel" } }
            }
            @if is_owner {
                form method="post" action=(format!("{path}/settings")) { (forms::hidden(visitor))
                    p.meta { "An archived channel can be read, but nothing in it can change." }
                    button.quiet name="what" value=(if channel.archived { "restore" } else { "archive" }) { @if channel.archived { "Use again" } @else { "Archive channel" } }
                }
                details.confirm { summary { "Delete channel" }
                    form method="post" action=(format!("{path}/settings")) { (forms::hidden(visitor))
                        input type="hidden" name="what" value="delete";
                        p { "Everything that was written in it goes for good." }
                        (Field { name: "confirm", label: "The channel’s name, to be sure", max: Some(60), ..Field::default() }.show(None))
                        button.danger { "Delete channel" } } }
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    what: String,
    notify: String,
    hidden: String,
    name: String,
    topic: String,
    slow_mode_s: String,
    private: String,
    confirm: String,
}

async fn change(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<Change>,
) -> Response {
    match changed(&visitor, &id, &fields, &proof).await {
        Ok(path) => see(&path),
        Err(failure) => {
            let again = page(&visitor, &id, Some(&failure), &proof);
            again.await.map_err(|_| failure).into_response()
        }
    }
}

/// Makes a change, and returns where to go on.
async fn changed(
    visitor: &Visitor,
    id: &str,
    fields: &Change,
    proof: &Proof,
) -> Result<String, Failure> {
    let channel = read(visitor, id).await?;
    let api = format!("/api/channels/{}", channel.id);
    if fields.what == "notify" {
        let hidden = channel.is_direct().then_some(fields.hidden == "true");
        let body = json!({"notify": fields.notify, "hidden": hidden});
        visitor
            .change(
                Method::PUT,
                "channels",
                &format!("{api}/settings"),
                &body,
                proof,
            )
            .await?;
        return Ok(if hidden == Some(true) {
            "/channels".to_owned()
        } else {
            channel.path()
        });
    }
    if fields.what == "delete" {
        if channel.name.as_deref() != Some(&fields.confirm) {
            return Err(guest::Problem::invalid("confirm", "is not the channel's name").into());
        }
        visitor.delete("channels", &api, proof).await?;
        return Ok("/channels".to_owned());
    }
    let body = match fields.what.as_str() {
        "archive" => json!({"archived": true}),
        "restore" => json!({"archived": false}),
        _ => details_of(fields, channel.role.as_deref() == Some("owner")),
    };
    let changed = visitor.exchange::<Channel>(Method::PATCH, "channels", &api, &body, proof);
    Ok(format!("{}/settings", changed.await?.path()))
}

fn details_of(fields: &Change, is_owner: bool) -> Value {
    let seconds = fields.slow_mode_s.parse::<i64>().unwrap_or_default();
    let mut body = json!({"topic": fields.topic, "slow_mode_ms": seconds.saturating_mul(1000)});
    if is_owner {
        body["name"] = json!(fields.name);
        body["private"] = json!(fields.private == "true");
    }
    body
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MemberChange {
    what: String,
    account: String,
}

async fn change_member(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<MemberChange>,
) -> Response {
    let members = format!("/api/channels/{}/members", ui::encode(&id));
    let one = format!("{members}/{}", ui::encode(&fields.account));
    let done = match fields.what.as_str() {
        "add" => {
            let body = json!({"account": fields.account.trim_start_matches('@')});
            visitor
                .change(Method::POST, "channels", &members, &body, &proof)
                .await
        }
        "remove" => visitor.delete("channels", &one, &proof).await,
        role => {
            visitor
                .change(
                    Method::PUT,
                    "channels",
                    &one,
                    &json!({"role": role}),
                    &proof,
                )
                .await
        }
    };
    match done {
        Ok(_) => see(&format!("/channels/{}/settings", ui::encode(&id))),
        Err(failure) => {
            let again = page(&visitor, &id, Some(&failure), &proof);
            again.await.map_err(|_| failure).into_response()
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Words {
    query: String,
    after: String,
}

async fn search(
    visitor: Visitor,
    Path(channel): Path<String>,
    Query(words): Query<Words>,
) -> Result<Page, Failure> {
    let channel = read(&visitor, &channel).await?;
    let query = format!("query={}", ui::encode(&words.query));
    let mut path = format!("/api/channels/{}/search?{query}", channel.id);
    if !words.after.is_empty() {
        path += &format!("&after={}", ui::encode(&words.after));
    }
    let found = match words.query.trim() {
        "" => List {
            items: Vec::new(),
            next: None,
        },
        _ => visitor.get::<List<Message>>("channels", &path).await?,
    };
    let path = channel.path();
    let main = html! {
        p { a href=(path) { "Back to " bdi { (channel.title()) } } }
        h1 { "Search in " bdi { (channel.title()) } }
        form.filter role="search" aria-label="This channel" { label.hidden for="words" { "Words" }
            input #words name="query" type="search" value=(words.query) maxlength="200" placeholder="Words in this channel"; button.quiet { "Find" } }
        @if found.items.is_empty() { (ui::empty("No message in this channel has these words.", &html! { a href=(path) { "Back to the channel" } })) }
        ol.rows { @for message in &found.items {
            li { p.meta { @if let Some(author) = &message.author { (ui::account(&author.kind, &author.id, &author.name)) } " "
                    a href=(format!("{path}?around={}", message.id)) { (ui::ago(&message.created_at)) } }
                (super::message::content(message)) }
        } }
        (ui::more(&format!("{path}/search?{query}"), found.next.as_deref()))
    };
    Ok(Page::new(format!("Search in {}", channel.title()), main).status(StatusCode::OK))
}
