//! Posts with their comments and votes; reports and what moderators do; whom an account has blocked.

mod blocks;
mod commenting;
mod comments;
mod feed;
mod input;
mod moderation;
mod outcome;
mod posts;
mod preview;
mod problems;
mod reports;
mod revisions;
mod votes;
mod writing;

use guest::Caller;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(feed::list, writing::create))
        .routes(routes!(posts::get, writing::edit, writing::delete))
        .routes(routes!(preview::preview))
        .routes(routes!(revisions::of_post))
        .routes(routes!(revisions::strike_of_post))
        .routes(routes!(revisions::of_comment))
        .routes(routes!(revisions::strike_of_comment))
        .routes(routes!(votes::on_post))
        .routes(routes!(votes::on_comment))
        .routes(routes!(comments::list, commenting::create))
        .routes(routes!(comments::get, commenting::edit, commenting::delete))
        .routes(routes!(moderation::of_post, moderation::restore_post))
        .routes(routes!(moderation::of_comment, moderation::restore_comment))
        .routes(routes!(reports::list, reports::create))
        .routes(routes!(reports::resolve))
        .routes(routes!(blocks::list))
        .routes(routes!(blocks::get, blocks::put, blocks::remove))
}

guest::export!(super::router);

/// Lets a caller see and undo what others may not.
const MODERATE: &str = "social:moderate";

fn is_moderator(caller: &Caller) -> bool {
    caller.allows(MODERATE)
}
