//! The Model Context Protocol over streamable HTTP, without sessions: the tools of every approved skill, and the
//! platform's own endpoints as tools. Revisions 2026-07-28 and 2025-11-25.

mod endpoint;
mod metadata;
mod names;
mod rpc;
mod tools;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(endpoint::mcp))
        .routes(routes!(metadata::root))
        .routes(routes!(metadata::resource))
}

guest::export!(super::router);
