//! Providers of models: of accounts, of teams, and of the platform.

use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use bytes::Bytes;
use garde::Validate;
use guest::db::{self, OnConstraint};
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use http::Method;
use http_body_util::{BodyExt, Limited};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::MANAGE;
use crate::egress::{self, Sent};
use crate::input::{address, provider_name};
use crate::ledger::Target;
use crate::protocol::Protocol;

/// The longest list of models that is read, in bytes.
const MAX_LIST_BYTES: usize = 4 << 20;
/// The most models of a provider that are kept.
const MAX_MODELS: usize = 1000;
/// The longest time that a check may take.
const CHECK_WITHIN: Duration = Duration::from_secs(15);

/// A provider of models.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Provider {
    /// The provider's id.
    id: Uuid,
    /// The name, which stands before the slash in the names of its models.
    name: String,
    /// The protocol that the provider speaks.
    protocol: Protocol,
    /// The base URL, as SDKs call it.
    url: String,
    /// Whether a secret is put into requests.
    has_secret: bool,
    /// The team that owns the provider; null if another owner does.
    team_id: Option<Uuid>,
    /// Whether the provider belongs to the platform.
    platform: bool,
    /// Whether the provider follows a variable of the server's environment.
    environment: bool,
    /// Whether the provider gets no new calls.
    drain: bool,
    /// The models that the provider listed when it was last checked.
    models: Vec<String>,
    /// The time since which the provider fails; null if it works.
    #[serde(with = "time::serde::rfc3339::option")]
    down_since: Option<OffsetDateTime>,
    /// The time at which the provider was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A new provider.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProvider {
    /// The name, which is unique among the providers of the same owner.
    #[garde(custom(provider_name))]
    #[schema(example = "mine", max_length = 40)]
    name: String,
    /// The protocol that the provider speaks.
    #[garde(skip)]
    protocol: Protocol,
    /// The base URL, as SDKs call it, with or without `/v1`.
    #[garde(length(min = 1, max = 2000))]
    #[schema(example = "https://api.openai.com/v1", max_length = 2000)]
    url: String,
    /// The secret with the key, as `vault:<name>` or its id; none if the provider needs no key.
    #[garde(inner(length(min = 1, max = 200)))]
    #[schema(example = "vault:openai", max_length = 200)]
    secret: Option<String>,
    /// The team that owns the provider; the caller if it is absent.
    #[garde(skip)]
    team_id: Option<Uuid>,
    /// Whether the platform owns the provider, which needs the scope `llm:manage`.
    #[garde(skip)]
    #[serde(default)]
    platform: bool,
    /// Whether the provider gets no calls yet.
    #[garde(skip)]
    #[serde(default)]
    drain: bool,
}

/// A change of a provider. Absent fields stay as they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderChange {
    /// The new base URL. If it has another origin, the secret has to be named again.
    #[garde(inner(length(min = 1, max = 2000)))]
    #[schema(max_length = 2000)]
    url: Option<String>,
    /// The new secret, as `vault:<name>` or its id.
    #[garde(inner(length(min = 1, max = 200)))]
    #[schema(max_length = 200)]
    secret: Option<String>,
    /// Whether the provider gets no new calls.
    #[garde(skip)]
    drain: Option<bool>,
}

/// The result of a check.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checked {
    /// Whether the provider listed its models.
    ok: bool,
    /// The time until the answer, in milliseconds.
    latency_ms: u64,
    /// The models that the provider listed.
    models: Vec<String>,
    /// The reason why the provider did not answer; null if it did.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Made {
    id: Uuid,
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

fn not_found() -> Problem {
    Problem::not_found("provider")
}

/// Refuses a caller who may not manage the platform's own.
pub fn require_manage(caller: &Caller, is_platforms: bool) -> Result<()> {
    if is_platforms && !caller.allows(MANAGE) {
        return Err(Problem::insufficient_scope(MANAGE));
    }
    Ok(())
}

/// Turns the refusals about secrets into problems.
fn on_secret<T>(result: std::result::Result<T, db::Error>) -> std::result::Result<T, db::Error> {
    result
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("provider_secret", Problem::not_found("secret"))
        .on_constraint(
            "provider_secret_owner",
            Problem::new(
                StatusCode::FORBIDDEN,
                "secret-not-granted",
                "Only those who may change a secret can bind it to a provider.",
            ),
        )
        .on_constraint(
            "provider_secret_use",
            Problem::invalid(
                "secret",
                "is not for the origin of `url`; its kind must be `provider`, or its `use` name it",
            ),
        )
        .on_constraint(
            "provider_secret_again",
            Problem::invalid(
                "secret",
                "must be named again, since `url` has another origin",
            ),
        )
}

