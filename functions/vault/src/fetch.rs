//! Requests to other hosts, with a secret that the caller never sees.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, COOKIE, ORIGIN,
    REFERER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use guest::{Caller, Db, Egress, Forward, Problem, REFUSED, Result, args, read_body};
use serde::Deserialize;
use uuid::Uuid;

/// The client of the way out, with the name by which it knows this function.
const EGRESS: Egress = Egress("vault");
const PREFIX: &str = "/api/vault/fetch/";
/// The longest time until the answer begins.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// The longest silence within an answer.
const SILENCE: Duration = Duration::from_secs(120);
/// The longest time of a whole answer.
const WHOLE: Duration = Duration::from_secs(3600);
/// The largest explanation of the way out.
const MAX_PROBLEM_BYTES: usize = 64 << 10;

#[derive(Debug, Deserialize)]
struct Named {
    secret: Option<Uuid>,
}

/// A refusal of the way out.
#[derive(Debug, Deserialize)]
struct Refusal {
    detail: String,
}

/// Makes a handler for each method, since each is an operation of its own.
macro_rules! handlers {
    ($($name:ident $method:ident,)*) => {$(
        /// Sends the request to `https://{target}` with a secret put in, and passes the answer on as it arrives.
        ///
        /// The path and the query are sent byte for byte. The secret is put where its `use` says, and masked in the answer in
        /// all the forms in which services repeat it. Redirects are passed on, not followed. Headers about this server's own
        /// client are not sent: `Authorization`, cookies, and those of proxies.
        #[utoipa::path(
            $method, path = "/api/vault/fetch/{*target}", tag = "vault",
            params(
                ("target" = String, Path, description = "The host, with the port if the operator lists such an origin, and the path."),
                ("Gather-Secret" = String, Header, description = "The secret: its id or, for its owner, its name; `@<version>` behind it asks for a former value."),
                ("If-Match" = Option<String>, Header, description = "A condition for the host, which is passed on."),
            ),
            responses(
                (status = 200, description = "The answer of the host, whatever its status, with the secret masked.", body = String, content_type = "application/octet-stream"),
                (status = 403, description = "`secret-not-granted`, `origin-refused`"),
                (status = 404, description = "`not-found`: the secret"),
                (status = 410, description = "`secret-expired`"),
                (status = 413, description = "`body-too-large`: a body with placeholders has more than 1 MiB"),
                (status = 422, description = "`invalid-input`"),
                (status = 502, description = "`fetch-failed`"),
                (status = 503, description = "`egress-unavailable`"),
                (status = 504, description = "`fetch-timeout`"),
            ),
            security(("token" = ["vault:use"]))
        )]
        pub async fn $name(db: Db, caller: Caller, request: Request) -> Result<Response<Body>> {
            send(db, caller, request).await
        }
    )*};
}

handlers! {
    fetch_get get,
    fetch_post post,
    fetch_put put,
    fetch_patch patch,
    fetch_delete delete,
}

async fn send(db: Db, caller: Caller, request: Request) -> Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let raw = parts.uri.path_and_query().map_or("", |raw| raw.as_str());
    let target = raw.strip_prefix(PREFIX).unwrap_or_default();
    let host = target.split(['/', '?']).next().unwrap_or_default();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_host) {
        return Err(Problem::invalid(
            "host",
            "must be a host, such as api.example.org",
        ));
    }
    let (secret, version) = named_secret(&parts.headers)?;
    let named: Named = db
        .one(
            "select vault.resolve_secret($1, $2) as secret",
            args![secret, caller.id],
        )
        .await?;
    let secret = named.secret.ok_or_else(|| Problem::not_found("secret"))?;
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method;
    *outgoing.headers_mut() = sent(&parts.headers);
    // The connection to the database goes back, since the host may take minutes. The request's extensions hold it too.
    drop((db, parts.extensions));
    let forward = Forward {
        // Without a scheme: the way out knows which one the operator lists.
        target: &format!("//{target}"),
        account: Some(caller.id),
        subjects: Vec::new(),
        secret: Some(secret),
        version,
        head_within: HEAD_WITHIN,
        silence: SILENCE,
        whole: WHOLE,
    };
    let mut answer = EGRESS.forward(forward, outgoing).await?;
    if answer.headers().contains_key(REFUSED) {
        return Err(refusal(answer).await);
    }
    guarded(answer.headers_mut());
    Ok(answer)
}

