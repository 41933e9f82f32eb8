//! The pages that the `type` of a problem leads to.

use std::collections::HashMap;

use axum::Router;
use axum::routing::get;
use guest::html::prose;
use guest::{Path, Problem};
use maud::{PreEscaped, html};

use crate::failure::Failure;
use crate::frame::Page;
use crate::group::Group;

/// Every problem code, with its cause and its remedy.
const PROBLEMS: &str = include_str!("../../../static/problems.json");

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[],
    routes: || Router::new().route("/problems/{code}", get(problem)),
};

async fn problem(Path(code): Path<String>) -> Result<Page, Failure> {
    let problems: HashMap<String, String> =
        serde_json::from_str(PROBLEMS).map_err(Problem::internal)?;
    let text = problems
        .get(&code)
        .ok_or_else(|| Problem::not_found("problem"))?;
    let main = html! {
        h1 { code { (code) } }
        (PreEscaped(prose(text)))
    };
    Ok(Page::new(code.as_str(), main))
}
