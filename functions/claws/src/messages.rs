//! Messages to claws.

use agent_parts::Account;
use garde::Validate;
use guest::{Caller, Created, Db, Input, Path, Problem, Result, args};
use markdown::folded;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::claws::MANAGE;
use crate::outcome::Outcome;

/// The largest body of a message, in bytes.
const MAX_BODY: usize = 16 << 10;
/// The largest HTML of a message, in bytes.
const MAX_HTML: usize = 160 << 10;

/// A message to a claw.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClawMessage {
    /// The text in Markdown, at most 16 KiB.
    #[garde(custom(check_body))]
    #[schema(example = "What is new since yesterday?")]
    body: String,
}

/// A message that was posted to a claw, with the turns that it made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PostedClawMessage {
    /// The message as the channel and as the conversation have it, whose id is in its `channel` and its `conversation`.
    #[schema(value_type = Object)]
    message: Value,
    /// The turns that answer it; those of a claw that is paused wait.
    turns: Vec<ClawTurn>,
}

/// A turn that answers a message to a claw.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct ClawTurn {
    /// The turn's id.
    id: Uuid,
    /// The agent whose turn it is.
    agent: Account,
    /// The turn's status.
    status: String,
}

fn check_body(text: &str, _: &()) -> garde::Result {
    if text.trim().is_empty() || text.contains('\0') {
        return Err(garde::Error::new(
            "must not be empty, or contain a zero character",
        ));
    }
    if text.len() > MAX_BODY {
        return Err(garde::Error::new("may have at most 16 KiB"));
    }
    Ok(())
}

/// Posts a message into the caller's direct channel with a claw: the caller's own, or a public one.
#[utoipa::path(
    post, path = "/api/claws/{claw}/messages", tag = "claws", operation_id = "post_claw_message",
    params(
        ("claw" = String, Path, description = "The claw's id or name."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = NewClawMessage,
    responses(
        (status = 201, body = PostedClawMessage, headers(("Location" = String))),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`claw-state`: it takes no turns; `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`"),
        (status = 429, description = "`new-account`, `too-many-turns`, `rate-limited`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn post(
    db: Db,
    caller: Caller,
    Path(claw): Path<String>,
    Input(new): Input<NewClawMessage>,
) -> Result<Created<PostedClawMessage>> {
    let rendered = markdown::render(&new.body)
        .map_err(|refused| Problem::invalid("body", refused.to_string()))?;
    if rendered.html.len() > MAX_HTML {
        return Err(Problem::invalid("body", "becomes too large as HTML"));
    }
    let message = json!({
        "body": new.body,
        "html": rendered.html,
        "words": folded(&rendered.plain),
        "plain": rendered.plain,
        "all": false,
        "names": rendered.mentions,
    });
    let posted: Outcome<PostedClawMessage> = db
        .one(
            "select post_message($1, $2, $3, $4) as outcome",
            args![caller.id, claw, message, caller.allows(MANAGE)],
        )
        .await?;
    let posted = posted.value()?;
    let part = |name: &str| posted.message[name].as_str().unwrap_or_default().to_owned();
    let location = format!("/api/channels/{}/messages/{}", part("channel"), part("id"));
    Ok(Created::at(location, posted))
}
