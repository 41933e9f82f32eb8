//! Personas, sources of tools, circles, conversations and turns: agents that the platform thinks for, and whom they talk with. Their thinking
//! is done by jobs, `components/agent-turn`.

mod a2a;
mod circles;
mod conversations;
mod definition;
mod forks;
mod input;
mod members;
mod messages;
mod outcome;
mod personas;
mod problems;
mod proposals;
mod receipts;
mod scenarios;
mod sources;
mod turns;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(personas::list, personas::create))
        .routes(routes!(personas::get, personas::change, personas::delete))
        .routes(routes!(personas::version))
        .routes(routes!(sources::list, sources::add))
        .routes(routes!(sources::get, sources::remove))
        .routes(routes!(sources::accept))
        .routes(routes!(scenarios::list))
        .routes(routes!(scenarios::get))
        .routes(routes!(circles::list, circles::create))
        .routes(routes!(circles::get, circles::change, circles::delete))
        .routes(routes!(members::join))
        .routes(routes!(members::leave))
        .routes(routes!(members::list, members::add))
        .routes(routes!(members::put, members::remove))
        .routes(routes!(proposals::list, proposals::propose))
        .routes(routes!(proposals::vote))
        .routes(routes!(conversations::list, conversations::create))
        .routes(routes!(
            conversations::get,
            conversations::change,
            conversations::delete
        ))
        .routes(routes!(messages::list, messages::post))
        .routes(routes!(turns::of_conversation))
        .routes(routes!(turns::next))
        .routes(routes!(turns::list))
        .routes(routes!(turns::get))
        .routes(routes!(turns::steps))
        .routes(routes!(receipts::get))
        .routes(routes!(a2a::card::get))
        .routes(routes!(a2a::rpc::call))
        .routes(routes!(turns::cancel))
        .routes(routes!(turns::retry))
        .routes(routes!(forks::fork))
        .routes(routes!(turns::complete))
}

guest::export!(super::router);
