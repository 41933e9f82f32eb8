//! Memory: what agents and people have noted, from whom, found by its words and its meaning, until told to forget. Who may
//! do what in which scope is decided by the database function `memory.level` alone.

mod blocks;
mod consolidation;
mod forgetting;
mod history;
mod input;
mod memories;
mod packing;
mod problems;
mod recall;
mod search;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(memories::list, memories::add))
        .routes(routes!(search::search))
        .routes(routes!(recall::recall))
        .routes(routes!(consolidation::consolidate))
        .routes(routes!(forgetting::forget))
        .routes(routes!(blocks::list))
        .routes(routes!(blocks::get, blocks::put, blocks::delete))
        .routes(routes!(memories::get, memories::change, memories::delete))
        .routes(routes!(history::versions))
        .routes(routes!(history::sources))
}

guest::export!(super::router);
