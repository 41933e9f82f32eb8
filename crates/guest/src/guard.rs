//! The guard in front of every handler: it identifies the caller, checks its scopes, and limits its requests.
//!
//! An operation's OpenAPI entry declares what it needs: no `security`, a valid identity (`"token" = []`), a scope
//! (`"token" = ["skills:publish"]`), or an optional identity (`()`, then `"token" = []`). An operation that lists the
//! header parameter `Idempotency-Key` honours it. So the documented rules are the enforced ones, and an entry with an
//! unknown word fails when the router is made. At most one statement asks the database, and most requests need none.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use axum::{RequestPartsExt, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use foldhash::fast::RandomState;
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tower_layer::layer_fn;
use tower_service::Service;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::caller::Checked;
use crate::client::{self, Address, SESSION_COOKIE, cookie};
use crate::clock::{unix_now, unix_now_ms};
use crate::extract::MAX_BODY_BYTES;
use crate::idempotency::{self, idempotent};
use crate::limits::{self, Bucket, Counted, Standing, Tier};
use crate::respond::PRIVATE;
use crate::token::{News, Secret, with_verifier};
use crate::{
    Caller, Client, Db, Problem, Result, SCOPES, args, conditional, openapi, required_variable,
    signature,
};

/// The prefix of API keys, by which scanners for leaked secrets find them.
pub const API_KEY_PREFIX: &str = "gk_";
const CSRF: &str = "x-csrf-token";
/// Tells Gather's host which account to name in its log. That host removes the header, and other hosts never get it.
pub(crate) const CALLER: HeaderName = HeaderName::from_static("gather-caller");

/// Puts the guard in front of routes.
///
/// # Panics
/// An operation's entry names an unknown rate limit, scope, security scheme or extension. The message names the
/// operation.
pub fn guarded(router: OpenApiRouter) -> Router {
    let (router, document) = router.split_for_parts();
    let policies = Policies::of(&document).unwrap_or_else(|wrong| panic!("{wrong}"));
    let policies = Arc::new(policies);
    let router = router.layer(layer_fn(move |inner| Guard {
        policies: policies.clone(),
        inner,
    }));
    // Without this, axum rebuilds each route for each request.
    router.with_state(())
}

/// Checks that each operation's entry asks for what exists.
///
/// # Errors
/// Names the operation whose entry does not.
#[cfg(target_family = "wasm")]
pub(crate) fn check_entries(document: &OpenApi) -> std::result::Result<(), String> {
    Policies::of(document).map(drop)
}

/// A route with its guard, like axum's `from_fn`, but with a single allocation for each request.
#[derive(Clone)]
struct Guard {
    policies: Arc<Policies>,
    inner: Route,
}

impl Service<Request> for Guard {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        // All of axum's routes are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self {
            policies,
            mut inner,
        } = self.clone();
        Box::pin(async move {
            let policy = policies.get(&request);
            let mut findings = Findings::default();
            let mut response = match admit(policy, request, &mut findings).await {
                Ok(request) => match policy.idempotent_up_to {
                    Some(max_bytes) => idempotent(max_bytes, request, inner).await,
                    None => inner.call(request).await?,
                },
                Err(problem) => problem.into_response(),
            };
            let headers = response.headers_mut();
            findings.tell(headers);
            if policy.looks && !headers.contains_key(CACHE_CONTROL) {
                headers.insert(CACHE_CONTROL, PRIVATE);
            }
            Ok(response)
        })
    }
}

/// The findings about a request, even if it is refused.
#[derive(Default)]
struct Findings {
    standing: Option<Standing>,
    caller: Option<Uuid>,
}

impl Findings {
    fn tell(&self, headers: &mut HeaderMap) {
        if let Some(standing) = self.standing {
            standing.tell(headers);
        }
        let Some(caller) = self.caller else {
            return;
        };
        let mut buffer = Uuid::encode_buffer();
        let caller = caller.hyphenated().encode_lower(&mut buffer);
        if let Ok(caller) = HeaderValue::from_str(caller) {
            headers.insert(CALLER, caller);
        }
    }
}

