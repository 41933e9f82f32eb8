//! Direct channels, each between a fixed set of accounts.

use axum::Json;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::{Caller, Created, Db, Input, Problem, Result, args};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::directory::Channel;
use crate::outcome::Outcome;

/// The direct channel to open.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewDirect {
    /// The ids or names of the other members. The caller's own may be among them, but need not be.
    #[garde(length(min = 1, max = 10), inner(length(min = 1, max = 60)))]
    #[schema(min_items = 1, max_items = 10)]
    to: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Opened {
    is_new: bool,
    channel: Channel,
}

/// Opens the direct channel of exactly these accounts and the caller.
///
/// The channel is created once, by the first of its members who asks, and appears to the others with its first message.
/// Nobody can leave it, but it can be hidden.
#[utoipa::path(
    post, path = "/api/dms", tag = "channels", operation_id = "open_direct", request_body = NewDirect,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 200, body = Channel, description = "The channel existed before."),
        (status = 201, body = Channel, headers(("Location" = String))),
        (status = 409, description = "`idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`: the caller can't write to one of the accounts"),
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
            Problem::invalid(
                "to",
                "must name accounts that exist and that you can write to",
            )
        } else {
            problem
        }
    })?;
    if !is_new {
        return Ok(Json(channel).into_response());
    }
    Ok(Created::at(format!("/api/channels/{}", channel.id), channel).into_response())
}
