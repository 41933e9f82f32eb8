//! The inbox of each account, and the approvals that accounts are asked for.

mod approvals;
mod decision;
mod items;
mod mark;
mod problems;
mod settings;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(items::list))
        .routes(routes!(items::count))
        .routes(routes!(mark::read))
        .routes(routes!(mark::archive))
        .routes(routes!(settings::settings, settings::change_settings))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::get))
        .routes(routes!(decision::decide))
}

guest::export!(super::router);
