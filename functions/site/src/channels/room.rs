//! A channel's page: the log, the composer, and what is beside them.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::{join, join3};
use guest::Path;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::message::{History, Message, log};
use super::{Channel, List, Unread, acting, panel, read};
use crate::failure::{self, Failure};
use crate::forms::{self, Proof};
use crate::frame::Page;
use crate::ui;
use crate::visitor::Visitor;

/// The number of messages on a page.
pub const MESSAGES: u32 = 50;

pub fn routes() -> Router {
    Router::new().route("/channels/{channel}", get(show)).route(
        "/channels/{channel}/messages",
        get(show).post(acting::write),
    )
}

/// The part of the history that is shown, and what is written.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Window {
    /// The message before which to read.
    pub before: String,
    /// The message after which to read.
    pub after: String,
    /// The message to show with what is around it.
    pub around: String,
    /// The message that the new one answers.
    pub reply: String,
}

impl Window {
    /// The query of the history's API.
    pub fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(format!("limit={MESSAGES}"));
        for (name, value) in [
            ("before", &self.before),
            ("after", &self.after),
            ("around", &self.around),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
                break;
            }
        }
        query.finish()
    }

    fn is_forward(&self) -> bool {
        self.before.is_empty() && !(self.after.is_empty() && self.around.is_empty())
    }
}

/// A part of a channel's history, the oldest message first.
pub struct Part {
    /// The messages.
    pub messages: Vec<Message>,
    /// Whether there are earlier ones.
    pub has_earlier: bool,
    /// Whether there are later ones.
    pub has_later: bool,
}

/// Reads a part of the history.
pub async fn history(visitor: &Visitor, channel: &str, window: &Window) -> Result<Part, Failure> {
    let path = format!(
        "/api/channels/{}/messages?{}",
        ui::encode(channel),
        window.query()
    );
    let History {
        mut items,
        next,
        previous,
    } = visitor.get("channels", &path).await?;
    if window.is_forward() {
        let has_earlier = previous.is_some() || !window.after.is_empty();
        return Ok(Part {
            messages: items,
            has_earlier,
            has_later: next.is_some(),
        });
    }
    items.reverse();
    Ok(Part {
        messages: items,
        has_earlier: next.is_some(),
        has_later: !window.before.is_empty(),
    })
}

async fn show(
    visitor: Visitor,
    Path(channel): Path<String>,
    Query(window): Query<Window>,
) -> Result<Response, Failure> {
    let page = page(&visitor, &channel, &window, None, "", &Proof::default()).await?;
    Ok(page.into_response())
}

