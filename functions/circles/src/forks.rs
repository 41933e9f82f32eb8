//! Forks: conversations in which an agent thinks on from a step of an earlier turn.

use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, OptionalInput, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::conversations::Conversation;
use crate::outcome::Outcome;

/// The place in a turn from which its agent thinks on.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForkPoint {
    /// The number of the last step that is kept; 0 keeps none. By default it is the last step that has ended.
    #[garde(inner(range(min = 0)))]
    #[schema(minimum = 0)]
    after_step: Option<i32>,
}

/// The conversation that a fork has made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Fork {
    #[serde(flatten)]
    conversation: Conversation,
    /// The turn in which the agent thinks on.
    turn: ForkTurn,
}

/// The turn of a fork.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct ForkTurn {
    /// The id of the turn, by which `/api/turns/{turn}` tells of it.
    id: Uuid,
}

/// Makes a conversation that stands where a turn stood after one of its steps, in which the same agent thinks on in another
/// turn. The turn itself stays as it is.
///
/// Calls of models and of tools that are kept are not made again, and cost nothing; what follows is thought anew, with approvals
/// of its own. The conversation is of the same circle or, without one, with the same members as far as the caller can speak
/// to them. It has copies of the newest 1,000 messages that the caller may read, up to what the turn answers and had read.
/// The agent's owner can do this.
#[utoipa::path(
    post, path = "/api/turns/{turn}/fork", tag = "turns", operation_id = "fork_turn",
    params(
        ("turn" = Uuid, Path, description = "The turn's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = Option<ForkPoint>,
    responses(
        (status = 201, body = Fork, headers(("Location" = String))),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`turn-not-forkable`, `conversation-closed`: its circle is deleted, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`, `mode-needs-moderator`"),
        (status = 429, description = "`too-many-turns`, `rate-limited`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn fork(
    db: Db,
    caller: Caller,
    Path(turn): Path<Uuid>,
    OptionalInput(point): OptionalInput<ForkPoint>,
) -> Result<Created<Fork>> {
    let made: Outcome<Fork> = db
        .one(
            "select fork_turn($1, $2, $3) as outcome",
            args![caller.id, turn, point.unwrap_or_default().after_step],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())?;
    let fork = made.value()?;
    let location = format!("/api/conversations/{}", fork.conversation.id);
    Ok(Created::at(location, fork))
}
