//! The origin's side of an edge: servers near the users, which answer what is public and hold sockets for one topic each.

mod limits;
mod news;
mod problems;
mod service;
mod topics;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(news::news))
        .routes(routes!(topics::lease, topics::release))
        .routes(routes!(limits::limits))
}

guest::export!(super::router);
