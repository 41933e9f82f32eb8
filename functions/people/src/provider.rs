//! Signing in with a provider of OpenID Connect: the authorization code flow with PKCE (OpenID Connect Core 1.0,
//! RFC 7636, RFC 9700).
//!
//! The state between leaving and coming back is sealed in a cookie, so that nothing is stored for people who do not
//! come back, and nobody can come back in another browser.

use std::cell::RefCell;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use garde::Validate;
use guest::db::OnConstraint;
use guest::{
    Client, Db, Problem, Query, Result, args, cookie, fetch_whole, html, limit_silence,
    own_address, required_variable, variable,
};
use principal::seal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::email::{normal_email, valid_email};
use crate::id_token::{Claims, Keys};
use crate::sign_in;

const COOKIE: &str = "__Host-gather-provider";
/// The longest time that somebody may take at the provider.
const SECONDS: i64 = 600;
/// The longest silence of the provider.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// The provider, as configured.
struct Provider {
    issuer: Arc<str>,
    client_id: Arc<str>,
    secret: Option<Arc<str>>,
}

/// The provider's description of itself (OpenID Connect Discovery 1.0).
#[derive(Clone, Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

/// The content of the cookie in the meantime.
#[derive(Serialize, Deserialize)]
struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    expires: i64,
    /// The path that the browser goes on to.
    next: String,
}

/// What the browser wants after signing in.
#[derive(Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wish {
    /// The path of this server that the browser goes on to afterwards; the front page if it is not one.
    #[garde(skip)]
    next: Option<String>,
}

/// The parameters with which the provider sends people back.
#[derive(Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Returned {
    /// The state that was sent to the provider.
    #[garde(skip)]
    state: Option<String>,
    /// The authorization code to exchange.
    #[garde(skip)]
    code: Option<String>,
    /// The reason why there is no code.
    #[garde(skip)]
    error: Option<String>,
}

