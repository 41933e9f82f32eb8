//! One question, one answer: for scripts and pages that need no protocol.

use std::time::Instant;

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Input, Problem, Result};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::call::Head;
use crate::chat::{Started, begin, outcome};
use crate::ledger::Ledger;
use crate::protocol::Route;
use crate::request::Request;

/// A question to a model.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The text of the question.
    #[garde(length(min = 1, max = 500_000))]
    #[schema(example = "What is a goose?", min_length = 1, max_length = 500_000)]
    prompt: String,
    /// The instructions that the model follows.
    #[garde(inner(length(max = 500_000)))]
    #[schema(max_length = 500_000)]
    system: Option<String>,
    /// An alias or `<provider>/<model>`; `default` if it is absent.
    #[garde(inner(length(min = 1, max = 250)))]
    #[schema(min_length = 1, max_length = 250)]
    model: Option<String>,
}

/// The answer to a question.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reply {
    /// The text of the answer.
    text: String,
    /// The model that answered, as `<provider>/<model>`.
    model: String,
    /// The tokens that were used.
    usage: TokenUsage,
    /// The cost in millionths of a dollar.
    cost_microusd: i64,
    /// The id of the call in the ledger.
    call: Uuid,
}

/// The tokens of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenUsage {
    /// The tokens of the input.
    input_tokens: u64,
    /// The tokens of the output.
    output_tokens: u64,
}

#[derive(Deserialize)]
struct Booked {
    input_tokens: u64,
    output_tokens: u64,
    cost_microusd: i64,
}

/// Asks a model one question.
#[utoipa::path(
    post, path = "/api/ai/goose", tag = "models", operation_id = "ask_goose", request_body = Question,
    responses(
        (status = 200, body = Reply),
        (status = 400, description = "`context-too-large`, `price-unknown`"),
        (status = 402, description = "`budget-exhausted`"),
        (status = 404, description = "`model-unknown`"),
        (status = 422, description = "`invalid-input`"),
        (status = 429, description = "`rate-limited`, `provider-rate-limited`"),
        (status = 502, description = "`provider-failed`"),
        (status = 503, description = "`no-provider-configured`, `egress-unavailable`, `call-lost`"),
        (status = 504, description = "`provider-timeout`"),
        (status = 529, description = "`provider-overloaded`"),
    ),
    security(("token" = ["llm:call"]))
)]
pub async fn ask(
    db: Db,
    caller: Caller,
    headers: HeaderMap,
    Input(question): Input<Question>,
) -> Result<Json<Reply>> {
    let began = Instant::now();
    let ledger = Ledger(db.apart());
    drop(db);
    let mut messages = Vec::new();
    if let Some(system) = question.system {
        messages.push(json!({"role": "system", "content": system}));
    }
    messages.push(json!({"role": "user", "content": question.prompt}));
    let model = question.model.unwrap_or_else(|| "default".to_owned());
    let body = json!({"model": model, "messages": messages}).to_string();
    let mut headers = headers;
    // The answer here has another form than the one that the ledger keeps.
    headers.remove("idempotency-key");
    let request = Request::read(Route::Chat, &headers, body.into())?;
    let Started::Call(call) = begin(&ledger, &caller, &headers, request, began).await? else {
        return Err(Problem::internal(
            "an answer was kept that nobody wanted kept",
        ));
    };
    let id = call.plan.call;
    let (headers, body) = match outcome(*call).await {
        Some(Head::Whole { headers, body }) => (headers, body),
        Some(Head::Failed { fault, .. }) => return Err(fault.problem()),
        _ => return Err(Problem::internal("a call ended without an answer")),
    };
    let answer: Value = serde_json::from_slice(&body).map_err(Problem::internal)?;
    let db = ledger.0.apart();
    let booked: Booked = db
        .one(
            "select input_tokens, output_tokens, cost_microusd from call where id = $1",
            guest::args![id],
        )
        .await?;
    let model = headers
        .get("gather-model")
        .and_then(|model| model.to_str().ok());
    Ok(Json(Reply {
        text: answer["choices"][0]["message"]["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        model: model.unwrap_or_default().to_owned(),
        usage: TokenUsage {
            input_tokens: booked.input_tokens,
            output_tokens: booked.output_tokens,
        },
        cost_microusd: booked.cost_microusd,
        call: id,
    }))
}
