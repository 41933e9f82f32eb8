//! Pipelines: graphs of steps, kept as data in numbered versions, their runs, and schedules. The work is done by
//! `components/pipeline-run` and `components/schedule-dispatch`.

mod control;
mod definition;
mod deliveries;
mod firings;
mod graph;
mod pipelines;
mod problems;
mod restart;
mod rights;
mod runs;
mod schedule_input;
mod schedules;
mod start;
mod steps;
mod triggers;
mod values;
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
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(control::signal))
        .routes(routes!(control::resolve))
        .routes(routes!(restart::restart))
        .routes(routes!(schedules::list, schedules::create))
        .routes(routes!(schedules::preview))
        .routes(routes!(
            schedules::get,
            schedules::change,
            schedules::delete
        ))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(firings::run))
        .routes(routes!(firings::list))
        .routes(routes!(graph::get))
        .routes(routes!(triggers::list, triggers::create))
        .routes(routes!(triggers::get, triggers::change, triggers::delete))
        .routes(routes!(triggers::firings))
        .routes(routes!(deliveries::receive))
}

guest::export!(super::router);
