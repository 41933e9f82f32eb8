//! Conditional requests (RFC 9110, section 13): evaluated if the answer has an `ETag`, refused otherwise.
//!
//! A server without dates and ranges may ignore `If-Modified-Since` and `If-Range`. It must not ignore the other
//! conditions, because a client that sends them relies on nothing happening unless they hold.

use axum::body::Body;
use axum::response::IntoResponse;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::Problem;

/// Whether `If-None-Match` says that the client already has this `ETag`. A handler can then answer 304 with its headers
/// and skip the work. Every other answer with an `ETag` is checked anyway.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    !headers.contains_key(IF_MATCH) && lists(headers, IF_NONE_MATCH, tag, false)
}

/// The conditions of a request, taken before it is answered.
pub(crate) struct Conditions {
    /// The fields `If-Match` and `If-None-Match`; `None` if the request has neither.
    headers: Option<HeaderMap>,
}

impl Conditions {
    /// Takes the conditions from a request.
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let reads = *method == Method::GET || *method == Method::HEAD;
        let has_any = headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH);
        let taken = || {
            let mut taken = HeaderMap::new();
            for name in [IF_MATCH, IF_NONE_MATCH] {
                for value in headers.get_all(&name) {
                    taken.append(name.clone(), value.clone());
                }
            }
            taken
        };
        Self {
            headers: (reads && has_any).then(taken),
        }
    }

    /// Returns the answer, or 304, 412 or 400 instead of it. Conditions apply to successful answers only (section
    /// 13.2.1).
    pub fn apply(&self, response: Response<Body>) -> Response<Body> {
        let Some(headers) = &self.headers else {
            return response;
        };
        if !response.status().is_success() {
            return response;
        }
        let tag = response.headers().get(ETAG);
        let Some(tag) = tag.and_then(|tag| tag.to_str().ok()) else {
            return unsupported().into_response();
        };
        if headers.contains_key(IF_MATCH) && !lists(headers, IF_MATCH, tag, true) {
            let detail =
                "The resource has changed: its `ETag` is not the one that `If-Match` names.";
            return Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                detail,
            )
            .into_response();
        }
        if lists(headers, IF_NONE_MATCH, tag, false) {
            return not_modified(response);
        }
        response
    }
}

/// Refuses a change that depends on a condition, unless the operation checks it itself: `If-Match` or `If-None-Match`.
/// Answers to changes have no `ETag`, so other conditions could not be checked.
pub(crate) fn refuse_on_change(
    method: &Method,
    headers: &HeaderMap,
    matches: bool,
    matches_none: bool,
) -> Result<(), Problem> {
    let refused = [
        (IF_MATCH, !matches),
        (IF_NONE_MATCH, !matches_none),
        (IF_UNMODIFIED_SINCE, true),
    ];
    let mut refused = refused.iter().filter(|(_, refused)| *refused);
    if method.is_safe() || !refused.any(|(name, _)| headers.contains_key(name)) {
        return Ok(());
    }
    Err(unsupported())
}

fn unsupported() -> Problem {
    let detail = "This resource has neither an `ETag` nor a date, so conditions can't be checked. Send the request without \
                  `If-Match`, `If-None-Match` and `If-Unmodified-Since`.";
    Problem::new(StatusCode::BAD_REQUEST, "precondition-unsupported", detail)
}

/// The head of an answer whose content the client already has (section 15.4.5).
fn not_modified(response: Response<Body>) -> Response<Body> {
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING] {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, Body::empty())
}

/// Whether a field lists an entity tag, or all of them with `*`. In the strong comparison, a weak tag equals nothing.
fn lists(headers: &HeaderMap, name: HeaderName, tag: &str, strong: bool) -> bool {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value: &HeaderValue| value.to_str().ok())
        .any(|list| list.trim() == "*" || tags(list).any(|one| is_same(one, tag, strong)))
}

fn is_same(one: &str, other: &str, strong: bool) -> bool {
    let plain = |tag: &str| tag.strip_prefix("W/").map(str::to_owned);
    match (plain(one), plain(other)) {
        (None, None) => one == other,
        _ if strong => false,
        (weak, also) => weak.as_deref().unwrap_or(one) == also.as_deref().unwrap_or(other),
    }
}