/// The requirements of an operation.
#[derive(Debug, Clone, PartialEq)]
struct Policy {
    tier: Tier,
    /// Whether the caller's identity is checked, if there is one.
    looks: bool,
    /// Whether an identity is required. An operation that has more to say about authentication refuses by itself:
    /// `extensions(("x-own-challenge" = json!(true)))`.
    required: bool,
    scopes: Vec<String>,
    /// The largest body with an `Idempotency-Key`; `None` if the operation does not honour it. The `request_body` sets
    /// a larger limit with `extensions(("x-max-body-bytes" = json!(…)))`.
    idempotent_up_to: Option<usize>,
}

/// The policy for unknown paths and methods.
static NO_OPERATION: Policy = Policy {
    tier: Tier::Relaxed,
    looks: false,
    required: false,
    scopes: Vec::new(),
    idempotent_up_to: None,
};

impl Policy {
    /// # Errors
    /// The entry contains an unknown word.
    fn of(operation: &Operation) -> std::result::Result<Self, String> {
        let mut policy = Self {
            tier: Tier::Standard,
            ..NO_OPERATION.clone()
        };
        let (mut own, mut max_bytes) = (false, MAX_BODY_BYTES);
        for (name, value) in operation.extensions.iter().flat_map(|all| all.iter()) {
            let wrong = || format!("`{name}` can't be {value}");
            match name.as_str() {
                "x-rate-limit" => {
                    policy.tier = serde_json::from_value(value.clone()).map_err(|_| wrong())?;
                }
                "x-own-challenge" => own = value.as_bool().ok_or_else(wrong)?,
                _ => return Err(format!("the extension `{name}` is unknown")),
            }
        }
        let body = operation.request_body.as_ref();
        let body = body.and_then(|body| body.extensions.as_ref());
        for (name, value) in body.iter().flat_map(|all| all.iter()) {
            if name != "x-max-body-bytes" {
                return Err(format!("the extension `{name}` of a body is unknown"));
            }
            let bytes = value.as_u64().and_then(|bytes| usize::try_from(bytes).ok());
            max_bytes = bytes.ok_or_else(|| format!("`{name}` can't be {value}"))?;
        }
        let accepted = openapi::accepted(&operation.security)?;
        policy.looks = accepted.iter().any(Option::is_some);
        policy.required = !accepted.is_empty() && accepted.iter().all(Option::is_some) && !own;
        policy.scopes = accepted.into_iter().flatten().flatten().collect();
        let unknown = |scope: &&String| !SCOPES.contains(&scope.as_str());
        if let Some(scope) = policy.scopes.iter().find(unknown) {
            return Err(format!("no role grants the scope `{scope}`"));
        }
        let mut parameters = operation.parameters.iter().flatten();
        let is_key = |parameter: &Parameter| {
            matches!(parameter.parameter_in, ParameterIn::Header)
                && parameter
                    .name
                    .eq_ignore_ascii_case(idempotency::KEY.as_str())
        };
        policy.idempotent_up_to = parameters.any(is_key).then_some(max_bytes);
        Ok(policy)
    }
}

/// The policies, by path as the router spells it, and by method.
struct Policies(HashMap<String, Vec<(Method, Policy)>, RandomState>);

impl Policies {
    fn of(document: &OpenApi) -> std::result::Result<Self, String> {
        let mut all = HashMap::default();
        for (path, item) in &document.paths.paths {
            let mut policies = Vec::new();
            for (method, operation) in [
                (Method::GET, &item.get),
                (Method::HEAD, &item.head),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ] {
                if let Some(operation) = operation {
                    let policy = Policy::of(operation);
                    let policy = policy.map_err(|wrong| format!("{method} {path}: {wrong}"))?;
                    policies.push((method, policy));
                }
            }
            all.insert(path.clone(), policies);
        }
        Ok(Self(all))
    }

