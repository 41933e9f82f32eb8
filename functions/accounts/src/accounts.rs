//! Accounts as admins see them: roles and suspension. Owners suspend their agents here too.

use axum::Json;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Db, Input, Items, Page, Path, Problem, Query, Result, args};
use principal::{last_admin, printable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The scope that allows managing other accounts.
const MANAGE: &str = "accounts:manage";

/// An account with its roles and scopes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// The account's id.
    id: Uuid,
    /// The kind of account: `agent` or `user`.
    kind: String,
    /// The account's name.
    name: String,
    /// The account's status: `active`, `suspended` or `deleted`.
    status: String,
    /// The account's roles, from the least to the most powerful.
    #[schema(example = json!(["developer"]))]
    roles: Vec<String>,
    /// The scopes that the roles grant.
    scopes: Vec<String>,
    /// The time at which the account was created.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The filters of a list of accounts.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only accounts whose name begins with this text.
    #[garde(inner(length(max = 40)))]
    query: Option<String>,
}

/// The roles to give to an account.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct Roles {
    /// The roles, at least one of `guest`, `user`, `developer` and `admin`. `guest` alone may do almost nothing.
    #[garde(length(min = 1, max = 4), inner(custom(known_role)))]
    #[schema(example = json!(["developer"]), min_items = 1, max_items = 4)]
    roles: Vec<String>,
}

/// The reason for a suspension or its end.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct Reason {
    /// The reason, as the audit trail will show it.
    #[garde(inner(length(chars, max = 500), custom(printable)))]
    #[schema(max_length = 500)]
    reason: Option<String>,
}

fn known_role(role: &str, _: &()) -> garde::Result {
    if ["guest", "user", "developer", "admin"].contains(&role) {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be `guest`, `user`, `developer` or `admin`",
    ))
}

/// Lists accounts by name.
#[utoipa::path(
    get, path = "/api/accounts", tag = "accounts", params(guest::PageParams, Filter),
    responses((status = 200, body = Items<Account>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["accounts:manage"]))
)]
pub async fn list(
    db: Db,
    _: Caller,
    page: Page<String>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Account>>> {
    let prefix = filter.query.unwrap_or_default().to_ascii_lowercase();
    let accounts: Vec<Account> = db
        .many(
            "select v.* from identity.account_view v
             where v.name >= $1 and v.name <= $1 || '~' and ($2::text is null or v.name > $2)
             order by v.name limit $3",
            args![prefix, page.after.clone(), page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(accounts, |account| account.name.clone())))
}

/// An account's id or name, as the database takes it: an id has one form there.
pub fn called(account: String) -> String {
    match account.parse::<Uuid>() {
        Ok(id) => id.to_string(),
        Err(_) => account,
    }
}

/// Reads the calling account, with its roles.
///
/// The scopes are those of the credential that the request carries; an API key may have fewer than its account.
#[utoipa::path(
    get, path = "/api/accounts/me", tag = "accounts",
    responses((status = 200, body = Account)),
    security(("token" = []))
)]
pub async fn me(db: Db, caller: Caller) -> Result<Json<Account>> {
    let Json(mut account) = read(&db, caller.id).await?;
    account.scopes = caller.scope.split_whitespace().map(str::to_owned).collect();
    Ok(Json(account))
}

/// Reads one account.
#[utoipa::path(
    get, path = "/api/accounts/{account}", tag = "accounts", params(("account" = Uuid, Path, description = "The account's id.")),
    responses((status = 200, body = Account), (status = 404, description = "`not-found`")),
    security(("token" = ["accounts:manage"]))
)]
pub async fn get(db: Db, _: Caller, Path(account): Path<Uuid>) -> Result<Json<Account>> {
    read(&db, account).await
}

async fn read(db: &Db, account: Uuid) -> Result<Json<Account>> {
    let found = db
        .optional(
            "select * from identity.account_view where id = $1",
            args![account],
        )
        .await?;
    found.map(Json).ok_or_else(|| Problem::not_found("account"))
}

