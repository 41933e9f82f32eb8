//! API keys: what a program presents instead of signing in. They carry scopes of their account, never more.

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

/// An API key, without what it is used by.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    id: Uuid,
    #[schema(example = "ci")]
    name: String,
    /// Its first characters.
    #[schema(example = "gk_Ab3x")]
    hint: String,
    /// What it may do, as far as the account may at that time.
    scopes: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// To the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    last_used_at: Option<OffsetDateTime>,
}

/// A new key.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewApiKey)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    #[garde(length(chars, min = 1, max = 100), custom(printable))]
    #[schema(example = "ci", min_length = 1, max_length = 100)]
    name: String,
    /// Scopes that the caller has; none: it can read what any account can.
    #[garde(length(max = 50))]
    #[schema(example = json!(["skills:call"]), max_items = 50)]
    scopes: Vec<String>,
    /// In the future; absent: it does not expire.
    #[garde(inner(custom(sane_time)))]
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// A new key with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedKey {
    #[serde(flatten)]
    record: ApiKey,
    /// For `Authorization: Bearer`. Shown now and never again.
    #[schema(example = "gk_…")]
    key: String,
}

/// Makes an API key of the calling account.
///
/// Its secret is shown once, so `Idempotency-Key` is not honoured: a key that got lost on the way is to be deleted.
/// `account:manage` is no scope for a key.
#[utoipa::path(
    post, path = "/api/keys", tag = "keys", request_body = NewKey,
    responses(
        (status = 201, body = CreatedKey, headers(("Location" = String))),
        (status = 403, description = "`forbidden`: a scope that the caller does not have"),
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

/// A name that stands in the caller's scopes: what merely follows from `admin:all` may be no scope at all.
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

/// One key of the calling account.
#[utoipa::path(
    get, path = "/api/keys/{key}", tag = "keys", params(("key" = Uuid, Path)),
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

/// Revokes a key of the calling account: it is refused everywhere within 2 s.
#[utoipa::path(
    delete, path = "/api/keys/{key}", tag = "keys", params(("key" = Uuid, Path)),
    responses((status = 204, description = "Revoked"), (status = 404, description = "`not-found`")),
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
