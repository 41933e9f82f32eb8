//! The page of one message: changing and deleting it, its versions, and what moderators do with it.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::join;
use guest::Path;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::message::{Message, content};
use super::{Channel, List, read};
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Nothing, Proof};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route(
            "/channels/{channel}/messages/{message}",
            get(show).post(change),
        )
        .route(
            "/channels/{channel}/messages/{message}/delete",
            post(delete),
        )
        .route(
            "/channels/{channel}/messages/{message}/moderate",
            post(moderate),
        )
        .route(
            "/channels/{channel}/messages/{message}/strike",
            post(strike),
        )
}

/// A version of a message's text.
#[derive(Debug, Deserialize)]
struct Version {
    version: i32,
    html: String,
    written_at: String,
    struck: bool,
}

fn api(channel: &str, message: &str) -> String {
    format!(
        "/api/channels/{}/messages/{}",
        ui::encode(channel),
        ui::encode(message)
    )
}

async fn show(
    visitor: Visitor,
    Path((channel, message)): Path<(String, String)>,
) -> Result<Page, Failure> {
    page(&visitor, &channel, &message, None, None, &Proof::default()).await
}

async fn page(
    visitor: &Visitor,
    channel: &str,
    message: &str,
    failure: Option<&Failure>,
    body: Option<&str>,
    proof: &Proof,
) -> Result<Page, Failure> {
    let path = api(channel, message);
    let (channel, found) = join(
        read(visitor, channel),
        visitor.get::<Message>("channels", &path),
    )
    .await;
    let (channel, found) = (channel?, found?);
    let may_moderate = channel.is_moderated_by_visitor() || visitor.may("social:moderate");
    let versions = if found.is_of(visitor) || may_moderate {
        let versions = visitor
            .get::<List<Version>>("channels", &format!("{path}/revisions"))
            .await;
        versions.map(|list| list.items).unwrap_or_default()
    } else {
        Vec::new()
    };
    let own = format!("{}/messages/{}", channel.path(), found.id);
    let main = html! {
        p { a href=(format!("{}?around={}", channel.path(), found.id)) { "Back to " bdi { (channel.title()) } } }
        h1 { "Message" @if let Some(author) = &found.author { " by " bdi { (author.name) } } }
        @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
        p.meta { (ui::ago(&found.created_at)) @if found.pinned { " · pinned" } @if found.locked { " · locked" } }
        (content(&found))
        @if !found.deleted {
            (tools(&found, &channel, &own, may_moderate, visitor))
            @if found.is_of(visitor) && !found.locked && !found.hidden {
                section aria-labelledby="edit" { h2 #edit { "Edit" }
                    form.compose method="post" action=(own) data-draft=(own) {
                        (forms::hidden_again(visitor, failure, proof))
                        (Field { name: "body", label: "Text", hint: "Markdown. The earlier version is kept for you and moderators.", kind: "area", value: body.or(found.body.as_deref()).unwrap_or_default(), ..Field::default() }.show(failure))
                        button { "Save changes" }
                    }
                }
            }
            @if may_moderate { (moderation(&found, &own, visitor)) }
        }
        @if versions.len() > 1 { (earlier(&versions, &own, visitor)) }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Ok(Page::new("Message", main)
        .status(status)
        .scripts(&["js/draft.js"]))
}

fn tools(
    message: &Message,
    channel: &Channel,
    own: &str,
    may_moderate: bool,
    visitor: &Visitor,
) -> Markup {
    let may_pin =
        channel.is_moderated_by_visitor() || (channel.is_direct() && channel.role.is_some());
    html! {
        div.tools {
            @if channel.role.is_some() { a href=(format!("{}?reply={}#composer", channel.path(), message.id)) { "Reply" } }
            @if may_pin {
                form method="post" action=(format!("{own}/moderate")) { (forms::hidden(visitor))
                    button.link name="action" value=(if message.pinned { "unpin" } else { "put-pin" }) { @if message.pinned { "Unpin" } @else { "Pin" } } }
            }
            @if message.is_of(visitor) || may_moderate {
                details.confirm { summary { "Delete" }
                    form method="post" action=(format!("{own}/delete")) { (forms::hidden(visitor))
                        p { "Its text goes for good, from search and inboxes too." }
                        button.danger { "Delete message" } } }
            }
            @if !message.is_of(visitor) { a href=(format!("/report?target={}", ui::encode(&format!("message:{}", message.id)))) { "Report" } }
        }
    }
}

fn moderation(message: &Message, own: &str, visitor: &Visitor) -> Markup {
    html! {
        section aria-labelledby="moderate" { h2 #moderate { "Moderate" }
            form method="post" action=(format!("{own}/moderate")) {
                (forms::hidden(visitor))
                (Field { name: "reason", label: "Reason", hint: "The author is told it, and the audit trail keeps it.", max: Some(500), ..Field::default() }.show(None))
                (ui::actions(&html! {
                    @if message.hidden || message.locked { button name="action" value="restore" formnovalidate { "Restore" } }
                    @if !message.hidden { button.danger name="action" value="hide" { "Hide message" } }
                    @if !message.locked { button.quiet name="action" value="lock" { "Lock message" } }
                }))
            }
        }
    }
}

fn earlier(versions: &[Version], own: &str, visitor: &Visitor) -> Markup {
    html! {
        section aria-labelledby="versions" { h2 #versions { "Versions" }
            ol.rows { @for (at, version) in versions.iter().enumerate() {
                li {
                    p.meta { "Version " (version.version) ", " (ui::ago(&version.written_at)) }
                    @if version.struck { p.meta { "Its text was struck out." } } @else { (ui::sanitised(&version.html)) }
                    @if at > 0 && !version.struck {
                        form method="post" action=(format!("{own}/strike")) { (forms::hidden(visitor))
                            button.link name="version" value=(version.version) { "Strike out version " (version.version) } }
                    }
                }
            } }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    body: String,
}

async fn change(
    visitor: Visitor,
    Path((channel, message)): Path<(String, String)>,
    Form { fields, proof }: Form<Change>,
) -> Response {
    let body = json!({"body": fields.body});
    let changed = visitor
        .change(
            Method::PATCH,
            "channels",
            &api(&channel, &message),
            &body,
            &proof,
        )
        .await;
    match changed {
        Ok(_) => forms::sent(&around(&channel, &message), &proof),
        Err(failure) => {
            let again = page(
                &visitor,
                &channel,
                &message,
                Some(&failure),
                Some(&fields.body),
                &proof,
            );
            again.await.map_err(|_| failure).into_response()
        }
    }
}

fn around(channel: &str, message: &str) -> String {
    let message = ui::encode(message);
    format!(
        "/channels/{}?around={message}#m-{message}",
        ui::encode(channel)
    )
}

async fn delete(
    visitor: Visitor,
    Path((channel, message)): Path<(String, String)>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    visitor
        .delete("channels", &api(&channel, &message), &form.proof)
        .await?;
    Ok(see(&format!("/channels/{}", ui::encode(&channel))))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Action {
    action: String,
    reason: String,
}

async fn moderate(
    visitor: Visitor,
    Path((channel, message)): Path<(String, String)>,
    Form { fields, proof }: Form<Action>,
) -> Response {
    let (api, pins) = (
        api(&channel, &message),
        format!(
            "/api/channels/{}/pins/{}",
            ui::encode(&channel),
            ui::encode(&message)
        ),
    );
    let done = match fields.action.as_str() {
        "put-pin" => {
            visitor
                .change(Method::PUT, "channels", &pins, &json!({}), &proof)
                .await
        }
        "unpin" => visitor.delete("channels", &pins, &proof).await,
        "restore" => {
            visitor
                .delete("channels", &format!("{api}/moderation"), &proof)
                .await
        }
        action => {
            let body = json!({"action": action, "reason": fields.reason});
            visitor
                .change(
                    Method::PUT,
                    "channels",
                    &format!("{api}/moderation"),
                    &body,
                    &proof,
                )
                .await
        }
    };
    match done {
        Ok(_) => see(&format!(
            "/channels/{}/messages/{}",
            ui::encode(&channel),
            ui::encode(&message)
        )),
        Err(failure) => {
            let again = page(&visitor, &channel, &message, Some(&failure), None, &proof);
            again.await.map_err(|_| failure).into_response()
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Struck {
    version: i32,
}

async fn strike(
    visitor: Visitor,
    Path((channel, message)): Path<(String, String)>,
    Form { fields, proof }: Form<Struck>,
) -> Result<Response, Failure> {
    let path = format!("{}/revisions/{}", api(&channel, &message), fields.version);
    visitor.delete("channels", &path, &proof).await?;
    Ok(see(&format!(
        "/channels/{}/messages/{}",
        ui::encode(&channel),
        ui::encode(&message)
    )))
}
