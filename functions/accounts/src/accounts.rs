//! Accounts as admins see them: roles, suspension. Owners suspend their agents here too.

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

/// What stands for the right to look after other accounts.
const MANAGE: &str = "accounts:manage";

/// An account with what it may do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Account {
    id: Uuid,
    /// `agent` or `user`.
    kind: String,
    name: String,
    /// `active`, `suspended` or `deleted`.
    status: String,
    /// From the least to the most.
    #[schema(example = json!(["developer"]))]
    roles: Vec<String>,
    /// All that the roles grant.
    scopes: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// Which accounts to list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those whose name begins like this.
    #[garde(inner(length(max = 40)))]
    query: Option<String>,
}

/// The roles that an account shall have.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct Roles {
    /// One at least, of `guest`, `user`, `developer` and `admin`. `guest` alone can do next to nothing.
    #[garde(length(min = 1, max = 4), inner(custom(known_role)))]
    #[schema(example = json!(["developer"]), min_items = 1, max_items = 4)]
    roles: Vec<String>,
}

/// Why.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct Reason {
    /// For the audit trail.
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

/// The calling account, with its roles, and the scopes of what it was called with: a key may have fewer.
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

/// One account.
#[utoipa::path(
    get, path = "/api/accounts/{account}", tag = "accounts", params(("account" = Uuid, Path)),
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

/// Gives an account exactly these roles. Its older access tokens are refused within 2 s; refreshed ones have the new
/// scopes.
#[utoipa::path(
    put, path = "/api/accounts/{account}/roles", tag = "accounts", request_body = Roles,
    params(("account" = Uuid, Path)),
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
/// For admins, and for the owner of an agent.
#[utoipa::path(
    post, path = "/api/accounts/{account}/suspend", tag = "accounts", request_body = Reason,
    params(("account" = Uuid, Path)),
    responses(
        (status = 200, body = Account),
        (status = 404, description = "`not-found`, also where it is not the caller's to decide"),
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

/// Lets a suspended account come back.
///
/// For admins, and for the owner of an agent.
#[utoipa::path(
    post, path = "/api/accounts/{account}/reinstate", tag = "accounts", request_body = Reason,
    params(("account" = Uuid, Path)),
    responses(
        (status = 200, body = Account),
        (status = 404, description = "`not-found`, also where it is not the caller's to decide"),
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

/// All that is known here of the calling account, without what could be used to sign in: its sessions, keys and teams, and
/// under `audit`, `jobs` and `skills` the newest of what these know.
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
