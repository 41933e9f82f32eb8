//! The proof that a request comes from an edge.

use std::cell::RefCell;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use guest::{Problem, Result, required_variable};
use service_token::{EDGE, Verifier};

thread_local! {
    static VERIFIER: RefCell<Option<Arc<Verifier>>> = const { RefCell::new(None) };
}

/// Refuses a request without a valid service token of an edge.
pub async fn require(headers: &HeaderMap) -> Result<()> {
    let verifier = match VERIFIER.with_borrow(Clone::clone) {
        Some(known) => known,
        None => {
            let key = required_variable("edge_key").await?;
            let made = Arc::new(Verifier::new(EDGE, [("edge", &*key)]));
            VERIFIER.set(Some(made.clone()));
            made
        }
    };
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let issuer = token.and_then(|token| verifier.issuer(token));
    issuer.map(drop).ok_or_else(Problem::unauthenticated)
}
