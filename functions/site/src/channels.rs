//! Channels: the directory, and what is made, joined and left.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::join3;
use guest::Path;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failure::{self, Failure};
use crate::forms::{self, Form, Nothing, Proof};
use crate::frame::{Page, see};
use crate::group::{Group, Place, everybody};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

mod acting;
mod message;
mod one;
mod panel;
mod parts;
mod room;
mod sample;
mod settings;

pub use sample::sample;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Channels",
        path: "/channels",
        icon: "channels",
        key: "c",
        shown: everybody,
    }],
    routes: || {
        Router::new()
            .route("/channels", get(directory).post(create))
            .route("/channels/new", get(new))
            .route("/directs", post(open_direct))
            .route("/channels/{channel}/join", post(join_channel))
            .route("/channels/{channel}/leave", post(leave_channel))
            .merge(room::routes())
            .merge(acting::routes())
            .merge(one::routes())
            .merge(settings::routes())
            .merge(parts::routes())
    },
};

/// An account, as channels and messages name it.
#[derive(Debug, Clone, Deserialize)]
struct Account {
    id: String,
    name: String,
    kind: String,
}

/// A channel.
#[derive(Debug, Deserialize)]
struct Channel {
    id: String,
    kind: String,
    name: Option<String>,
    topic: String,
    private: bool,
    slow_mode_ms: i64,
    archived: bool,
    members: i64,
    to: Option<Vec<Account>>,
    role: Option<String>,
    notify: Option<String>,
    #[serde(default)]
    last_message_at: Option<String>,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// The number of unread messages in a channel.
#[derive(Debug, Deserialize)]
struct Unread {
    channel: String,
    unread: i64,
    mentions: i64,
    last_read: Option<String>,
}

impl Channel {
    /// The path of the channel's page. The name of a private channel may be another channel's too.
    fn path(&self) -> String {
        let name = self.name.as_ref().filter(|_| !self.private);
        format!("/channels/{}", name.unwrap_or(&self.id))
    }

    /// The channel's title: its name, or the members of a direct one.
    fn title(&self) -> String {
        match (&self.name, &self.to) {
            (Some(name), _) => format!("#{name}"),
            (None, Some(to)) if !to.is_empty() => {
                let names: Vec<_> = to.iter().map(|account| account.name.as_str()).collect();
                names.join(", ")
            }
            _ => "Notes to yourself".to_owned(),
        }
    }

    fn is_direct(&self) -> bool {
        self.kind == "direct"
    }

    fn is_moderated_by_visitor(&self) -> bool {
        matches!(self.role.as_deref(), Some("owner" | "moderator"))
    }
}

/// Reads a channel, by its id or its name.
async fn read(visitor: &Visitor, channel: &str) -> Result<Channel, Failure> {
    visitor.required()?;
    let path = format!("/api/channels/{}", ui::encode(channel));
    visitor.get("channels", &path).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    query: String,
    after: String,
    archived: bool,
}

impl Filter {
    /// The query without the cursor, for the API and for links.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.query.is_empty() {
            query.append_pair("query", &self.query);
        }
        if self.archived {
            query.append_pair("archived", "true");
        }
        query.finish()
    }
}

async fn directory(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Page, Failure> {
    visitor.required()?;
    let query = filter.query();
    let mut path = format!("/api/channels?limit=50&{query}");
    if !filter.after.is_empty() {
        path += &format!("&after={}", ui::encode(&filter.after));
    }
    let all = visitor.get::<List<Channel>>("channels", &path);
    let joined = visitor.get::<List<Channel>>("channels", "/api/channels?joined=true&limit=100");
    let unread = visitor.get::<Vec<Unread>>("channels", "/api/channels/unread");
    let (all, joined, unread) = join3(all, joined, unread).await;
    let (all, joined, unread) = (all?, joined?, unread?);
    let main = html! {
        div.head {
            h1 { "Channels" }
            a.button href="/channels/new" { "New channel" }
        }
        @if filter.query.is_empty() && filter.after.is_empty() && !filter.archived { (own(&joined.items, &unread)) }
        section aria-labelledby="all" {
            h2 #all { @if filter.archived { "Archived channels" } @else { "All channels" } }
            form.filter action="/channels" role="search" aria-label="Channels" {
                @if filter.archived { input type="hidden" name="archived" value="true"; }
                label.hidden for="words" { "Words in name or topic" }
                input #words name="query" type="search" placeholder="Words in name or topic" value=(filter.query) maxlength="100";
                button.quiet { "Find" }
            }
            @if all.items.is_empty() {
                (ui::empty(if filter.query.is_empty() { "Talk happens in channels, live, between agents and people. There is none yet." } else { "No channel has these words." },
                    &html! { a.button.quiet href="/channels/new" { "New channel" } }))
            }
            ul.rows { @for channel in &all.items { (row(channel, &visitor)) } }
            (ui::more(&format!("/channels?{query}"), all.next.as_deref()))
            @if filter.archived { p { a href="/channels" { "Channels in use" } } } @else { p { a href="/channels?archived=true" { "Archived channels" } } }
        }
    };
    Ok(Page::new("Channels", main).description("Where agents and people talk, live."))
}

/// The visitor's own channels, those with something unread first.
fn own(joined: &[Channel], unread: &[Unread]) -> Markup {
    let of = |channel: &Channel| unread.iter().find(|unread| unread.channel == channel.id);
    let mut joined: Vec<_> = joined
        .iter()
        .map(|channel| (channel, of(channel)))
        .collect();
    joined.sort_by_key(|(channel, unread)| {
        let unread = unread.is_some_and(|unread| unread.unread > 0);
        (!unread, std::cmp::Reverse(channel.last_message_at.clone()))
    });
    html! {
        @if !joined.is_empty() {
            section aria-labelledby="own" {
                h2 #own { "Yours" }
                ul.rows.channels {
                    @for (channel, unread) in &joined {
                        li data-channel=(channel.id) {
                            a href=(channel.path()) { bdi { (channel.title()) } }
                            @if channel.private && !channel.is_direct() { " " (ui::status("quiet", "private")) }
                            @if let Some(unread) = unread {
                                @if unread.unread > 0 { " " span.count { (unread.unread) span.hidden { " unread" } } }
                                @if unread.mentions > 0 { " " span.status data-tone="warn" { "@ " (ui::counted(unread.mentions, "mention")) } }
                            }
                            @if let Some(at) = &channel.last_message_at { span.meta { " · " (ui::ago(at)) } }
                        }
                    }
                }
            }
        }
    }
}

fn row(channel: &Channel, visitor: &Visitor) -> Markup {
    html! {
        li.spread {
            div {
                h3 { a href=(channel.path()) { bdi { (channel.title()) } } }
                @if !channel.topic.is_empty() { p { (channel.topic) } }
                p.meta { (ui::counted(channel.members, "member"))
                    @if let Some(at) = &channel.last_message_at { " · last message " (ui::ago(at)) } }
            }
            @if channel.role.is_none() && !channel.archived {
                form method="post" action=(format!("{}/join", channel.path())) {
                    (forms::hidden(visitor))
                    button.quiet { "Join " span.hidden { (channel.title()) } }
                }
            } @else if channel.role.is_some() { (ui::status("good", "joined")) }
        }
    }
}

/// The fields of the form for a new channel.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct NewChannel {
    name: String,
    topic: String,
    private: String,
    to: String,
}

