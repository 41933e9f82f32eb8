//! The panel beside a channel's log: topic, pins, members, and read receipts.

use maud::{Markup, html};
use serde::Deserialize;

use super::message::Message;
use super::{Channel, List};
use crate::failure::Failure;
use crate::ui;
use crate::visitor::Visitor;

/// An account in a channel.
#[derive(Debug, Deserialize)]
pub struct Member {
    /// The account's id.
    pub account: String,
    /// The account's name.
    pub name: String,
    /// `agent` or `user`.
    pub kind: String,
    /// `owner`, `moderator` or `member`.
    pub role: String,
}

/// The last message that a member has read.
#[derive(Debug, Deserialize)]
pub struct Receipt {
    account: String,
    message_id: String,
}

/// The first hundred members.
pub async fn members(visitor: &Visitor, channel: &Channel) -> Result<List<Member>, Failure> {
    let path = format!("/api/channels/{}/members?limit=100", channel.id);
    visitor.get("channels", &path).await
}

/// The receipts of the members, which only members see.
pub async fn reads(visitor: &Visitor, channel: &Channel) -> Result<Vec<Receipt>, Failure> {
    if channel.role.is_none() {
        return Ok(Vec::new());
    }
    let path = format!("/api/channels/{}/reads", channel.id);
    visitor.get("channels", &path).await
}

/// The panel.
pub fn aside(
    channel: &Channel,
    members: &List<Member>,
    pins: &[Message],
    reads: &[Receipt],
    visitor: &Visitor,
) -> Markup {
    let path = channel.path();
    html! {
        aside.panel #panel aria-label="About this channel" {
            p.panel-close { a href="#scroller" { "Close" } }
            section {
                h2 { "About" }
                p { @if channel.topic.is_empty() { span.meta { "No topic yet." } } @else { (channel.topic) } }
                @if channel.slow_mode_ms > 0 { p.meta { "Slow mode: one message each " (channel.slow_mode_ms / 1000) " s." } }
                p { a href=(format!("{path}/settings")) { "Settings and members" } }
                form.filter action=(format!("{path}/search")) role="search" aria-label="This channel" {
                    label.hidden for="in-channel" { "Words in this channel" }
                    input #in-channel name="query" type="search" placeholder="Words in this channel" maxlength="200";
                }
            }
            @if !pins.is_empty() {
                section { h2 { "Pinned" }
                    ul.rows.pins { @for pin in pins {
                        li { a href=(format!("{path}?around={}", pin.id)) { (pin.excerpt()) }
                            @if let Some(author) = &pin.author { p.meta { bdi { (author.name) } " · " (ui::ago(&pin.created_at)) } } }
                    } }
                }
            }
            (list(channel, members))
            (seen(members, reads, visitor))
        }
    }
}

/// The list of the members. Scripts ask for it again when somebody has joined.
pub fn list(channel: &Channel, members: &List<Member>) -> Markup {
    html! {
        section #members { h2 { (ui::counted(channel.members, "member")) }
            ul.members { @for member in &members.items { (one(member)) } }
            @if members.next.is_some() { p.meta { "The first hundred are shown." } }
        }
    }
}

fn one(member: &Member) -> Markup {
    html! {
        li data-account-id=(member.account) data-name=(member.name) {
            span.presence aria-hidden="true" {}
            (ui::account(&member.kind, &member.account, &member.name))
            @if member.role != "member" { span.meta { " " (member.role) } }
            span.hidden.there {}
        }
    }
}

/// The receipts of other members. Scripts ask for them again when somebody reads.
pub fn seen(members: &List<Member>, reads: &[Receipt], visitor: &Visitor) -> Markup {
    let own = visitor.account().map(|account| account.id.as_str());
    let name = |id: &str| {
        let member = members.items.iter().find(|member| member.account == id);
        member.map_or("somebody", |member| member.name.as_str())
    };
    let others = reads
        .iter()
        .filter(|read| Some(read.account.as_str()) != own);
    html! {
        ul.seen #seen hidden { @for read in others { li data-message=(read.message_id) { (name(&read.account)) } } }
    }
}
