//! Extractors of path, query and JSON body as types. Input that does not fit becomes a problem.

use std::borrow::Cow;

use axum::RequestPartsExt;
use axum::body::Body;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use garde::Validate;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use strict_json::Refusal;

use crate::{Problem, Result, body};

/// The largest body of a request in bytes, unless a route sets another limit.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The parameters in the path. A malformed one can't name anything, so it is a 404 that says what the parameter must
/// be.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // PostgreSQL stores no text with a zero character, so nothing is called so.
        if parts.uri.path().contains("%00") {
            return Err(no_such_path("A part of the path has a zero character."));
        }
        let path = parts.extract::<axum::extract::Path<T>>().await;
        path.map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection| malformed_path(&rejection))
    }
}

fn malformed_path(rejection: &PathRejection) -> Problem {
    let named = match rejection {
        PathRejection::FailedToDeserializePathParams(failed) => explained(failed.kind()),
        _ => None,
    };
    let detail = named.unwrap_or_else(|| "A part of the path is malformed.".to_owned());
    no_such_path(detail)
}

fn no_such_path(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
}

/// Explains what a part of the path must be.
fn explained(kind: &ErrorKind) -> Option<String> {
    let (key, message) = match kind {
        ErrorKind::DeserializeError { key, message, .. } => (Some(key), message.as_str()),
        ErrorKind::ParseErrorAtKey {
            key, expected_type, ..
        } => (Some(key), *expected_type),
        ErrorKind::ParseError { expected_type, .. } => (None, *expected_type),
        ErrorKind::InvalidUtf8InPathParam { key } => {
            return Some(format!("`{key}` in the path must be UTF-8."));
        }
        ErrorKind::Message(message) => (None, message.as_str()),
        _ => return None,
    };
    // For these errors, axum gives only the name of the expected type.
    let message = match kind {
        ErrorKind::ParseErrorAtKey { .. } | ErrorKind::ParseError { .. } => {
            format!("invalid value: string, expected {message}")
        }
        _ => message.to_owned(),
    };
    let Refusal::Invalid { detail, .. } = strict_json::explain("", &message) else {
        return None;
    };
    let part = key.map_or_else(
        || "The identifier in the path".to_owned(),
        |key| format!("`{key}` in the path"),
    );
    Some(format!("{part} {detail}."))
}

/// The query's parameters, validated. Invalid ones are a 422.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Validate<Context = ()>, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let value: T = query(parts)?;
        value.validate()?;
        Ok(Self(value))
    }
}

/// Reads the query as a type, without validating it.
pub(crate) fn query<T: DeserializeOwned>(parts: &Parts) -> Result<T> {
    let text = parts.uri.query().unwrap_or_default().as_bytes();
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "" } else { &path };
        refused(
            "query",
            strict_json::explain(path, &error.inner().to_string()),
        )
    })
}

/// The JSON body, decoded and validated.
///
/// Refuses with 413 `body-too-large`, 415 `unsupported-media-type`, 400 `malformed-json` with the location of the
/// error, or 422 `invalid-input` with the fields.
#[derive(Debug)]
pub struct Input<T>(pub T);

impl<T: DeserializeOwned + Validate<Context = ()>, S: Sync> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(not_json());
        }
        let body = read(&parts.headers, body, MAX_BODY_BYTES).await?;
        let value: T = json(&body)?;
        value.validate()?;
        Ok(Self(value))
    }
}

/// The JSON body as in [`Input`], or `None` if the request has no body.
#[derive(Debug)]
pub struct OptionalInput<T>(pub Option<T>);

impl<T: DeserializeOwned + Validate<Context = ()>, S: Sync> FromRequest<S> for OptionalInput<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if request.headers().contains_key(CONTENT_TYPE) {
            let Input(value) = Input::from_request(request, state).await?;
            return Ok(Self(Some(value)));
        }
        let (parts, body) = request.into_parts();
        if read(&parts.headers, body, MAX_BODY_BYTES).await?.is_empty() {
            return Ok(Self(None));
        }
        Err(not_json())
    }
}

fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body must be JSON, with `Content-Type: application/json`.",
    )
}

/// Whether the content type is `application/json` or `application/…+json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
    else {
        return false;
    };
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Reads a whole body of at most `max_bytes`.
///
/// # Errors
/// The body is larger, or breaks off.
pub async fn read(headers: &HeaderMap, content: Body, max_bytes: usize) -> Result<Bytes> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(too_large(max_bytes));
    }
    match Limited::new(content, max_bytes).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(max_bytes)),
        Err(error) => Err(body::problem(&*error)),
    }
}

fn too_large(max_bytes: usize) -> Problem {
    let most = if max_bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", max_bytes >> 20)
    } else {
        format!("{max_bytes} bytes")
    };
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        format!("The body may have at most {most}."),
    )
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    strict_json::read(body).map_err(|refusal| refused("body", refusal))
}

/// The problem for refused input; `whole` names the input itself.
fn refused(whole: &str, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Invalid { path, detail } if path.is_empty() => Problem::invalid(whole, detail),
        Refusal::Invalid { path, detail } => Problem::invalid(path, detail),
        Refusal::Malformed(what) => Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed-json",
            format!("The body is not JSON: {what}."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldError;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only decoding is tested")]
    struct Outer {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only decoding is tested")]
    struct Inner {
        size: u8,
    }

    fn check(body: &str, code: &str, field: &str) {
        let problem = json::<Outer>(body.as_bytes()).expect_err("refused");
        assert_eq!(problem.code(), code, "{body}");
        let fields: Vec<&str> = problem.errors().iter().map(|e| e.field.as_str()).collect();
        let expected: &[&str] = if code == "invalid-input" {
            &[field]
        } else {
            &[]
        };
        assert_eq!(fields, expected, "{body}: {problem}");
    }

    #[test]
    fn each_malformed_body_is_named() {
        check("{", "malformed-json", "");
        check("", "malformed-json", "");
        check(r#"{"name": "a"} x"#, "malformed-json", "");
        check("{}", "invalid-input", "name");
        check("[1]", "invalid-input", "body");
        check(r#"["a", {"size": 1}]"#, "invalid-input", "body");
        check(r#"{"name": "a", "inner": [1]}"#, "invalid-input", "inner");
        check(r#"{"name": 1}"#, "invalid-input", "name");
        check(
            r#"{"name": "a", "inner": {"size": 300}}"#,
            "invalid-input",
            "inner.size",
        );
        check(
            r#"{"name": "a", "inner": {}}"#,
            "invalid-input",
            "inner.size",
        );
    }

    #[test]
    fn the_place_of_a_syntax_error_is_told() {
        let problem = json::<Outer>(b"{\n \"name\": ,").expect_err("refused");
        assert!(problem.to_string().contains("line 2 column"), "{problem}");
    }

    #[test]
    fn a_missing_field_reads_well() {
        let problem = json::<Outer>(b"{}").expect_err("refused");
        let expected = FieldError {
            field: "name".into(),
            detail: "is missing".into(),
        };
        assert_eq!(problem.errors(), [expected]);
    }

    proptest! {
        #[test]
        fn any_body_is_a_value_or_a_problem(body in ".*") {
            if let Err(problem) = json::<Outer>(body.as_bytes()) {
                prop_assert!(["malformed-json", "invalid-input"].contains(&problem.code()));
            }
        }

        #[test]
        fn content_types_are_parsed_safely(kind in "[ -~]*") {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().expect("printable"));
            let json = is_json(&headers);
            prop_assert_eq!(json, json && kind.to_ascii_lowercase().contains("json"));
        }
    }
}
