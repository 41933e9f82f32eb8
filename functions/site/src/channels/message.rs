//! One message in a channel's log. Pages and what scripts ask for show it the same way.

use maud::{Markup, html};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Account, Channel};
use crate::ui;
use crate::visitor::Visitor;

/// The reactions that are one press away.
const QUICK: [&str; 5] = ["👍", "❤️", "😄", "🎉", "👀"];
/// The number of characters of the message that a reply answers.
const EXCERPT: usize = 80;
/// The minutes within which messages of one author share a head.
const FOLLOWS_MINUTES: i64 = 10;

/// A message.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// The message's id.
    pub id: String,
    /// The message's number in its channel.
    pub seq: i64,
    /// The author; `None` if the message was deleted or is hidden.
    pub author: Option<Account>,
    /// The text in Markdown.
    pub body: Option<String>,
    /// The text as sanitised HTML.
    pub html: Option<String>,
    reply_to: Option<String>,
    pub created_at: String,
    edited_at: Option<String>,
    pub deleted: bool,
    pub hidden: bool,
    pub locked: bool,
    pub pinned: bool,
    reactions: Vec<Reaction>,
    mentioned: bool,
    moderation: Option<Moderation>,
}

#[derive(Debug, Deserialize)]
struct Reaction {
    emoji: String,
    count: i64,
    me: bool,
}

#[derive(Debug, Deserialize)]
struct Moderation {
    action: String,
    reason: Option<String>,
}

/// A page of a channel's history.
#[derive(Debug, Deserialize)]
pub struct History {
    /// The messages, the newest first; after or around a message, the oldest first.
    pub items: Vec<Message>,
    /// The cursor of the next page in the direction of this one.
    pub next: Option<String>,
    /// The cursor of the messages before this page, around a message.
    pub previous: Option<String>,
}

impl Message {
    /// Whether the visitor wrote it.
    pub fn is_of(&self, visitor: &Visitor) -> bool {
        let author = self.author.as_ref().map(|author| &author.id);
        author.is_some() && visitor.account().map(|account| &account.id) == author
    }

    /// The day on which it was written, in UTC.
    fn day(&self) -> &str {
        self.created_at.split('T').next().unwrap_or_default()
    }

    fn at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(&self.created_at, &Rfc3339).ok()
    }

    /// The beginning of the text, in one line.
    pub fn excerpt(&self) -> String {
        let body = self.body.as_deref().unwrap_or("a message that is gone");
        let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(EXCERPT) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    /// Whether it stands below the message before without a head of its own.
    fn follows(&self, before: Option<&Self>) -> bool {
        let author = |message: &Self| message.author.as_ref().map(|author| author.id.clone());
        before.is_some_and(|before| {
            let minutes = self
                .at()
                .zip(before.at())
                .map(|(at, before)| (at - before).whole_minutes());
            self.day() == before.day()
                && minutes.is_some_and(|minutes| minutes < FOLLOWS_MINUTES)
                && author(self).is_some()
                && author(self) == author(before)
                && self.reply_to.is_none()
        })
    }
}