    fn get(&self, request: &Request) -> &Policy {
        let path = request.extensions().get::<MatchedPath>();
        let operations = path.and_then(|path| self.0.get(path.as_str()));
        let find = |wanted: &Method| {
            let mut operations = operations.into_iter().flatten();
            operations.find(|(method, _)| method == wanted)
        };
        let head = || (*request.method() == Method::HEAD).then(|| find(&Method::GET));
        let found = find(request.method()).or_else(|| head().flatten());
        found.map_or(&NO_OPERATION, |(_, policy)| policy)
    }
}

/// Returns the request if it may go on, with what is known about its caller.
async fn admit(policy: &Policy, request: Request, findings: &mut Findings) -> Result<Request> {
    let (mut parts, mut body) = request.into_parts();
    let address = client::address(&parts.headers).await;
    let quota = policy.tier.quota(&address).await;
    let limit = quota.map(|quota| Limit {
        tier: policy.tier,
        quota,
        address: &address,
    });
    let (checked, left) = if !policy.looks {
        (Checked::Absent, charge(&mut parts, limit, None).await?)
    } else if signature::is_signed(&parts.headers) {
        // Signatures are not verified for an address that has used up its limit.
        if limit.is_some_and(|limit| limit.is_exhausted()) {
            findings.standing = charge(&mut parts, limit, None).await?;
            if let Some(refusal) = findings.standing.and_then(|standing| standing.refusal()) {
                return Err(refusal);
            }
        }
        let signed = match signature::check(&mut parts, &mut body).await {
            Ok(signed) => signed,
            Err(refusal) => {
                findings.standing = charge(&mut parts, limit, None).await?;
                return Err(refusal);
            }
        };
        let caller = match &signed {
            Checked::Known(caller) => Some(caller.clone()),
            _ => None,
        };
        (signed, charge(&mut parts, limit, caller.as_ref()).await?)
    } else {
        check(&mut parts, limit).await?
    };
    findings.standing = left;
    if let Some(refusal) = left.and_then(|standing| standing.refusal()) {
        return Err(refusal);
    }
    match &checked {
        Checked::Known(caller) => {
            findings.caller = Some(caller.id);
            require(caller, policy, &mut parts).await?;
        }
        Checked::Absent if policy.required => return Err(Problem::unauthenticated()),
        Checked::Invalid(problem) if policy.required => return Err(problem.clone()),
        Checked::Absent | Checked::Invalid(_) => {}
    }
    conditional::refuse_on_change(&parts.method, &parts.headers)?;
    if !matches!(checked, Checked::Absent) {
        parts.extensions.insert(checked);
    }
    Ok(Request::from_parts(parts, body))
}

/// Refuses with 403 unless the caller has the operation's scopes. A refusal is recorded in the audit trail.
async fn require(caller: &Caller, policy: &Policy, parts: &mut Parts) -> Result<()> {
    let missing = policy.scopes.iter().find(|scope| !caller.allows(scope));
    let Some(scope) = missing else {
        return Ok(());
    };
    let subject = format!("{} {}", parts.method, parts.uri.path());
    let client = parts.extract::<Client>().await?;
    let db = parts.extract::<Db>().await?;
    db.execute(
        "select identity.refuse_access($1, $2, $3, $4, $5)",
        args![caller.id, subject, client.address, client.request_id, scope],
    )
    .await?;
    Err(Problem::insufficient_scope(scope))
}

/// The limit on a request, and the address that it counts for.
#[derive(Debug, Clone, Copy)]
struct Limit<'a> {
    tier: Tier,
    quota: u32,
    address: &'a Address,
}

impl Limit<'_> {
    fn bucket(&self, caller: Option<&Caller>) -> Bucket {
        let of = match caller {
            Some(caller) => Counted::Account(caller.id),
            None => Counted::Address(self.address.text.clone()),
        };
        Bucket {
            tier: self.tier,
            of,
        }
    }

    /// Whether the address is known to have used up its limit.
    fn is_exhausted(&self) -> bool {
        limits::is_exhausted(&self.bucket(None), unix_now_ms())
    }

    fn spend(&self, caller: Option<&Caller>) -> Option<Standing> {
        limits::spend(&self.bucket(caller), self.quota, unix_now_ms())
    }
}

