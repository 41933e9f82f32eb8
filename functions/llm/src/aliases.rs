//! Aliases: names for models, with the targets that are tried in order.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Input, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::MANAGE;
use crate::input::alias_name;
use crate::providers::require_manage;

/// An alias of models.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Alias {
    /// The name of the alias.
    alias: String,
    /// The team that owns the alias; null if another owner does.
    team_id: Option<Uuid>,
    /// Whether the alias belongs to the platform.
    platform: bool,
    /// Whether the alias follows the server's environment.
    environment: bool,
    /// The targets, in the order in which they are tried.
    targets: Vec<Target>,
    /// The number of attempts after the first one.
    retries: i16,
    /// Whether a request is sent again that a target may have taken.
    retry_uncertain: bool,
    /// The treatment of parameters that a target can't do.
    unsupported: Unsupported,
    /// The part of requests and answers that is kept.
    capture: Capture,
}

/// A model of a provider, or another alias.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name of the provider; absent if `model` is another alias.
    #[garde(inner(length(min = 1, max = 40)))]
    #[schema(example = "openai", max_length = 40)]
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// The model as the provider names it, or another alias.
    #[garde(length(min = 1, max = 200))]
    #[schema(example = "gpt-5.5", max_length = 200)]
    model: String,
    /// The order: targets with the lowest number are tried first.
    #[garde(inner(range(min = -1000, max = 1000)))]
    #[schema(minimum = -1000, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<i32>,
    /// The longest answer in tokens.
    #[garde(inner(range(min = 1, max = 10_000_000)))]
    #[schema(minimum = 1, maximum = 10_000_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<i32>,
    /// The longest time in which the target may say nothing, in milliseconds; 5 minutes if it is absent.
    #[garde(inner(range(min = 1000, max = 3_600_000)))]
    #[schema(minimum = 1000, maximum = 3_600_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_ms: Option<i32>,
    /// The longest time of an attempt, in milliseconds; 10 minutes if it is absent.
    #[garde(inner(range(min = 1000, max = 3_600_000)))]
    #[schema(minimum = 1000, maximum = 3_600_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    total_ms: Option<i32>,
}

/// The treatment of parameters that a target can't do.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unsupported {
    /// The request is refused, with the parameter's name.
    #[default]
    Refuse,
    /// The parameter is left out.
    Drop,
}

/// The part of requests and answers that is kept.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// Nothing but numbers and digests.
    #[default]
    None,
    /// The whole request and answer.
    Full,
}

/// The settings of an alias.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasSettings {
    /// The targets. Each is tried once in a call, and at most three attempts are made. With those of the aliases among them,
    /// there are at most 100, behind at most 8 aliases.
    #[garde(length(min = 1, max = 20), dive)]
    #[schema(min_items = 1, max_items = 20)]
    targets: Vec<Target>,
    /// The number of attempts after the first one; 2 if it is absent.
    #[garde(inner(range(min = 0, max = 2)))]
    #[schema(minimum = 0, maximum = 2)]
    retries: Option<i16>,
    /// Whether a request is sent again that a target may have taken, and may be paid for.
    #[garde(skip)]
    #[serde(default)]
    retry_uncertain: bool,
    /// The treatment of parameters that a target can't do.
    #[garde(skip)]
    #[serde(default)]
    unsupported: Unsupported,
    /// The part of requests and answers that is kept.
    #[garde(skip)]
    #[serde(default)]
    capture: Capture,
    /// The team that owns the alias; the caller if it is absent.
    #[garde(skip)]
    team_id: Option<Uuid>,
    /// Whether the platform owns the alias, which needs the scope `llm:manage`.
    #[garde(skip)]
    #[serde(default)]
    platform: bool,
}

/// The owner of an alias; the caller if the query names none.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The team that owns the alias.
    #[garde(skip)]
    team_id: Option<Uuid>,
    /// Whether the platform owns the alias.
    #[garde(skip)]
    platform: Option<bool>,
}

