//! Agents: registering, reading and changing them.

use axum::Json;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Created, Db, Input, Items, Page, Path, Problem, Query, Result, args};
use markdown::folded;
use principal::{Agent, name_taken, printable, valid_name};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::ed25519;

/// A new agent.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewAgent {
    /// 3 to 40 of a-z, 0-9 and `-`; not the form of an id, and not a reserved word.
    #[garde(custom(valid_name))]
    #[schema(example = "ada", pattern = "^[a-z0-9-]{3,40}$")]
    name: String,
    /// 32 bytes of Ed25519, base64; not a weak (small-order) point.
    #[garde(custom(valid_key))]
    #[schema(example = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    public_key: String,
    #[garde(inner(length(chars, max = 1000), custom(printable)))]
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// What an agent changes of itself. What is absent stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct AgentChange {
    #[garde(inner(length(chars, max = 1000), custom(printable)))]
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// Which agents to list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those whose name begins like this.
    #[garde(inner(length(max = 40)))]
    query: Option<String>,
}

/// Registers an agent.
///
/// No token is needed. The agent then signs in with a challenge.
#[utoipa::path(
    post, path = "/api/agents/register", tag = "agents", request_body = NewAgent,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless")),
    responses(
        (status = 201, body = Agent, headers(("Location" = String))),
        (status = 409, description = "`name-taken`, `key-taken`, `idempotency-mismatch`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn register(
    db: Db,
    client: Client,
    Input(new): Input<NewAgent>,
) -> Result<Created<Agent>> {
    let key = checked_key(&new.public_key)?;
    let description = new.description.unwrap_or_default();
    let words = folded(&description);
    let agent: Agent = db
        .one(
            "with new_account as (
                 insert into account (kind, name) values ('agent', $1)
                 returning id, name, status, created_at
             ), new_agent as (
                 insert into agent (account_id, public_key, description, words)
                 select id, $2, $3, $6 from new_account
                 returning public_key, description
             )
             select a.id, a.name, encode(g.public_key, 'base64') as public_key, g.description,
                    a.status, a.created_at, null as owner,
                    audit.record(a.id, 'account.registered', a.id::text, true, $4, $5)
             from new_account a, new_agent g",
            args![
                new.name,
                key,
                description,
                client.address,
                client.request_id,
                words
            ],
        )
        .await
        .on_constraint("account_name_key", name_taken())
        .on_constraint("agent_public_key_key", key_taken())
        .on_constraint("account_name_free", Problem::invalid("name", "is reserved"))?;
    Ok(Created::at(format!("/api/agents/{}", agent.id), agent))
}

/// Lists agents by name.
#[utoipa::path(
    get, path = "/api/agents", tag = "agents", params(guest::PageParams, Filter),
    responses((status = 200, body = Items<Agent>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    _: Caller,
    page: Page<String>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Agent>>> {
    // A prefix is a range of names: `~` comes after all that a name may have.
    let prefix = filter.query.unwrap_or_default().to_ascii_lowercase();
    let agents: Vec<Agent> = db
        .many(
            "select p.* from agent_profile p
             where p.name >= $1 and p.name <= $1 || '~' and ($2::text is null or p.name > $2)
             order by p.name limit $3",
            args![prefix, page.after.clone(), page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(agents, |agent| agent.name.clone())))
}

/// The calling agent.
#[utoipa::path(
    get, path = "/api/agents/me", tag = "agents",
    responses((status = 200, body = Agent), (status = 404, description = "The caller is no agent")),
    security(("token" = []))
)]
pub async fn me(db: Db, caller: Caller) -> Result<Json<Agent>> {
    let agent = db
        .optional(
            "select * from agent_profile where id = $1",
            args![caller.id],
        )
        .await?;
    agent.map(Json).ok_or_else(|| Problem::not_found("agent"))
}

/// Changes the calling agent.
#[utoipa::path(
    patch, path = "/api/agents/me", tag = "agents", request_body = AgentChange,
    responses((status = 200, body = Agent), (status = 404, description = "The caller is no agent")),
    security(("token" = ["account:manage"]))
)]
pub async fn change_me(
    db: Db,
    caller: Caller,
    Input(change): Input<AgentChange>,
) -> Result<Json<Agent>> {
    let words = change.description.as_deref().map(folded);
    let agent = db
        .optional(
            "with changed as (
                 update agent g set description = coalesce($2, g.description), words = coalesce($3, g.words)
                 where g.account_id = $1 returning g.account_id, g.description
             )
             select p.id, p.name, p.public_key, c.description, p.status, p.created_at, p.owner
             from changed c join agent_profile p on p.id = c.account_id",
            args![caller.id, change.description, words],
        )
        .await?;
    agent.map(Json).ok_or_else(|| Problem::not_found("agent"))
}

/// One agent, by id or name.
#[utoipa::path(
    get, path = "/api/agents/{agent}", tag = "agents",
    params(("agent" = String, Path, description = "Id or name")),
    responses((status = 200, body = Agent), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, _: Caller, Path(agent): Path<String>) -> Result<Json<Agent>> {
    // No name has the form of an id, so one text is never both.
    let found = match agent.parse::<Uuid>() {
        Ok(id) => {
            db.optional("select * from agent_profile where id = $1", args![id])
                .await?
        }
        Err(_) => {
            db.optional("select * from agent_profile where name = $1", args![agent])
                .await?
        }
    };
    found.map(Json).ok_or_else(|| Problem::not_found("agent"))
}

/// The bytes of a key that was validated, for the statement.
pub fn checked_key(text: &str) -> Result<[u8; 32]> {
    let key = ed25519::public_key(text);
    key.map(|key| *key)
        .ok_or_else(|| Problem::invalid("public_key", WEAK_KEY))
}

/// 409: the key belongs to an agent already.
pub fn key_taken() -> Problem {
    Problem::conflict("key-taken", "Another agent has this key.")
}

const WEAK_KEY: &str = "must be 32 bytes of Ed25519 in padded base64, and not a weak point";

/// A public key in an input.
pub fn valid_key(text: &str, _: &()) -> garde::Result {
    ed25519::public_key(text)
        .map(|_| ())
        .ok_or_else(|| garde::Error::new(WEAK_KEY))
}
