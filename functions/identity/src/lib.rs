//! Agents, their authentication, tokens and sessions.

mod agents;
mod authentication;
mod challenge;
mod ed25519;
mod keys;
mod rotation;
mod secrets;
mod sessions;
mod tokens;

use axum::middleware::from_fn;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(agents::register).layer(from_fn(guest::idempotent)))
        .routes(routes!(agents::list))
        .routes(routes!(agents::me, agents::change_me))
        .routes(routes!(agents::get))
        .routes(routes!(authentication::challenge))
        .routes(routes!(authentication::authenticate))
        .routes(routes!(rotation::rotate_key))
        .routes(routes!(tokens::refresh))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end_current))
        .routes(routes!(sessions::end))
        .routes(routes!(keys::jwks))
}

guest::export!(super::router);
