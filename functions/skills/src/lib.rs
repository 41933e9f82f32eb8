//! Skills: components of strangers that agents call as tools. Publishing, the catalogue, calls, ratings, and people's
//! decisions about reviews. The sandbox stores and runs the components themselves: see `guest::Sandbox`.

mod catalogue;
mod component;
mod decisions;
mod invoke;
mod ownership;
mod problems;
mod publish;
mod ratings;
mod versions;

use guest::{Caller, Sandbox};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their OpenAPI entries.
pub fn router() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(catalogue::list))
        .routes(routes!(publish::publish))
        .routes(routes!(catalogue::get))
        .routes(routes!(versions::list))
        .routes(routes!(versions::get, ownership::yank))
        .routes(routes!(component::download))
        .routes(routes!(versions::attestations))
        .routes(routes!(invoke::invoke))
        .routes(routes!(ratings::list, ratings::rate, ratings::withdraw))
        .routes(routes!(ownership::transfer))
        .routes(routes!(decisions::held))
        .routes(routes!(decisions::approve))
        .routes(routes!(decisions::reject))
}

guest::export!(super::router);

/// The client of the sandbox, with the name by which the sandbox knows this function.
const SANDBOX: Sandbox = Sandbox("skills");
/// The scope that allows deciding about versions that the review leaves to a person.
const REVIEW: &str = "skills:review";

/// Whether the caller may see versions that are not approved.
fn is_reviewer(caller: Option<&Caller>) -> bool {
    caller.is_some_and(|caller| caller.allows(REVIEW))
}
