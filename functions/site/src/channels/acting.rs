//! Writing in a channel: messages, reactions, and read marks.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use guest::Path;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::message::Message;
use super::read;
use super::room::{self, Window};
use crate::failure::Failure;
use crate::forms::{Form, Nothing, Proof};
use crate::frame::see;
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/channels/{channel}/again", post(again))
        .route("/channels/{channel}/read", post(mark_read))
        .route(
            "/channels/{channel}/messages/{message}/reactions",
            post(react),
        )
}

/// A new message, as the composer sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewMessage {
    body: String,
    reply_to: String,
}

/// Posts a message. The form's key is its `client_id`, so that a form that is sent twice posts once.
pub async fn write(
    visitor: Visitor,
    Path(channel): Path<String>,
    Form { fields, proof }: Form<NewMessage>,
) -> Response {
    let path = format!("/api/channels/{}/messages", ui::encode(&channel));
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let body = json!({
        "body": fields.body, "reply_to": some(&fields.reply_to), "client_id": some(&proof.key),
    });
    let proof_of_session = Proof {
        key: String::new(),
        ..proof.clone()
    };
    let posted = visitor.create::<Message>("channels", &path, &body, &proof_of_session);
    let failure = match posted.await {
        Ok(message) => {
            return see(&format!(
                "/channels/{}#m-{}",
                ui::encode(&channel),
                message.id
            ));
        }
        Err(failure) => failure,
    };
    if failure.status == StatusCode::UNAUTHORIZED {
        return room::kept(&visitor, &channel, &fields.body).into_response();
    }
    let window = Window {
        reply: fields.reply_to,
        ..Window::default()
    };
    let page = room::page(
        &visitor,
        &channel,
        &window,
        Some(&failure),
        &fields.body,
        &proof,
    );
    page.await.map_err(|_| failure).into_response()
}

/// Shows the channel with a text in the composer. Nothing is changed.
async fn again(
    visitor: Visitor,
    Path(channel): Path<String>,
    Form { fields, proof }: Form<NewMessage>,
) -> Response {
    if visitor.account().is_none() {
        return room::kept(&visitor, &channel, &fields.body).into_response();
    }
    let page = room::page(
        &visitor,
        &channel,
        &Window::default(),
        None,
        &fields.body,
        &proof,
    )
    .await;
    page.into_response()
}

/// A reaction to add or to take back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reaction {
    add: String,
    remove: String,
    from: String,
}

async fn react(
    visitor: Visitor,
    Path((channel, message)): Path<(String, String)>,
    Form { fields, proof }: Form<Reaction>,
) -> Result<Response, Failure> {
    let (method, emoji) = match fields.add.as_str() {
        "" => (Method::DELETE, &fields.remove),
        emoji => (Method::PUT, &emoji.to_owned()),
    };
    let path = format!(
        "/api/channels/{}/messages/{}/reactions/{}",
        ui::encode(&channel),
        ui::encode(&message),
        ui::encode(emoji)
    );
    visitor
        .change(method, "channels", &path, &json!({}), &proof)
        .await?;
    let from = match ui::own_address(&fields.from) {
        "/" => format!("/channels/{}", ui::encode(&channel)),
        address => address.split('#').next().unwrap_or_default().to_owned(),
    };
    Ok(see(&format!("{from}#m-{}", ui::encode(&message))))
}

/// Marks everything as read, up to the newest message.
async fn mark_read(
    visitor: Visitor,
    Path(channel): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let channel = read(&visitor, &channel).await?;
    let newest = Window::default();
    let part = room::history(&visitor, &channel.id, &newest).await?;
    if let Some(last) = part.messages.last() {
        let path = format!("/api/channels/{}/read", channel.id);
        let mark = json!({"message_id": last.id});
        visitor
            .change(Method::PUT, "channels", &path, &mark, &form.proof)
            .await?;
    }
    Ok(see(&channel.path()))
}
