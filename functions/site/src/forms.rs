//! Forms that people send: plain ones, which work without scripts.
//!
//! Each form carries the session's CSRF token and a key. The functions check the token, and the key makes a form that is
//! sent twice take effect once.

use axum::extract::{FromRequest, Request};
use axum::response::Response;
use guest::{MAX_BODY_BYTES, Problem, read_body, variable};
use http::header::{CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::failure::Failure;
use crate::frame::see;
use crate::visitor::Visitor;

/// A form's fields, of a page of this site. Fields that are missing take the type's defaults: `#[serde(default)]`.
#[derive(Debug)]
pub struct Form<T> {
    /// The fields.
    pub fields: T,
    /// What proves that the form is the visitor's own.
    pub proof: Proof,
}

/// The fields of a form that has only the hidden ones.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Nothing {}

/// The hidden fields of a form.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub struct Proof {
    /// The CSRF token of the session.
    pub csrf: String,
    /// The key by which a repeated request is recognised.
    pub key: String,
    /// The mark of the draft that a script keeps of the form's texts.
    pub draft: Option<Uuid>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        if !is_from_here(&parts.headers).await {
            let detail = "Forms of other sites are not accepted.";
            return Err(Problem::new(StatusCode::FORBIDDEN, "csrf-failed", detail).into());
        }
        let is_form = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| {
            let kind = kind.as_bytes();
            kind.starts_with(b"application/x-www-form-urlencoded")
        });
        if !is_form {
            let detail = "Send the form as `application/x-www-form-urlencoded`.";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "unsupported-media-type", detail).into());
        }
        let body = read_body(&parts.headers, body, MAX_BODY_BYTES).await?;
        let malformed = |error| Problem::invalid("form", format!("can't be read: {error}"));
        Ok(Self {
            proof: serde_urlencoded::from_bytes(&body).map_err(malformed)?,
            fields: serde_urlencoded::from_bytes(&body).map_err(malformed)?,
        })
    }
}

/// Sends the browser to a page after a form with a draft has taken effect. The page is told so: a script can't see whether
/// a form has failed, and the draft has to last until it has not.
pub fn sent(path: &str, proof: &Proof) -> Response {
    let Some(draft) = proof.draft else {
        return see(path);
    };
    let (page, fragment) = match path.split_once('#') {
        Some((page, fragment)) => (page, format!("#{fragment}")),
        None => (path, String::new()),
    };
    let joint = if page.contains('?') { '&' } else { '?' };
    see(&format!("{page}{joint}sent={draft}{fragment}"))
}

/// Whether a page of this site sent the request. Old browsers and programs say nothing about it; for them the CSRF token
/// has to do.
pub async fn is_from_here(headers: &HeaderMap) -> bool {
    let server = variable("public_url").await.unwrap_or_default();
    is_from(&server, headers)
}

fn is_from(server: &str, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    text(ORIGIN.as_str()).is_none_or(|origin| here(origin) == here(server))
}

/// An origin, with one name for this machine.
fn here(origin: &str) -> String {
    let origin = origin.trim_end_matches('/').to_ascii_lowercase();
    for name in ["//127.0.0.1", "//[::1]"] {
        if let Some((scheme, rest)) = origin.split_once(name)
            && (rest.is_empty() || rest.starts_with(':'))
        {
            return format!("{scheme}//localhost{rest}");
        }
    }
    origin
}

/// The hidden fields of a new form.
pub fn hidden(visitor: &Visitor) -> Markup {
    hidden_with(visitor, &Uuid::now_v7().to_string())
}

/// The hidden fields of a form that is shown again after a failure. It keeps its key if the first try may have taken
/// effect.
pub fn hidden_again(visitor: &Visitor, failure: Option<&Failure>, proof: &Proof) -> Markup {
    match failure {
        Some(failure) if failure.is_transient() && !proof.key.is_empty() => {
            hidden_with(visitor, &proof.key)
        }
        _ => hidden(visitor),
    }
}

fn hidden_with(visitor: &Visitor, key: &str) -> Markup {
    html! {
        @if let Some(csrf) = visitor.csrf() {
            input type="hidden" name="csrf" value=(csrf);
        }
        input type="hidden" name="key" value=(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_site_send_forms() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pairs = pairs.iter().map(|(name, value)| {
                let value = http::HeaderValue::from_static(value);
                (http::HeaderName::from_static(name), value)
            });
            pairs.collect()
        };
        for (pairs, expected) in [
            (vec![], true),
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "none")], true),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("origin", "http://127.0.0.1:3000")], true),
            (vec![("origin", "http://localhost:3000")], true),
            (vec![("origin", "http://localhost:3001")], false),
            (
                vec![("origin", "http://127.0.0.1.evil.example:3000")],
                false,
            ),
            (vec![("origin", "https://localhost:3000")], false),
            (vec![("origin", "null")], false),
        ] {
            assert_eq!(
                is_from("http://127.0.0.1:3000", &headers(&pairs)),
                expected,
                "{pairs:?}"
            );
        }
    }
}
