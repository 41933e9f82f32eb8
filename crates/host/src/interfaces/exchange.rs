//! `gather:http/exchange`: a whole request and its answer in one call. What a function with `wasi:http` alone costs is
//! mostly the calls back and forth for each part of a request.

use super::http::is_forbidden;
use crate::{guest_run::WHOLE_BYTES, request_body::BUFFER_BYTES, state::State};
use bytes::Bytes;
use futures::channel::oneshot;
use http::{StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::{
    future::poll_fn,
    time::{SystemTime, UNIX_EPOCH},
};
use wasmtime::Store;
use wasmtime_wasi_http::{
    FieldMap, WasiHttpHooks, WasiHttpView,
    handler::{Request, Response},
};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "gather:http/exchanges",
        require_store_data_send: true,
        with: {
            "wasi:http/types": wasmtime_wasi_http::p3::bindings::http::types,
            "wasi:clocks": wasmtime_wasi::p3::bindings::clocks,
        },
    });
}
use generated::exports::gather::http::exchange as wit;
pub use generated::{Exchanges, ExchangesPre};

/// Of an answer, as `wasi:http` has it.
const MAX_HEADER_BYTES: usize = 128 << 10;

/// Whether a request can be handed over whole: one whose length is known and small.
#[must_use]
pub fn fits(request: &Request) -> bool {
    let size = request.body().size_hint().exact();
    size.is_some_and(|size| size <= BUFFER_BYTES as u64)
}

/// Has a request answered. The answer comes through `sender`, before the guest has ended.
///
/// # Errors
/// A trap.
pub async fn answer(
    store: &mut Store<State>,
    function: &Exchanges,
    request: Request,
    sender: oneshot::Sender<wasmtime::Result<Response>>,
) -> wasmtime::Result<()> {
    let (parts, body) = request.into_parts();
    let is_head = parts.method == http::Method::HEAD;
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            _ = sender.send(Err(error.into()));
            return Ok(());
        }
    };
    let given = given(&parts, body);
    store
        .run_concurrent(async |accessor| {
            let function = function.gather_http_exchange();
            let response = match function.call_answer(accessor, given).await? {
                wit::Reply::Whole(response) => {
                    accessor.with(|mut store| whole(store.get().http().hooks, response, is_head))
                }
                wit::Reply::Streamed(response) => accessor.with(|mut store| {
                    let response = store.get().http().table.delete(response)?;
                    let sent = async { Ok(()) };
                    response.into_http_with_getter(&mut store, sent, <State as WasiHttpView>::http)
                }),
            };
            // Nobody waits any more if the client went away.
            _ = sender.send(response);
            poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            Ok(())
        })
        .await?
}

fn given(parts: &Parts, body: Bytes) -> wit::Request {
    let headers = parts.headers.iter();
    let headers = headers
        .filter(|(name, _)| !is_forbidden(name))
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let path = parts.uri.path_and_query();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    wit::Request {
        method: parts.method.as_str().to_owned(),
        path_with_query: path.map_or("/", |path| path.as_str()).to_owned(),
        headers: headers.collect(),
        body: body.into(),
        now_ms: now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn whole(
    hooks: &mut dyn WasiHttpHooks,
    response: wit::Response,
    is_head: bool,
) -> wasmtime::Result<Response> {
    let length = response.body.len();
    wasmtime::ensure!(length <= WHOLE_BYTES, "a whole answer of {length} bytes");
    let body = Full::new(Bytes::from(response.body));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let mut made = http::Response::new(body);
    let status = StatusCode::from_u16(response.status)?;
    *made.status_mut() = status;
    let mut fields = FieldMap::new_mutable(MAX_HEADER_BYTES);
    for (name, value) in response.headers {
        fields.append(hooks, name, value)?;
    }
    *made.headers_mut() = fields.into();
    let announced = made.headers().get(header::CONTENT_LENGTH);
    let says_more = is_head || status == StatusCode::NOT_MODIFIED;
    wasmtime::ensure!(
        says_more || announced.is_none_or(|said| said.as_bytes() == length.to_string().as_bytes()),
        "the function announced {announced:?} bytes and gave {length}"
    );
    Ok(made)
}
