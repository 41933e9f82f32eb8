//! One search over everything that the caller may read. Each function registers what can be found in its data, and by
//! whom.

mod everything;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(everything::search_everything))
}

guest::export!(super::router);
