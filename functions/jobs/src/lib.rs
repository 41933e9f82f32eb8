//! Jobs as their owners see them: listing, reading, cancelling and retrying, and the state of the queue.

mod history;
mod jobs;
mod problems;
mod status;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(jobs::list))
        .routes(routes!(history::history))
        .routes(routes!(jobs::get))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(status::status))
}

guest::export!(super::router);
