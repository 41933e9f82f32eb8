//! What becomes of a request.

use worker::{Context, Env, Method, Request, Response, Result};

use crate::limiter;
use crate::metrics::{self, count};
use crate::news::{Verdict, judge};
use crate::problem::{INVALID_TOKEN, NOT_FOUND, ORIGIN_AWAY, RATE_LIMITED, UNAUTHENTICATED};
use crate::token::is_token;
use crate::{cache, origin, service, socket, topic};

/// The beginning of the edge's own addresses.
const OWN: &str = "/edge/";

/// What a request presents.
enum Presented {
    /// No credential.
    Nothing,
    /// An access token.
    Token(String),
    /// Something that only the origin can judge: a cookie, an API key, a signature.
    Other,
}

/// Answers a request.
pub async fn answer(request: Request, env: &Env, context: &Context) -> Result<Response> {
    if request.path().starts_with(OWN) {
        return own(request, env).await;
    }
    match presented(&request)? {
        Presented::Nothing if cache::is_cacheable(&request)? => cache::answer(&request, env).await,
        Presented::Nothing | Presented::Other => pass(&request, env).await,
        Presented::Token(token) => match judge(env, &token).await {
            Verdict::Invalid => {
                count("refused");
                INVALID_TOKEN.answer(&request)
            }
            Verdict::Unsure => pass(&request, env).await,
            Verdict::Valid(claims) => {
                if let Some(retry_after) = limiter::spend(&claims.account, env, context) {
                    count("limited");
                    return RATE_LIMITED.retried(&request, retry_after);
                }
                match socket::topic_of(&request)? {
                    Some(topic) => socket::open(request, env, &claims, &topic).await,
                    None => pass(&request, env).await,
                }
            }
        },
    }
}

fn presented(request: &Request) -> Result<Presented> {
    let headers = request.headers();
    for name in ["cookie", "x-api-key", "signature-input", "signature"] {
        if headers.has(name)? {
            return Ok(Presented::Other);
        }
    }
    let Some(value) = headers.get("authorization")? else {
        return Ok(Presented::Nothing);
    };
    let token = value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(match token {
        Some((_, token)) if is_token(token.trim()) => Presented::Token(token.trim().to_owned()),
        _ => Presented::Other,
    })
}

/// Passes a request to the origin, and its answer back as it is.
pub async fn pass(request: &Request, env: &Env) -> Result<Response> {
    let sent = worker::Fetch::Request(origin::forwarded(request, env)?)
        .send()
        .await;
    let Ok(response) = sent else {
        count("away");
        return ORIGIN_AWAY.retried(request, 1);
    };
    count("pass");
    let status = format!(
        "gather-edge; fwd=bypass; fwd-status={}",
        response.status_code()
    );
    origin::marked(response, &status)
}

/// The edge's own addresses, which only the origin and its operator ask.
async fn own(request: Request, env: &Env) -> Result<Response> {
    if env.var("PANICS").is_ok() && request.path() == "/edge/panic" {
        panic!("as a test wants it");
    }
    if !service::is_from_origin(env, request.headers())? {
        return UNAUTHENTICATED.answer(&request);
    }
    if request.path() == "/edge/metrics" {
        return Response::ok(metrics::text());
    }
    match request.path().strip_prefix(topic::CALLBACK) {
        Some(_) if request.method() == Method::Post => {
            count("push");
            topic::pushed(request, env).await
        }
        _ => NOT_FOUND.answer(&request),
    }
}
