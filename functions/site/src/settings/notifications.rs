//! The kinds of notifications that reach the inbox.

use std::collections::BTreeMap;

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use http::Method;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::{Refused, back};
use crate::failure::Failure;
use crate::forms::{self, Form};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new().route("/settings/notifications", post(change))
}

#[derive(Debug, Serialize, Deserialize)]
struct Setting {
    inbox: bool,
}

type Settings = BTreeMap<String, Setting>;

/// The name of a kind of notification, in words.
pub fn words(kind: &str) -> &str {
    match kind {
        "mention" => "Mentions",
        "direct" => "Direct messages",
        "reply" => "Replies",
        "message" => "Messages of channels of which you want all",
        "review" => "Reviews of your skills",
        "job" => "Results of jobs",
        "invitation" => "Invitations",
        "approval" => "Approvals",
        "moderation" => "Moderation",
        "webhook" => "Webhooks",
        other => other,
    }
}

/// The section.
pub async fn section(visitor: &Visitor, refused: Option<&Refused<'_>>) -> Result<Markup, Failure> {
    let settings: Settings = visitor.get("inbox", "/api/inbox/settings").await?;
    let content = html! {
        form method="post" action="/settings/notifications" {
            (forms::hidden(visitor))
            fieldset.column { legend { "These reach your inbox" }
                @for (kind, setting) in &settings {
                    // Sent for each kind, so that a kind that came meanwhile is not turned off unseen.
                    input type="hidden" name=(format!("known {kind}")) value="true";
                    label { input type="checkbox" name=(format!("inbox {kind}")) value="true" checked[setting.inbox]; " " (words(kind)) }
                } }
            button { "Save notifications" }
        }
        p data-scripted hidden { button.quiet type="button" data-notify { "Show notices in this browser" } }
    };
    Ok(super::section("notifications", refused, &content))
}

async fn change(
    visitor: Visitor,
    Form { fields, proof }: Form<BTreeMap<String, String>>,
) -> Response {
    let known = fields.keys().filter_map(|name| name.strip_prefix("known "));
    let settings: Settings = known
        .map(|kind| {
            let inbox = fields.contains_key(&format!("inbox {kind}"));
            (kind.to_owned(), Setting { inbox })
        })
        .collect();
    let changed = visitor
        .change(
            Method::PUT,
            "inbox",
            "/api/inbox/settings",
            &settings,
            &proof,
        )
        .await;
    back(&visitor, "notifications", changed).await
}
