//! Outgoing requests on Workers: to the platform's other functions, which the origin has.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST};
use http::{Request, Response};
use http_body_util::BodyExt;
use worker::send::IntoSendFuture;
use worker::wasm_bindgen::JsValue;
use worker::{AbortController, Delay, Fetch, Headers, RequestInit, RequestRedirect, js_sys};

use super::variable;
use crate::FetchError;

/// The hosts of the platform's functions end so.
const FUNCTIONS: &str = ".spin.internal";

/// The longest silence of the server that is asked.
#[derive(Debug, Clone, Copy)]
struct Silence(Duration);

/// Makes a request fail if its answer does not begin within `limit`.
pub fn limit_silence(request: &mut Request<Body>, limit: Duration) {
    request.extensions_mut().insert(Silence(limit));
}

/// Sends a request to another function, and returns as soon as the head of the answer arrives. Redirects are not followed.
///
/// # Errors
/// The host is not a function's, can't be reached, or closes the connection early.
pub async fn fetch(request: Request<Body>) -> Result<Response<Body>, FetchError> {
    send(request).into_send().await
}

async fn send(request: Request<Body>) -> Result<Response<Body>, FetchError> {
    let failed = |error: worker::Error| FetchError::Failed(error.to_string());
    let (parts, body) = request.into_parts();
    let address = address(&parts.uri)?;
    let headers = Headers::new();
    for (name, value) in &parts.headers {
        if name != HOST && name != CONTENT_LENGTH {
            let value = String::from_utf8_lossy(value.as_bytes());
            headers.append(name.as_str(), &value).map_err(failed)?;
        }
    }
    let body = body.collect().await;
    let body = body.map_err(|error| FetchError::Failed(error.to_string()))?;
    let body = body.to_bytes();
    let mut init = RequestInit::new();
    init.with_method(parts.method.to_string().into())
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    if !body.is_empty() {
        init.with_body(Some(JsValue::from(js_sys::Uint8Array::from(&body[..]))));
    }
    let request = worker::Request::new_with_init(&address, &init).map_err(failed)?;
    let silence = parts.extensions.get::<Silence>().map(|silence| silence.0);
    let answer = in_time(&Fetch::Request(request), silence).await?;
    let answer: Response<worker::Body> = answer.try_into().map_err(failed)?;
    let mut answer = answer.map(|body| Body::new(body.map_err(|error| error.to_string())));
    // What the runtime reads for us is not compressed any more.
    if answer.headers_mut().remove(CONTENT_ENCODING).is_some() {
        answer.headers_mut().remove(CONTENT_LENGTH);
    }
    Ok(answer)
}

async fn in_time(fetch: &Fetch, silence: Option<Duration>) -> Result<worker::Response, FetchError> {
    let controller = AbortController::default();
    let signal = controller.signal();
    let mut sending = pin!(fetch.send_with_signal(&signal));
    let mut limit = silence.map(|silence| Box::pin(Delay::from(silence)));
    let answered = poll_fn(|context| {
        if let Poll::Ready(answered) = sending.as_mut().poll(context) {
            return Poll::Ready(Some(answered));
        }
        match &mut limit {
            Some(limit) => limit.as_mut().poll(context).map(|()| None),
            None => Poll::Pending,
        }
    });
    match answered.await {
        Some(answered) => answered.map_err(|error| FetchError::Failed(error.to_string())),
        None => {
            controller.abort();
            Err(FetchError::Failed("it does not answer in time".to_owned()))
        }
    }
}

/// The address at the origin for one of a function, such as `http://accounts.spin.internal/api/accounts/me`.
fn address(uri: &http::Uri) -> Result<String, FetchError> {
    let is_function = uri.host().is_some_and(|host| host.ends_with(FUNCTIONS));
    if !is_function {
        let why = "only other functions can be asked from Workers";
        return Err(FetchError::Failed(why.to_owned()));
    }
    let origin = variable("origin");
    let origin = origin.ok_or_else(|| FetchError::Failed("ORIGIN is not set".to_owned()))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(format!("{}{path}", origin.trim_end_matches('/')))
}
