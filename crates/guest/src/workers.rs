//! The second platform: Cloudflare Workers. What [`crate::db`], [`crate::fetch`], [`crate::variable`], [`crate::log`] and
//! [`crate::task`] ask of a host of components is here asked of JavaScript.
//!
//! Futures that wait for JavaScript are not `Send`, which axum wants. An instance has a single thread, so they are wrapped
//! here, and in no handler.

mod fetch;
pub(crate) mod session;

use std::cell::RefCell;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::CONTENT_ENCODING;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use worker::send::IntoSendFuture;
use worker::{Context, Delay, EncodeBody, Env, HttpRequest, event};

use crate::Problem;
use crate::body::Broken;
use crate::client::CLIENT_ADDRESS;
use crate::entry::{self, Entry, PATH_INFO, Refused};
pub use fetch::{fetch, limit_silence};

/// The header in which Cloudflare names the client.
const CONNECTING_ADDRESS: HeaderName = HeaderName::from_static("cf-connecting-ip");

thread_local! {
    static ENV: RefCell<Option<Env>> = const { RefCell::new(None) };
}

unsafe extern "Rust" {
    /// The function's router, which [`crate::export!`] defines.
    safe fn gather_router() -> Router;
}

thread_local! {
    static ROUTER: Router = gather_router();
}

/// Answers one request.
#[event(fetch)]
async fn fetch_event(request: HttpRequest, env: Env, _: Context) -> worker::Result<Response<Body>> {
    ENV.set(Some(env));
    let router = ROUTER.with(Clone::clone);
    let mut response = entry::answer(Entry::Shared, router, received(request)).await;
    // Without this, what is compressed already would be compressed once more.
    if response.headers().contains_key(CONTENT_ENCODING) {
        response.extensions_mut().insert(EncodeBody::Manual);
    }
    Ok(response)
}

fn received(request: HttpRequest) -> Result<Request<Body>, Box<Refused>> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = Uri::try_from(path).map_err(|_| {
        let detail = "The path is not valid.";
        Problem::new(StatusCode::BAD_REQUEST, "malformed-request", detail)
    })?;
    // What a client says of its address is nothing to go by.
    parts.headers.remove(CLIENT_ADDRESS);
    if let Some(address) = parts.headers.remove(CONNECTING_ADDRESS)
        && let Some(address) = address.to_str().ok().and_then(|text| text.parse().ok())
        && let Ok(address) = std::net::SocketAddr::new(address, 0).to_string().try_into()
    {
        parts.headers.insert(CLIENT_ADDRESS, address);
    }
    // It says that this is not Gather's own host, which alone is told who called.
    parts
        .headers
        .insert(PATH_INFO, HeaderValue::from_static("/"));
    let body = Body::new(body.map_err(|_| Broken::Off));
    Ok(Request::from_parts(parts, body))
}

/// A variable, which is a binding whose name has capital letters.
pub(crate) fn variable(name: &str) -> Option<String> {
    ENV.with_borrow(|env| {
        let value = env.as_ref()?.var(&name.to_ascii_uppercase()).ok()?;
        Some(value.to_string())
    })
}

/// Writes a line of the log.
pub(crate) fn log(level: &str, line: &str) {
    match level {
        "error" => worker::console_error!("{line}"),
        "warn" => worker::console_warn!("{line}"),
        _ => worker::console_log!("{line}"),
    }
}

/// Lets work go on beside the answer.
pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    worker::wasm_bindgen_futures::spawn_local(work);
}

/// Waits for a time.
pub(crate) async fn sleep(time: Duration) {
    Delay::from(time).into_send().await;
}
