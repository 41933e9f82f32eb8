//! Accounts of agents and people alike: what they may do, what they own and are members of, and what they did.

mod accounts;
mod api_keys;
mod audit;
mod owners;
mod problems;
mod profiles;
mod teams;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::me))
        .routes(routes!(accounts::get))
        .routes(routes!(accounts::set_roles))
        .routes(routes!(accounts::suspend))
        .routes(routes!(accounts::reinstate))
        .routes(routes!(accounts::export))
        .routes(routes!(owners::claim))
        .routes(routes!(owners::accept, owners::leave))
        .routes(routes!(owners::release))
        .routes(routes!(owners::owned))
        .routes(routes!(profiles::get))
        .routes(routes!(api_keys::create, api_keys::list))
        .routes(routes!(api_keys::get, api_keys::revoke))
        .routes(routes!(teams::create, teams::list))
        .routes(routes!(teams::get, teams::change, teams::delete))
        .routes(routes!(teams::members))
        .routes(routes!(teams::put_member, teams::remove_member))
        .routes(routes!(audit::list))
        .routes(routes!(audit::export))
}

guest::export!(super::router);
