//! Changes that depend on a version: `If-Match` with the `ETag` of what is changed, which is `"<version>"`.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::StatusCode;
use http::header::IF_MATCH;
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
