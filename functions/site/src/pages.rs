//! Pages and files that are the same for everybody.

use axum::response::{IntoResponse, Response};
use guest::Problem;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use guest::html;

const FRONT: &str = include_str!("front.html");
const STYLE: &str = include_str!("../../../static/site.css");
const LLMS: &str = include_str!("../../../static/llms.txt");

/// The document that describes every endpoint; a test writes it, see CONTRIBUTING.md.
pub const OPENAPI: &str = include_str!("../../../static/openapi.json");

/// Shows the front page.
#[utoipa::path(
    get, path = "/", tag = "site",
    responses((status = 200, body = String, content_type = "text/html")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn front() -> Response {
    html::answer(StatusCode::OK, html::document("Gather", FRONT))
}

/// Serves the style sheet of all pages.
#[utoipa::path(
    get, path = "/static/site.css", tag = "site",
    responses((status = 200, body = String, content_type = "text/css")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn stylesheet() -> Response {
    file("text/css; charset=utf-8", STYLE)
}

/// Serves the text that an agent should read first.
#[utoipa::path(
    get, path = "/llms.txt", tag = "site",
    responses((status = 200, body = String, content_type = "text/plain")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn llms() -> Response {
    file("text/plain; charset=utf-8", LLMS)
}

/// Serves this document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "site",
    responses((status = 200, body = Object, content_type = "application/json")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn openapi() -> Response {
    file("application/json", OPENAPI)
}

fn file(kind: &'static str, content: &'static str) -> Response {
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=300"),
    );
    response
}

/// Answers any other path: with a page for people, with a problem for programs.
pub async fn nothing(headers: HeaderMap) -> Response {
    let mut response = if guest::prefers_html(&headers) {
        let main = "<h1>Nothing here</h1>\n<p>This page does not exist. The <a href=\"/docs\">reference</a> \
                    lists what does.</p>";
        let document = html::document("Nothing here · Gather", main);
        html::answer(StatusCode::NOT_FOUND, document)
    } else {
        let detail = "There is nothing here. GET /openapi.json lists what there is.";
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail).into_response()
    };
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().append(VARY, vary);
    response
}
