//! Changes that depend on a version: `If-Match` with the `ETag` of what is changed, which is `"<version>"`, or
//! `If-None-Match: *` where there must be nothing yet.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::StatusCode;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;

use crate::{Problem, Result};

/// The versions that a change expects. An operation that takes this states the header parameter `If-Match`; without the
/// header, the answer is 428 `precondition-required`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// The versions, as text; `None` if any version is right.
    pub fn versions(&self) -> Option<Vec<String>> {
        self.0.clone()
    }

    fn of(parts: &Parts) -> Option<Self> {
        let mut tags = Vec::new();
        let mut values = parts.headers.get_all(IF_MATCH).iter().peekable();
        values.peek()?;
        for value in values {
            for tag in value.to_str().unwrap_or_default().split(',') {
                let tag = tag.trim();
                if tag == "*" {
                    return Some(Self(None));
                }
                // In the strong comparison, a weak tag equals nothing.
                let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                tags.extend(version.map(str::to_owned));
            }
        }
        Some(Self(Some(tags)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::of(parts).ok_or_else(|| {
            Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "precondition-required",
                "Send `If-Match` with the `ETag` of what you change, or `*`.",
            )
        })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>> {
        Ok(Self::of(parts))
    }
}

/// What a write that may make something new expects: that there is nothing yet (`If-None-Match: *`), or a version
/// (`If-Match`). An operation that takes this states both header parameters; without either, the answer is 428
/// `precondition-required`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition(Option<IfMatch>);

impl Precondition {
    /// Whether there must be nothing yet.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// The versions that are expected, as text; `None` if any is right, or none may be there.
    pub fn versions(&self) -> Option<Vec<String>> {
        self.0.as_ref().and_then(IfMatch::versions)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Precondition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        if let Some(value) = parts.headers.get(IF_NONE_MATCH) {
            let excludes = parts.headers.contains_key(IF_MATCH);
            if value.as_bytes().trim_ascii() != b"*" || excludes {
                let detail = "must be `*`, without `If-Match`";
                return Err(Problem::invalid("If-None-Match", detail));
            }
            return Ok(Self(None));
        }
        let expected = <IfMatch as FromRequestParts<S>>::from_request_parts(parts, state).await;
        expected.map(|expected| Self(Some(expected)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn expected(values: &[&str]) -> Option<Option<Vec<String>>> {
        let mut request = Request::new(());
        for value in values {
            let value = value.parse().expect("a value");
            request.headers_mut().append(IF_MATCH, value);
        }
        IfMatch::of(&request.into_parts().0).map(|expected| expected.versions())
    }

    #[test]
    fn the_versions_of_all_lines_are_expected() {
        let some = |versions: &[&str]| {
            Some(Some(
                versions
                    .iter()
                    .map(|version| (*version).to_owned())
                    .collect(),
            ))
        };
        assert_eq!(expected(&[]), None);
        assert_eq!(expected(&["*"]), Some(None));
        assert_eq!(expected(&["\"1\""]), some(&["1"]));
        assert_eq!(expected(&["\"1\", \"2\"", "\"3\""]), some(&["1", "2", "3"]));
        assert_eq!(expected(&["W/\"1\""]), some(&[]));
        assert_eq!(expected(&["1"]), some(&[]));
    }
}
