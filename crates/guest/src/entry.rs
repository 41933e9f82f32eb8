//! The interface through which work reaches the function. It decides what the host may be trusted with, before anything
//! else reads a header.

use axum::Router;
use axum::body::Body;
use http::{Extensions, HeaderName, Request, Response};

use crate::guard::CALLER;
use crate::{Problem, respond, visitor};

/// A header that every host adds to requests over `wasi:http`, except Gather's own host for functions that also take
/// whole requests. A client can neither add it there nor remove it elsewhere.
pub(crate) const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");

/// The interface through which work reaches the function. It decides how the function may wait for its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// An interface of Gather's own host, which gives an instance one piece of work at a time. A call that blocks the
    /// instance delays nobody else, and costs less.
    Alone,
    /// `wasi:http`: the host may give the instance other requests at the same time, so no call may block it.
    Shared,
}

impl Entry {
    /// The entry of a request, from its extensions. If unknown, nothing may block the instance.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self::Shared)
    }
}

/// A request that could not be read completely.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The part of the request that could be read.
    pub request: Request<Body>,
    /// The problem to answer with.
    pub problem: Problem,
}

impl From<Problem> for Box<Refused> {
    fn from(problem: Problem) -> Self {
        let request = Request::new(Body::empty());
        Self::new(Refused { request, problem })
    }
}

/// Answers a request. A refused request gets the same headers as any other.
pub(crate) async fn answer(
    entry: Entry,
    router: Router,
    received: Result<Request<Body>, Box<Refused>>,
) -> Response<Body> {
    let (router, mut request) = received.map_or_else(
        |refused| {
            let Refused { request, problem } = *refused;
            let refusing = Router::new().fallback(async move || problem.clone());
            (refusing, request)
        },
        |request| (router, request),
    );
    request.extensions_mut().insert(entry);
    visitor::settle(&mut request).await;
    let is_for_our_host = entry == Entry::Alone || !request.headers().contains_key(&PATH_INFO);
    let mut response = respond(router, request).await;
    if !is_for_our_host {
        response.headers_mut().remove(&CALLER);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use futures::executor::block_on;
    use http::StatusCode;

    fn answered(entry: Entry, headers: &[(&'static str, &str)]) -> Response<Body> {
        let named = get(async || [(CALLER, "somebody")]);
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            let value = value.parse().expect("a value");
            request.headers_mut().append(*name, value);
        }
        block_on(answer(entry, Router::new().route("/", named), Ok(request)))
    }

    #[test]
    fn only_our_host_is_told_who_called() {
        let under_spin = [("spin-path-info", "/")];
        let tells = |response: Response<Body>| response.headers().contains_key(&CALLER);
        assert!(tells(answered(Entry::Alone, &[])));
        assert!(tells(answered(Entry::Shared, &[])));
        assert!(!tells(answered(Entry::Shared, &under_spin)));
    }

    #[test]
    fn what_is_refused_is_answered_like_anything_else() {
        let mut request = Request::new(Body::empty());
        let id = "mine-1".parse().expect("a value");
        request.headers_mut().insert("x-request-id", id);
        let problem = Problem::new(StatusCode::BAD_REQUEST, "body-broken", "It broke.");
        let refused = Box::new(Refused { request, problem });
        let response = block_on(answer(Entry::Shared, Router::new(), Err(refused)));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()["x-request-id"], "mine-1");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
}
