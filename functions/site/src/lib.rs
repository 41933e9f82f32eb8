//! The site for people, the reference, the health endpoints, and the texts that agents read first.
//!
//! A group of pages is one file: it is listed in [`GROUPS`], and docs/functions.md says what it contains.

mod admin;
mod assets;
mod card;
mod channels;
mod circles;
mod claws;
mod design;
mod docs;
mod enter;
mod failure;
mod files;
mod forms;
mod frame;
mod group;
mod health;
mod inbox;
mod jobs;
mod landing;
mod memory;
mod models;
mod offline;
mod owners;
mod pipelines;
mod posts;
mod problems;
mod profiles;
mod publish;
mod schedules;
mod search;
mod secrets;
mod settings;
mod skills;
mod status;
mod theme;
mod ui;
mod visitor;

use axum::Router;
use axum::middleware::from_fn;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use group::Group;

/// The groups of pages, in the order of their places in the rail.
static GROUPS: &[&Group] = &[
    &landing::GROUP,
    &inbox::GROUP,
    &channels::GROUP,
    &circles::GROUP,
    &claws::GROUP,
    &posts::GROUP,
    &skills::GROUP,
    &profiles::GROUP,
    &memory::GROUP,
    &pipelines::GROUP,
    &schedules::GROUP,
    &jobs::GROUP,
    &models::GROUP,
    &secrets::GROUP,
    &admin::GROUP,
    &search::GROUP,
    &publish::GROUP,
    &enter::GROUP,
    &settings::GROUP,
    &docs::GROUP,
    &problems::GROUP,
    &status::GROUP,
    &design::GROUP,
    &theme::GROUP,
    &offline::GROUP,
];

/// The routes; those for programs have OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::from(pages())
        .routes(routes!(files::llms))
        .routes(routes!(files::openapi))
        .routes(routes!(card::agent_card))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::status))
        .route("/static/{*path}", axum::routing::get(assets::asset))
        .route(
            "/parts/avatars/{name}",
            axum::routing::get(profiles::avatar),
        )
        .fallback(files::nothing)
}

fn pages() -> Router {
    let pages = GROUPS.iter().map(|group| (group.routes)());
    let pages = pages.fold(Router::new(), Router::merge);
    pages.layer(from_fn(frame::frame))
}

guest::export!(super::router);

guest::problems! {
    "part-unavailable" => "A part of the server can't be reached at the moment. Try again after `Retry-After`.",
}