/// Makes a provider of models. Its key stays in the vault, and goes to the origin of `url` alone.
#[utoipa::path(
    post, path = "/api/llm/providers", tag = "models", operation_id = "create_llm_provider", request_body = NewProvider,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 201, body = Provider, headers(("Location" = String))),
        (status = 403, description = "`forbidden`, `secret-not-granted`"),
        (status = 404, description = "`not-found`: there is no such team or secret"),
        (status = 409, description = "`name-taken`, `too-many-providers`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["llm:provide"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Input(new): Input<NewProvider>,
) -> Result<Created<Provider>> {
    require_manage(&caller, new.platform)?;
    if new.platform && new.team_id.is_some() {
        return Err(Problem::invalid(
            "team_id",
            "must be absent for a provider of the platform",
        ));
    }
    let address = address(&new.url)?;
    let row = json!({
        "name": new.name, "protocol": new.protocol, "url": address.url, "catalogue": address.catalogue,
        "secret": new.secret, "team_id": new.team_id, "platform": new.platform, "drain": new.drain,
    });
    let made: std::result::Result<Made, _> = db
        .one(
            "select llm.create_provider($1, $2, $3) as id",
            args![caller.id, caller.allows(MANAGE), row],
        )
        .await;
    let made = on_secret(made)
        .on_constraint("provider_manage", Problem::not_found("team"))
        .on_constraint(
            "provider_count",
            Problem::conflict(
                "too-many-providers",
                "An owner can have at most 50 providers. Delete one first.",
            ),
        )
        .on_constraint(
            "provider_name_key",
            Problem::conflict(
                "name-taken",
                "The owner has another provider with this name.",
            ),
        )?;
    let provider = one(&db, &caller, made.id).await?;
    Ok(Created::at(
        format!("/api/llm/providers/{}", made.id),
        provider,
    ))
}

async fn one(db: &Db, caller: &Caller, id: Uuid) -> Result<Provider> {
    let found = db
        .optional(
            "select id, name, protocol, url, secret_id is not null as has_secret, team_id, p.owner = 'platform' as platform,
                environment, drain, models, down_since, created_at
             from provider p where id = $2 and owner in (select o.owner from owners_of($1) o)",
            args![caller.id, id],
        )
        .await?;
    found.ok_or_else(not_found)
}

/// Lists the providers that the caller may use, the newest first.
#[utoipa::path(
    get, path = "/api/llm/providers", tag = "models", operation_id = "list_llm_providers", params(guest::PageParams),
    responses((status = 200, body = Items<Provider>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["llm:call"]))
)]
pub async fn list(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<Provider>>> {
    let providers: Vec<Provider> = db
        .many(
            "select id, name, protocol, url, secret_id is not null as has_secret, team_id, p.owner = 'platform' as platform,
                environment, drain, models, down_since, created_at
             from provider p where owner in (select o.owner from owners_of($1) o) and ($2::uuid is null or id < $2)
             order by id desc limit $3",
            args![caller.id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(providers, |provider| provider.id)))
}

/// Reads a provider that the caller may use.
#[utoipa::path(
    get, path = "/api/llm/providers/{provider}", tag = "models", operation_id = "get_llm_provider",
    params(("provider" = Uuid, Path, description = "The provider's id")),
    responses((status = 200, body = Provider), (status = 404, description = "`not-found`")),
    security(("token" = ["llm:call"]))
)]
pub async fn get(db: Db, caller: Caller, Path(provider): Path<Uuid>) -> Result<Json<Provider>> {
    one(&db, &caller, provider).await.map(Json)
}

