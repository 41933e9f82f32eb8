//! Secrets that are handed to the programs of claws in containers.

use std::collections::BTreeMap;

use axum::Json;

use guest::{Caller, Db, Egress, Problem, Result, Via, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The client of the way out, with the name by which it knows this function.
const EGRESS: Egress = Egress("claws");
/// The scope for grants of secrets.
const GRANTS: &str = "vault:write";

/// The secrets of a claw that are handed to its program.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ClawSecrets {
    /// The values by the names that the claw has for them. Secrets whose `use` puts them into requests are absent.
    secrets: BTreeMap<String, String>,
    /// The problem codes of those that are refused, by the same names: `not-found`, `secret-expired` or `secret-not-granted`.
    refused: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    handed: Option<Handed>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Handed {
    Named {
        owner: Uuid,
        secrets: BTreeMap<String, Option<Uuid>>,
    },
    Refused {
        #[allow(dead_code, reason = "it tells this answer from the other")]
        refused: bool,
    },
}

/// Checks that the caller may grant secrets, if there are any: a claw in a container is granted those that it is given.
///
/// # Errors
/// 403 for a caller without the scope.
pub fn may_grant<S>(caller: &Caller, secrets: impl IntoIterator<Item = S>) -> Result<()> {
    if secrets.into_iter().next().is_some() && !caller.allows(GRANTS) {
        return Err(Problem::insufficient_scope(GRANTS));
    }
    Ok(())
}

/// Reads the values of those secrets of the calling claw that are handed to containers. Only the program of its newest
/// container may, in a session of the key that it has enrolled. Each value that is read, and each refusal, is among the uses
/// of the secret.
#[utoipa::path(
    get, path = "/api/claws/me/secrets", tag = "claws", operation_id = "read_claw_secrets",
    responses(
        (status = 200, body = ClawSecrets),
        (status = 403, description = "`forbidden`: the caller is not the newest container's program, or the claw is not to run"),
        (status = 404, description = "`not-found`: the caller is not a claw in a container"),
        (status = 503, description = "`egress-unavailable`"),
    ),
    security(("token" = [])),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn read(db: Db, caller: Caller) -> Result<Json<ClawSecrets>> {
    let found: Row = db
        .one(
            "select handed($1, $2) as handed",
            args![caller.id, caller.session],
        )
        .await?;
    let found = found.handed.ok_or_else(|| Problem::not_found("claw"))?;
    // A component that acts for the claw, or a key that was made for it, is not its program.
    let is_own = caller.via == Via::Token && caller.act.is_none();
    let Handed::Named { owner, secrets } = found else {
        return Err(refused());
    };
    if !is_own {
        return Err(refused());
    }
    // The connection to the database goes back, since the way out asks it too.
    drop(db);
    let ids: Vec<Uuid> = secrets.values().flatten().copied().collect();
    let handed = EGRESS.hand(owner, caller.id, &ids).await?;
    let mut answer = ClawSecrets {
        secrets: BTreeMap::new(),
        refused: BTreeMap::new(),
    };
    for (name, id) in secrets {
        let Some(id) = id else {
            answer.refused.insert(name, "not-found".to_owned());
            continue;
        };
        if let Some(value) = handed.values.get(&id) {
            answer.secrets.insert(name, value.clone());
        } else if let Some(code) = handed.refused.get(&id).cloned() {
            answer.refused.insert(name, code);
        }
    }
    Ok(Json(answer))
}

fn refused() -> Problem {
    Problem::forbidden(
        "Secrets are handed to the program of the claw's newest container alone, signed in with the key that it has enrolled.",
    )
}