/// Counts a request whose caller is already known or absent.
async fn charge(
    parts: &mut Parts,
    limit: Option<Limit<'_>>,
    caller: Option<&Caller>,
) -> Result<Option<Standing>> {
    let Some(limit) = limit else {
        return Ok(None);
    };
    if let Some(standing) = limit.spend(caller) {
        return Ok(Some(standing));
    }
    ask(parts, None, Some((&limit, caller))).await?;
    Ok(limit.spend(caller))
}

/// Identifies the caller by a token, an API key or a cookie, and counts the request for that account or else for the
/// address.
async fn check(parts: &mut Parts, limit: Option<Limit<'_>>) -> Result<(Checked, Option<Standing>)> {
    let mut is_bearer = true;
    let presented = match presented(&parts.headers) {
        Presented::Nothing => {
            return Ok((Checked::Absent, charge(parts, limit, None).await?));
        }
        Presented::Malformed => None,
        Presented::Secret { text, is_token } => Some((text, is_token)),
        Presented::Cookie { text, csrf } => {
            if !parts.method.is_safe() && !is_csrf_token(&text, csrf.as_deref()) {
                return Ok((
                    Checked::Invalid(csrf_failed()),
                    charge(parts, limit, None).await?,
                ));
            }
            is_bearer = false;
            Some((text, false))
        }
    };
    let Some((text, is_token)) = presented else {
        let left = charge(parts, limit, None).await?;
        return Ok((Checked::Invalid(Problem::unauthenticated()), left));
    };
    let server = required_variable("public_url").await?;
    let secret = if is_token {
        Secret::Token(&text)
    } else {
        Secret::Opaque(&text)
    };
    let now = unix_now();
    let recall = || with_verifier(|verifier| verifier.recall(&server, secret, now));

    let mut caller = recall();
    let asks = with_verifier(|verifier| {
        verifier.is_stale(now)
            || (caller.is_none() && (!is_token || verifier.should_reload_for(&text)))
    });
    let mut left = limit.and_then(|limit| limit.spend(caller.as_ref()));
    // Invented secrets from an address that has used up its limit cost no statement.
    let refused = caller.is_none() && left.is_some_and(|left| left.refusal().is_some());
    if asks && !refused {
        // A known secret is asked for too, because its account may have changed and have other scopes.
        let unknown = (!is_token).then_some(text.as_str());
        let leased = limit.as_ref().filter(|_| left.is_none());
        ask(parts, unknown, leased.map(|limit| (limit, caller.as_ref()))).await?;
        let before = caller;
        caller = recall();
        // The address was charged, or this is the account's first request here.
        if before.is_none() && caller.is_some() {
            left = None;
        }
    }
    if left.is_none() {
        left = charge(parts, limit, caller.as_ref()).await?;
    }
    let checked = match caller {
        Some(caller) => Checked::Known(caller),
        None if is_bearer => Checked::Invalid(Problem::invalid_token()),
        None => Checked::Invalid(Problem::unauthenticated()),
    };
    Ok((checked, left))
}

