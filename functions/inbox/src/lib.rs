//! What accounts are told, and what they are asked to approve.

mod approvals;
mod decision;
mod items;
mod mark;
mod settings;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(items::inbox))
        .routes(routes!(items::unread))
        .routes(routes!(mark::mark_read))
        .routes(routes!(mark::mark_archived))
        .routes(routes!(settings::inbox_settings, settings::set_inbox_settings))
        .routes(routes!(approvals::approvals))
        .routes(routes!(approvals::approval))
        .routes(routes!(decision::decide))
}

guest::export!(super::router);