/// The secret that the request names, and the version.
fn named_secret(headers: &HeaderMap) -> Result<(String, Option<u32>)> {
    let expected = || {
        Problem::invalid(
            "Gather-Secret",
            "must be a header with the id or the name of a secret",
        )
    };
    let given = headers.get("gather-secret").ok_or_else(expected)?;
    let given = given.to_str().map_err(|_| expected())?.trim();
    match given.split_once('@') {
        None if given.is_empty() => Err(expected()),
        None => Ok((given.to_owned(), None)),
        Some((name, version)) => {
            let version = version.parse().map_err(|_| expected())?;
            Ok((name.to_owned(), Some(version)))
        }
    }
}

/// The headers that are sent: those of the request, but nothing about this server's own client.
fn sent(headers: &HeaderMap) -> HeaderMap {
    const OWN: [HeaderName; 6] = [
        AUTHORIZATION,
        COOKIE,
        ORIGIN,
        REFERER,
        ACCEPT_ENCODING,
        HeaderName::from_static("x-api-key"),
    ];
    const PREFIXES: [&str; 6] = [
        "gather-",
        "sec-",
        "spin-",
        "signature",
        "x-csrf-",
        "x-forwarded-",
    ];
    let mut out = HeaderMap::new();
    for (name, value) in headers {
        let is_own = OWN.contains(name)
            || PREFIXES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
            || matches!(name.as_str(), "x-request-id" | "traceparent" | "tracestate");
        if !is_own {
            out.append(name, value.clone());
        }
    }
    out
}

/// Keeps a browser from taking what a stranger sent for a page of this server.
fn guarded(headers: &mut HeaderMap) {
    for name in [
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "clear-site-data",
        "content-security-policy-report-only",
        "nel",
        "refresh",
        "report-to",
        "reporting-endpoints",
        "service-worker-allowed",
        "strict-transport-security",
        "www-authenticate",
    ] {
        headers.remove(name);
    }
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
}

/// The problem that a refusal of the way out means for the client.
async fn refusal(answer: Response<Body>) -> Problem {
    let (parts, body) = answer.into_parts();
    let code = parts.headers.get(REFUSED);
    let code = code.and_then(|code| code.to_str().ok()).unwrap_or_default();
    let code = match code {
        "secret-not-granted" => "secret-not-granted",
        "origin-refused" => "origin-refused",
        "secret-expired" => "secret-expired",
        "not-found" => "not-found",
        "invalid-input" => "invalid-input",
        "payload-too-large" => "body-too-large",
        "connect-failed" | "fetch-failed" => "fetch-failed",
        "fetch-timeout" => "fetch-timeout",
        "egress-unavailable" => {
            let detail = "The way out for secrets can't be reached at the moment.";
            return Problem::unavailable("egress-unavailable", detail, 1);
        }
        other => return Problem::internal(format_args!("the way out refused: {other}")),
    };
    let read = read_body(&parts.headers, body, MAX_PROBLEM_BYTES).await;
    let refusal = read
        .ok()
        .and_then(|body| serde_json::from_slice::<Refusal>(&body).ok());
    let detail = refusal.map_or_else(
        || "The request was not sent.".to_owned(),
        |refusal| refusal.detail,
    );
    let status = match code {
        "body-too-large" => StatusCode::PAYLOAD_TOO_LARGE,
        _ => parts.status,
    };
    Problem::new(status, code, detail)
}
