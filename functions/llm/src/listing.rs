//! The models that a caller may use.

use axum::Json;
use axum::response::{IntoResponse, Response};
use guest::{Caller, Db, Path, Problem, Result, args};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// The models with their prices and states.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// The aliases and models that the caller may use.
    models: Vec<Model>,
}

/// A model, or an alias of models.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// The name to call the model by: an alias, or `<provider>/<model>`.
    id: String,
    /// Whether the name is an alias.
    alias: bool,
    /// The targets of an alias in their order, as `<provider>/<model>`; the model itself otherwise.
    targets: Vec<String>,
    /// The prices of the first target, in millionths of a dollar for a million tokens; null if it has none.
    prices: Option<ModelPrices>,
    /// Whether a target can be called at the moment.
    available: bool,
}

/// The prices of a model, in millionths of a dollar for a million tokens.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ModelPrices {
    /// The price of input.
    input_microusd: i64,
    /// The price of input that the provider had cached.
    cached_input_microusd: i64,
    /// The price of input that the provider caches.
    cache_write_microusd: i64,
    /// The price of output.
    output_microusd: i64,
}

/// The models that the caller may use, or the one that is wanted.
async fn models(db: &Db, caller: &Caller, wanted: Option<&str>) -> Result<Vec<Model>> {
    let key = (caller.via == guest::Via::Key).then_some(caller.session);
    let models = db
        .many(
            "select id, alias, targets, prices, available from models_of($1, $2, $3) order by not alias, id limit 5000",
            args![caller.id, key, wanted.map(str::to_owned)],
        )
        .await?;
    Ok(models)
}

/// Lists the models that the caller may use, with prices and states.
#[utoipa::path(
    get, path = "/api/ai/models", tag = "models", operation_id = "list_ai_models",
    responses((status = 200, body = ModelList)), security(("token" = ["llm:call"]))
)]
pub async fn priced(db: Db, caller: Caller) -> Result<Json<ModelList>> {
    let models = models(&db, &caller, None).await?;
    Ok(Json(ModelList { models }))
}

/// One model in the protocol that the client speaks.
fn written(model: &Model, is_anthropic: bool) -> Value {
    if is_anthropic {
        json!({"type": "model", "id": model.id, "display_name": model.id, "created_at": "1970-01-01T00:00:00Z"})
    } else {
        let owner = model
            .id
            .split_once('/')
            .map_or("gather", |(provider, _)| provider);
        json!({"id": model.id, "object": "model", "created": 0, "owned_by": owner})
    }
}

/// Lists the models that the caller may use, in Anthropic's form if `anthropic-version` is sent, and in OpenAI's otherwise.
#[utoipa::path(
    get, path = "/v1/models", tag = "models", operation_id = "list_models",
    responses((status = 200, description = "The list in the form of the protocol")), security(("token" = ["llm:call"]))
)]
pub async fn list(db: Db, caller: Caller, headers: HeaderMap) -> Result<Json<Value>> {
    let is_anthropic = headers.contains_key("anthropic-version");
    let models = models(&db, &caller, None).await?;
    let data: Vec<_> = models
        .iter()
        .map(|model| written(model, is_anthropic))
        .collect();
    Ok(Json(if is_anthropic {
        json!({"first_id": models.first().map(|model| &model.id), "last_id": models.last().map(|model| &model.id),
            "has_more": false, "data": data})
    } else {
        json!({"object": "list", "data": data})
    }))
}

/// Reads a model that the caller may use, in the form of the protocol that the client speaks.
#[utoipa::path(
    get, path = "/v1/models/{*model}", tag = "models", operation_id = "get_model",
    params(("model" = String, Path, description = "An alias, or `<provider>/<model>`")),
    responses((status = 200, description = "The model in the form of the protocol"), (status = 404, description = "`model-unknown`")),
    security(("token" = ["llm:call"]))
)]
pub async fn get(
    db: Db,
    caller: Caller,
    headers: HeaderMap,
    Path(model): Path<String>,
) -> Result<Response> {
    let is_anthropic = headers.contains_key("anthropic-version");
    let models = models(&db, &caller, Some(&model)).await?;
    let found = models.first().ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "model-unknown",
            "There is no such model, or you may not use it.",
        )
    })?;
    Ok(Json(written(found, is_anthropic)).into_response())
}