/// Sends a browser to the configured provider, to sign in there.
#[utoipa::path(
    get, path = "/api/sessions/provider", tag = "sessions", params(Wish),
    responses(
        (status = 303, description = "The browser goes on to the provider.", headers(("Location" = String, description = "The provider's page for signing in."))),
        (status = 404, description = "`not-found`: no provider is configured"),
        (status = 502, description = "`provider-unavailable`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn begin(Query(wish): Query<Wish>) -> Result<Response> {
    let provider = Provider::configured().await?;
    let discovered = provider.discover().await?;
    let random = || URL_SAFE_NO_PAD.encode(seal::random::<32>());
    let pending = Pending {
        state: random(),
        nonce: random(),
        verifier: random(),
        expires: OffsetDateTime::now_utc().unix_timestamp() + SECONDS,
        next: own_address(wish.next.as_deref().unwrap_or_default()).to_owned(),
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&pending.verifier));
    let query = serde_urlencoded::to_string([
        ("response_type", "code"),
        ("client_id", &provider.client_id),
        ("redirect_uri", &callback().await?),
        ("scope", "openid email profile"),
        ("state", &pending.state),
        ("nonce", &pending.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ])
    .map_err(Problem::internal)?;
    let endpoint = discovered.authorization_endpoint;
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    let sealed = serde_json::to_vec(&pending).map_err(Problem::internal)?;
    let sealed = seal::seal(&key().await?, COOKIE.as_bytes(), &sealed)?;
    let mut response = redirect(&format!("{endpoint}{separator}{query}"))?;
    sign_in::set_cookie(
        &mut response,
        COOKIE,
        &URL_SAFE_NO_PAD.encode(sealed),
        SECONDS,
    )?;
    Ok(response)
}

/// Receives the browser that the provider sends back, opens a session, and sets its cookie.
#[utoipa::path(
    get, path = "/api/sessions/provider/callback", tag = "sessions", params(Returned),
    responses(
        (status = 303, description = "The session is open, and the browser goes on to the page that it wanted, or to the front page.", headers(("Location" = String, description = "The path of the page."), ("Set-Cookie" = String, description = "The cookie of the new session."))),
        (status = 401, body = String, content_type = "text/html", description = "The provider's answer was refused."),
        (status = 404, description = "`not-found`: no provider is configured"),
        (status = 502, body = String, content_type = "text/html", description = "The provider can't be reached."),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn callback_page(
    db: Db,
    client: Client,
    headers: HeaderMap,
    Query(returned): Query<Returned>,
) -> Result<Response> {
    let provider = Provider::configured().await?;
    let (address, request_id) = (client.address.clone(), client.request_id.clone());
    let mut response = match come_back(&db, &provider, client, &headers, returned).await {
        Ok((signed_in, next)) => {
            let mut response = redirect(&next)?;
            let cookies = signed_in.headers().get_all(SET_COOKIE).iter().cloned();
            response
                .headers_mut()
                .extend(cookies.map(|cookie| (SET_COOKIE, cookie)));
            response
        }
        Err(problem) => {
            db.execute(
                "select audit.record(null, 'session.refused', null, false, $1, $2, $3)",
                args![address, request_id, json!({ "method": "provider" })],
            )
            .await?;
            problem_page(&problem)
        }
    };
    sign_in::set_cookie(&mut response, COOKIE, "", 0)?;
    Ok(response)
}

/// A problem as a page, since a browser comes back here.
fn problem_page(problem: &Problem) -> Response {
    let main = format!(
        "<h1>That did not work</h1>\n{}<p><a href=\"/sign-in\">Sign in another way</a>, or begin again.</p>",
        html::prose(problem.detail())
    );
    html::form_answer(problem.status(), html::document("Sign in · Gather", &main))
}

async fn come_back(
    db: &Db,
    provider: &Provider,
    client: Client,
    headers: &HeaderMap,
    returned: Returned,
) -> Result<(Response, String)> {
    let pending = pending(headers).await?;
    if pending.expires <= OffsetDateTime::now_utc().unix_timestamp()
        || returned.state.as_deref() != Some(&pending.state)
    {
        return Err(refused("state"));
    }
    if let Some(error) = returned.error {
        guest::info!(
            "the provider refused",
            error = error.chars().take(100).collect::<String>()
        );
        return Err(refused("provider"));
    }
    let code = returned.code.ok_or_else(|| refused("code"))?;
    let discovered = provider.discover().await?;
    let token = provider
        .exchange(&discovered, &code, &pending.verifier)
        .await?;
    let keys: Keys = ask(Method::GET, &discovered.jwks_uri, None, None).await?;
    let claims = keys
        .verify(
            &token,
            &provider.issuer,
            &provider.client_id,
            &pending.nonce,
        )
        .map_err(refused)?;
    let account = account(db, provider, &client, claims).await?;
    let opened = sign_in::open(db, account, "provider", None, client).await?;
    Ok((opened, pending.next))
}

/// The account of the person that the provider vouches for, created if it does not exist.
async fn account(db: &Db, provider: &Provider, client: &Client, claims: Claims) -> Result<Uuid> {
    #[derive(Deserialize)]
    struct Row {
        account: Option<Uuid>,
    }
    let subject = claims.subject.ok_or_else(|| refused("subject"))?;
    let email = claims.custom.email.unwrap_or_default();
    if valid_email(&email, &()).is_err() {
        return Err(refused("email"));
    }
    let email = normal_email(&email);
    let verified = matches!(
        claims.custom.email_verified,
        Some(serde_json::Value::Bool(true))
    ) || claims.custom.email_verified == Some(json!("true"));
    let wished = claims.custom.preferred_username;
    let wished = wished
        .as_deref()
        .unwrap_or_else(|| email.split('@').next().unwrap_or_default());
    let row: Row = db
        .one(
            "select identity.account_of_external($1, $2, $3, $4, $5, $6) as account",
            args![
                &*provider.issuer,
                subject,
                &email,
                verified,
                name(wished),
                json!(client)
            ],
        )
        .await
        .on_constraint("person_email_verified", refusal())?;
    row.account.ok_or_else(|| refused("suspended account"))
}

/// Derives an account name from the name at the provider.
fn name(wished: &str) -> String {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let lower = wished.to_ascii_lowercase();
    let words: Vec<&str> = lower
        .split(|c| !allowed(c))
        .filter(|word| !word.is_empty())
        .collect();
    let mut name = words.join("-");
    // With `user-` in front it is still a valid name.
    name.truncate(35);
    let is_name = name.len() >= 3 && name.parse::<Uuid>().is_err();
    if is_name {
        name
    } else {
        format!("user-{name}")
    }
}

impl Provider {
    async fn configured() -> Result<Self> {
        let (Some(issuer), Some(client_id)) = (
            variable("oidc_issuer").await,
            variable("oidc_client_id").await,
        ) else {
            return Err(Problem::not_found("provider"));
        };
        Ok(Self {
            issuer,
            client_id,
            secret: variable("oidc_client_secret").await,
        })
    }

    /// The description is fetched again after some minutes, so that people need not wait for it, nor cause requests at
    /// will.
    async fn discover(&self) -> Result<Discovered> {
        thread_local! {
            static KNOWN: RefCell<Option<(Discovered, i64)>> = const { RefCell::new(None) };
        }
        let now = OffsetDateTime::now_utc().unix_timestamp();
        if let Some((known, until)) = KNOWN.with_borrow(Clone::clone)
            && now < until
        {
            return Ok(known);
        }
        let base = self.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let discovered: Discovered = ask(Method::GET, &url, None, None).await?;
        if discovered.issuer != *self.issuer {
            return Err(unavailable(
                "it calls itself another issuer than the configured one",
            ));
        }
        KNOWN.set(Some((discovered.clone(), now + SECONDS)));
        Ok(discovered)
    }

    /// Exchanges a code for the ID token.
    async fn exchange(
        &self,
        discovered: &Discovered,
        code: &str,
        verifier: &str,
    ) -> Result<String> {
        #[derive(Deserialize)]
        struct Answer {
            id_token: String,
        }
        let form = serde_urlencoded::to_string([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &callback().await?),
            ("client_id", &self.client_id),
            ("code_verifier", verifier),
        ])
        .map_err(Problem::internal)?;
        // RFC 6749, section 2.3.1: both are form-encoded before they are joined.
        let encode =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let basic = self.secret.as_ref().map(|secret| {
            let pair = format!("{}:{}", encode(&self.client_id), encode(secret));
            format!("Basic {}", STANDARD.encode(pair))
        });
        let answer: Answer =
            ask(Method::POST, &discovered.token_endpoint, basic, Some(form)).await?;
        Ok(answer.id_token)
    }
}

async fn pending(headers: &HeaderMap) -> Result<Pending> {
    let sealed = cookie(headers, COOKIE).ok_or_else(|| refused("cookie"))?;
    let sealed = URL_SAFE_NO_PAD
        .decode(sealed)
        .map_err(|_| refused("cookie"))?;
    let opened = seal::open(&key().await?, COOKIE.as_bytes(), &sealed);
    let opened = opened.ok_or_else(|| refused("cookie"))?;
    serde_json::from_slice(&opened).map_err(|_| refused("cookie"))
}

async fn key() -> Result<[u8; 32]> {
    seal::subkey("provider").await
}

async fn callback() -> Result<String> {
    let server = required_variable("public_url").await?;
    Ok(format!("{server}/api/sessions/provider/callback"))
}

/// Requests JSON from the provider.
async fn ask<T: DeserializeOwned>(
    method: Method,
    url: &str,
    authorization: Option<String>,
    form: Option<String>,
) -> Result<T> {
    let mut request = Request::builder()
        .method(method)
        .uri(url)
        .header(ACCEPT, "application/json");
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if form.is_some() {
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    let request = request.body(form.map_or_else(Body::empty, Body::from));
    let mut request = request.map_err(unavailable)?;
    limit_silence(&mut request, SILENCE);
    let response = fetch_whole(request, MAX_ANSWER_BYTES)
        .await
        .map_err(unavailable)?;
    // The client can't act on a refusal here: the code was used, or the client's secret is wrong.
    if !response.status().is_success() {
        return Err(unavailable(format_args!(
            "{url} answered {}",
            response.status()
        )));
    }
    strict_json::read(response.body()).map_err(unavailable)
}

fn redirect(location: &str) -> Result<Response> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// The problem 401. The cause goes to the log only.
fn refused(what: &str) -> Problem {
    guest::info!(
        "a sign-in with the provider was refused",
        refused = what.to_owned()
    );
    refusal()
}

fn refusal() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "provider-refused",
        "The sign-in with the provider was not accepted, or took too long. Begin again.",
    )
}

/// The problem 502. The cause goes to the log only.
fn unavailable(why: impl std::fmt::Display) -> Problem {
    guest::warn!("the provider can't be used", cause = why.to_string());
    Problem::new(
        StatusCode::BAD_GATEWAY,
        "provider-unavailable",
        "The provider can't be reached at the moment, or refuses this server.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_names_of_ours() {
        for (wished, expected) in [
            ("Grace Hopper", "grace-hopper"),
            ("ada.lovelace+x", "ada-lovelace-x"),
            ("x", "user-x"),
            ("", "user-"),
            ("日本", "user-"),
            (&"a".repeat(50), &"a".repeat(35)),
            (
                "0192f5a0-1234-7abc-8def-0123456789ab",
                "0192f5a0-1234-7abc-8def-0123456789a",
            ),
            (
                "0192f5a012347abc8def0123456789ab",
                "user-0192f5a012347abc8def0123456789ab",
            ),
        ] {
            let made = name(wished);
            assert_eq!(made, expected, "{wished}");
            assert!(principal::valid_name(&made, &()).is_ok(), "{made}");
        }
    }
}
