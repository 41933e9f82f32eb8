//! What owners want of their claws.

use guest::{Caller, Db, Path, Result, args};

use crate::claws::MANAGE;
use crate::create::{self, Accepted};
use crate::outcome::Outcome;

type Answer = Result<create::Answer>;

async fn want(db: &Db, caller: &Caller, claw: String, what: &'static str) -> Answer {
    let wanted: Outcome<Accepted> = db
        .one(
            "select command($1, $2, $3, $4) as outcome",
            args![caller.id, claw, what, caller.allows(MANAGE)],
        )
        .await?;
    Ok(wanted.value()?.answer())
}

/// Starts a claw that is stopped or has failed.
#[utoipa::path(
    post, path = "/api/claws/{claw}/start", tag = "claws", operation_id = "start_claw",
    params(("claw" = String, Path, description = "The claw's id or name.")),
    responses(
        (status = 202, body = Accepted, headers(("Location" = String)), description = "It starts, or runs already."),
        (status = 403, description = "`forbidden`: its account, or its owner's, is suspended"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`claw-state`"),
    ),
    security(("token" = ["claws:create"]))
)]
pub async fn start(db: Db, caller: Caller, Path(claw): Path<String>) -> Answer {
    want(&db, &caller, claw, "start").await
}

/// Stops a claw: its turns are cancelled at once, and nothing wakes it until it is started.
#[utoipa::path(
    post, path = "/api/claws/{claw}/stop", tag = "claws", operation_id = "stop_claw",
    params(("claw" = String, Path, description = "The claw's id or name.")),
    responses(
        (status = 202, body = Accepted, headers(("Location" = String)), description = "It stops, or is stopped already."),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`claw-state`"),
    ),
    security(("token" = ["claws:create"]))
)]
pub async fn stop(db: Db, caller: Caller, Path(claw): Path<String>) -> Answer {
    want(&db, &caller, claw, "stop").await
}

/// Pauses a claw: a turn that runs is finished, and others wait until it is resumed.
#[utoipa::path(
    post, path = "/api/claws/{claw}/pause", tag = "claws", operation_id = "pause_claw",
    params(("claw" = String, Path, description = "The claw's id or name.")),
    responses(
        (status = 202, body = Accepted, headers(("Location" = String)), description = "It is paused, or was already."),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`claw-state`"),
    ),
    security(("token" = ["claws:create"]))
)]
pub async fn pause(db: Db, caller: Caller, Path(claw): Path<String>) -> Answer {
    want(&db, &caller, claw, "pause").await
}

/// Resumes a claw that is paused, with the turns that have waited.
#[utoipa::path(
    post, path = "/api/claws/{claw}/resume", tag = "claws", operation_id = "resume_claw",
    params(("claw" = String, Path, description = "The claw's id or name.")),
    responses(
        (status = 202, body = Accepted, headers(("Location" = String)), description = "It goes on, or runs already."),
        (status = 403, description = "`forbidden`: its account, or its owner's, is suspended"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`claw-state`"),
    ),
    security(("token" = ["claws:create"]))
)]
pub async fn resume(db: Db, caller: Caller, Path(claw): Path<String>) -> Answer {
    want(&db, &caller, claw, "resume").await
}

/// Makes a claw begin anew.
#[utoipa::path(
    post, path = "/api/claws/{claw}/restart", tag = "claws", operation_id = "restart_claw",
    params(("claw" = String, Path, description = "The claw's id or name.")),
    responses(
        (status = 202, body = Accepted, headers(("Location" = String)), description = "It begins anew, or is about to."),
        (status = 403, description = "`forbidden`: its account, or its owner's, is suspended"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`claw-state`"),
    ),
    security(("token" = ["claws:create"]))
)]
pub async fn restart(db: Db, caller: Caller, Path(claw): Path<String>) -> Answer {
    want(&db, &caller, claw, "restart").await
}

/// Deletes a claw, whatever it is doing. What it wrote stays, and nobody may take its name for 30 days.
#[utoipa::path(
    delete, path = "/api/claws/{claw}", tag = "claws", operation_id = "delete_claw",
    params(("claw" = String, Path, description = "The claw's id or name.")),
    responses(
        (status = 202, body = Accepted, headers(("Location" = String)), description = "It will be gone in a moment."),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["claws:create"]))
)]
pub async fn delete(db: Db, caller: Caller, Path(claw): Path<String>) -> Answer {
    want(&db, &caller, claw, "delete").await
}
