//! The host's own answers, to requests that no function gets or can answer.

use crate::{
    answer::Answer,
    headers::{REQUEST_ID, new_request_id, text},
    problem::{self, Problem},
    refusals::Refusals,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use std::time::SystemTime;

/// Makes the host's own answers.
pub struct OwnAnswers {
    refusals: Refusals,
    /// Whether clients use HTTPS, according to the variable `public_url`.
    is_https: bool,
}

impl OwnAnswers {
    /// Makes the answers, before any refusal is counted.
    #[must_use]
    pub fn new(is_https: bool) -> Self {
        Self {
            refusals: Refusals::default(),
            is_https,
        }
    }

    /// A problem with the headers that every answer has. A client that is refused too often gets 429 instead.
    pub fn refuse(
        &self,
        problem: Problem,
        peer: &HeaderValue,
        id: &HeaderValue,
    ) -> Response<Full<Bytes>> {
        let standing = self.refusals.count(peer);
        let problem = if standing.is_exhausted && problem.is_of_client() {
            problem::rate_limited(standing.seconds())
        } else {
            problem
        };
        let mut response = problem.response(text(id));
        let headers = response.headers_mut();
        standing.tell(headers);
        headers.insert(REQUEST_ID, id.clone());
        if self.is_https {
            let only_https = HeaderValue::from_static("max-age=31536000");
            headers.insert(header::STRICT_TRANSPORT_SECURITY, only_https);
        }
        response
    }

    /// The answer to a request that no function took part in, with its line in the log.
    pub fn answer(
        &self,
        problem: Problem,
        request: &Request<Incoming>,
        peer: &HeaderValue,
        id: &HeaderValue,
    ) -> Response<Answer> {
        let response = self.refuse(problem, peer, id);
        let status = response.status().as_u16();
        tracing::info!(
            id = text(id),
            method = %request.method(),
            path = request.uri().path(),
            status,
            "request"
        );
        whole(response, request.method())
    }

    /// The bytes of an answer to a request that is not HTTP, or whose head is too large.
    pub fn malformed(&self, status: StatusCode, peer: &HeaderValue) -> Vec<u8> {
        let id = new_request_id();
        let problem = match status {
            StatusCode::URI_TOO_LONG => problem::URI_TOO_LONG,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => problem::HEAD_TOO_LARGE,
            _ => problem::MALFORMED,
        };
        let response = self.refuse(problem, peer, &id);
        tracing::info!(
            id = text(&id),
            status = response.status().as_u16(),
            "a malformed request"
        );
        let date = DateTime::<Utc>::from(SystemTime::now());
        let date = date.format("%a, %d %b %Y %H:%M:%S GMT");
        serialised(response, &date.to_string())
    }
}

/// An answer in the format of HTTP/1.1 (RFC 9112, section 4), after which the connection ends.
fn serialised(response: Response<Full<Bytes>>, date: &str) -> Vec<u8> {
    let body = response.body().clone().into_inner().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let rest = format!(
        "content-length: {}\r\nconnection: close\r\ndate: {date}\r\n\r\n",
        body.len()
    );
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// An answer of the host. The answer to HEAD gives the length of the body without the body.
pub fn whole(response: Response<Full<Bytes>>, method: &Method) -> Response<Answer> {
    let (mut parts, mut body) = response.into_parts();
    if *method == Method::HEAD {
        let length = body.size_hint().exact().unwrap_or_default();
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
        body = Full::default();
    }
    Response::from_parts(parts, Answer::whole(body))
}
