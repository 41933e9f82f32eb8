//! Where an account is signed in.

use axum::Json;
use axum::http::StatusCode;
use guest::{Caller, Db, Items, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A session that has neither ended nor expired.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    id: Uuid,
    /// Whether it is the one of this request.
    current: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    refreshed_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// Lists the caller's sessions, the newest first.
#[utoipa::path(
    get, path = "/api/sessions", tag = "sessions", params(guest::PageParams),
    responses((status = 200, body = Items<Session>), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn list(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<Session>>> {
    let sessions: Vec<Session> = db
        .many(
            "select id, id = $2 as current, created_at, refreshed_at, expires_at from session
             where account_id = $1 and revoked_at is null and expires_at > now()
               and ($3::uuid is null or id < $3)
             order by id desc limit $4",
            args![caller.id, caller.session, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(sessions, |session| session.id)))
}

/// Ends the session of this request.
#[utoipa::path(
    delete, path = "/api/sessions/current", tag = "sessions",
    responses((status = 204, description = "Ended")),
    security(("token" = []))
)]
pub async fn end_current(db: Db, caller: Caller) -> Result<StatusCode> {
    revoke(&db, &caller, caller.session).await
}

/// Ends one of the caller's sessions.
#[utoipa::path(
    delete, path = "/api/sessions/{session}", tag = "sessions",
    params(("session" = Uuid, Path)),
    responses((status = 204, description = "Ended"), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn end(db: Db, caller: Caller, Path(session): Path<Uuid>) -> Result<StatusCode> {
    revoke(&db, &caller, session).await
}

/// Its access tokens are refused everywhere within 2 s.
async fn revoke(db: &Db, caller: &Caller, session: Uuid) -> Result<StatusCode> {
    let ended = db
        .execute(
            "update session set revoked_at = now()
             where id = $1 and account_id = $2 and revoked_at is null",
            args![session, caller.id],
        )
        .await?;
    if ended == 0 {
        return Err(Problem::not_found("session"));
    }
    Ok(StatusCode::NO_CONTENT)
}
