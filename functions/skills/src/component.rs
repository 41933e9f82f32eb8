//! The download of a component, so that anybody can check it against its attestations.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guest::{Caller, Db, Path, Problem, Result, Sandbox, args};
use serde::Deserialize;

use crate::{SANDBOX, is_reviewer};

#[derive(Debug, Deserialize)]
struct Stored {
    digest: String,
    is_public: bool,
}

/// Downloads the component of a version.
#[utoipa::path(
    get, path = "/api/skills/{name}/versions/{version}/component", tag = "skills",
    params(
        ("name" = String, Path, description = "The skill's name."),
        ("version" = String, Path, description = "The semantic version, such as `1.2.0`."),
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/wasm", headers(("Repr-Digest", description = "The component's SHA-256 digest (RFC 9530)."), ("ETag", description = "The component's digest, as an entity tag."))),
        (status = 304, description = "The client already has this component: `If-None-Match` names its digest."),
        (status = 401, description = "`unauthenticated`: the token is not valid"),
        (status = 404, description = "`not-found`"),
        (status = 503, description = "`sandbox-unavailable`"),
    ),
    security((), ("token" = []))
)]
pub async fn download(
    db: Db,
    caller: Option<Caller>,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response<Body>> {
    let stored: Option<Stored> = db
        .optional(
            "select w.digest, w.is_public from skill s join version_view w on w.skill_id = s.id
             where s.name = $1 and w.version = $2 and (w.is_public or s.owner_id = $3 or $4)",
            args![
                &name,
                &version,
                caller.as_ref().map(|caller| caller.id),
                is_reviewer(caller.as_ref())
            ],
        )
        .await?;
    let Stored { digest, is_public } = stored.ok_or_else(|| Problem::not_found("version"))?;
    // The connection to the database goes back before the sandbox is asked.
    drop(db);
    let tag = format!("\"{digest}\"");
    let mut response = if guest::is_known(&headers, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let stored = SANDBOX.get(&format!("/components/{digest}")).await?;
        if stored.status() != StatusCode::OK {
            let what = format!("the component {digest}");
            return Err(Sandbox::unexpected(&what, stored.status()));
        }
        let (parts, body) = stored.into_parts();
        let mut response = Response::new(body);
        // A streamed body states no length, but the answer to HEAD must.
        if let Some(length) = parts.headers.get(CONTENT_LENGTH) {
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, length.clone());
        }
        response
    };
    let binary = bytes_of(&digest)
        .map(|bytes| STANDARD.encode(bytes))
        .unwrap_or_default();
    let lines = [
        (CONTENT_TYPE, "application/wasm".to_owned()),
        (ETAG, tag),
        (CACHE_CONTROL, cache_control(is_public).to_owned()),
        (
            HeaderName::from_static("repr-digest"),
            format!("sha-256=:{binary}:"),
        ),
        (
            HeaderName::from_static("digest"),
            format!("sha-256={binary}"),
        ),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}-{version}.wasm\""),
        ),
    ];
    for (name, value) in lines {
        let value = HeaderValue::try_from(value).map_err(Problem::internal)?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

/// A version never changes, so caches may keep a public one for good. A version that is not public must not be kept by
/// shared caches.
fn cache_control(is_public: bool) -> &'static str {
    if is_public {
        "public, max-age=31536000, immutable"
    } else {
        "private, no-store"
    }
}

/// Decodes a digest of the form `sha256:…`.
fn bytes_of(digest: &str) -> Option<Vec<u8>> {
    hex::decode(digest.strip_prefix("sha256:")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read() {
        assert_eq!(bytes_of("sha256:00ff"), Some(vec![0, 255]));
        assert_eq!(bytes_of("00ff"), None);
        assert_eq!(bytes_of("sha256:xy"), None);
    }
}
