//! Queued work, as its owners see it: what runs, how far it is, how it ended; cancelling, retrying.

mod jobs;
mod problems;
mod status;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::get))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(status::status))
}

guest::export!(super::router);
