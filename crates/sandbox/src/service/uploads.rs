//! Uploads and downloads of components.

use super::{Shared, answer};
use crate::{
    callers::{Caller, Right},
    problem::Problem,
    runner::LoadError,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Multipart, Path, State},
    http::{StatusCode, header},
    response::Response,
};
use serde_json::json;
use skill::{FieldError, MAX_COMPONENT_BYTES, Manifest};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The longest wait of an upload for others to end.
const UPLOAD_WAIT: Duration = Duration::from_secs(10);

/// POST /components: takes an upload, and answers with its description.
pub async fn take(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    upload: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Response {
    let taken = async {
        caller.require(Right::Upload)?;
        let upload = upload.map_err(|error| {
            Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                error.body_text(),
            )
        })?;
        let Ok(Ok(_place)) = timeout(UPLOAD_WAIT, shared.uploads.acquire()).await else {
            return Err(Problem::busy());
        };
        let (manifest, wasm) = read_upload(upload).await?;
        let manifest = Manifest::parse(&manifest)
            .map_err(|errors| Problem::invalid("invalid-input", errors))?;
        let inspection = shared.runner.inspect(&wasm).await??;
        let errors = manifest.check_against(&inspection.tools);
        if !errors.is_empty() {
            return Err(Problem::invalid("invalid-input", errors));
        }
        let mut tools = inspection.tools;
        manifest.describe(&mut tools);
        shared.storage.put(&inspection.digest, &wasm).await?;
        let version = manifest
            .semver()
            .ok_or_else(|| Problem::internal(&"a version without precedence"))?;
        Ok(Json(json!({
            "manifest": manifest,
            "precedence": skill::manifest::precedence(&version),
            "is_prerelease": !version.pre.is_empty(),
            "digest": inspection.digest,
            "size_bytes": wasm.len(),
            "tools": tools,
            "facts": inspection.facts,
        })))
    };
    answer(taken.await, caller.request_id)
}

async fn read_upload(mut upload: Multipart) -> Result<(Bytes, Bytes), Problem> {
    let broken = |error: axum::extract::multipart::MultipartError| {
        let code = if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            "body-too-large"
        } else {
            "malformed-multipart"
        };
        Problem::new(error.status(), code, error.body_text())
    };
    let (mut manifest, mut component) = (None, None);
    while let Some(field) = upload.next_field().await.map_err(broken)? {
        let slot = match field.name() {
            Some("manifest") => &mut manifest,
            Some("component") => &mut component,
            other => {
                return Err(missing(
                    other.unwrap_or_default(),
                    "is not a field of an upload: it has `manifest` and `component`",
                ));
            }
        };
        if slot.is_some() {
            return Err(missing("manifest", "or `component` is there twice"));
        }
        *slot = Some(field.bytes().await.map_err(broken)?);
    }
    let manifest = manifest.ok_or_else(|| missing("manifest", "is missing"))?;
    let component = component.ok_or_else(|| missing("component", "is missing"))?;
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "A component may have at most 32 MiB.",
        ));
    }
    Ok((manifest, component))
}

fn missing(field: &str, detail: &str) -> Problem {
    Problem::invalid(
        "invalid-input",
        vec![FieldError {
            field: field.to_owned(),
            detail: detail.to_owned(),
        }],
    )
}

/// GET /components/{digest}: answers with the bytes.
pub async fn give(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(digest): Path<String>,
) -> Response {
    let given = async {
        caller.require(Right::Download)?;
        let bytes = shared.storage.get(&digest).await?;
        let bytes = bytes.ok_or_else(|| Problem::from(LoadError::NotFound))?;
        Ok(([(header::CONTENT_TYPE, "application/wasm")], bytes))
    };
    answer(given.await, caller.request_id)
}