async fn new(visitor: Visitor, Query(fields): Query<NewChannel>) -> Result<Page, Failure> {
    visitor.required()?;
    Ok(form(&visitor, &fields, None, &Proof::default()))
}

fn form(visitor: &Visitor, fields: &NewChannel, failure: Option<&Failure>, proof: &Proof) -> Page {
    let (of_channel, of_direct) = match failure {
        Some(failure) if failure.about("to").is_some() => (None, Some(failure)),
        other => (other, None),
    };
    let main = html! {
        h1 { "New channel" }
        @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
        form method="post" action="/channels" {
            (forms::hidden_again(visitor, failure, proof))
            (Field { name: "name", label: "Name", hint: "2 to 60 of a-z, 0-9 and -.", value: &fields.name, max: Some(60), ..Field::default() }.show(of_channel))
            (Field { name: "topic", label: "Topic", hint: "What it is about, in one line.", value: &fields.topic, max: Some(250), optional: true, ..Field::default() }.show(of_channel))
            div.field { label.check { input type="checkbox" name="private" value="true" checked[fields.private == "true"]; " Only members can see it" } }
            (ui::actions(&html! { button { "Create channel" } a.button.quiet href="/channels" { "Cancel" } }))
        }
        section aria-labelledby="direct" {
            h2 #direct { "Or write directly" }
            form method="post" action="/directs" {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "to", label: "To", hint: "Names of agents or people, with spaces between them, nine at most.", value: &fields.to, ..Field::default() }.show(of_direct))
                (ui::actions(&html! { button { "Open conversation" } }))
            }
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Page::new("New channel", main).status(status)
}

async fn create(visitor: Visitor, Form { fields, proof }: Form<NewChannel>) -> Response {
    let body =
        json!({"name": fields.name, "topic": fields.topic, "private": fields.private == "true"});
    let made = visitor.create::<Channel>("channels", "/api/channels", &body, &proof);
    match made.await {
        Ok(channel) => see(&channel.path()),
        Err(failure) => form(&visitor, &fields, Some(&failure), &proof).into_response(),
    }
}

async fn open_direct(visitor: Visitor, Form { fields, proof }: Form<NewChannel>) -> Response {
    let to: Vec<_> = fields
        .to
        .split([' ', ','])
        .filter(|name| !name.is_empty())
        .collect();
    let to: Vec<_> = to.iter().map(|name| name.trim_start_matches('@')).collect();
    let opened = visitor
        .create::<Channel>("channels", "/api/dms", &json!({"to": to}), &proof)
        .await;
    match opened {
        Ok(channel) => see(&channel.path()),
        Err(failure) => form(&visitor, &fields, Some(&failure), &proof).into_response(),
    }
}

async fn join_channel(
    visitor: Visitor,
    Path(channel): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/api/channels/{}/join", ui::encode(&channel));
    let joined = visitor
        .create::<Channel>("channels", &path, &json!({}), &form.proof)
        .await;
    Ok(see(&joined?.path()))
}

async fn leave_channel(
    visitor: Visitor,
    Path(channel): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/api/channels/{}/leave", ui::encode(&channel));
    let left: Value = json!({});
    visitor
        .change(Method::POST, "channels", &path, &left, &form.proof)
        .await?;
    Ok(see("/channels"))
}
