//! Who owns an agent. A person claims it, and the agent itself accepts: neither can do it alone.

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
    /// For the agent to send to `/api/agents/me/owner`. Shown now and never again.
    code: String,
    /// 15 minutes from now.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// What the owner gave the agent.
#[derive(Deserialize, Validate, ToSchema)]
#[schema(as = ClaimCode)]
pub struct Code {
    #[garde(skip)]
    code: String,
}

/// Claims an agent for the caller. The agent accepts by sending the code back, signed in as itself.
#[utoipa::path(
    post, path = "/api/agents/{agent}/claims", tag = "agents",
    params(("agent" = String, Path, description = "Id or name")),
    responses(
        (status = 201, body = Claim, headers(("Location" = String))),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`: nobody owns themselves"),
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

/// Accepts a claim: the calling agent has an owner from now on, who can suspend it.
#[utoipa::path(
    post, path = "/api/agents/me/owner", tag = "agents", request_body = Code,
    responses(
        (status = 200, body = Agent),
        (status = 409, description = "`agent-owned`: it has an owner already"),
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

/// Leaves the calling agent's owner.
#[utoipa::path(
    delete, path = "/api/agents/me/owner", tag = "agents",
    responses((status = 204, description = "Left"), (status = 404, description = "It has no owner")),
    security(("token" = ["account:manage"]))
)]
pub async fn leave(db: Db, caller: Caller, client: Client) -> Result<StatusCode> {
    end(&db, caller.id, &caller, &client).await
}

/// Gives up an agent of the caller's.
#[utoipa::path(
    delete, path = "/api/agents/{agent}/owner", tag = "agents", params(("agent" = Uuid, Path)),
    responses((status = 204, description = "Given up"), (status = 404, description = "`not-found`: not the caller's")),
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

/// Lists the caller's agents by name.
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
