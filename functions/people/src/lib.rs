//! People: how they register and prove who they are, and the sessions that they and agents have.
//!
//! `/api/sessions` is where people sign in with a password, so all of it is here.

mod ceremony;
mod email;
mod id_token;
mod leaving;
mod new_admin;
mod passkey_sign_in;
mod passkeys;
mod passwords;
mod problems;
mod provider;
mod recovery;
mod second_factor;
mod sessions;
mod sign_in;
mod users;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(people())
        .merge(sessions())
        .routes(routes!(leaving::leave))
}

fn people() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(users::register))
        .routes(routes!(new_admin::register_admin))
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
}

fn sessions() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(sessions::list, sign_in::sign_in, sessions::end_all))
        .routes(routes!(sessions::current, sessions::end_current))
        .routes(routes!(sessions::end))
        .routes(routes!(passkey_sign_in::begin_passkey_sign_in))
        .routes(routes!(passkey_sign_in::sign_in_with_passkey))
        .routes(routes!(provider::begin))
        .routes(routes!(provider::callback_page))
}

guest::export!(super::router);
