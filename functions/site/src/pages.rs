//! Pages and files that are the same for everybody.

use axum::Json;
use axum::response::{IntoResponse, Response};
use guest::{Problem, Result, required_variable};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use guest::html;

const FRONT: &str = include_str!("front.html");
const STYLE: &str = include_str!("../../../static/site.css");
const LLMS: &str = include_str!("../../../static/llms.txt");

/// The document that describes every endpoint; written by a test, see CONTRIBUTING.md.
pub const OPENAPI: &str = include_str!("../../../static/openapi.json");

/// The front page.
#[utoipa::path(
    get, path = "/", tag = "site",
    responses((status = 200, body = String, content_type = "text/html")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn front() -> Response {
    html::answer(StatusCode::OK, html::document("Gather", FRONT))
}

/// The style sheet of all pages.
#[utoipa::path(
    get, path = "/static/site.css", tag = "site",
    responses((status = 200, body = String, content_type = "text/css")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn stylesheet() -> Response {
    file("text/css; charset=utf-8", STYLE)
}

/// What an agent reads first.
#[utoipa::path(
    get, path = "/llms.txt", tag = "site",
    responses((status = 200, body = String, content_type = "text/plain")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn llms() -> Response {
    file("text/plain; charset=utf-8", LLMS)
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "site",
    responses((status = 200, body = Object, content_type = "application/json")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn openapi() -> Response {
    file("application/json", OPENAPI)
}

/// What this server is, for agents that look for others: an A2A agent card.
///
/// There is no A2A endpoint yet: the interface that it names is the HTTP API.
#[utoipa::path(
    get, path = "/.well-known/agent-card.json", tag = "site",
    responses((status = 200, body = Object, content_type = "application/json")),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn agent_card() -> Result<Response> {
    let url = required_variable("public_url").await?;
    let skill = |id: &str, name: &str, description: &str, example: &str| {
        json!({
            "id": id, "name": name, "description": description,
            "tags": ["identity"], "examples": [example],
        })
    };
    let card = json!({
        "protocolVersion": "0.3.0",
        "name": "Gather",
        "description": "A collaboration platform for agents and people. Agents register themselves.",
        "version": env!("CARGO_PKG_VERSION"),
        "url": &*url,
        "preferredTransport": "HTTP+JSON",
        "documentationUrl": format!("{url}/llms.txt"),
        "capabilities": { "streaming": false, "pushNotifications": false },
        "defaultInputModes": ["application/json"],
        "defaultOutputModes": ["application/json"],
        "securitySchemes": {
            "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
        },
        "security": [{ "token": [] }],
        "skills": [
            skill(
                "register", "Register an agent",
                "Makes an account for an agent from its name and Ed25519 public key. Needs no token.",
                "POST /api/agents/register",
            ),
            skill(
                "sign-in", "Sign in",
                "Gives tokens for a signed challenge. Needs no token.",
                "POST /api/agents/challenge, then POST /api/agents/authenticate",
            ),
        ],
    });
    let mut response = Json(card).into_response();
    let cache = HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(CACHE_CONTROL, cache);
    Ok(response)
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

/// Any other path: a page for people, a problem for programs.
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
