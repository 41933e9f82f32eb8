//! The gateway to language models: one door, with budgets that hold, for every agent and every part of the platform. A
//! request is begun in the ledger, sent to a target through egress, and settled with what it used.

mod aliases;
mod call;
mod calls;
mod chat;
mod egress;
mod fault;
mod goose;
mod input;
mod ledger;
mod limits;
mod listing;
mod outlet;
mod prices;
mod problems;
mod protocol;
mod providers;
mod request;
mod splice;
mod stream;
mod tokens;
mod translate;
mod usage;
mod watch;
mod whole;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(chat::chat))
        .routes(routes!(chat::messages))
        .routes(routes!(chat::embeddings))
        .routes(routes!(listing::list))
        .routes(routes!(listing::get))
        .routes(routes!(listing::priced))
        .routes(routes!(goose::ask))
        .routes(routes!(providers::list, providers::create))
        .routes(routes!(
            providers::get,
            providers::change,
            providers::delete
        ))
        .routes(routes!(providers::check))
        .routes(routes!(aliases::put, aliases::get, aliases::delete))
        .routes(routes!(prices::put, prices::list))
        .routes(routes!(limits::put, limits::get, limits::delete))
        .routes(routes!(usage::get))
        .routes(routes!(calls::list))
        .routes(routes!(calls::get))
}

guest::export!(super::router);

/// The scope that allows changing the platform's providers, prices and limits.
const MANAGE: &str = "llm:manage";
