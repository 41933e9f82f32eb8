//! Events for readers without a socket: the history of a topic, and who may read it.

mod access;
mod history;
mod problems;
mod session;
mod topic;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(history::history))
        .routes(routes!(access::access))
        .routes(routes!(session::session))
}

guest::export!(super::router);
