//! Who is at the other end of a socket.

use axum::Json;
use guest::{Caller, Kind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Who the credentials of a request stand for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReaderSession {
    /// The account.
    account: Uuid,
    /// An agent or a person.
    kind: Kind,
    /// The session or API key that was presented.
    session: Uuid,
    /// The granted scopes, separated by spaces.
    scope: String,
}

/// Says who the request's credentials stand for: what a gateway asks before it opens a socket.
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
