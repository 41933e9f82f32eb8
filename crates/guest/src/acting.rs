//! Acting for an account: access tokens that a component gets for the account by exchanging its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use serde::Deserialize;
use serde_json::json;
use service_token::EXCHANGE;
use uuid::Uuid;

use crate::clock::clock_seconds;
use crate::{Problem, Result, fetch_whole, limit_silence, service};

/// The time before its end at which a token is renewed.
const RENEW_SECONDS: u64 = 60;
/// The number of tokens at which those that have ended are forgotten.
const MAX_TOKENS: usize = 1_000;
const SILENCE: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Exchanges tokens for the component with this id. The manifest says which scopes it may ask for: `exchange` in its
/// `[component.<id>.tool.gather]`. Its key is the variable `exchange_key`.
#[derive(Debug, Clone, Copy)]
pub struct Acting(pub &'static str);

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

thread_local! {
    static TOKENS: RefCell<HashMap<(Uuid, String), (HeaderValue, u64)>> = RefCell::default();
}

impl Acting {
    /// The header `Authorization` with which this component acts for an account, with those of the scopes that the account
    /// has. `identity_url` is where the function `identity` answers, such as `http://identity.spin.internal`.
    ///
    /// # Errors
    /// The account is suspended or gone, or the component may not ask for one of the scopes.
    pub async fn authorization(
        self,
        identity_url: &str,
        account: Uuid,
        scopes: &[&str],
    ) -> Result<HeaderValue> {
        let now = clock_seconds();
        let wanted = (account, scopes.join(" "));
        let known = TOKENS.with_borrow(|tokens| tokens.get(&wanted).cloned());
        if let Some((token, _)) = known.filter(|(_, until)| now < *until) {
            return Ok(token);
        }
        let own = service::token(self.0, EXCHANGE, "exchange_key").await?;
        let body = json!({"account": account, "scopes": scopes}).to_string();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{identity_url}/api/tokens/exchange"))
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, own)
            .body(Body::from(body))
            .map_err(Problem::internal)?;
        limit_silence(&mut request, SILENCE);
        let answer = fetch_whole(request, MAX_ANSWER_BYTES).await;
        let answer = answer.map_err(Problem::internal)?;
        if !answer.status().is_success() {
            return Err(Problem::forbidden(
                "This account can't be acted for at the moment.",
            ));
        }
        let answer: Answer = serde_json::from_slice(answer.body()).map_err(Problem::internal)?;
        let header = format!("Bearer {}", answer.access_token);
        let mut header = HeaderValue::try_from(header).map_err(Problem::internal)?;
        header.set_sensitive(true);
        let until = now + answer.expires_in.saturating_sub(RENEW_SECONDS);
        TOKENS.with_borrow_mut(|tokens| {
            if tokens.len() >= MAX_TOKENS {
                tokens.retain(|_, (_, until)| now < *until);
            }
            tokens.insert(wanted, (header.clone(), until));
        });
        Ok(header)
    }
}
