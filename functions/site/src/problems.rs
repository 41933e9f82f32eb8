//! The pages that the `type` of a problem leads to.

use std::collections::HashMap;

use axum::response::Response;
use guest::{Path, Problem, Result};
use http::StatusCode;

use guest::html;

/// Every problem code, with its cause and its remedy.
const PROBLEMS: &str = include_str!("../../../static/problems.json");

/// Explains a problem's code and what to do about it.
#[utoipa::path(
    get, path = "/problems/{code}", tag = "site",
    params(("code" = String, Path, description = "The `code` of the problem.")),
    responses((status = 200, body = String, content_type = "text/html"), (status = 404, description = "`not-found`")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn problem(Path(code): Path<String>) -> Result<Response> {
    let problems: HashMap<String, String> =
        serde_json::from_str(PROBLEMS).map_err(Problem::internal)?;
    let text = problems.get(&code);
    let text = text.ok_or_else(|| Problem::not_found("problem"))?;
    let main = format!("<h1><code>{code}</code></h1>\n{}", html::prose(text));
    let title = format!("{code} · Gather");
    Ok(html::answer(StatusCode::OK, html::document(&title, &main)))
}
