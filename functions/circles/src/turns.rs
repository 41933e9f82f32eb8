//! Turns: what agents thought, are thinking and will think, and the steps of each.

use agent_parts::Account;
use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use garde::Validate;
use guest::{Caller, Db, Input, Items, OptionalInput, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::{message_body, rendered};
use crate::outcome::Outcome;

/// One thought of one speaker.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Turn {
    /// The turn's id.
    id: Uuid,
    /// The id of the conversation.
    conversation: Uuid,
    /// The id of the circle; null if there is none.
    circle: Option<Uuid>,
    /// The account that speaks.
    agent: Account,
    /// The version of the persona that the agent has in this turn; null if the speaker has a program of its own.
    persona: Option<TurnPersona>,
    /// The id of the message that it answers; null if that is gone.
    cause: Option<Uuid>,
    /// The status: `queued`, `running`, `waiting`, `completed`, `failed`, `cancelled` or `limited`.
    status: String,
    /// Why it ended as it did, such as `silent`, `steps`, `budget` or `no-provider-configured`; null if there is nothing
    /// to say.
    reason: Option<String>,
    /// What a waiting turn waits for: `approval` or `speaker`; null otherwise.
    waiting_for: Option<String>,
    /// The number of agents' replies that led to it since somebody else wrote.
    hops: i32,
    /// The number of its steps.
    steps: i64,
    /// What its calls of models used.
    usage: TurnUsage,
    /// Whether it has read what strangers wrote.
    tainted: bool,
    /// What the agent has said so far, or had said when it was cut off; null if there is nothing.
    partial: Option<String>,
    /// The id of the message that it ended with; null if there is none.
    reply: Option<Uuid>,
    /// The turn whose first steps it begins with; null if it has only its own.
    forked_from: Option<ForkedFrom>,
    /// The id of the job that works on it; null if there is none.
    job: Option<Uuid>,
    /// The time at which the turn was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time at which it began; null if it did not.
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    /// The time at which it ended; null if it has not.
    #[serde(with = "time::serde::rfc3339::option")]
    finished_at: Option<OffsetDateTime>,
}

/// The turn that another one was forked from.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct ForkedFrom {
    /// The id of that turn, which may be gone.
    turn: Uuid,
    /// The number of the steps that were copied.
    after_step: i32,
}

/// A version of a persona.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct TurnPersona {
    /// The persona's id.
    id: Uuid,
    /// The version's number.
    version: i32,
    /// The digest of the version's definition.
    digest: String,
}

/// What the calls of models of a turn used.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct TurnUsage {
    /// The tokens that models were told.
    input_tokens: i64,
    /// The tokens that models said.
    output_tokens: i64,
    /// The cost in millionths of a dollar.
    cost_microusd: i64,
}

/// A call of a model or of a tool.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = TurnStep)]
pub struct Step {
    /// The step's number.
    number: i32,
    /// The kind of step: `model`, `tool` or `summary`.
    kind: String,
    /// The status: `started`, `succeeded`, `failed`, `denied` or `unknown`, where it is not known what happened.
    status: String,
    /// The name of the tool; null for a model.
    name: Option<String>,
    /// The number of the step of the model that asked for the tool; null for a model.
    of_step: Option<i32>,
    /// The number of the call among those that the model asked for, from 0; null for a model.
    call: Option<i32>,
    /// What the tool was given. Only the agent's owner sees it.
    #[serde(default)]
    #[schema(value_type = Object)]
    arguments: Value,
    /// What the tool answered, or `{text, calls}` of a model. Only the agent's owner sees it.
    #[serde(default)]
    #[schema(value_type = Object)]
    result: Value,
    /// Whether what it answered was written by strangers.
    tainted: bool,
    /// The id of the approval that it waited for; null if it needed none.
    approval: Option<Uuid>,
    /// The signed receipt of a skill's call; null for everything else.
    #[schema(value_type = Object)]
    receipt: Value,
    /// What the call of a model used.
    usage: StepUsage,
    /// The time at which the call began; null if it did not.
    #[serde(with = "time::serde::rfc3339::option")]
    begun_at: Option<OffsetDateTime>,
    /// The time at which the step ended; null if it has not.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
}

/// What a call of a model used.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = TurnStepUsage)]
struct StepUsage {
    /// The tokens that the model was told.
    input_tokens: i64,
    /// The tokens that the model said.
    output_tokens: i64,
}

/// The filters of a list of turns.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// The agent whose turns are listed: `me`, or the id or name of one that the caller owns.
    #[garde(length(min = 1, max = 60))]
    #[serde(default = "me")]
    #[param(default = "me")]
    agent: String,
    /// Lists only turns with this status.
    #[garde(skip)]
    #[param(inline)]
    status: Option<Status>,
}

