//! Refresh tokens: each is exchanged once for the next pair.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Client, Db, Input, Problem, Result, args};
use principal::{Granted, Secret, Tokens, digest, grant, signing_key};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// A refresh token to use up.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct Refreshed {
    #[garde(skip)]
    refresh_token: String,
}

/// Exchanges a refresh token for a new pair.
///
/// It works once. A second use means that somebody has a copy, so the whole session is revoked.
#[utoipa::path(
    post, path = "/api/tokens/refresh", tag = "authentication", request_body = Refreshed,
    responses(
        (status = 200, body = Tokens),
        (status = 401, description = "`refresh-failed`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn refresh(
    db: Db,
    client: Client,
    Input(given): Input<Refreshed>,
) -> Result<Json<Tokens>> {
    let next = Secret::refresh();
    let granted: Option<Granted> = db
        .optional(
            "select g.* from identity.refresh($1, $2, $3, $4) g",
            args![
                digest(&given.refresh_token),
                next.hash(),
                json!(client),
                signing_key::remembered_kid()
            ],
        )
        .await?;
    let granted = granted.ok_or_else(|| {
        let detail = "This refresh token is not valid, or was used before.";
        Problem::new(StatusCode::UNAUTHORIZED, "refresh-failed", detail)
    })?;
    grant(&db, granted, next).await.map(Json)
}