/// The messages of a page, the oldest first, with their days and the line where the unread begins.
pub fn log(
    messages: &[Message],
    channel: &Channel,
    visitor: &Visitor,
    around: &str,
    unread_after: Option<i64>,
) -> Markup {
    let is_first_unread = |at: usize| {
        let is_unread = |message: &Message| {
            unread_after.is_some_and(|seq| message.seq > seq) && !message.is_of(visitor)
        };
        is_unread(&messages[at]) && !messages[..at].iter().any(is_unread)
    };
    html! {
        @for (at, message) in messages.iter().enumerate() {
            @let before = at.checked_sub(1).and_then(|at| messages.get(at));
            @if before.is_none_or(|before| before.day() != message.day()) {
                li.day { time datetime=(message.day()) { (message.day()) } }
            }
            @if is_first_unread(at) { li.unread-line #unread-line { "Unread" } }
            (entry(message, channel, messages, message.follows(before), message.id == around))
        }
    }
}

/// One message. `others` are looked through for the one that it answers.
pub fn entry(
    message: &Message,
    channel: &Channel,
    others: &[Message],
    follows: bool,
    is_target: bool,
) -> Markup {
    let mut class = String::from("message");
    for (name, holds) in [("follows", follows), ("mentions", message.mentioned)] {
        if holds {
            class = format!("{class} {name}");
        }
    }
    let author = message.author.as_ref();
    html! {
        li id=(format!("m-{}", message.id)) class=(class) data-id=(message.id) data-seq=(message.seq) data-at=(message.created_at)
            data-author=[author.map(|author| &author.id)] data-name=[author.map(|author| &author.name)]
            data-answers=[message.reply_to.as_ref()] aria-current=[is_target.then_some("true")] {
            p.by {
                @match author {
                    Some(author) => (ui::account(&author.kind, &author.id, &author.name)),
                    None => span.meta { "nobody" },
                }
                " " a.at href=(format!("{}?around={}", channel.path(), message.id)) { (ui::ago(&message.created_at)) }
                @if let Some(edited) = &message.edited_at { span.meta { " edited " (ui::ago(edited)) } }
                @if message.pinned { " " (ui::status("quiet", "pinned")) }
                @if message.locked { " " (ui::status("warn", "locked")) }
            }
            (answered(message, channel, others))
            (content(message))
            @if !message.deleted { (under(message, channel)) }
        }
    }
}

/// The message that a reply answers.
fn answered(message: &Message, channel: &Channel, others: &[Message]) -> Markup {
    let Some(id) = &message.reply_to else {
        return html! {};
    };
    let answered = others.iter().find(|other| other.id == *id);
    html! {
        p.answers { a href=(format!("{}?around={}", channel.path(), ui::encode(id))) { (ui::icon("reply"))
            @match answered {
                Some(answered) => {
                    @if let Some(author) = &answered.author { bdi { (author.name) } ": " }
                    (answered.excerpt())
                },
                None => "answers an earlier message",
            }
        } }
    }
}

/// The text, or what stands in its place.
pub fn content(message: &Message) -> Markup {
    html! {
        @if message.deleted { p.meta { "This message was deleted." } }
        @else if message.hidden {
            p.meta { "A moderator has hidden this message."
                @if let Some(Moderation { reason: Some(reason), .. }) = &message.moderation { " Reason: " (reason) } }
        } @else if let Some(Moderation { action, reason: Some(reason) }) = &message.moderation {
            p.meta { "A moderator’s reason to " (action) " it: " (reason) }
        }
        @if let Some(html) = &message.html { (ui::sanitised(html)) }
    }
}

/// Reactions, and what one can do. All buttons belong to the one form `react` of the page.
fn under(message: &Message, channel: &Channel) -> Markup {
    let action = format!("{}/messages/{}/reactions", channel.path(), message.id);
    let may = channel.role.is_some() && !channel.archived && !message.locked && !message.hidden;
    let quick = QUICK.iter().filter(|emoji| {
        let bare = emoji.trim_end_matches('\u{fe0f}');
        !message
            .reactions
            .iter()
            .any(|one| one.emoji.trim_end_matches('\u{fe0f}') == bare)
    });
    html! {
        div.under {
            @for reaction in &message.reactions {
                @let label = format!("{}, {}", reaction.emoji, ui::counted(reaction.count, "reaction"));
                @if may {
                    button.reaction form="react" formaction=(action) name=(if reaction.me { "remove" } else { "add" }) value=(reaction.emoji)
                        aria-pressed=(reaction.me) aria-label=(label) { (reaction.emoji) " " (reaction.count) }
                } @else { span.reaction aria-label=(label) role="img" { (reaction.emoji) " " (reaction.count) } }
            }
            @if may {
                details.quick { summary aria-label="React" { "☺" }
                    span { @for emoji in quick {
                        button.reaction form="react" formaction=(action) name="add" value=(emoji) aria-label=(format!("React with {emoji}")) { (emoji) }
                    } }
                }
                a.reply href=(format!("{}?reply={}#composer", channel.path(), message.id)) data-reply=(message.id) { "Reply" }
            }
            a.more href=(format!("{}/messages/{}", channel.path(), message.id)) { "More" span.hidden { " about this message" } }
        }
    }
}
