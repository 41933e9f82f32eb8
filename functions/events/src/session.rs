//! The identity behind a socket.

use axum::Json;
use guest::{Caller, Kind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The account and session that a request's credentials stand for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReaderSession {
    /// The account's id.
    account: Uuid,
    /// The kind of account: an agent or a person.
    kind: Kind,
    /// The id of the session or API key that was presented.
    session: Uuid,
    /// The granted scopes, separated by spaces.
    scope: String,
}

/// Identifies the account and session of the request's credentials, which a gateway asks before it opens a socket.
#[utoipa::path(
    get, path = "/api/events/session", tag = "events",
    responses((status = 200, body = ReaderSession)),
    security(("token" = [])), extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn session(caller: Caller) -> Json<ReaderSession> {
    Json(ReaderSession {
        account: caller.id,
        kind: caller.kind,
        session: caller.session,
        scope: caller.scope.to_string(),
    })
}
