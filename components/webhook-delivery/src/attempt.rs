//! One request to a receiver, and what is kept of its answer.

use std::time::Duration;

use axum::body::Body;
use futures::future::{Either, select};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use time::OffsetDateTime;
use webhook::Secret;

/// The time that a receiver has, from the connection to the beginning of its answer's body.
const LIMIT: Duration = Duration::from_secs(10);
/// So much of an answer is read.
const MAX_ANSWER_BYTES: usize = 1000;
const AGENT: &str = concat!("gather-webhooks/", env!("CARGO_PKG_VERSION"));

/// The outcome of an attempt.
#[derive(Debug, Default)]
pub struct Attempt {
    /// The status of the answer; `None` if there was no answer.
    pub status: Option<u16>,
    /// The head of the answer.
    pub answer: Option<String>,
    /// The reason why there was no answer.
    pub error: Option<String>,
    /// The time that the attempt took.
    pub duration_ms: i32,
    /// The time to wait before another attempt, if the receiver named one.
    pub retry_after_ms: Option<i64>,
}

/// Sends a body, signed with each of the secrets.
pub async fn make(url: &str, id: &str, secrets: &[Secret], body: String) -> Attempt {
    let begin = OffsetDateTime::now_utc();
    let mut attempt = match request(url, id, secrets, body, begin) {
        Ok(request) => {
            let exchange = std::pin::pin!(exchange(request, begin));
            let limit = std::pin::pin!(pause(LIMIT));
            match select(exchange, limit).await {
                Either::Left((attempt, _)) => attempt,
                Either::Right(_) => failed("It did not answer within 10 s."),
            }
        }
        Err(_) => failed("Its address is not valid."),
    };
    let took = (OffsetDateTime::now_utc() - begin).whole_milliseconds();
    attempt.duration_ms = i32::try_from(took).unwrap_or(i32::MAX);
    attempt
}

fn failed(why: &str) -> Attempt {
    Attempt {
        error: Some(why.to_owned()),
        ..Attempt::default()
    }
}

fn request(
    url: &str,
    id: &str,
    secrets: &[Secret],
    body: String,
    now: OffsetDateTime,
) -> http::Result<Request<Body>> {
    let timestamp = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let signatures: Vec<_> = secrets
        .iter()
        .map(|secret| secret.sign(id, timestamp, body.as_bytes()))
        .collect();
    let mut request = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, AGENT)
        .header(webhook::ID, id)
        .header(webhook::TIMESTAMP, timestamp)
        .header(webhook::SIGNATURE, signatures.join(" "))
        .body(Body::from(body))?;
    guest::limit_silence(&mut request, LIMIT);
    Ok(request)
}

async fn exchange(request: Request<Body>, now: OffsetDateTime) -> Attempt {
    let response = match guest::fetch(request).await {
        Ok(response) => response,
        Err(error) => {
            // The owner is told the kind, and nothing of how the network is laid out here.
            guest::info!("a receiver can't be reached", cause = error.to_string());
            return failed(
                "It can't be reached, does not speak HTTPS as it should, or is in a private network.",
            );
        }
    };
    let retry_after_ms = retry_after(response.headers(), now);
    Attempt {
        status: Some(response.status().as_u16()),
        answer: Some(head(response).await),
        retry_after_ms,
        ..Attempt::default()
    }
}

/// The beginning of an answer's body; what is not text there is left out, zero characters with it.
async fn head(response: Response<Body>) -> String {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while bytes.len() < MAX_ANSWER_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Some(data) = frame.data_ref() {
            let room = MAX_ANSWER_BYTES - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars()
        .filter(|c| *c != char::REPLACEMENT_CHARACTER && (!c.is_control() || *c == '\n'))
        .collect()
}

/// The milliseconds until another attempt that an answer asks for.
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<i64> {
    let seconds = guest::retry_after(headers, now.into())?.as_secs();
    Some(i64::from(u32::try_from(seconds).unwrap_or(u32::MAX)) * 1000)
}

#[cfg(target_family = "wasm")]
async fn pause(limit: Duration) {
    let nanoseconds = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    spin_sdk::wasip3::clocks::monotonic_clock::wait_for(nanoseconds).await;
}

/// Natively nothing is sent, so nothing is waited for.
#[cfg(not(target_family = "wasm"))]
async fn pause(_: Duration) {
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::RETRY_AFTER;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).expect("a time");
        for (text, expected) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60_000)),
            ("Tue, 14 Nov 2000 22:14:20 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).expect("a value"));
            assert_eq!(retry_after(&headers, now), expected, "{text}");
        }
    }

    #[test]
    fn a_request_is_signed_with_each_secret() {
        let secrets =
            [2, 1].map(|version| Secret::of_webhook(&[7; 32], uuid::Uuid::nil(), version));
        let now = OffsetDateTime::from_unix_timestamp(1000).expect("a time");
        let request =
            request("https://a.example/x", "m", &secrets, "{}".to_owned(), now).expect("a request");
        let header = |name: &str| request.headers()[name].to_str().expect("text").to_owned();
        for secret in &secrets {
            let (id, at) = (header(webhook::ID), header(webhook::TIMESTAMP));
            assert!(secret.verifies(&id, &at, &header(webhook::SIGNATURE), b"{}", 1000));
        }
    }
}
