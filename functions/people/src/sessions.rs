//! The sessions of an account.

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
    /// The session's id.
    id: Uuid,
    /// Whether this request belongs to the session.
    current: bool,
    /// The way in which the session was opened: `key`, `password`, `passkey` or `provider`.
    method: String,
    /// The address that opened the session; for IPv6 the network.
    address: Option<String>,
    /// The user agent, as the client stated it.
    user_agent: Option<String>,
    /// The time at which the session was opened.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time at which the session was last refreshed.
    #[serde(with = "time::serde::rfc3339")]
    refreshed_at: OffsetDateTime,
    /// The time at which the session ends unless it is refreshed.
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

/// The session of this request, with the token that pages of this site need for changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Current {
    #[serde(flatten)]
    session: Session,
    /// The value for `X-CSRF-Token`; null unless the session was presented by its cookie.
    csrf_token: Option<String>,
}

/// Reads the session of this request.
#[utoipa::path(
    get, path = "/api/sessions/current", tag = "sessions",
    responses((status = 200, body = Current), (status = 404, description = "`not-found`: the request does not belong to a session")),
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

/// Ends the session of this request, and removes the cookie.
#[utoipa::path(
    delete, path = "/api/sessions/current", tag = "sessions",
    responses((status = 204, description = "The session was ended."), (status = 404, description = "`not-found`: the request does not belong to a session")),
    security(("token" = ["account:manage"]))
)]
pub async fn end_current(db: Db, caller: Caller, client: Client) -> Result<Response> {
    revoke(&db, &caller, &client, Some(caller.session)).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    sign_in::clear_cookie(&mut response)?;
    Ok(response)
}

/// Ends all of the caller's sessions, including this one.
#[utoipa::path(
    delete, path = "/api/sessions", tag = "sessions",
    responses((status = 204, description = "All sessions were ended."), (status = 404, description = "`not-found`: the caller has no session")),
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
    params(("session" = Uuid, Path, description = "The session's id.")),
    responses((status = 204, description = "The session was ended."), (status = 404, description = "`not-found`")),
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

/// Ends one session, or all. Their access tokens are refused everywhere within 2 s.
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
