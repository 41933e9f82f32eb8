//! Where an account is signed in.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use guest::{
    Caller, Client, Db, Items, Page, Path, Problem, Result, SESSION_COOKIE, Via, args, cookie,
    csrf_token as csrf_token_of,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::sign_in;

/// A session that has neither ended nor expired.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    id: Uuid,
    /// Whether it is the one of this request.
    current: bool,
    /// How it was opened: `key`, `password`, `passkey` or `provider`.
    method: String,
    /// From where; of IPv6 the network.
    address: Option<String>,
    /// What the client said it is.
    user_agent: Option<String>,
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
    responses((status = 200, body = Items<Session>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["account:manage"]))
)]
pub async fn list(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<Session>>> {
    let sessions: Vec<Session> = db
        .many(
            "select id, id = $2 as current, method, address, user_agent, created_at, refreshed_at, expires_at from identity.session
             where account_id = $1 and revoked_at is null and expires_at > now()
               and ($3::uuid is null or id < $3)
             order by id desc limit $4",
            args![caller.id, caller.session, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(sessions, |session| session.id)))
}

/// The session of this request, and what a page of ours needs to change anything.
#[derive(Debug, Serialize, ToSchema)]
pub struct Current {
    #[serde(flatten)]
    session: Session,
    /// For `X-CSRF-Token`, where the session was presented by its cookie.
    csrf_token: Option<String>,
}

/// The session of this request.
#[utoipa::path(
    get, path = "/api/sessions/current", tag = "sessions",
    responses((status = 200, body = Current), (status = 404, description = "The caller has no session")),
    security(("token" = ["account:manage"]))
)]
pub async fn current(db: Db, caller: Caller, headers: HeaderMap) -> Result<Json<Current>> {
    let session: Option<Session> = db
        .optional(
            "select id, true as current, method, address, user_agent, created_at, refreshed_at, expires_at
             from identity.session where account_id = $1 and id = $2",
            args![caller.id, caller.session],
        )
        .await?;
    let by_cookie = caller.via == Via::Cookie;
    let csrf_token = cookie(&headers, SESSION_COOKIE).filter(|_| by_cookie);
    Ok(Json(Current {
        session: session.ok_or_else(|| Problem::not_found("session"))?,
        csrf_token: csrf_token.map(csrf_token_of),
    }))
}

/// Ends the session of this request, and takes the cookie away.
#[utoipa::path(
    delete, path = "/api/sessions/current", tag = "sessions",
    responses((status = 204, description = "Ended"), (status = 404, description = "The caller has no session")),
    security(("token" = ["account:manage"]))
)]
pub async fn end_current(db: Db, caller: Caller, client: Client) -> Result<Response> {
    revoke(&db, &caller, &client, Some(caller.session)).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    sign_in::clear_cookie(&mut response)?;
    Ok(response)
}

/// Ends all of the caller's sessions, this one too.
#[utoipa::path(
    delete, path = "/api/sessions", tag = "sessions",
    responses((status = 204, description = "Ended"), (status = 404, description = "There is none")),
    security(("token" = ["account:manage"]))
)]
pub async fn end_all(db: Db, caller: Caller, client: Client) -> Result<Response> {
    revoke(&db, &caller, &client, None).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    sign_in::clear_cookie(&mut response)?;
    Ok(response)
}

/// Ends one of the caller's sessions.
#[utoipa::path(
    delete, path = "/api/sessions/{session}", tag = "sessions",
    params(("session" = Uuid, Path)),
    responses((status = 204, description = "Ended"), (status = 404, description = "`not-found`")),
    security(("token" = ["account:manage"]))
)]
pub async fn end(
    db: Db,
    caller: Caller,
    client: Client,
    Path(session): Path<Uuid>,
) -> Result<StatusCode> {
    revoke(&db, &caller, &client, Some(session)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One session, or all. Their access tokens are refused everywhere within 2 s.
async fn revoke(db: &Db, caller: &Caller, client: &Client, session: Option<Uuid>) -> Result<()> {
    let ended: Vec<serde_json::Value> = db
        .many(
            "with ended as (
                 update identity.session set revoked_at = clock_timestamp()
                 where account_id = $1 and ($2::uuid is null or id = $2)
                   and revoked_at is null and expires_at > now()
                 returning id
             )
             select audit.record($1, 'session.ended', string_agg(id::text, ' '), true, $3, $4)
             from ended having count(*) > 0",
            args![caller.id, session, &client.address, &client.request_id],
        )
        .await?;
    if ended.is_empty() {
        return Err(Problem::not_found("session"));
    }
    Ok(())
}