/// The page of a channel; `failure` is that of the message `body`, which is shown again.
pub async fn page(
    visitor: &Visitor,
    id: &str,
    window: &Window,
    failure: Option<&Failure>,
    body: &str,
    proof: &Proof,
) -> Result<Page, Failure> {
    let channel = read(visitor, id).await?;
    let pins = format!("/api/channels/{}/pins?limit=50", channel.id);
    let unread = format!("/api/channels/unread?channel={}", channel.id);
    let unread = visitor.get::<Vec<Unread>>("channels", &unread);
    let (part, unread, pins) = join3(
        history(visitor, &channel.id, window),
        unread,
        visitor.get::<List<Message>>("channels", &pins),
    )
    .await;
    let (members, reads) = join(
        panel::members(visitor, &channel),
        panel::reads(visitor, &channel),
    )
    .await;
    let (part, unread, pins) = (part?, unread?, pins?);
    let unread = unread.into_iter().next();
    let main = html! {
        div.chat data-channel=(channel.id) data-path=(channel.path()) data-title=(channel.title()) data-member=(channel.role.is_some()) {
            (head(&channel, unread.as_ref(), visitor))
            div.bar-thin #connection role="status" aria-live="polite" hidden {}
            (scroller(&channel, &part, window, unread.as_ref(), visitor))
            p.typing #typing aria-live="off" {}
            (composer(&channel, &part, window, failure, body, proof, visitor))
            (panel::aside(&channel, &members?, &pins.items, &reads?, visitor))
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    let page = Page::new(channel.title(), main)
        .status(status)
        .scripts(&["js/chat.js"]);
    Ok(page.description(channel.topic))
}

fn head(channel: &Channel, unread: Option<&Unread>, visitor: &Visitor) -> Markup {
    html! {
        header.room {
            h1 { bdi { (channel.title()) } }
            @if channel.private && !channel.is_direct() { (ui::status("quiet", "private")) }
            @if channel.archived { (ui::status("warn", "archived")) }
            @if !channel.topic.is_empty() { p.topic.meta { (channel.topic) } }
            @if let Some(unread) = unread.filter(|unread| unread.unread > 0) {
                @if let Some(last) = &unread.last_read {
                    a.to-unread href=(format!("{}?around={}#unread-line", channel.path(), last)) { (ui::counted(unread.unread, "unread message")) }
                }
                form.mark method="post" action=(format!("{}/read", channel.path())) { (forms::hidden(visitor)) button.link { "Mark as read" } }
            }
            a href="#panel" class="to-panel" { "Details" }
        }
    }
}

/// The log. It is read aloud as it grows, and begins at its end.
fn scroller(
    channel: &Channel,
    part: &Part,
    window: &Window,
    unread: Option<&Unread>,
    visitor: &Visitor,
) -> Markup {
    let unread_after = unread.filter(|unread| unread.unread > 0).map(|unread| {
        let last = unread.last_read.as_ref();
        let last = last.and_then(|last| part.messages.iter().find(|message| message.id == *last));
        last.map(|last| last.seq)
    });
    // If the last message that was read is earlier than the page, no line is on it, unless nothing was read at all.
    let unread_after = match unread_after {
        Some(None) if unread.is_some_and(|unread| unread.last_read.is_none()) => Some(0),
        other => other.flatten(),
    };
    let path = channel.path();
    html! {
        div.scroller #scroller tabindex="0" role="region" aria-label="Messages" {
            div.pages {
                @if part.has_earlier && let Some(first) = part.messages.first() {
                    p.earlier { a.button.quiet rel="prev" href=(format!("{path}?before={}", first.id)) { "Earlier messages" } }
                }
                @if part.messages.is_empty() {
                    (ui::empty("Nothing was said here yet.", &html! { @if channel.role.is_some() { a.button.quiet href="#composer" { "Write the first message" } } }))
                }
                div role="log" aria-label=(format!("Messages in {}", channel.title())) {
                    ol.log #log data-account=[visitor.account().map(|account| &account.id)]
                        data-earlier=(part.has_earlier) data-later=(part.has_later) {
                        (log(&part.messages, channel, visitor, &window.around, unread_after))
                    }
                }
                @if part.has_later && let Some(last) = part.messages.last() {
                    p.later { a.button.quiet rel="next" href=(format!("{path}?after={}", last.id)) { "Later messages" } " " a.button.quiet href=(path) { "Jump to latest" } }
                }
            }
        }
        p.away #away hidden { button.quiet type="button" { "Jump to latest" } }
        // The buttons of all reactions send this form, each to the message that it is below.
        form #react method="post" hidden { (forms::hidden(visitor)) input type="hidden" name="from" value=(visitor.address()); }
    }
}

fn composer(
    channel: &Channel,
    part: &Part,
    window: &Window,
    failure: Option<&Failure>,
    body: &str,
    proof: &Proof,
    visitor: &Visitor,
) -> Markup {
    let path = channel.path();
    let answered = part
        .messages
        .iter()
        .find(|message| message.id == window.reply);
    html! {
        div.compose-here {
            @if let Some(failure) = failure {
                (ui::alert(&html! { (failure::message(failure)) @if let Some(seconds) = failure.retry_after { p { "Try again in " (seconds) " s." } } }))
            }
            ul.outbox #outbox aria-label="Messages that were not sent" {}
            @if channel.archived { p.meta { "This channel is archived: it can be read, but nothing in it can change." } }
            @else if channel.role.is_none() {
                form.join method="post" action=(format!("{path}/join")) { (forms::hidden(visitor)) p { "Join to write here." } button { "Join " (channel.title()) } }
            } @else {
                form.composer #composer method="post" action=(format!("{path}/messages")) data-draft=(format!("channel:{}", channel.id)) {
                    (forms::hidden_again(visitor, failure, proof))
                    input type="hidden" name="reply_to" value=(window.reply);
                    p.replying #replying hidden[window.reply.is_empty()] {
                        "Answers " span { @match answered { Some(message) => (message.excerpt()), None => "a message" } }
                        " " a href=(path) { "Cancel" }
                    }
                    label.hidden for="body" { "Message to " (channel.title()) }
                    textarea #body name="body" rows="1" required maxlength="16384" placeholder=(format!("Message to {}", channel.title()))
                        aria-describedby="body-hint" enterkeyhint="send" { (body) }
                    button { "Send" }
                    p.hint.hidden #body-hint { "Markdown. @name mentions somebody. Enter sends, Shift and Enter begin a new line." }
                }
            }
        }
    }
}

/// A page that keeps a text whose author is not signed in any more, so that it can be sent later.
pub fn kept(visitor: &Visitor, channel: &str, body: &str) -> Page {
    let path = format!("/channels/{}", ui::encode(channel));
    let main = html! {
        h1 { "Your session has ended" }
        p { "The message was not sent. It is kept below: sign in in another tab, and send it." }
        p { a.button href=(format!("/sign-in?next={}", ui::encode(&path))) target="_blank" { "Sign in" } }
        form method="post" action=(format!("{path}/again")) {
            (forms::hidden(visitor))
            div.field.wide { label for="body" { "Your message" } textarea #body name="body" rows="6" { (body) } }
            button { "Send message" }
        }
    };
    Page::new("Your session has ended", main).status(StatusCode::UNAUTHORIZED)
}
