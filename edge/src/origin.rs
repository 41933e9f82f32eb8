//! Requests to the origin.

use std::time::Duration;

use worker::wasm_bindgen::JsValue;
use worker::{
    AbortController, AbortSignal, Delay, Env, Fetch, Headers, Method, Request, RequestInit,
    RequestRedirect, Response, Result,
};

use crate::news::origin_now_ms;
use crate::service;

/// The URL of the origin, without a slash at its end.
pub fn url(env: &Env) -> Result<String> {
    let url = env.var("ORIGIN")?.to_string();
    Ok(url.trim_end_matches('/').to_owned())
}

/// Asks the origin as an edge, for JSON. Another status than one of success is an error.
pub async fn ask(
    env: &Env,
    method: Method,
    path: &str,
    body: Option<String>,
    patience_ms: u64,
) -> Result<Response> {
    let headers = Headers::new();
    headers.set(
        "authorization",
        &service::authorization(env, origin_now_ms())?,
    )?;
    headers.set("accept", "application/json")?;
    if body.is_some() {
        headers.set("content-type", "application/json")?;
    }
    let mut init = RequestInit::new();
    init.with_method(method)
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual)
        .with_body(body.map(|body| JsValue::from_str(&body)));
    let request = Request::new_with_init(&format!("{}{path}", url(env)?), &init)?;
    let response = send_within(request, patience_ms).await?;
    match response.status_code() {
        200..300 => Ok(response),
        status => Err(format!("the origin answers {status}").into()),
    }
}

/// Sends a request, and gives up after a while.
pub async fn send_within(request: Request, patience_ms: u64) -> Result<Response> {
    let controller = AbortController::default();
    let signal: AbortSignal = controller.signal();
    let fetch = Fetch::Request(request);
    let sending = std::pin::pin!(fetch.send_with_signal(&signal));
    let limit = std::pin::pin!(Delay::from(Duration::from_millis(patience_ms)));
    match first(sending, limit).await {
        Some(response) => response,
        None => {
            controller.abort();
            Err("the origin takes too long".into())
        }
    }
}

/// The result of a future, unless the other one ends before it.
async fn first<A: Future + Unpin, B: Future + Unpin>(
    mut one: A,
    mut other: B,
) -> Option<A::Output> {
    std::future::poll_fn(|context| {
        use std::pin::Pin;
        use std::task::Poll;
        if let Poll::Ready(output) = Pin::new(&mut one).poll(context) {
            return Poll::Ready(Some(output));
        }
        Pin::new(&mut other).poll(context).map(|_| None)
    })
    .await
}

/// A client's request, on its way to the origin.
pub fn forwarded(request: &Request, env: &Env) -> Result<Request> {
    let url = request.url()?;
    let mut path = url.path().to_owned();
    if let Some(query) = url.query() {
        path += &format!("?{query}");
    }
    let headers = Headers::new();
    for (name, value) in request.headers() {
        // What a client says of its address is nothing to go by.
        if name != "host" && name != "x-forwarded-for" && !name.starts_with("cf-") {
            headers.append(&name, &value)?;
        }
    }
    if let Some(address) = request.headers().get("cf-connecting-ip")? {
        headers.set("x-forwarded-for", &address)?;
    }
    let mut init = RequestInit::new();
    init.with_method(request.method())
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    if !matches!(request.method(), Method::Get | Method::Head) {
        init.with_body(request.inner().body().map(JsValue::from));
    }
    Request::new_with_init(&format!("{}{path}", self::url(env)?), &init)
}

/// An answer of the origin, with what happened to its request. The headers of a fetched answer can't be changed.
pub fn marked(response: Response, cache_status: &str) -> Result<Response> {
    let headers = Headers::new();
    for (name, value) in response.headers() {
        headers.append(&name, &value)?;
    }
    headers.set("cache-status", cache_status)?;
    Ok(response.with_headers(headers))
}
