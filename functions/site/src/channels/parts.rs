//! The parts that the script of a channel's page asks for: messages as the page itself shows them, so that one place decides what
//! of a message reaches a browser.

use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::get;
use futures::future::join;
use guest::Path;
use maud::html;

use super::message::{Message, entry};
use super::room::{Window, history};
use super::{panel, read};
use crate::failure::Failure;
use crate::frame::part;
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/parts/channels/{channel}/messages", get(messages))
        .route("/parts/channels/{channel}/messages/{message}", get(message))
        .route("/parts/channels/{channel}/seen", get(seen))
        .route("/parts/channels/{channel}/members", get(members))
}

/// A part of the history. The script puts days and heads of authors in, in the reader's zone.
async fn messages(
    visitor: Visitor,
    Path(channel): Path<String>,
    Query(window): Query<Window>,
) -> Result<Response, Failure> {
    let (channel, found) = join(
        read(&visitor, &channel),
        history(&visitor, &channel, &window),
    )
    .await;
    let (channel, found) = (channel?, found?);
    Ok(part(html! {
        ol data-account=[visitor.account().map(|account| &account.id)] data-earlier=(found.has_earlier) data-later=(found.has_later) {
            @for message in &found.messages {
                (entry(message, &channel, &found.messages, false, message.id == window.around))
            }
        }
    }))
}

/// One message, after it was changed.
async fn message(
    visitor: Visitor,
    Path((channel, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let path = format!(
        "/api/channels/{}/messages/{}",
        ui::encode(&channel),
        ui::encode(&id)
    );
    let (channel, found) = join(
        read(&visitor, &channel),
        visitor.get::<Message>("channels", &path),
    )
    .await;
    let (channel, found) = (channel?, found?);
    Ok(part(html! {
        ol data-account=[visitor.account().map(|account| &account.id)] { (entry(&found, &channel, &[], false, false)) }
    }))
}

/// The members.
async fn members(visitor: Visitor, Path(channel): Path<String>) -> Result<Response, Failure> {
    let channel = read(&visitor, &channel).await?;
    let members = panel::members(&visitor, &channel).await?;
    Ok(part(panel::list(&channel, &members)))
}

/// The receipts of the members.
async fn seen(visitor: Visitor, Path(channel): Path<String>) -> Result<Response, Failure> {
    let channel = read(&visitor, &channel).await?;
    let (members, reads) = join(
        panel::members(&visitor, &channel),
        panel::reads(&visitor, &channel),
    )
    .await;
    Ok(part(panel::seen(&members?, &reads?, &visitor)))
}
