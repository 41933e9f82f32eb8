//! The credentials that a request presents.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::API_KEY_PREFIX;
use crate::Problem;
use crate::client::{SESSION_COOKIE, cookie};

const CSRF: &str = "x-csrf-token";
/// Where the SDKs of Anthropic put a key.
const API_KEY: &str = "x-api-key";

/// The credentials in a request's headers.
#[derive(Debug, PartialEq)]
pub(super) enum Presented {
    Nothing,
    Malformed,
    Secret { text: String, is_token: bool },
    Cookie { text: String, csrf: Option<String> },
}

/// Reads the credentials. `Authorization: Bearer` and `x-api-key` take precedence over the cookie, and must not differ.
pub(super) fn presented(headers: &HeaderMap) -> Presented {
    let (has_bearer, has_key) = (
        headers.contains_key(AUTHORIZATION),
        headers.contains_key(API_KEY),
    );
    if has_bearer || has_key {
        let text = match (bearer(headers), api_key(headers)) {
            (Some(bearer), Some(key)) if bearer == key => bearer,
            (Some(bearer), None) if !has_key => bearer,
            (None, Some(key)) if !has_bearer => key,
            _ => return Presented::Malformed,
        };
        let is_token = !text.starts_with(API_KEY_PREFIX);
        return Presented::Secret {
            text: text.to_owned(),
            is_token,
        };
    }
    let Some(text) = cookie(headers, SESSION_COOKIE) else {
        return Presented::Nothing;
    };
    let csrf = headers.get(CSRF).and_then(|value| value.to_str().ok());
    Presented::Cookie {
        text: text.to_owned(),
        csrf: csrf.map(str::to_owned),
    }
}

/// The token of `Authorization: Bearer <token>`; `None` for another scheme or a malformed header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of `x-api-key`; `None` if it is absent, repeated or not text.
fn api_key(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(API_KEY).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    value.to_str().ok().map(str::trim)
}

/// The token that a page of this site sends with a change to prove its origin. It is derived from the cookie, which
/// pages can't read, and is returned to the page that signs in.
pub fn csrf_token(cookie: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("gather-csrf-v1:{cookie}")))
}

pub(super) fn is_csrf_token(cookie: &str, given: Option<&str>) -> bool {
    let given = given.unwrap_or_default().as_bytes();
    csrf_token(cookie).as_bytes().ct_eq(given).into()
}

pub(super) fn csrf_failed() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "csrf-failed",
        "A change with the session cookie needs the header `X-CSRF-Token`, with the value from signing in.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, value.parse().expect("a value"))
        });
        pairs.collect()
    }

    #[test]
    fn only_bearer_is_read() {
        let bearer_of =
            |value: &str| bearer(&headers(&[("authorization", value)])).map(str::to_owned);
        assert_eq!(bearer_of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(bearer_of("bearer abc").as_deref(), Some("abc"));
        assert_eq!(bearer_of("Basic abc"), None);
        assert_eq!(bearer_of("abc"), None);
    }

    #[test]
    fn a_header_goes_before_a_cookie() {
        let both = headers(&[
            ("authorization", "Bearer gk_1"),
            ("cookie", "__Host-gather-session=gs_2"),
        ]);
        let key = Presented::Secret {
            text: "gk_1".to_owned(),
            is_token: false,
        };
        assert_eq!(presented(&both), key);
        let by_key = |pairs: &[(&'static str, &str)]| presented(&headers(pairs));
        assert_eq!(by_key(&[("x-api-key", "gk_1")]), key);
        assert_eq!(
            by_key(&[("x-api-key", "gk_1"), ("authorization", "Bearer gk_1")]),
            key
        );
        for other in ["Bearer gk_2", "Basic gk_1"] {
            let both = by_key(&[("x-api-key", "gk_1"), ("authorization", other)]);
            assert_eq!(both, Presented::Malformed, "{other}");
        }
        let broken = headers(&[
            ("authorization", "Basic x"),
            ("cookie", "__Host-gather-session=gs_2"),
        ]);
        assert_eq!(presented(&broken), Presented::Malformed);
        assert_eq!(presented(&headers(&[])), Presented::Nothing);
    }

    #[test]
    fn a_csrf_token_is_for_one_cookie() {
        let token = csrf_token("gs_1");
        assert!(is_csrf_token("gs_1", Some(&token)));
        assert!(!is_csrf_token("gs_2", Some(&token)));
        assert!(!is_csrf_token("gs_1", None) && !is_csrf_token("gs_1", Some("")));
    }
}
