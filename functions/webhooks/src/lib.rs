//! Webhooks tell addresses elsewhere what happens here; hooks make events of what happens elsewhere. The work of sending
//! is `components/webhook-delivery`.

mod deliveries;
mod failing;
mod github;
mod hooks;
mod input;
mod problems;
mod receive;
mod webhooks;

use guest::{Problem, Result, required_variable};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::get, webhooks::change, webhooks::delete))
        .routes(routes!(failing::list))
        .routes(routes!(webhooks::enable))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(deliveries::test))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::redeliver))
        .routes(routes!(hooks::list, hooks::create))
        .routes(routes!(hooks::get, hooks::delete))
        .routes(routes!(receive::receive))
}

guest::export!(super::router);

/// What secrets are made of.
async fn key() -> Result<[u8; 32]> {
    let key = required_variable("webhook_key").await?;
    guest::hex_key(&key)
        .ok_or_else(|| Problem::internal("the variable `webhook_key` must be 64 hex digits"))
}