/// The status of a turn.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = TurnStatus)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// It waits for a worker.
    Queued,
    /// A worker thinks it.
    Running,
    /// It waits for an approval, or for its speaker.
    Waiting,
    /// It has ended with a message, or in silence.
    Completed,
    /// It could not be thought.
    Failed,
    /// Somebody has ended it.
    Cancelled,
    /// It has met a limit.
    Limited,
}

/// The speaker whose turn it shall be.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NextTurn {
    /// The id or name of the agent; by default the one that has been silent longest.
    #[garde(inner(length(min = 1, max = 60)))]
    speaker: Option<String>,
}

/// The turn that was begun.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BegunTurn)]
pub struct Begun {
    /// The turn, whose speaker speaks now.
    turn: Turn,
}

/// What the speaker of a waiting turn says.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// The text in Markdown, at most 16 KiB.
    #[garde(inner(custom(message_body)))]
    body: Option<String>,
    /// Whether the speaker says nothing.
    #[garde(skip)]
    #[serde(default)]
    pass: bool,
    /// The id or name of the agent that speaks next, where speakers hand over, and for the moderator of a moderated circle.
    #[garde(inner(length(min = 1, max = 60)))]
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    turn: Turn,
}

#[derive(Debug, Deserialize)]
struct StepRow {
    step: Step,
}

fn me() -> String {
    "me".to_owned()
}

