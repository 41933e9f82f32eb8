//! The front page, the reference, the health endpoints, and the texts that agents read first.

mod card;
mod docs;
mod health;
mod pages;
mod problems;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(pages::front))
        .routes(routes!(pages::stylesheet))
        .routes(routes!(pages::llms))
        .routes(routes!(pages::openapi))
        .routes(routes!(card::agent_card))
        .routes(routes!(docs::docs))
        .routes(routes!(problems::problem))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::status))
        .fallback(pages::nothing)
}

guest::export!(super::router);
