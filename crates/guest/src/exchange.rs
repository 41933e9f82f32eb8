//! Between `gather:http/exchange` and axum: a whole request and its answer in one call.

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use http::Method;
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::serve::{header_map, listed, malformed, outgoing};
use crate::{Problem, clock, respond};
pub use bindings::exports::gather::http::exchange::{Guest, Reply, Request, Response};

/// Larger answers are streamed: the host takes no more in one piece.
const WHOLE_BYTES: u64 = 256 * 1024;

#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, reason = "generated")]
    spin_sdk::wit_bindgen::generate!({
        path: "../../wit",
        world: "gather:http/exchanges",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        with: {
            "wasi:http/types@0.3.0": spin_sdk::wasip3::http::types,
            "wasi:clocks/types@0.3.0": spin_sdk::wasip3::clocks::types,
        },
    });
}

/// Answers one request of the host. [`crate::export!`] calls this.
pub async fn answer(router: Router, request: Request) -> Reply {
    clock::request_began(Some(request.now_ms));
    let response = match incoming(request) {
        Ok(request) => respond(router, request).await,
        Err(problem) => problem.into_response(),
    };
    let size = response.body().size_hint().exact();
    if size.is_none_or(|size| size > WHOLE_BYTES) {
        return match outgoing(response) {
            Ok(streamed) => Reply::Streamed(streamed),
            Err(error) => whole(Problem::internal(format_args!("{error:?}")).into_response()).await,
        };
    }
    whole(response).await
}

fn incoming(request: Request) -> Result<http::Request<Body>, Problem> {
    let body = if request.body.is_empty() {
        Body::empty()
    } else {
        Body::from(request.body)
    };
    let mut made = http::Request::new(body);
    *made.method_mut() = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| malformed("The method is not a valid one."))?;
    *made.uri_mut() = request
        .path_with_query
        .try_into()
        .map_err(|_| malformed("The path is not a valid one."))?;
    *made.headers_mut() = header_map(request.headers)?;
    Ok(made)
}

async fn whole(response: http::Response<Body>) -> Reply {
    let (parts, body) = response.into_parts();
    let (parts, body) = match body.collect().await {
        Ok(body) => (parts, body.to_bytes()),
        Err(error) => {
            let problem = Problem::internal(error);
            let body = problem.render(None).into();
            (problem.into_response().into_parts().0, body)
        }
    };
    Reply::Whole(Response {
        status: parts.status.as_u16(),
        headers: listed(&parts.headers),
        body: body.into(),
    })
}
