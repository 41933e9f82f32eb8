//! Tokens with which a component proves to the platform's services that it is that component.

use std::cell::RefCell;
use std::collections::HashMap;

use http::HeaderValue;
use service_token::{OnBehalf, TOKEN_SECONDS, make};

use crate::clock::clock_seconds;
use crate::{Problem, Result, required_variable};

/// The time before its end at which a token is renewed, since clocks differ.
const RENEW_SECONDS: u64 = 60;

thread_local! {
    /// The tokens in use, by audience, with the time at which they are renewed.
    static TOKENS: RefCell<HashMap<&'static str, (HeaderValue, u64)>> = RefCell::default();
}

/// The header `Authorization` for a service, made with the key in a variable. It is used for minutes.
pub(crate) async fn token(
    component: &'static str,
    audience: &'static str,
    variable: &'static str,
) -> Result<HeaderValue> {
    let now = clock_seconds();
    let known = TOKENS.with_borrow(|tokens| tokens.get(audience).cloned());
    if let Some((token, _)) = known.filter(|(_, until)| now < *until) {
        return Ok(token);
    }
    let header = token_for(component, audience, variable, &OnBehalf::default()).await?;
    let renewed = now + TOKEN_SECONDS - RENEW_SECONDS;
    TOKENS.with_borrow_mut(|tokens| tokens.insert(audience, (header.clone(), renewed)));
    Ok(header)
}

/// As [`token`], on behalf of an account, for one request.
pub(crate) async fn token_for(
    component: &'static str,
    audience: &'static str,
    variable: &'static str,
    on_behalf: &OnBehalf,
) -> Result<HeaderValue> {
    let key = required_variable(variable).await?;
    let token = make(&key, component, audience, on_behalf).map_err(Problem::internal)?;
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(Problem::internal)?;
    header.set_sensitive(true);
    Ok(header)
}
