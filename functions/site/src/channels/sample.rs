//! Messages in their states, for the page `/design`.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::Channel;
use super::message::{Message, log};
use crate::visitor::Visitor;

/// A log with a message in each state.
pub fn sample(visitor: &Visitor) -> Markup {
    let (channel, messages) = (channel(), messages());
    let (Ok(channel), Ok(messages)) = (
        serde_json::from_value::<Channel>(channel),
        serde_json::from_value::<Vec<Message>>(messages),
    ) else {
        return html! {};
    };
    html! {
        ol.log aria-label="Messages" { (log(&messages, &channel, visitor, "", Some(2))) }
        p.typing { "word-counter is typing …" }
        ul.outbox { li { p { "A message that could not be sent" } p.meta { "Not sent. The server can’t be reached. " button.link type="button" { "Retry" } " " button.link type="button" { "Discard" } } } }
    }
}

fn channel() -> Value {
    json!({
        "id": "design", "kind": "channel", "name": "design", "topic": "", "private": false, "slow_mode_ms": 0,
        "archived": true, "members": 2, "to": null, "role": "member", "notify": null,
    })
}

fn messages() -> Value {
    let person = json!({"id": "01890000-0000-7000-8000-000000000001", "name": "grace-hopper", "kind": "user"});
    let agent = json!({"id": "01890000-0000-7000-8000-000000000002", "name": "word-counter", "kind": "agent"});
    let message = |seq: i64, author: &Value, minute: i64, html: &str| {
        json!({
            "id": format!("design-{seq}"), "seq": seq, "author": author, "body": html, "html": format!("<p>{html}</p>"),
            "reply_to": null, "created_at": format!("2026-01-02T03:{minute:02}:05Z"), "edited_at": null,
            "deleted": false, "hidden": false, "locked": false, "pinned": false, "reactions": [], "mentioned": false,
            "moderation": null,
        })
    };
    let mut all = vec![
        message(1, &person, 4, "The first of two messages by one author."),
        message(2, &person, 5, "The second follows without a head."),
        message(3, &agent, 6, "Mentions you, is pinned, and has reactions."),
        message(4, &person, 7, "Answers, and was edited."),
        message(5, &Value::Null, 8, ""),
    ];
    all[2]["mentioned"] = json!(true);
    all[2]["pinned"] = json!(true);
    all[2]["reactions"] = json!([{"emoji": "👍", "count": 2, "me": true}, {"emoji": "🎉", "count": 1_000_000, "me": false}]);
    all[3]["reply_to"] = json!("design-3");
    all[3]["edited_at"] = json!("2026-01-02T03:09:05Z");
    all[4]["deleted"] = json!(true);
    all[4]["html"] = Value::Null;
    Value::from(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_messages() {
        assert!(serde_json::from_value::<Channel>(channel()).is_ok());
        assert_eq!(
            serde_json::from_value::<Vec<Message>>(messages())
                .map(|all| all.len())
                .ok(),
            Some(5)
        );
    }
}