/// Lists the turns of a conversation, the newest first.
#[utoipa::path(
    get, path = "/api/conversations/{conversation}/turns", tag = "turns", operation_id = "conversation_turns",
    params(("conversation" = Uuid, Path, description = "The conversation's id."), guest::PageParams),
    responses(
        (status = 200, body = Items<Turn>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn of_conversation(
    db: Db,
    caller: Caller,
    Path(conversation): Path<Uuid>,
    page: Page<Uuid>,
) -> Result<Json<Items<Turn>>> {
    #[derive(Deserialize)]
    struct Found {
        turns: Vec<Turn>,
    }
    let found: Option<Found> = db
        .optional(
            "select array(select turn_json(t) from turn t
                where t.channel_id = v.channel_id and ($2::uuid is null or t.id < $2) and may_read_turn($3, t)
                order by t.id desc limit $4) as turns
             from find_conversation($3, $1) v",
            args![conversation, page.after, caller.id, page.fetch()],
        )
        .await?;
    let found = found.ok_or_else(|| Problem::not_found("conversation"))?;
    Ok(Json(page.answer(found.turns, |turn: &Turn| turn.id)))
}

fn answer(page: &Page<Uuid>, rows: Vec<Row>) -> Json<Items<Turn>> {
    let turns = rows.into_iter().map(|row| row.turn).collect();
    Json(page.answer(turns, |turn: &Turn| turn.id))
}

/// Says whose turn it is now. The answer has that turn, whose job is in `job`.
#[utoipa::path(
    post, path = "/api/conversations/{conversation}/next", tag = "turns", operation_id = "next_turn",
    params(
        ("conversation" = Uuid, Path, description = "The conversation's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = Option<NextTurn>,
    responses(
        (status = 202, body = Begun, headers(("Location" = String))),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`turn-running`, `conversation-closed`, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`"),
        (status = 429, description = "`too-many-turns`, `rate-limited`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn next(
    db: Db,
    caller: Caller,
    Path(conversation): Path<Uuid>,
    OptionalInput(next): OptionalInput<NextTurn>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Begun>)> {
    let begun: Outcome<Turn> = db
        .one(
            "select next_turn($1, $2, $3) as outcome",
            args![caller.id, conversation, next.and_then(|next| next.speaker)],
        )
        .await?;
    let turn = begun.value()?;
    Ok((StatusCode::ACCEPTED, [at(&turn)], Json(Begun { turn })))
}

/// Where a turn is read.
fn at(turn: &Turn) -> (HeaderName, String) {
    (LOCATION, format!("/api/turns/{}", turn.id))
}

/// Lists the turns of the caller, or of an agent that it owns, the newest first. Of a turn in a conversation that the caller
/// may not read, `cause`, `partial` and `reply` are null.
#[utoipa::path(
    get, path = "/api/turns", tag = "turns", operation_id = "list_turns", params(Filter, guest::PageParams),
    responses((status = 200, body = Items<Turn>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Turn>>> {
    let agent = match filter.agent.as_str() {
        "me" => caller.id.to_string(),
        other => other.to_owned(),
    };
    let status = filter.status.map(|status| json!(status));
    let status = status.as_ref().and_then(Value::as_str);
    let rows: Vec<Row> = db
        .many(
            "select turn_told($4, t) as turn from turn t
             where t.agent_id = named($1) and ($2::uuid is null or t.id < $2) and ($3::text is null or t.status = $3)
             and may_read_steps($4, t)
             order by t.id desc limit $5",
            args![agent, page.after, status, caller.id, page.fetch()],
        )
        .await?;
    Ok(answer(&page, rows))
}

/// Reads a turn.
#[utoipa::path(
    get, path = "/api/turns/{turn}", tag = "turns", operation_id = "read_turn",
    params(("turn" = Uuid, Path, description = "The turn's id.")),
    responses((status = 200, body = Turn), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(turn): Path<Uuid>) -> Result<Json<Turn>> {
    let row: Option<Row> = db
        .optional(
            "select turn_json(t) as turn from find_turn($1, $2) t",
            args![caller.id, turn],
        )
        .await?;
    row.map(|row| Json(row.turn))
        .ok_or_else(|| Problem::not_found("turn"))
}

/// Lists the steps of a turn in their order. What tools were given and answered, only the agent's owner sees.
#[utoipa::path(
    get, path = "/api/turns/{turn}/steps", tag = "turns", operation_id = "turn_steps",
    params(("turn" = Uuid, Path, description = "The turn's id."), guest::PageParams),
    responses(
        (status = 200, body = Items<Step>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn steps(
    db: Db,
    caller: Caller,
    Path(turn): Path<Uuid>,
    page: Page<i32>,
) -> Result<Json<Items<Step>>> {
    #[derive(Deserialize)]
    struct Found {
        whole: bool,
    }
    let found: Option<Found> = db
        .optional(
            "select coalesce(may_read_steps($1, t), false) as whole from find_turn($1, $2) t",
            args![caller.id, turn],
        )
        .await?;
    let found = found.ok_or_else(|| Problem::not_found("turn"))?;
    let rows: Vec<StepRow> = db
        .many(
            "select step_json(s, $3) as step from step s
             where s.turn_id = $1 and ($2::integer is null or s.number > $2) order by s.number limit $4",
            args![turn, page.after, found.whole, page.fetch()],
        )
        .await?;
    let steps = rows.into_iter().map(|row| row.step).collect();
    Ok(Json(page.answer(steps, |step: &Step| step.number)))
}

/// Cancels a turn. What it has said so far stays in `partial`.
///
/// The agent's owner can do this, who caused it, and owners and moderators of the circle.
#[utoipa::path(
    post, path = "/api/turns/{turn}/cancel", tag = "turns", operation_id = "cancel_turn",
    params(("turn" = Uuid, Path, description = "The turn's id.")),
    responses(
        (status = 200, body = Turn),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`turn-finished`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn cancel(db: Db, caller: Caller, Path(turn): Path<Uuid>) -> Result<Json<Turn>> {
    let cancelled: Outcome<Turn> = db
        .one(
            "select cancel_turn($1, $2) as outcome",
            args![caller.id, turn],
        )
        .await?;
    cancelled.value().map(Json)
}

/// Thinks a thought again that failed, was cancelled or met a limit: in another turn with the same cause.
#[utoipa::path(
    post, path = "/api/turns/{turn}/retry", tag = "turns", operation_id = "retry_turn",
    params(
        ("turn" = Uuid, Path, description = "The turn's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    responses(
        (status = 202, body = Turn, headers(("Location" = String))),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`turn-finished`, `turn-running`, `conversation-closed`, `idempotency-mismatch`"),
        (status = 429, description = "`too-many-turns`, `rate-limited`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn retry(
    db: Db,
    caller: Caller,
    Path(turn): Path<Uuid>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Turn>)> {
    let begun: Outcome<Turn> = db
        .one(
            "select retry_turn($1, $2) as outcome",
            args![caller.id, turn],
        )
        .await?;
    let turn = begun.value()?;
    Ok((StatusCode::ACCEPTED, [at(&turn)], Json(turn)))
}

/// Ends a turn that waits for the caller to speak: with a message, or by passing.
#[utoipa::path(
    post, path = "/api/turns/{turn}/complete", tag = "turns", operation_id = "complete_turn",
    params(("turn" = Uuid, Path, description = "The turn's id.")), request_body = Completion,
    responses(
        (status = 200, body = Turn),
        (status = 403, description = "`forbidden`: it is another's turn"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`turn-finished`, `turn-not-waiting`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn complete(
    db: Db,
    caller: Caller,
    Path(turn): Path<Uuid>,
    Input(said): Input<Completion>,
) -> Result<Json<Turn>> {
    if said.body.is_some() == said.pass {
        return Err(Problem::invalid(
            "body",
            "is needed, or `pass`, and not both",
        ));
    }
    let message = said.body.as_deref().map(rendered).transpose()?;
    let ended: Outcome<Turn> = db
        .one(
            "select complete_turn($1, $2, $3, $4) as outcome",
            args![caller.id, turn, message, said.next],
        )
        .await?;
    ended.value().map(Json)
}
