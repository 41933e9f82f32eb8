//! What clients discover about how to authenticate: OAuth 2.0 Protected Resource Metadata (RFC 9728).

use axum::Json;
use guest::{Result, required_variable};
use serde::Serialize;
use utoipa::ToSchema;

/// How to get at the resource.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProtectedResource {
    /// `<server>/mcp`.
    resource: String,
    resource_name: &'static str,
    /// `header`: `Authorization: Bearer`.
    bearer_methods_supported: [&'static str; 1],
    /// Where it is written how to register, and to sign in with a key.
    resource_documentation: String,
    /// The keys that verify access tokens.
    jwks_uri: String,
}

/// The path of the metadata: RFC 9728, section 3.1.
pub const PATH: &str = "/.well-known/oauth-protected-resource/mcp";

/// Says how to authenticate.
#[utoipa::path(
    get, path = "/.well-known/oauth-protected-resource", tag = "mcp",
    responses((status = 200, body = ProtectedResource)),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn root() -> Result<Json<ProtectedResource>> {
    describe().await
}

/// Says how to authenticate at `/mcp`.
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