/// Changes the address, the secret or the state of a provider. Its failures so far do not count any more.
#[utoipa::path(
    patch, path = "/api/llm/providers/{provider}", tag = "models", operation_id = "change_llm_provider",
    params(("provider" = Uuid, Path, description = "The provider's id")), request_body = ProviderChange,
    responses(
        (status = 200, body = Provider),
        (status = 403, description = "`secret-not-granted`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`provider-from-environment`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["llm:provide"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(provider): Path<Uuid>,
    Input(change): Input<ProviderChange>,
) -> Result<Json<Provider>> {
    let mut row = serde_json::Map::new();
    if let Some(url) = &change.url {
        let address = address(url)?;
        row.insert("url".to_owned(), json!(address.url));
        row.insert("catalogue".to_owned(), json!(address.catalogue));
    }
    if let Some(secret) = change.secret {
        row.insert("secret".to_owned(), json!(secret));
    }
    if let Some(drain) = change.drain {
        row.insert("drain".to_owned(), json!(drain));
    }
    let changed: std::result::Result<Done, _> = db
        .one(
            "select llm.change_provider($1, $2, $3, $4) as done",
            args![
                caller.id,
                caller.allows(MANAGE),
                provider,
                Value::Object(row)
            ],
        )
        .await;
    let changed = on_secret(changed).on_constraint("provider_environment", from_environment())?;
    if !changed.done {
        return Err(not_found());
    }
    one(&db, &caller, provider).await.map(Json)
}

fn from_environment() -> Problem {
    Problem::conflict(
        "provider-from-environment",
        "This provider follows a variable of the server's environment. Change it there.",
    )
}

/// Deletes a provider, its prices, and the targets of aliases that name it.
#[utoipa::path(
    delete, path = "/api/llm/providers/{provider}", tag = "models", operation_id = "delete_llm_provider",
    params(("provider" = Uuid, Path, description = "The provider's id")),
    responses(
        (status = 204, description = "The provider was deleted"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`provider-from-environment`"),
    ),
    security(("token" = ["llm:provide"]))
)]
pub async fn delete(db: Db, caller: Caller, Path(provider): Path<Uuid>) -> Result<StatusCode> {
    let known = one(&db, &caller, provider).await?;
    if known.environment && caller.allows(MANAGE) {
        return Err(from_environment());
    }
    let deleted: Done = db
        .one(
            "select llm.delete_provider($1, $2, $3) as done",
            args![caller.id, caller.allows(MANAGE), provider],
        )
        .await?;
    if !deleted.done {
        return Err(not_found());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Asks a provider for its models, which shows whether its address and key are right.
#[utoipa::path(
    post, path = "/api/llm/providers/{provider}/check", tag = "models", operation_id = "check_llm_provider",
    params(("provider" = Uuid, Path, description = "The provider's id")),
    responses((status = 200, body = Checked), (status = 404, description = "`not-found`")),
    security(("token" = ["llm:provide"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn check(db: Db, caller: Caller, Path(provider): Path<Uuid>) -> Result<Json<Checked>> {
    let target: Option<Target> = db
        .optional(
            "select id as provider_id, name as provider, '' as model, protocol, url, secret_id, environment
             from provider p where id = $2 and owner in (select o.owner from owners_of($1) o)",
            args![caller.id, provider],
        )
        .await?;
    let target = target.ok_or_else(not_found)?;
    let ledger = db.apart();
    drop(db);
    let began = Instant::now();
    let listed = models_of(&caller, &target).await;
    let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (models, error) = match listed {
        Ok(models) => (models, None),
        Err(detail) => (Vec::new(), Some(detail)),
    };
    if error.is_none() {
        ledger
            .execute(
                "select llm.note_models($1, $2)",
                args![provider, models.clone()],
            )
            .await?;
    }
    Ok(Json(Checked {
        ok: error.is_none(),
        latency_ms,
        models,
        error,
    }))
}

/// The models that a provider lists, or why it does not.
async fn models_of(caller: &Caller, target: &Target) -> std::result::Result<Vec<String>, String> {
    let version = ("anthropic-version", "2023-06-01".to_owned());
    let sent = Sent {
        method: Method::GET,
        address: egress::address_of(target, "models"),
        secret: target.secret_id,
        environment: target.environment,
        key_header: target.protocol.key_header(),
        account: caller.id,
        attempt: None,
        headers: if target.protocol == Protocol::Anthropic {
            vec![version]
        } else {
            Vec::new()
        },
        body: Bytes::new(),
        total: CHECK_WITHIN,
        idle: CHECK_WITHIN,
        whole: CHECK_WITHIN,
    };
    let response = egress::send(sent).await.map_err(|fault| fault.detail)?;
    let body = Limited::new(response.into_body(), MAX_LIST_BYTES)
        .collect()
        .await;
    let body = body
        .map_err(|_| "The provider's list of models broke off.".to_owned())?
        .to_bytes();
    let list: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(models) = list["data"].as_array() else {
        return Err("The provider answered something that is not a list of models.".to_owned());
    };
    let names = models.iter().filter_map(|model| model["id"].as_str());
    let names = names.filter(|name| name.len() <= 200 && !name.contains('\0'));
    Ok(names.take(MAX_MODELS).map(str::to_owned).collect())
}
