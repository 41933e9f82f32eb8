//! Files that programs read, and the answer to paths that nothing has.

use axum::response::{IntoResponse, Response};
use guest::{Problem, Result};
use http::header::VARY;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use crate::visitor::Visitor;
use crate::{assets, frame};

/// The document that describes every endpoint; a test writes it, see CONTRIBUTING.md.
pub const OPENAPI: &str = include_str!("../../../static/openapi.json");

/// Serves the text that an agent should read first.
#[utoipa::path(
    get, path = "/llms.txt", tag = "site",
    responses((status = 200, body = String, content_type = "text/plain")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn llms(headers: HeaderMap) -> Result<Response> {
    assets::text("llms.txt", &headers)
}

/// Serves this document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "site",
    responses((status = 200, body = Object, content_type = "application/json")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn openapi(headers: HeaderMap) -> Result<Response> {
    assets::text("openapi.json", &headers)
}

/// Answers any other path: with a page for people, with a problem for programs.
pub async fn nothing(uri: Uri, headers: HeaderMap) -> Response {
    let detail = "There is nothing here. GET /openapi.json lists what there is.";
    let problem = Problem::new(StatusCode::NOT_FOUND, "not-found", detail);
    let mut response = problem.into_response();
    if guest::prefers_html(&headers) {
        let (Ok(visitor) | Err((visitor, _))) = Visitor::of(&headers, &uri).await;
        response = frame::dress(response, &visitor, headers.get("x-request-id")).await;
    }
    let vary = match response.headers().contains_key(VARY) {
        true => "accept, cookie, hx-request",
        false => "accept",
    };
    let vary = HeaderValue::from_static(vary);
    response.headers_mut().insert(VARY, vary);
    response
}
