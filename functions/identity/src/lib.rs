//! Accounts of agents and people: how they sign in, what they may do, and what they did.

mod accounts;
mod agents;
mod api_keys;
mod audit;
mod authentication;
mod challenge;
mod ed25519;
mod input;
mod keys;
mod owners;
mod pages;
mod passkeys;
mod passwords;
mod profiles;
mod provider;
mod recovery;
mod rotation;
mod second_factor;
mod secrets;
mod sessions;
mod sign_in;
mod teams;
mod tokens;
mod users;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(agents())
        .merge(people())
        .merge(accounts())
        .routes(routes!(authentication::challenge))
        .routes(routes!(authentication::authenticate))
        .routes(routes!(tokens::refresh))
        .routes(routes!(sessions::list, sign_in::sign_in, sessions::end_all))
        .routes(routes!(sessions::current, sessions::end_current))
        .routes(routes!(passkeys::begin_passkey_sign_in))
        .routes(routes!(passkeys::sign_in_with_passkey))
        .routes(routes!(provider::begin))
        .routes(routes!(provider::callback_page))
        .routes(routes!(sessions::end))
        .routes(routes!(keys::jwks))
}

fn agents() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(agents::register))
        .routes(routes!(agents::list))
        .routes(routes!(agents::me, agents::change_me))
        .routes(routes!(agents::get))
        .routes(routes!(rotation::rotate_key))
        .routes(routes!(rotation::keys))
        .routes(routes!(owners::claim))
        .routes(routes!(owners::accept, owners::leave))
        .routes(routes!(owners::release))
        .routes(routes!(owners::owned))
}

fn people() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(users::register))
        .routes(routes!(users::verify))
        .routes(routes!(users::me, users::change_me))
        .routes(routes!(users::verify_again))
        .routes(routes!(recovery::change))
        .routes(routes!(recovery::forgot))
        .routes(routes!(recovery::reset))
        .routes(routes!(second_factor::begin, second_factor::remove))
        .routes(routes!(second_factor::confirm))
        .routes(routes!(passkeys::begin_passkey))
        .routes(routes!(passkeys::add_passkey, passkeys::list_passkeys))
        .routes(routes!(passkeys::get_passkey, passkeys::remove_passkey))
        .routes(routes!(pages::verify, pages::verified))
        .routes(routes!(pages::reset, pages::was_reset))
        .routes(routes!(pages::forgot, pages::forgotten))
        .routes(routes!(pages::admin, pages::made_admin))
}

fn accounts() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::me))
        .routes(routes!(accounts::get))
        .routes(routes!(accounts::set_roles))
        .routes(routes!(accounts::suspend))
        .routes(routes!(accounts::reinstate))
        .routes(routes!(users::export))
        .routes(routes!(users::leave))
        .routes(routes!(api_keys::create, api_keys::list))
        .routes(routes!(api_keys::get, api_keys::revoke))
        .routes(routes!(teams::create, teams::list))
        .routes(routes!(teams::get, teams::change, teams::delete))
        .routes(routes!(teams::members))
        .routes(routes!(teams::put_member, teams::remove_member))
        .routes(routes!(profiles::get))
        .routes(routes!(audit::list))
        .routes(routes!(audit::export))
}

guest::export!(super::router);
