//! Publishing a version of a skill.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use guest::db::OnConstraint;
use guest::{Caller, Db, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::SANDBOX;

/// The largest upload: a component of 32 MiB, the manifest, and the headers of the parts.
pub const MAX_UPLOAD_BYTES: usize = (32 << 20) + (512 << 10);

/// An upload: `multipart/form-data` with these two fields.
#[derive(ToSchema)]
#[schema(as = SkillUpload)]
#[allow(dead_code, reason = "it describes the body, which the sandbox reads")]
pub struct Upload {
    /// The manifest, a JSON object with the members `name`, `version`, `description`, `license`, `tags`, `readme`,
    /// `tools`, `permissions`, `limits` and `examples`.
    #[schema(value_type = Object)]
    manifest: String,
    /// The WebAssembly component, 32 MiB at most.
    #[schema(value_type = String, format = Binary)]
    component: Vec<u8>,
}

/// A version whose review is under way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Published {
    /// The skill's name.
    skill: String,
    /// The semantic version.
    version: String,
    /// The component's digest.
    digest: String,
    /// The job that reviews the version.
    job: Job,
}

/// The job that reviews a version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewJob)]
pub struct Job {
    /// The job's id.
    id: Uuid,
    /// The job's kind.
    kind: &'static str,
}

#[derive(Debug, Deserialize)]
struct Queued {
    name: String,
    version: String,
    digest: String,
    job_id: Uuid,
}

/// Publishes a version of a skill: stores a component with its manifest, and queues its review.
///
/// A name belongs to its first publisher; while all versions are rejected, anybody may take it over. A version that was
/// not rejected never changes.
#[utoipa::path(
    post, path = "/api/skills", tag = "skills",
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    request_body(
        content = Upload, content_type = "multipart/form-data",
        extensions(("x-max-body-bytes" = json!(MAX_UPLOAD_BYTES)))
    ),
    responses(
        (status = 202, body = Published, headers(("Location", description = "The path of the job that reviews the version."))),
        (status = 403, description = "`forbidden`: the scope `skills:publish` is missing"),
        (status = 409, description = "`name-taken`, `version-exists`, `idempotency-mismatch`"),
        (status = 413, description = "`body-too-large`"),
        (status = 415, description = "`unsupported-media-type`"),
        (status = 422, description = "`invalid-input`, `not-a-component`, `import-refused`, `nothing-callable`"),
        (status = 503, description = "`sandbox-busy`, `sandbox-unavailable`"),
    ),
    security(("token" = ["skills:publish"])), extensions(("x-rate-limit" = json!("bulk")))
)]
pub async fn publish(db: Db, caller: Caller, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    check_head(&parts.headers)?;
    let kind = parts.headers[CONTENT_TYPE].clone();
    let request_id = parts.headers.get("x-request-id");
    let taken = SANDBOX
        .pass_on("/components", kind, body, request_id)
        .await?;
    if taken.status() != StatusCode::OK {
        return Ok(taken.map(Body::from));
    }
    let published: Value = serde_json::from_slice(taken.body()).map_err(Problem::internal)?;
    let queued: Queued = db
        .one(
            "select $2::jsonb #>> '{manifest,name}' as name, $2::jsonb #>> '{manifest,version}' as version,
                    $2::jsonb ->> 'digest' as digest, p ->> 'job_id' as job_id
             from publish($1, $2) p",
            args![caller.id, published],
        )
        .await
        .on_constraint("skill_owner", name_taken())
        .on_constraint("version_key", version_exists())?;
    let location = format!("/api/jobs/{}", queued.job_id);
    let published = Published {
        skill: queued.name,
        version: queued.version,
        digest: queued.digest,
        job: Job {
            id: queued.job_id,
            kind: "skill-review",
        },
    };
    Ok((
        StatusCode::ACCEPTED,
        [(LOCATION, location)],
        Json(published),
    )
        .into_response())
}

/// Refuses what can be refused before 32 MiB are passed on.
fn check_head(headers: &HeaderMap) -> Result<()> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(CONTENT_TYPE).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("multipart/form-data") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Send `multipart/form-data` with the fields `manifest` (JSON) and `component` (wasm).",
        ));
    }
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_UPLOAD_BYTES) {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "A component may have at most 32 MiB.",
        ));
    }
    Ok(())
}

fn name_taken() -> Problem {
    Problem::conflict(
        "name-taken",
        "This name belongs to another publisher. Choose another one.",
    )
}

fn version_exists() -> Problem {
    let detail = "This version exists, and a version never changes. Publish the next one.";
    Problem::conflict("version-exists", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_an_upload_is_refused_early() {
        let check = |kind: &str, length: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().expect("a header"));
            headers.insert(CONTENT_LENGTH, length.parse().expect("a header"));
            check_head(&headers).map_err(|problem| problem.code())
        };
        assert_eq!(check("multipart/form-data; boundary=x", "1000"), Ok(()));
        assert_eq!(
            check("application/json", "10"),
            Err("unsupported-media-type")
        );
        assert_eq!(
            check("multipart/form-data; boundary=x", "40000000"),
            Err("body-too-large")
        );
    }
}
