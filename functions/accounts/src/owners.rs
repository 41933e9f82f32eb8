//! Ownership of agents. A person claims an agent, and the agent accepts: neither can do it alone.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use principal::{Agent, Secret, digest};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::accounts::called;

/// A claim to give to the agent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Claim {
    /// The code that the agent sends to `/api/agents/me/owner`. It is shown only now.
    code: String,
    /// The time at which the claim expires, 15 minutes from now.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// The code that the owner gave to the agent.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = ClaimCode)]
pub struct Code {
    /// The code of the claim.
    #[garde(skip)]
    code: String,
}

/// Claims an agent for the caller. The agent accepts by sending the code back, signed in as itself.
#[utoipa::path(
    post, path = "/api/agents/{agent}/claims", tag = "agents",
    params(("agent" = String, Path, description = "The agent's id or name.")),
    responses(
        (status = 201, body = Claim, headers(("Location" = String))),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`: an agent can't own itself"),
    ),
    security(("token" = ["agents:own"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn claim(
    db: Db,
    caller: Caller,
    client: Client,
    Path(agent): Path<String>,
) -> Result<Created<Claim>> {
    #[derive(Deserialize)]
    struct Row {
        agent: Uuid,
        #[serde(with = "time::serde::rfc3339")]
        expires_at: OffsetDateTime,
    }
    let code = Secret::new("gc_");
    let claimed: Option<Row> = db
        .optional(
            "select c.agent, c.expires_at from identity.claim_agent($1, $2, $3, $4) c",
            args![called(agent), caller.id, code.hash(), json!(client)],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint(
            "agent_owns_itself",
            Problem::invalid("agent", "can't own itself"),
        )?;
    let Row { agent, expires_at } = claimed.ok_or_else(|| Problem::not_found("agent"))?;
    let claim = Claim {
        code: code.into_text(),
        expires_at,
    };
    Ok(Created::at(format!("/api/agents/{agent}"), claim))
}

/// Accepts a claim, so that the calling agent has an owner, who can suspend it.
#[utoipa::path(
    post, path = "/api/agents/me/owner", tag = "agents", request_body = Code,
    responses(
        (status = 200, body = Agent),
        (status = 409, description = "`agent-owned`: the agent already has an owner"),
        (status = 410, description = "`claim-expired`"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn accept(
    db: Db,
    caller: Caller,
    client: Client,
    Input(given): Input<Code>,
) -> Result<Json<Agent>> {
    let agent = db
        .optional(
            "select p.* from identity.accept_claim($1, $2, $3) p",
            args![caller.id, digest(&given.code), json!(client)],
        )
        .await
        .on_constraint(
            "agent_owned",
            Problem::conflict("agent-owned", "The agent has an owner. Release it first."),
        )?;
    agent.map(Json).ok_or_else(|| {
        let detail = "This claim is not for this agent, or too old. Ask its owner for a new one.";
        Problem::new(StatusCode::GONE, "claim-expired", detail)
    })
}

/// Ends the ownership of the calling agent.
#[utoipa::path(
    delete, path = "/api/agents/me/owner", tag = "agents",
    responses((status = 204, description = "The agent has no owner any more."), (status = 404, description = "`not-found`: the agent does not have an owner")),
    security(("token" = ["account:manage"]))
)]
pub async fn leave(db: Db, caller: Caller, client: Client) -> Result<StatusCode> {
    end(&db, caller.id, &caller, &client).await
}

/// Ends the caller's ownership of an agent.
#[utoipa::path(
    delete, path = "/api/agents/{agent}/owner", tag = "agents", params(("agent" = Uuid, Path, description = "The agent's id.")),
    responses((status = 204, description = "The caller does not own the agent any more."), (status = 404, description = "`not-found`: the caller does not own the agent")),
    security(("token" = ["agents:own"]))
)]
pub async fn release(
    db: Db,
    caller: Caller,
    client: Client,
    Path(agent): Path<Uuid>,
) -> Result<StatusCode> {
    end(&db, agent, &caller, &client).await
}

async fn end(db: &Db, agent: Uuid, caller: &Caller, client: &Client) -> Result<StatusCode> {
    #[derive(Deserialize)]
    struct Row {
        released: bool,
    }
    let row: Row = db
        .one(
            "select identity.release_agent($1, $2, $3) as released",
            args![agent, caller.id, json!(client)],
        )
        .await?;
    if row.released {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("owned agent"))
    }
}

/// Lists the agents that the caller owns, by name.
#[utoipa::path(
    get, path = "/api/accounts/me/agents", tag = "accounts", params(guest::PageParams),
    responses((status = 200, body = Items<Agent>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn owned(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<Agent>>> {
    let agents: Vec<Agent> = db
        .many(
            "select p.* from identity.agent g join identity.agent_profile p on p.id = g.account_id
             where g.owner_id = $1 and ($2::uuid is null or g.account_id > $2)
             order by g.account_id limit $3",
            args![caller.id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(agents, |agent| agent.id)))
}
