//! Puts a secret's value into a request.

use crate::problem::Problem;
use crate::target::Target;
use crate::vault::{Place, Taken};
use axum::body::Body;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use outgoing::is_forbidden_header;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The largest body in which placeholders are replaced.
const MAX_REPLACED_BYTES: usize = 1 << 20;
/// The characters that are escaped in a query: all but the unreserved characters (RFC 3986).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Puts the value into headers, the address or the body. Returns the address and the body to send.
///
/// # Errors
/// The value can't be put there, or the body is too large to be searched.
pub async fn put(
    taken: &Taken,
    target: &Target,
    headers: &mut HeaderMap,
    body: Body,
) -> Result<(Uri, Body), Problem> {
    let value = taken.value.text();
    let unchanged = target.uri.clone();
    match &taken.place {
        Place::Header { header, format } => {
            let name = HeaderName::try_from(header).map_err(|_| unplaceable())?;
            if is_forbidden_header(&name) || name == header::CONTENT_LENGTH {
                return Err(unplaceable());
            }
            headers.insert(name, secret_header(&format.replace("{}", value))?);
            Ok((unchanged, body))
        }
        Place::Basic { basic } => {
            let pair = BASE64_STANDARD.encode(format!("{basic}:{value}"));
            headers.insert(
                header::AUTHORIZATION,
                secret_header(&format!("Basic {pair}"))?,
            );
            Ok((unchanged, body))
        }
        Place::Query { query } => {
            let name = utf8_percent_encode(query, ESCAPED);
            let pair = format!("{name}={}", utf8_percent_encode(value, ESCAPED));
            let query = match target.uri.query() {
                Some(given) if !given.is_empty() => format!("{given}&{pair}"),
                _ => pair,
            };
            Ok((target.with_query(&query)?, body))
        }
        Place::Placeholder { .. } => {
            let placeholder = format!("{{{{vault:{}}}}}", taken.name);
            for header in headers.values_mut() {
                if let Some(replaced) = replace(header.as_bytes(), &placeholder, value) {
                    let text = String::from_utf8(replaced).map_err(|_| unplaceable())?;
                    *header = secret_header(&text)?;
                }
            }
            let body = whole(body).await?;
            let body = replace(&body, &placeholder, value).map_or(body, Bytes::from);
            Ok((unchanged, body.into()))
        }
        Place::Handed { .. } => Err(Problem::origin_refused(
            "This secret is handed to containers, and put into no request.",
        )),
    }
}

fn unplaceable() -> Problem {
    Problem::invalid("The secret can't be put where its `use` says.")
}

fn secret_header(text: &str) -> Result<HeaderValue, Problem> {
    let mut value = HeaderValue::from_str(text).map_err(|_| unplaceable())?;
    value.set_sensitive(true);
    Ok(value)
}

async fn whole(body: Body) -> Result<Bytes, Problem> {
    let collected = Limited::new(body, MAX_REPLACED_BYTES).collect().await;
    let collected = collected.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            let detail = "Placeholders are replaced in bodies of at most 1 MiB.";
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", detail);
        }
        Problem::failed("The request's body broke off.")
    })?;
    Ok(collected.to_bytes())
}

/// The text with each placeholder replaced; `None` if there is none.
fn replace(text: &[u8], placeholder: &str, value: &str) -> Option<Vec<u8>> {
    let placeholder = placeholder.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(placeholder) {
            out.extend(value.as_bytes());
            at += placeholder.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    (out != text).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Value;
    use outgoing::Outgoing;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    async fn placed(place: Place, target: &str, body: &str) -> (Uri, HeaderMap, Bytes) {
        let outgoing = Outgoing::new(None, BTreeMap::new());
        let target = Target::read(target, &outgoing).unwrap();
        let taken = Taken {
            use_id: Uuid::nil(),
            version: 1,
            name: "key".to_owned(),
            place,
            value: Value::of("a b&c/1234"),
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-note", "{{vault:key}} {{vault:other}}".parse().unwrap());
        let put = put(&taken, &target, &mut headers, Body::from(body.to_owned())).await;
        let (uri, body) = put.unwrap();
        let body = body.collect().await.unwrap().to_bytes();
        (uri, headers, body)
    }

    #[tokio::test]
    async fn a_value_goes_where_its_use_says_and_nowhere_else() {
        let target = "https://api.example.org/a%2Fb?x=1";
        let place = Place::Header {
            header: "Authorization".to_owned(),
            format: "Bearer {}".to_owned(),
        };
        let (uri, headers, body) = placed(place, target, "{{vault:key}}").await;
        assert_eq!(headers["authorization"], "Bearer a b&c/1234");
        assert!(headers["authorization"].is_sensitive());
        assert_eq!(headers["x-note"], "{{vault:key}} {{vault:other}}");
        assert_eq!(
            (uri.to_string().as_str(), &*body),
            (target, b"{{vault:key}}".as_slice())
        );

        let place = Place::Query {
            query: "api key".to_owned(),
        };
        let (uri, ..) = placed(place, target, "").await;
        assert_eq!(
            uri,
            "https://api.example.org/a%2Fb?x=1&api%20key=a%20b%26c%2F1234"
        );

        let place = Place::Basic {
            basic: "ada".to_owned(),
        };
        let (_, headers, _) = placed(place, target, "").await;
        assert_eq!(headers["authorization"], "Basic YWRhOmEgYiZjLzEyMzQ=");

        let place = Place::Placeholder { placeholder: true };
        let (_, headers, body) = placed(place, target, "{\"k\":\"{{vault:key}}\"}").await;
        assert_eq!(headers["x-note"], "a b&c/1234 {{vault:other}}");
        assert_eq!(body, "{\"k\":\"a b&c/1234\"}");
    }
}
