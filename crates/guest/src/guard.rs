//! The guard in front of every handler: it identifies the caller, checks its scopes, and limits its requests.
//!
//! An operation's OpenAPI entry declares what it needs: no `security`, a valid identity (`"token" = []`), a scope
//! (`"token" = ["skills:publish"]`), or an optional identity (`()`, then `"token" = []`). An operation that lists the
//! header parameter `Idempotency-Key` honours it. So the documented rules are the enforced ones, and an entry with an
//! unknown word fails when the router is made. At most one statement asks the database, and most requests need none.

mod credentials;
mod policy;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use axum::{RequestPartsExt, Router};
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tower_layer::layer_fn;
use tower_service::Service;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::caller::Checked;
use crate::client::{self, Address};
use crate::clock::{unix_now, unix_now_ms};
use crate::idempotency::idempotent;
use crate::limits::{self, Bucket, Counted, Standing, Tier};
use crate::respond::PRIVATE;
use crate::token::{News, Secret, with_verifier};
use crate::{Caller, Client, Db, Problem, Result, args, conditional, required_variable, signature};
use credentials::{Presented, csrf_failed, is_csrf_token, presented};
use policy::{Policies, Policy};

pub use credentials::csrf_token;

/// The prefix of API keys, by which scanners for leaked secrets find them.
pub const API_KEY_PREFIX: &str = "gk_";
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
#[cfg(target_os = "wasi")]
pub(crate) fn check_entries(
    document: &utoipa::openapi::OpenApi,
) -> std::result::Result<(), String> {
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
            let is_personal = policy.required || findings.presented;
            if policy.looks && is_personal && !headers.contains_key(CACHE_CONTROL) {
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
    /// Whether the request has a credential, valid or not.
    presented: bool,
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
    findings.presented = !matches!(checked, Checked::Absent);
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
    conditional::refuse_on_change(
        &parts.method,
        &parts.headers,
        policy.matches,
        policy.matches_none,
    )?;
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
    let client = parts.extract::<Client>().await?.of(caller);
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
