//! One request on its way out: the headers that say where and with which secret, and the headers that pass.

use crate::answer::{self, Limits};
use crate::connections::{Answer, Connections};
use crate::mask::Mask;
use crate::place;
use crate::presence::Presence;
use crate::problem::Problem;
use crate::service::Shared;
use crate::target::Target;
use crate::vault::{self, Asked};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use outgoing::{Failure, in_origin_form, is_forbidden_header};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The time limit of an answer's head, unless the request sets one.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// The longest silence within an answer, unless the request sets one.
const SILENCE: Duration = Duration::from_secs(120);
/// The longest that a request may ask for either.
const MAX_PATIENCE_MS: u64 = 3_600_000;
/// Headers of this request that are about the way out itself.
const OWN: &str = "gather-";
/// The component that calls models. It may ask for what only providers of the environment reach.
const GATEWAY: &str = "llm";
/// Headers that name the platform's own client or its traces, or would keep the secret from being found in the answer.
const DROPPED: [HeaderName; 14] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::FORWARDED,
    header::TE,
    header::TRAILER,
    header::ACCEPT_ENCODING,
    header::RANGE,
    header::IF_RANGE,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

/// Any method, /forward: sends the request to its target, and passes the answer back as it comes.
pub async fn forward(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let mut presence = Presence::of(request.headers(), &shared.pool);
    match sent(&shared, request, &mut presence).await {
        Ok(response) => answer::watched(response, presence),
        Err(problem) => {
            presence.ended();
            shared.metrics.refused(problem.code);
            problem.into_response()
        }
    }
}

async fn sent(
    shared: &Arc<Shared>,
    request: Request<Body>,
    presence: &mut Presence,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let issuer = shared.issuer(&parts.headers)?;
    let target = text(&parts.headers, "gather-target")?
        .ok_or_else(|| Problem::invalid("The header `Gather-Target` is missing."))?;
    let is_of_environment = issuer.component == GATEWAY
        && text(&parts.headers, "gather-provider")? == Some("environment");
    let connections = if is_of_environment {
        &shared.of_environment
    } else {
        &shared.connections
    };
    let target = Target::read(target, &connections.outgoing)?;
    let head_within = patience(&parts.headers, "gather-timeout-ms")?.unwrap_or(HEAD_WITHIN);
    let silence = patience(&parts.headers, "gather-idle-ms")?.unwrap_or(SILENCE);
    let whole = patience(&parts.headers, "gather-total-ms")?
        .unwrap_or(Duration::from_millis(MAX_PATIENCE_MS));
    let limits = Limits {
        silence,
        until: Instant::now() + whole,
    };
    let asked = asked(&parts.headers)?;
    let mut headers = passed(&parts.headers);
    let Some(asked) = asked else {
        let request = assemble(parts.method, target.uri.clone(), headers, body)?;
        presence.sending();
        let answer = exchange(connections, &target, request, head_within).await?;
        return answer::prepare(answer, None, None, &limits);
    };
    let taken = vault::take(
        &shared.pool,
        &shared.key,
        &issuer,
        &asked,
        &target,
        &parts.method,
    )
    .await?;
    let mask = Arc::new(Mask::new(taken.value.bytes()));
    let (uri, body) = place::put(&taken, &target, &mut headers, body).await?;
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    let request = assemble(parts.method, uri, headers, body)?;
    presence.sending();
    let answer = exchange(connections, &target, request, head_within).await?;
    // The use is written down already; its status may come a moment later.
    tokio::spawn(vault::note_status(
        shared.pool.clone(),
        taken.use_id,
        answer.status(),
    ));
    answer::prepare(answer, Some(mask), Some(taken.version), &limits)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let value = headers.get(name).map(HeaderValue::to_str).transpose();
    value.map_err(|_| Problem::invalid(format!("The header `{name}` is not text.")))
}

fn patience(headers: &HeaderMap, name: &str) -> Result<Option<Duration>, Problem> {
    let given = text(headers, name)?.map(str::parse::<u64>).transpose();
    let invalid = || {
        Problem::invalid(format!(
            "The header `{name}` is not a number of milliseconds."
        ))
    };
    let given = given.map_err(|_| invalid())?;
    Ok(given.map(|ms| Duration::from_millis(ms.min(MAX_PATIENCE_MS))))
}

/// The secret that the request asks for: `<id>` or `<id>@<version>`.
fn asked(headers: &HeaderMap) -> Result<Option<Asked>, Problem> {
    let Some(given) = text(headers, "gather-secret")? else {
        return Ok(None);
    };
    let (id, version) = match given.split_once('@') {
        Some((id, version)) => (id, Some(version)),
        None => (given, None),
    };
    let invalid = || Problem::invalid("The header `Gather-Secret` is not the id of a secret.");
    Ok(Some(Asked {
        secret: id.parse().map_err(|_| invalid())?,
        version: version.map(str::parse).transpose().map_err(|_| invalid())?,
        header: text(headers, "gather-secret-header")?.map(str::to_owned),
    }))
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let is_dropped = is_forbidden_header(name)
            || DROPPED.contains(name)
            || name.as_str().starts_with(OWN)
            || name.as_str().starts_with("x-forwarded-");
        if !is_dropped {
            out.append(name, value.clone());
        }
    }
    out
}

fn assemble(
    method: Method,
    uri: http::Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Request<Body>, Problem> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    in_origin_form(&mut request)
        .map_err(|_| Problem::invalid("The target is not an address of the web."))?;
    Ok(request)
}

async fn exchange(
    connections: &Arc<Connections>,
    target: &Target,
    request: Request<Body>,
    head_within: Duration,
) -> Result<http::Response<Answer>, Problem> {
    let sent = connections.send(&target.origin, request);
    match tokio::time::timeout(head_within, sent).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failure)) => Err(unreached(&failure)),
        Err(_) => Err(Problem::timeout("The answer did not begin in time.")),
    }
}

/// What the caller is told of a failure: nothing that the other side wrote, which may have the secret.
fn unreached(failure: &Failure) -> Problem {
    match failure {
        Failure::PrivateAddress => Problem::origin_refused(
            "The host is in a private network. Its operator can list it in GATHER_EGRESS_HOSTS.",
        ),
        Failure::InvalidUri => Problem::invalid("The target is not an address of the web."),
        Failure::ConnectionTimeout => Problem::timeout("Connecting took too long."),
        Failure::DoesNotResolve => Problem::unconnected("The host's name does not resolve."),
        Failure::Connect(_) => Problem::unconnected("The host can't be connected to."),
        Failure::Tls(_) => Problem::unconnected("The host does not speak TLS as it should."),
        Failure::Http(_) | Failure::TooLarge => {
            Problem::failed("The host does not speak HTTP, or broke off.")
        }
    }
}