#[derive(Deserialize)]
struct Answer {
    answer: Value,
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

fn not_found() -> Problem {
    Problem::not_found("alias")
}

/// The owner as the database names it.
fn owner(caller: &Caller, team: Option<Uuid>, is_platforms: bool) -> String {
    match team {
        _ if is_platforms => "platform".to_owned(),
        Some(team) => format!("team:{team}"),
        None => format!("account:{}", caller.id),
    }
}

/// Makes an alias, or replaces it. A target without `provider` is another alias.
#[utoipa::path(
    put, path = "/api/llm/models/{alias}", tag = "models", operation_id = "put_llm_alias",
    params(("alias" = String, Path, description = "The name of the alias")), request_body = AliasSettings,
    responses(
        (status = 200, body = Alias),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`: there is no such team"),
        (status = 409, description = "`too-many-aliases`"),
        (status = 422, description = "`invalid-input`, `alias-circle`"),
    ),
    security(("token" = ["llm:provide"]))
)]
pub async fn put(
    db: Db,
    caller: Caller,
    Path(alias): Path<String>,
    Input(settings): Input<AliasSettings>,
) -> Result<Json<Alias>> {
    alias_name(&alias)?;
    require_manage(&caller, settings.platform)?;
    let mut seen = BTreeSet::new();
    for (at, target) in settings.targets.iter().enumerate() {
        if !seen.insert((target.provider.clone(), target.model.clone())) {
            return Err(Problem::invalid(format!("targets[{at}]"), "is there twice"));
        }
    }
    let targets = settings.targets.iter().map(|target| {
        let mut row = match &target.provider {
            Some(provider) => json!({"provider": provider, "model": target.model}),
            None => json!({"alias": target.model}),
        };
        row["order"] = json!(target.order);
        row["max_output_tokens"] = json!(target.max_output_tokens);
        row["silence_ms"] = json!(target.silence_ms);
        row["total_ms"] = json!(target.total_ms);
        row
    });
    let row = json!({
        "targets": targets.collect::<Vec<_>>(), "retries": settings.retries.unwrap_or(2), "retry_uncertain": settings.retry_uncertain,
        "unsupported": settings.unsupported, "capture": settings.capture, "team_id": settings.team_id,
        "platform": settings.platform,
    });
    let put: Answer = db
        .one(
            "select llm.put_alias($1, $2, $3, $4) as answer",
            args![caller.id, caller.allows(MANAGE), &alias, row],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("alias_manage", Problem::not_found("team"))
        .on_constraint(
            "alias_count",
            Problem::conflict(
                "too-many-aliases",
                "An owner can have at most 200 aliases. Delete one first.",
            ),
        )?;
    if let Some(circle) = put.answer["circle"].as_array() {
        let way: Vec<_> = circle.iter().filter_map(Value::as_str).collect();
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "alias-circle",
            format!("The targets lead back to the alias: {}.", way.join(" → ")),
        ));
    }
    if put.answer["wide"] == true {
        let wrong = "lead to more than 100 targets, with those of the aliases among them, or through more than 8 aliases";
        return Err(Problem::invalid("targets", wrong));
    }
    if let Some(unknown) = put.answer["unknown"].as_str() {
        return Err(Problem::invalid(
            "targets",
            format!("names `{unknown}`, which the owner may not use, or which does not exist"),
        ));
    }
    let owner = owner(&caller, settings.team_id, settings.platform);
    one(&db, &owner, &alias).await.map(Json)
}

async fn one(db: &Db, owner: &str, alias: &str) -> Result<Alias> {
    let found = db
        .optional(
            "select a.name as alias, a.team_id, a.owner = 'platform' as platform, a.environment, a.retries, a.retry_uncertain,
                a.unsupported, a.capture, (
                    select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('provider', p.name,
                        'model', coalesce(t.model, t.alias), 'order', t.rank, 'max_output_tokens', t.max_output_tokens,
                        'silence_ms', t.silence_ms, 'total_ms', t.total_ms))
                        order by t.rank, t.place), '[]')
                    from target t left join provider p on p.id = t.provider_id where t.alias_id = a.id) as targets
             from alias a where a.owner = $1 and a.name = $2",
            args![owner, alias],
        )
        .await?;
    found.ok_or_else(not_found)
}

/// Reads an alias of the caller, or of the team or platform that the query names.
#[utoipa::path(
    get, path = "/api/llm/models/{alias}", tag = "models", operation_id = "get_llm_alias",
    params(("alias" = String, Path, description = "The name of the alias"), Owner),
    responses((status = 200, body = Alias), (status = 404, description = "`not-found`"), (status = 422, description = "`invalid-input`")),
    security(("token" = ["llm:call"]))
)]
pub async fn get(
    db: Db,
    caller: Caller,
    Path(alias): Path<String>,
    Query(query): Query<Owner>,
) -> Result<Json<Alias>> {
    let owner = owner(&caller, query.team_id, query.platform == Some(true));
    let sees: Done = db
        .one(
            "select $2 in (select o.owner from owners_of($1) o) as done",
            args![caller.id, &owner],
        )
        .await?;
    if !sees.done {
        return Err(not_found());
    }
    one(&db, &owner, &alias).await.map(Json)
}

/// Deletes an alias of the caller, or of the team or platform that the query names.
#[utoipa::path(
    delete, path = "/api/llm/models/{alias}", tag = "models", operation_id = "delete_llm_alias",
    params(("alias" = String, Path, description = "The name of the alias"), Owner),
    responses(
        (status = 204, description = "The alias was deleted"),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["llm:provide"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    Path(alias): Path<String>,
    Query(query): Query<Owner>,
) -> Result<StatusCode> {
    let owner = owner(&caller, query.team_id, query.platform == Some(true));
    let deleted: Done = db
        .one(
            "select llm.delete_alias($1, $2, $3, $4) as done",
            args![caller.id, caller.allows(MANAGE), owner, alias],
        )
        .await?;
    if !deleted.done {
        return Err(not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}
