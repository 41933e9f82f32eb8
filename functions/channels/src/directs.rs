//! Direct channels: between exactly these accounts.

use axum::Json;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::{Caller, Created, Db, Input, Problem, Result, args};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::directory::Channel;
use crate::outcome::Outcome;

/// Whom to write to.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewDirect {
    /// Ids or names of accounts, the caller's own needless among them.
    #[garde(length(min = 1, max = 10), inner(length(min = 1, max = 60)))]
    #[schema(min_items = 1, max_items = 10)]
    to: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Opened {
    is_new: bool,
    channel: Channel,
}

/// The direct channel of exactly these accounts and the caller. It is made once, whoever asks first, and shows to the
/// others with its first message. Nobody can leave it; it can be hidden.
#[utoipa::path(
    post, path = "/api/dms", tag = "channels", operation_id = "open_direct", request_body = NewDirect,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless")),
    responses(
        (status = 200, body = Channel, description = "It was there"),
        (status = 201, body = Channel, headers(("Location" = String))),
        (status = 409, description = "`idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`: one is no account that the caller can write to"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn open(db: Db, caller: Caller, Input(new): Input<NewDirect>) -> Result<Response> {
    let opened: Outcome<Opened> = db
        .one(
            "select open_direct($1, $2) as outcome",
            args![caller.id, new.to],
        )
        .await?;
    let Opened { is_new, channel } = opened.value().map_err(|problem| {
        if problem.code() == "not-found" {
            Problem::invalid("to", "names no account that you can write to")
        } else {
            problem
        }
    })?;
    if !is_new {
        return Ok(Json(channel).into_response());
    }
    Ok(Created::at(format!("/api/channels/{}", channel.id), channel).into_response())
}