/// The entity tags of a list. A tag may contain commas.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let open = if rest.starts_with("W/\"") { 2 } else { 0 };
        let inner = rest.get(open..)?.strip_prefix('"')?;
        let end = open + 1 + inner.find('"')? + 1;
        let (tag, after) = rest.split_at(end);
        rest = after;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(lines: &[(&'static str, &str)], tag: Option<&str>) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header"));
        }
        let mut response = Response::new(Body::from("text"));
        if let Some(tag) = tag {
            response
                .headers_mut()
                .insert(ETAG, tag.parse().expect("a header"));
        }
        let conditions = Conditions::of(&Method::GET, &headers);
        conditions.apply(response).status().as_u16()
    }

    #[test]
    fn conditions_are_kept_where_there_is_a_tag() {
        let (none, some) = ("if-none-match", "if-match");
        for (lines, expected) in [
            (&[][..], 200),
            (&[(none, "\"a\"")], 304),
            (&[(none, "W/\"a\"")], 304),
            (&[(none, "\"b\", \"a\"")], 304),
            (&[(none, "\"b\""), (none, "\"a\"")], 304),
            (&[(none, "*")], 304),
            (&[(none, "\"b\"")], 200),
            (&[(none, "\"b,\"a\"")], 200),
            (&[(none, "a")], 200),
            (&[(some, "\"a\"")], 200),
            (&[(some, "*")], 200),
            (&[(some, "W/\"a\"")], 412),
            (&[(some, "\"b\"")], 412),
            (&[(some, "\"b\""), (none, "\"a\"")], 412),
            (&[(some, "\"a\""), (none, "\"a\"")], 304),
        ] {
            assert_eq!(status(lines, Some("\"a\"")), expected, "{lines:?}");
        }
        assert_eq!(status(&[(none, "\"x,y\"")], Some("\"x,y\"")), 304);
        assert_eq!(status(&[(none, "\"a\"")], Some("W/\"a\"")), 304);
        assert_eq!(status(&[(some, "\"a\"")], Some("W/\"a\"")), 412);
    }

    #[test]
    fn conditions_without_a_tag_are_refused() {
        assert_eq!(status(&[], None), 200);
        assert_eq!(status(&[("if-none-match", "\"a\"")], None), 400);
        assert_eq!(status(&[("if-match", "*")], None), 400);
        assert_eq!(status(&[("if-modified-since", "x")], None), 200);
        let with = |name: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static("x"))])
        };
        for name in ["if-match", "if-none-match", "if-unmodified-since"] {
            assert!(
                refuse_on_change(&Method::PUT, &with(name), false, false).is_err(),
                "{name}"
            );
            assert!(
                refuse_on_change(&Method::GET, &with(name), false, false).is_ok(),
                "{name}"
            );
        }
        assert!(refuse_on_change(&Method::PUT, &with("if-modified-since"), false, false).is_ok());
        assert!(refuse_on_change(&Method::PUT, &with("if-match"), true, false).is_ok());
        assert!(refuse_on_change(&Method::PUT, &with("if-none-match"), true, false).is_err());
        assert!(refuse_on_change(&Method::PUT, &with("if-none-match"), true, true).is_ok());
        assert!(refuse_on_change(&Method::PUT, &with("if-match"), false, true).is_err());
    }

    proptest! {
        #[test]
        fn any_list_is_read(list in "[ -~]*") {
            let found = tags(&list).all(|tag| tag.ends_with('"') && tag.len() >= 2);
            prop_assert!(found);
        }

        #[test]
        fn a_tag_among_others_is_found(before in "[!#-~]{0,9}", tag in "[!#-~]{0,9}") {
            let list = format!("\"{before}\",W/\"{tag}\" , \"z\"");
            prop_assert_eq!(status(&[("if-none-match", &list)], Some(&format!("\"{tag}\""))), 304);
        }
    }
}
