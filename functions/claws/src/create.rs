//! The request that makes a claw.

use std::collections::BTreeMap;

use agent_parts::{Budget, storable};
use axum::Json;
use axum::http::{HeaderName, StatusCode, header::LOCATION};
use garde::Validate;
use guest::db::{Error, OnConstraint};
use guest::{Caller, Db, Input, Moment, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::claws::Claw;
use crate::input::{
    Expiry, OnBusy, Trigger, account_name, check_env, check_secrets, check_triggers, persona_ref,
    reference, usual_triggers,
};
use crate::key;
use crate::secrets::may_grant;
use crate::times::schedules;

/// A claw to make.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClaw {
    /// The name of its account.
    #[garde(custom(account_name))]
    #[schema(pattern = "^[a-z0-9-]{3,40}$", example = "helper")]
    name: String,
    /// The id or name of a persona, with `@` and a version to stay at that one.
    #[garde(custom(persona_ref))]
    #[schema(example = "researcher")]
    persona: String,
    /// The name of a template; `wasm`, which needs no container, if absent.
    #[garde(inner(custom(reference)))]
    template: Option<String>,
    /// The ids or names of channels that it shall be in: public ones, and those that the caller leads.
    #[garde(length(max = 50), inner(custom(reference)))]
    #[serde(default)]
    #[schema(max_items = 50)]
    channels: Vec<String>,
    /// The triggers that shall wake it; `direct` and `mention` if absent.
    #[garde(custom(check_triggers))]
    #[serde(default = "usual_triggers")]
    #[schema(max_items = 20)]
    triggers: Vec<Trigger>,
    /// Its secrets by name: `vault:<name>`.
    #[garde(custom(check_secrets))]
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    /// Its variables by name.
    #[garde(custom(check_env))]
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Of the scopes that the caller's token has, those that it shall have; all of them if absent.
    #[garde(inner(length(max = 40), inner(custom(reference))))]
    #[schema(max_items = 40)]
    scopes: Option<Vec<String>>,
    /// The ids or names of the accounts that decide about its calls of tools: the caller, its owner, its agents, and members of
    /// its teams; the caller if absent.
    #[garde(inner(length(min = 1, max = 20), inner(custom(reference))))]
    #[schema(min_items = 1, max_items = 20)]
    approvers: Option<Vec<String>>,
    /// Whether it has an A2A card, and everybody who is signed in may talk with it at the caller's cost.
    #[garde(skip)]
    #[serde(default)]
    public: bool,
    /// The most that it may spend; the caller's limits alone count if absent.
    #[garde(inner(custom(storable)))]
    budget: Option<Budget>,
    /// The time at which it expires; it does not if absent.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Moment>,
    /// The end that it comes to when it expires; it is stopped if absent.
    #[garde(skip)]
    on_expiry: Option<Expiry>,
    /// After how many milliseconds with nothing to do it is paused, until it is spoken to; it is not if absent.
    #[garde(inner(range(min = 1_000, max = 31_536_000_000)))]
    #[schema(minimum = 1_000, maximum = 31_536_000_000_f64)]
    idle_ms: Option<i64>,
    /// The way in which it takes what is written while it thinks; `queue` if absent.
    #[garde(skip)]
    on_busy: Option<OnBusy>,
}

/// A claw, and the job that makes of it what is wanted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AcceptedClaw)]
pub struct Accepted {
    /// The claw as it is now.
    claw: Claw,
    /// The job; null if nothing was left to do.
    job: Option<Work>,
}

/// The job that makes of a claw what is wanted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawJob)]
struct Work {
    /// The job's id.
    id: Uuid,
}

/// An answer to a request that takes longer, with the place where the claw is read.
pub type Answer = (StatusCode, [(HeaderName, String); 1], Json<Accepted>);

impl Accepted {
    /// The answer that has it.
    pub fn answer(self) -> Answer {
        let location = format!("/api/claws/{}", self.claw.id);
        (StatusCode::ACCEPTED, [(LOCATION, location)], Json(self))
    }
}

#[derive(Debug, Deserialize)]
struct Made {
    made: Accepted,
}

/// The problems that refusals of what a claw is made of mean for the client.
pub fn refusals<T>(result: std::result::Result<T, Error>) -> Result<T> {
    let result = result
        .on_constraint(
            "seat_persona",
            Problem::invalid("persona", "must be a persona that you may use"),
        )
        .on_constraint(
            "claw_scopes",
            Problem::new(
                StatusCode::FORBIDDEN,
                "scopes-exceed-owner",
                "A claw can have those scopes only that its owner and the caller's token have.",
            ),
        )
        .on_constraint(
            "claw_steering",
            Problem::new(
                StatusCode::FORBIDDEN,
                "scopes-exceed-owner",
                "The claw has scopes that your token has not. What it thinks with is for a token that has them all.",
            ),
        )
        .on_constraint(
            "claw_secrets",
            Problem::invalid("secrets", "must name secrets that its owner may see"),
        )
        .on_constraint(
            "claw_approvers",
            Problem::invalid(
                "approvers",
                "must name yourself, your owner, your agents, or members of a team that you are in",
            ),
        )
        .on_constraint(
            "claw_channels",
            Problem::invalid(
                "channels",
                "must name public channels, or those to which you may add it",
            ),
        )
        .on_constraint(
            "claw_topic",
            Problem::invalid("triggers", "must have topics that the claw may read"),
        )
        .on_constraint(
            "schedule_count",
            Problem::invalid(
                "triggers",
                "are too many: an account has at most 1,000 schedules",
            ),
        )
        .on_constraint(
            "claw_settings_size",
            Problem::invalid("env", "is too large, with the secrets and the triggers"),
        );
    Ok(result?)
}

/// Makes a claw: its account with its key, in its channels, with its persona, secrets and triggers. It runs when the job is
/// done; what is written to it until then waits.
#[utoipa::path(
    post, path = "/api/claws", tag = "claws", operation_id = "create_claw", request_body = NewClaw,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 202, body = Accepted, headers(("Location" = String))),
        (status = 403, description = "`scopes-exceed-owner`; `forbidden`: times need `schedules:write` and `chat:create`, and secrets `vault:write`"),
        (status = 409, description = "`name-taken`, `too-many-claws`, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`, `template-unknown`"),
        (status = 503, description = "`backend-unavailable`: nothing makes containers here"),
    ),
    security(("token" = ["claws:create"]))
)]
pub async fn create(db: Db, caller: Caller, Input(new): Input<NewClaw>) -> Result<Answer> {
    may_grant(&caller, &new.secrets)?;
    let mut said = json!(new);
    said["schedules"] = schedules(&caller, &new.triggers)?;
    said["held"] = json!(caller.scopes());
    let key_id = Uuid::now_v7();
    let key = key::public(key_id).await?;
    let made = db
        .one(
            "select create_claw($1, $2, decode($3, 'base64'), $4) as made",
            args![caller.id, said, key, key_id],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint(
            "account_name_key",
            Problem::conflict("name-taken", "Another account has this name."),
        )
        .on_constraint("account_name_free", Problem::invalid("name", "is reserved"))
        .on_constraint(
            "claw_count",
            Problem::conflict("too-many-claws", "An account has at most 100 claws."),
        )
        .on_constraint(
            "claw_backend",
            Problem::unavailable(
                "backend-unavailable",
                "Nothing makes containers here: the provisioner has never answered. Ask the operator, or leave `template` out.",
                60,
            ),
        )
        .on_constraint(
            "claw_template",
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "template-unknown",
                "There is no such template.",
            ),
        );
    let Made { made } = refusals(made)?;
    Ok(made.answer())
}
