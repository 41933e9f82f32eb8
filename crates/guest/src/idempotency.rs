//! `Idempotency-Key`: a creating request that is sent twice takes effect once.
//!
//! The key, the change and the stored answer are one transaction. So a failed request leaves nothing behind and may be
//! sent again with its key; only successful answers (2xx) are kept, for 24 hours. A second request that arrives while
//! the first is being processed waits for it in the database. Waiting for the work of others comes after the commit, and
//! replaces the stored answer ([`crate::Later`]).
//!
//! Each schema with creating endpoints has a table `idempotency_key`, which the role's `search_path` finds. An
//! operation is idempotent if its OpenAPI entry lists the header parameter `Idempotency-Key`. An operation whose
//! answers carry secrets must not list it, since answers are stored; one of which only some do marks these as [`Unkept`].

use axum::RequestPartsExt;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use memchr::memmem;
use serde::Deserialize;
use sha2::Sha256;
use tower_service::Service;

use crate::{Caller, Db, Later, Problem, Result, args, client, extract, variable};

/// The header that carries the key.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_KEY_BYTES: usize = 255;

/// Marks an answer, among its extensions, that carries a secret and is not stored: a repeated request takes effect again.
#[derive(Debug, Clone, Copy)]
pub struct Unkept;

/// Runs an operation that documents the header. [`crate::guard`] calls this. Without the header it adds nothing.
///
/// With the header, the whole body of at most `max_bytes` is held in memory.
pub(crate) async fn idempotent(max_bytes: usize, request: Request, mut next: Route) -> Response {
    if !request.headers().contains_key(&KEY) {
        let Ok(mut response) = next.call(request).await;
        return match Later::take(&mut response) {
            Some(answer) => answer.await,
            None => response,
        };
    }
    once(max_bytes, request, next)
        .await
        .unwrap_or_else(Problem::into_response)
}

async fn once(max_bytes: usize, request: Request, mut next: Route) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    let key = key(&parts)?;
    let caller = parts.extract::<Option<Caller>>().await?;
    let owner = match caller {
        Some(caller) => caller.id.to_string(),
        // Callers without a token are distinguished by address.
        None => format!("anonymous@{}", client::address(&parts.headers).await.text),
    };
    let db = parts.extract::<Db>().await?;
    let body = extract::read(&parts.headers, body, max_bytes).await?;
    // With a secret, nobody can guess a body's contents from its fingerprint in the database.
    let secret = variable("secret_key").await.unwrap_or_default();
    let fingerprint = fingerprint(&secret, &parts, &body);

    db.begin().await?;
    let claimed = claim(&db, &owner, &key, &fingerprint).await;
    if !matches!(claimed, Ok(true)) {
        let stored = match claimed {
            Ok(_) => stored(&db, &owner, &key, &fingerprint).await,
            Err(problem) => Err(problem),
        };
        db.roll_back().await;
        return stored;
    }
    let request = Request::from_parts(parts, Body::from(body));
    let Ok(response) = next.call(request).await;
    if !response.status().is_success() {
        db.roll_back().await;
        return Ok(response);
    }
    let is_unkept = response.extensions().get::<Unkept>().is_some();
    let kept = match is_unkept {
        true => give_back(&db, &owner, &key).await.map(|()| response),
        false => keep(&db, &owner, &key, response).await,
    };
    let mut response = match kept {
        Ok(response) => response,
        Err(problem) => {
            db.roll_back().await;
            return Err(problem);
        }
    };
    db.commit().await?;
    let Some(answer) = Later::take(&mut response) else {
        return Ok(response);
    };
    // The connection goes back meanwhile.
    let apart = db.apart();
    drop(db);
    let answer = answer.await;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    keep(&apart, &owner, &key, answer).await
}

/// Reads the key: 1 to 255 printable ASCII characters.
fn key(parts: &Parts) -> Result<String> {
    let mut values = parts.headers.get_all(&KEY).iter();
    let key = match (
        values.next().and_then(|value| value.to_str().ok()),
        values.next(),
    ) {
        (Some(key), None) => key,
        _ => "",
    };
    let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !printable {
        let detail = "must be one value of 1 to 255 printable ASCII characters";
        return Err(Problem::invalid("Idempotency-Key", detail));
    }
    Ok(key.to_owned())
}

fn fingerprint(secret: &str, parts: &Parts, body: &Bytes) -> String {
    let mut hash =
        <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes()).expect("HMAC takes any length");
    hash.update(parts.method.as_str().as_bytes());
    hash.update(&[0]);
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    hash.update(path.as_bytes());
    hash.update(&[0]);
    let mut start = 0;
    if let Some(delimiter) = delimiter(parts) {
        for at in memmem::find_iter(body, &delimiter) {
            hash.update(&body[start..at]);
            hash.update(&[0]);
            start = at + delimiter.len();
        }
    }
    hash.update(&body[start..]);
    STANDARD.encode(hash.finalize().into_bytes())
}

