//! API keys, which programs present instead of signing in. They carry scopes of their account, never more.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{
    API_KEY_PREFIX, Caller, Client, Created, Db, Input, Items, OWN_ACCOUNT, Page, Path, Problem,
    Result, args,
};
use principal::{Secret, printable, sane_time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An API key without its secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// The key's id.
    id: Uuid,
    /// The key's name, as its owner chose it.
    #[schema(example = "ci")]
    name: String,
    /// The first characters of the secret, to recognise it.
    #[schema(example = "gk_Ab3x")]
    hint: String,
    /// The scopes of the key. They apply as far as the account still has them.
    scopes: Vec<String>,
    /// The time at which the key was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time at which the key expires; null if it does not expire.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// The time of the last use, to the minute; null if it was never used.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
}

/// An API key to make.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewApiKey)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// The key's name, for its owner.
    #[garde(length(chars, min = 1, max = 100), custom(printable))]
    #[schema(example = "ci", min_length = 1, max_length = 100)]
    name: String,
    /// The scopes of the key, among those that the caller has. Without any, the key can read what any account can.
    #[garde(length(max = 50))]
    #[schema(example = json!(["skills:call"]), max_items = 50)]
    scopes: Vec<String>,
    /// The time at which the key expires, in the future; absent if it should not expire.
    #[garde(inner(custom(sane_time)))]
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// A new key with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedKey {
    #[serde(flatten)]
    record: ApiKey,
    /// The secret for `Authorization: Bearer`. It is shown only now.
    #[schema(example = "gk_…")]
    key: String,
}

/// Makes an API key for the calling account.
///
/// The secret is shown once, so `Idempotency-Key` is not honoured: delete a key whose answer was lost. A key can't have
/// the scope `account:manage`.
#[utoipa::path(
    post, path = "/api/keys", tag = "keys", request_body = NewKey,
    responses(
        (status = 201, body = CreatedKey, headers(("Location" = String))),
        (status = 403, description = "`forbidden`: the caller does not have one of the scopes"),
        (status = 409, description = "`too-many-keys`"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    client: Client,
    Input(new): Input<NewKey>,
) -> Result<Created<CreatedKey>> {
    if new
        .expires_at
        .is_some_and(|at| at <= OffsetDateTime::now_utc())
    {
        return Err(Problem::invalid("expires_at", "must be in the future"));
    }
    let mut scopes = new.scopes;
    scopes.sort();
    scopes.dedup();
    if scopes.iter().any(|scope| scope == OWN_ACCOUNT) {
        return Err(Problem::invalid(
            "scopes",
            "a key can't have `account:manage`",
        ));
    }
    if let Some(scope) = scopes.iter().find(|scope| !has(&caller, scope)) {
        return Err(Problem::forbidden(format!(
            "You can't give a key the scope `{}`, which you don't have.",
            scope.chars().take(50).collect::<String>()
        )));
    }
    let secret = Secret::new(API_KEY_PREFIX);
    let hint: String = secret.text().chars().take(7).collect();
    let record: ApiKey = db
        .one(
            "select k.id, k.name, k.hint, k.scopes, k.created_at, k.expires_at, k.last_used_at
             from identity.create_key($1, $2, $3, $4, $5, $6, $7::text::timestamptz, $8) k",
            args![
                caller.id,
                caller.session,
                new.name,
                secret.hash(),
                hint,
                scopes,
                new.expires_at,
                json!(client)
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint(
            "api_key_count",
            Problem::conflict(
                "too-many-keys",
                "An account can have 100 keys. Delete one first.",
            ),
        )?;
    let created = CreatedKey {
        key: secret.text().to_owned(),
        record,
    };
    Ok(Created::at(
        format!("/api/keys/{}", created.record.id),
        created,
    ))
}

/// Whether a scope is among the caller's own. A name that `admin:all` merely implies may not be a scope at all.
fn has(caller: &Caller, scope: &str) -> bool {
    caller.scope.split(' ').any(|granted| granted == scope)
}

/// Lists the calling account's keys, the newest first.
#[utoipa::path(
    get, path = "/api/keys", tag = "keys", params(guest::PageParams),
    responses((status = 200, body = Items<ApiKey>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["account:manage"]))
)]
pub async fn list(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<ApiKey>>> {
    let keys: Vec<ApiKey> = db
        .many(
            "select id, name, hint, scopes, created_at, expires_at, last_used_at from identity.api_key
             where account_id = $1 and revoked_at is null and ($2::uuid is null or id < $2)
             order by id desc limit $3",
            args![caller.id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(keys, |key| key.id)))
}

/// Reads one key of the calling account.
#[utoipa::path(
    get, path = "/api/keys/{key}", tag = "keys", params(("key" = Uuid, Path, description = "The key's id.")),
    responses((status = 200, body = ApiKey), (status = 404, description = "`not-found`")),
    security(("token" = ["account:manage"]))
)]
pub async fn get(db: Db, caller: Caller, Path(key): Path<Uuid>) -> Result<Json<ApiKey>> {
    let found = db
        .optional(
            "select id, name, hint, scopes, created_at, expires_at, last_used_at from identity.api_key
             where account_id = $1 and id = $2 and revoked_at is null",
            args![caller.id, key],
        )
        .await?;
    found.map(Json).ok_or_else(|| Problem::not_found("key"))
}

/// Revokes a key of the calling account, which is refused everywhere within 2 s.
#[utoipa::path(
    delete, path = "/api/keys/{key}", tag = "keys", params(("key" = Uuid, Path, description = "The key's id.")),
    responses((status = 204, description = "The key was revoked."), (status = 404, description = "`not-found`")),
    security(("token" = ["account:manage"]))
)]
pub async fn revoke(
    db: Db,
    caller: Caller,
    client: Client,
    Path(key): Path<Uuid>,
) -> Result<StatusCode> {
    let revoked: Vec<serde_json::Value> = db
        .many(
            "with revoked as (
                 update identity.api_key set revoked_at = clock_timestamp()
                 where account_id = $1 and id = $2 and revoked_at is null returning id
             )
             select audit.record($1, 'key.revoked', id::text, true, $3, $4) from revoked",
            args![caller.id, key, client.address, client.request_id],
        )
        .await?;
    if revoked.is_empty() {
        return Err(Problem::not_found("key"));
    }
    Ok(StatusCode::NO_CONTENT)
}
