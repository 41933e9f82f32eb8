//! Pipelines: graphs of steps, kept as data in numbered versions, and their runs. The work of driving a run is
//! `components/pipeline-run`.

mod control;
mod definition;
mod pipelines;
mod problems;
mod runs;
mod start;
mod steps;
mod versions;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(pipelines::list, pipelines::create))
        .routes(routes!(definition::validate))
        .routes(routes!(
            pipelines::get,
            pipelines::change,
            pipelines::archive
        ))
        .routes(routes!(versions::list, versions::publish))
        .routes(routes!(versions::get))
        .routes(routes!(start::start))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(steps::list))
        .routes(routes!(steps::get))
        .routes(routes!(control::cancel))
        .routes(routes!(control::signal))
        .routes(routes!(control::resolve))
        .routes(routes!(start::restart))
}

guest::export!(super::router);
