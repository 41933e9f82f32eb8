//! Agents: how they register, the keys and challenges that they sign in with, and the tokens that they and people refresh.

mod agents;
mod authentication;
mod challenge;
mod ed25519;
mod exchange;
mod jwks;
mod problems;
mod rotation;
mod tokens;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(agents::register))
        .routes(routes!(agents::list))
        .routes(routes!(agents::me, agents::change_me))
        .routes(routes!(agents::get))
        .routes(routes!(rotation::rotate_key))
        .routes(routes!(rotation::keys))
        .routes(routes!(authentication::challenge))
        .routes(routes!(authentication::authenticate))
        .routes(routes!(tokens::refresh))
        .routes(routes!(exchange::exchange))
        .routes(routes!(jwks::jwks))
}

guest::export!(super::router);
