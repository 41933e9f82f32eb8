//! Secrets: values that go in and never come out. They are sealed to the way out (`crates/egress`), which alone can open
//! them; this function stores, grants and rotates them, and passes requests on to the way out.

mod fetch;
mod grants;
mod input;
mod problems;
mod secrets;
mod uses;
mod versions;

use guest::{Problem, Result, required_variable};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use vault_seal::PublicKey;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(secrets::list, secrets::create))
        .routes(routes!(secrets::get, secrets::change, secrets::delete))
        .routes(routes!(versions::rotate))
        .routes(routes!(versions::end))
        .routes(routes!(grants::list))
        .routes(routes!(grants::get, grants::put, grants::delete))
        .routes(routes!(uses::list))
        .routes(routes!(
            fetch::fetch_get,
            fetch::fetch_post,
            fetch::fetch_put,
            fetch::fetch_patch,
            fetch::fetch_delete
        ))
}

guest::export!(super::router);

/// The key that values are sealed with.
async fn public_key() -> Result<PublicKey> {
    let key = required_variable("egress_public_key").await?;
    let bytes = hex::decode(&*key).map_err(Problem::internal)?;
    PublicKey::from_bytes(&bytes)
        .ok_or_else(|| Problem::internal("the variable `egress_public_key` is not a key"))
}