/// Runs the guard's only statement: it fetches changes, the owner of a secret, and a lease.
async fn ask(
    parts: &mut Parts,
    secret: Option<&str>,
    lease: Option<(&Limit<'_>, Option<&Caller>)>,
) -> Result<()> {
    let now = unix_now();
    let since = with_verifier(|verifier| verifier.since());
    let hash: Option<[u8; 32]> = secret.map(|secret| Sha256::digest(secret).into());
    let bucket = lease.map(|(limit, caller)| limit.bucket(caller).to_string());
    let (tier, quota) = lease.map_or((Tier::Standard, 0), |(limit, _)| (limit.tier, limit.quota));
    let quota = i32::try_from(quota).unwrap_or(i32::MAX);
    let db = parts.extract::<Db>().await?;
    #[derive(Deserialize)]
    struct Row {
        news: News,
    }
    let Row { news } = db
        .one(
            "select identity.check_in($1::text::timestamptz, $2, $3, $4, $5, $6) as news",
            args![since, hash, bucket, tier.name(), quota, tier.is_exact()],
        )
        .await?;
    with_verifier(|verifier| {
        verifier.learn(&news, now);
        if let (Some(secret), Some(found)) = (secret, &news.caller) {
            verifier.remember_opaque(secret, found, now);
        }
    });
    if let (Some(grant), Some((limit, caller))) = (news.lease, lease) {
        let found = news.caller.as_ref().map(crate::token::Found::caller);
        let bucket = limit.bucket(found.as_ref().or(caller));
        limits::remember(bucket, grant, unix_now_ms());
    }
    Ok(())
}

/// The credentials in a request's headers.
#[derive(Debug, PartialEq)]
enum Presented {
    Nothing,
    Malformed,
    Secret { text: String, is_token: bool },
    Cookie { text: String, csrf: Option<String> },
}

/// Reads the credentials. `Authorization: Bearer` takes precedence over the cookie.
fn presented(headers: &HeaderMap) -> Presented {
    if headers.contains_key(AUTHORIZATION) {
        let Some(text) = bearer(headers) else {
            return Presented::Malformed;
        };
        let is_token = !text.starts_with(API_KEY_PREFIX);
        return Presented::Secret {
            text: text.to_owned(),
            is_token,
        };
    }
    let Some(text) = cookie(headers, SESSION_COOKIE) else {
        return Presented::Nothing;
    };
    let csrf = headers.get(CSRF).and_then(|value| value.to_str().ok());
    Presented::Cookie {
        text: text.to_owned(),
        csrf: csrf.map(str::to_owned),
    }
}

/// The token of `Authorization: Bearer <token>`; `None` for another scheme or a malformed header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The token that a page of this site sends with a change to prove its origin. It is derived from the cookie, which
/// pages can't read, and is returned to the page that signs in.
pub fn csrf_token(cookie: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("gather-csrf-v1:{cookie}")))
}

fn is_csrf_token(cookie: &str, given: Option<&str>) -> bool {
    let given = given.unwrap_or_default().as_bytes();
    csrf_token(cookie).as_bytes().ct_eq(given).into()
}