/// The delimiter between the parts of a form (RFC 2046, section 5.1.1). Clients choose a new one for each request, even
/// for the same form, so it must not affect the fingerprint.
fn delimiter(parts: &Parts) -> Option<Vec<u8>> {
    let kind = parts.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let mut parameters = kind.split(';').map(str::trim);
    let is_form = parameters
        .next()?
        .eq_ignore_ascii_case("multipart/form-data");
    let boundary = parameters.filter(|_| is_form).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("boundary")
            .then(|| value.trim_matches('"'))
    })?;
    Some(format!("--{boundary}").into_bytes())
}

/// Claims the key; `false` if it was used before. Waits while another request holds it. Each claim also deletes a few
/// expired keys.
async fn claim(db: &Db, owner: &str, key: &str, fingerprint: &str) -> Result<bool> {
    let claimed = db
        .execute(
            "with expired as (
                 delete from idempotency_key where (owner, key) in (
                     select owner, key from idempotency_key
                     where created_at < now() - interval '24 hours' and (owner, key) <> ($1, $2)
                     order by created_at limit 10 for update skip locked)
             )
             insert into idempotency_key as k (owner, key, fingerprint) values ($1, $2, $3)
             on conflict (owner, key) do update
             set fingerprint = excluded.fingerprint, created_at = now()
             where k.created_at < now() - interval '24 hours'",
            args![owner, key, fingerprint],
        )
        .await?;
    Ok(claimed == 1)
}

/// Gives a key back that was claimed, as if it had not been used.
async fn give_back(db: &Db, owner: &str, key: &str) -> Result<()> {
    let statement = "delete from idempotency_key where owner = $1 and key = $2";
    db.execute(statement, args![owner, key]).await?;
    Ok(())
}

#[derive(Deserialize)]
struct Stored {
    fingerprint: String,
    status: Option<u16>,
    headers: Option<Vec<(String, String)>>,
    body: Option<String>,
}

async fn stored(db: &Db, owner: &str, key: &str, fingerprint: &str) -> Result<Response> {
    let stored: Stored = db
        .one(
            "select fingerprint, status, headers, body from idempotency_key
             where owner = $1 and key = $2",
            args![owner, key],
        )
        .await?;
    if stored.fingerprint != fingerprint {
        let detail = "This Idempotency-Key was used with another request.";
        return Err(Problem::conflict("idempotency-mismatch", detail));
    }
    let status = stored
        .status
        .and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = Response::new(Body::from(stored.body.unwrap_or_default()));
    *response.status_mut() =
        status.ok_or_else(|| Problem::internal("a stored answer has no status"))?;
    for (name, value) in stored.headers.unwrap_or_default() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Stores the answer and returns it.
async fn keep(db: &Db, owner: &str, key: &str, response: Response) -> Result<Response> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(Problem::internal)?.to_bytes();
    let text = std::str::from_utf8(&body).map_err(Problem::internal)?;
    let headers: Vec<(&str, &str)> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    db.execute(
        "update idempotency_key set status = $3, headers = $4, body = $5
         where owner = $1 and key = $2",
        args![
            owner,
            key,
            i32::from(parts.status.as_u16()),
            serde_json::json!(headers),
            text
        ],
    )
    .await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder()
            .method("POST")
            .uri("/api/things?a=1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn keys_are_short_and_printable() {
        let long = "k".repeat(256);
        for (value, accepted) in [
            ("k", true),
            (&long[..255], true),
            (&long, false),
            ("", false),
        ] {
            assert_eq!(
                key(&parts(&[("idempotency-key", value)])).is_ok(),
                accepted,
                "{value}"
            );
        }
        let twice = parts(&[("idempotency-key", "a"), ("idempotency-key", "b")]);
        assert!(key(&twice).is_err());
    }

    #[test]
    fn the_fingerprint_covers_path_and_body() {
        let one = fingerprint("", &parts(&[]), &Bytes::from("{}"));
        assert_eq!(one, fingerprint("", &parts(&[]), &Bytes::from("{}")));
        assert_ne!(one, fingerprint("", &parts(&[]), &Bytes::from("{ }")));
        assert_ne!(one, fingerprint("secret", &parts(&[]), &Bytes::from("{}")));
    }

    #[test]
    fn the_same_form_is_the_same_whatever_stands_between_its_parts() {
        let form = |kind: &str, body: &str| {
            fingerprint(
                "",
                &parts(&[("content-type", kind)]),
                &Bytes::from(body.to_owned()),
            )
        };
        let one = form(
            "multipart/form-data; boundary=abc",
            "--abc\r\nA\r\n--abc\r\nB\r\n--abc--",
        );
        let two = form(
            "Multipart/Form-Data; Boundary=\"xyz9\"",
            "--xyz9\r\nA\r\n--xyz9\r\nB\r\n--xyz9--",
        );
        let other = form(
            "multipart/form-data; boundary=abc",
            "--abc\r\nA\r\n--abc\r\nC\r\n--abc--",
        );
        assert_eq!(one, two);
        assert_ne!(one, other);
        assert_ne!(
            one,
            form("text/plain", "--abc\r\nA\r\n--abc\r\nB\r\n--abc--")
        );
    }
}