/// Gives an account exactly these roles.
///
/// Its older access tokens are refused within 2 s; refreshed ones have the new scopes.
#[utoipa::path(
    put, path = "/api/accounts/{account}/roles", tag = "accounts", request_body = Roles,
    params(("account" = Uuid, Path, description = "The account's id.")),
    responses(
        (status = 200, body = Account),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`last-admin`"),
    ),
    security(("token" = ["admin:all"]))
)]
pub async fn set_roles(
    db: Db,
    caller: Caller,
    client: Client,
    Path(account): Path<Uuid>,
    Input(wanted): Input<Roles>,
) -> Result<Json<Account>> {
    let changed = db
        .optional(
            "select v.* from identity.set_roles($1, $2, $3, $4, $5) v",
            args![
                account,
                wanted.roles,
                caller.id,
                client.address,
                client.request_id
            ],
        )
        .await
        .on_constraint("last_admin", last_admin())?;
    changed
        .map(Json)
        .ok_or_else(|| Problem::not_found("account"))
}

/// Suspends an account: its sessions end, and its keys and tokens are refused within 2 s.
///
/// Admins can do this, and the owner of an agent.
#[utoipa::path(
    post, path = "/api/accounts/{account}/suspend", tag = "accounts", request_body = Reason,
    params(("account" = Uuid, Path, description = "The account's id.")),
    responses(
        (status = 200, body = Account),
        (status = 404, description = "`not-found`, also if the caller may not decide about the account"),
        (status = 409, description = "`last-admin`"),
    ),
    security(("token" = ["agents:own"]))
)]
pub async fn suspend(
    db: Db,
    caller: Caller,
    client: Client,
    Path(account): Path<Uuid>,
    Input(why): Input<Reason>,
) -> Result<Json<Account>> {
    set_status(&db, &caller, &client, account, "suspended", why.reason).await
}

/// Reinstates a suspended account.
///
/// Admins can do this, and the owner of an agent.
#[utoipa::path(
    post, path = "/api/accounts/{account}/reinstate", tag = "accounts", request_body = Reason,
    params(("account" = Uuid, Path, description = "The account's id.")),
    responses(
        (status = 200, body = Account),
        (status = 404, description = "`not-found`, also if the caller may not decide about the account"),
    ),
    security(("token" = ["agents:own"]))
)]
pub async fn reinstate(
    db: Db,
    caller: Caller,
    client: Client,
    Path(account): Path<Uuid>,
    Input(why): Input<Reason>,
) -> Result<Json<Account>> {
    set_status(&db, &caller, &client, account, "active", why.reason).await
}

async fn set_status(
    db: &Db,
    caller: &Caller,
    client: &Client,
    account: Uuid,
    status: &str,
    reason: Option<String>,
) -> Result<Json<Account>> {
    let changed = db
        .optional(
            "select v.* from identity.set_status($1, $2, $3, $4, $5, $6, $7) v",
            args![
                account,
                status,
                reason,
                caller.id,
                caller.allows(MANAGE),
                &client.address,
                &client.request_id
            ],
        )
        .await
        .on_constraint("last_admin", last_admin())?;
    changed
        .map(Json)
        .ok_or_else(|| Problem::not_found("account"))
}

/// Exports everything that is stored about the calling account.
///
/// Data that could be used to sign in is left out. Sessions, keys and teams are included, and the newest entries of
/// other functions under `audit`, `jobs` and `skills`.
#[utoipa::path(
    get, path = "/api/accounts/me/export", tag = "accounts",
    responses((status = 200, body = Object)),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("bulk")))
)]
pub async fn export(db: Db, caller: Caller) -> Result<Json<Value>> {
    #[derive(Deserialize)]
    struct Row {
        export: Value,
    }
    let row: Row = db
        .one("select identity.export($1) as export", args![caller.id])
        .await?;
    Ok(Json(row.export))
}