fn csrf_failed() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "csrf-failed",
        "A change with the session cookie needs the header `X-CSRF-Token`, with the value from signing in.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, value.parse().expect("a value"))
        });
        pairs.collect()
    }

    #[test]
    fn only_bearer_is_read() {
        let bearer_of =
            |value: &str| bearer(&headers(&[("authorization", value)])).map(str::to_owned);
        assert_eq!(bearer_of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(bearer_of("bearer abc").as_deref(), Some("abc"));
        assert_eq!(bearer_of("Basic abc"), None);
        assert_eq!(bearer_of("abc"), None);
    }

    #[test]
    fn a_header_goes_before_a_cookie() {
        let both = headers(&[
            ("authorization", "Bearer gk_1"),
            ("cookie", "__Host-gather-session=gs_2"),
        ]);
        let key = Presented::Secret {
            text: "gk_1".to_owned(),
            is_token: false,
        };
        assert_eq!(presented(&both), key);
        let broken = headers(&[
            ("authorization", "Basic x"),
            ("cookie", "__Host-gather-session=gs_2"),
        ]);
        assert_eq!(presented(&broken), Presented::Malformed);
        assert_eq!(presented(&headers(&[])), Presented::Nothing);
    }

    #[test]
    fn a_csrf_token_is_for_one_cookie() {
        let token = csrf_token("gs_1");
        assert!(is_csrf_token("gs_1", Some(&token)));
        assert!(!is_csrf_token("gs_2", Some(&token)));
        assert!(!is_csrf_token("gs_1", None) && !is_csrf_token("gs_1", Some("")));
    }

    mod documented {
        #[utoipa::path(get, path = "/open", responses())]
        pub async fn open() {}
        #[utoipa::path(get, path = "/known", responses(), security(("token" = [])))]
        pub async fn known() {}
        #[utoipa::path(get, path = "/looked-at", responses(), security((), ("token" = [])))]
        pub async fn looked_at() {}
        #[utoipa::path(
            post, path = "/scoped", responses(), security(("token" = ["kb:write"])),
            extensions(("x-rate-limit" = json!("bulk")))
        )]
        pub async fn scoped() {}
        #[utoipa::path(
            post, path = "/once", responses(),
            params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
            request_body(content = String, extensions(("x-max-body-bytes" = json!(5))))
        )]
        pub async fn once() {}
        #[utoipa::path(get, path = "/a", responses(), extensions(("x-rate-limit" = json!("stricd"))))]
        pub async fn unknown_tier() {}
        #[utoipa::path(get, path = "/b", responses(), security(("token" = ["kb:wriet"])))]
        pub async fn unknown_scope() {}
        #[utoipa::path(get, path = "/c", responses(), security(("tokne" = [])))]
        pub async fn unknown_scheme() {}
        #[utoipa::path(get, path = "/d", responses(), extensions(("x-rate-limits" = json!("strict"))))]
        pub async fn unknown_extension() {}
        #[utoipa::path(post, path = "/e", responses(), request_body(content = String, extensions(("x-max-body-bytes" = json!("5")))))]
        pub async fn no_size() {}
    }

    #[test]
    fn an_entry_that_asks_for_what_nobody_knows_fails_with_the_operation() {
        use documented::{
            __path_no_size, __path_unknown_extension, __path_unknown_scheme, __path_unknown_scope,
            __path_unknown_tier, no_size, unknown_extension, unknown_scheme, unknown_scope,
            unknown_tier,
        };
        use utoipa_axum::routes;
        let new = OpenApiRouter::<()>::new;
        for (router, operation, word) in [
            (new().routes(routes!(unknown_tier)), "GET /a", "stricd"),
            (new().routes(routes!(unknown_scope)), "GET /b", "kb:wriet"),
            (new().routes(routes!(unknown_scheme)), "GET /c", "tokne"),
            (
                new().routes(routes!(unknown_extension)),
                "GET /d",
                "x-rate-limits",
            ),
            (
                new().routes(routes!(no_size)),
                "POST /e",
                "x-max-body-bytes",
            ),
        ] {
            let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| guarded(router)));
            let message = made.expect_err(operation);
            let message = message.downcast_ref::<String>().expect("a text");
            assert!(
                message.contains(operation) && message.contains(word),
                "{message}"
            );
        }
    }

    #[test]
    fn policies_are_what_is_documented() {
        use documented::{
            __path_known, __path_looked_at, __path_once, __path_open, __path_scoped, known,
            looked_at, once, open, scoped,
        };
        use utoipa_axum::routes;
        let router: OpenApiRouter = OpenApiRouter::new()
            .routes(routes!(open))
            .routes(routes!(known))
            .routes(routes!(looked_at))
            .routes(routes!(scoped))
            .routes(routes!(once));
        let policies = Policies::of(&router.into_openapi()).expect("known words");
        let policy = |path: &str| &policies.0[path][0].1;
        let standard = |looks, required| Policy {
            tier: Tier::Standard,
            looks,
            required,
            scopes: Vec::new(),
            idempotent_up_to: None,
        };
        assert_eq!(*policy("/open"), standard(false, false));
        assert_eq!(*policy("/known"), standard(true, true));
        assert_eq!(*policy("/looked-at"), standard(true, false));
        let scoped = Policy {
            tier: Tier::Bulk,
            looks: true,
            required: true,
            scopes: vec!["kb:write".to_owned()],
            idempotent_up_to: None,
        };
        assert_eq!(*policy("/scoped"), scoped);
        assert_eq!(policy("/once").idempotent_up_to, Some(5));
    }
}
