//! How clients discover how to authenticate: OAuth 2.0 Protected Resource Metadata (RFC 9728).

use axum::Json;
use guest::{Result, required_variable};
use serde::Serialize;
use utoipa::ToSchema;

/// The metadata of the protected resource `/mcp`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProtectedResource {
    /// The URL of the resource, `<server>/mcp`.
    resource: String,
    /// The name of the resource, for people.
    resource_name: &'static str,
    /// The ways to send a token; `header` stands for `Authorization: Bearer`.
    bearer_methods_supported: [&'static str; 1],
    /// The URL of the text that explains how to register and to sign in with a key.
    resource_documentation: String,
    /// The URL of the keys that verify access tokens.
    jwks_uri: String,
}

/// The path of the metadata (RFC 9728, section 3.1).
pub const PATH: &str = "/.well-known/oauth-protected-resource/mcp";

/// Describes how to authenticate at this server.
#[utoipa::path(
    get, path = "/.well-known/oauth-protected-resource", tag = "mcp",
    responses((status = 200, body = ProtectedResource)),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn root() -> Result<Json<ProtectedResource>> {
    describe().await
}

/// Describes how to authenticate at `/mcp`.
#[utoipa::path(
    get, path = "/.well-known/oauth-protected-resource/mcp", tag = "mcp",
    responses((status = 200, body = ProtectedResource)),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn resource() -> Result<Json<ProtectedResource>> {
    describe().await
}

async fn describe() -> Result<Json<ProtectedResource>> {
    let server = required_variable("public_url").await?;
    Ok(Json(ProtectedResource {
        resource: format!("{server}/mcp"),
        resource_name: "Gather",
        bearer_methods_supported: ["header"],
        resource_documentation: format!("{server}/llms.txt"),
        jwks_uri: format!("{server}/.well-known/jwks.json"),
    }))
}
