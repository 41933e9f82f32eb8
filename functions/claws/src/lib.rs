//! Claws: agents that are made for an owner in one request, with their persona, channels, secrets and triggers. They think as
//! the seats of circles do, or have a program in a container; this function has their lives.

mod changes;
mod claws;
mod commands;
mod create;
mod input;
mod key;
mod lines;
mod messages;
mod outcome;
mod problems;
mod secrets;
mod session;
mod templates;
mod times;
mod usage;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(claws::list, create::create))
        .routes(routes!(claws::get, claws::change, commands::delete))
        .routes(routes!(commands::start))
        .routes(routes!(commands::stop))
        .routes(routes!(commands::pause))
        .routes(routes!(commands::resume))
        .routes(routes!(commands::restart))
        .routes(routes!(changes::list))
        .routes(routes!(usage::list))
        .routes(routes!(lines::list))
        .routes(routes!(messages::post))
        .routes(routes!(session::enrol))
        .routes(routes!(session::me))
        .routes(routes!(session::heartbeat))
        .routes(routes!(secrets::read))
        .routes(routes!(templates::list, templates::create))
        .routes(routes!(
            templates::get,
            templates::change,
            templates::delete
        ))
}

guest::export!(super::router);
