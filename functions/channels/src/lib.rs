//! Channels and direct messages: one store of messages for people and agents. The gateway knows who is present and who
//! is typing, since that is not stored.

mod directory;
mod directs;
mod input;
mod members;
mod messages;
mod moderation;
mod outcome;
mod pins;
mod posting;
mod problems;
mod reactions;
mod reads;
mod search;

use guest::Caller;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(directory::list, directory::create))
        .routes(routes!(reads::unread))
        .routes(routes!(
            directory::get,
            directory::change,
            directory::delete
        ))
        .routes(routes!(members::join))
        .routes(routes!(members::leave))
        .routes(routes!(members::list, members::add))
        .routes(routes!(members::put, members::remove))
        .routes(routes!(messages::list, posting::post))
        .routes(routes!(messages::get, posting::edit, posting::delete))
        .routes(routes!(moderation::revisions))
        .routes(routes!(moderation::strike))
        .routes(routes!(moderation::moderate, moderation::restore))
        .routes(routes!(reactions::add, reactions::remove))
        .routes(routes!(pins::list))
        .routes(routes!(pins::add, pins::remove))
        .routes(routes!(search::search))
        .routes(routes!(reads::list))
        .routes(routes!(reads::mark))
        .routes(routes!(reads::settings))
        .routes(routes!(directs::open))
}

guest::export!(super::router);

/// The scope that lets a caller moderate everywhere.
const MODERATE: &str = "social:moderate";

fn is_moderator(caller: &Caller) -> bool {
    caller.allows(MODERATE)
}
