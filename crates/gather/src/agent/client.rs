//! The HTTP client of the agent: JSON in, JSON out, and problems (RFC 9457) as errors that a person can read.

use std::{fmt, time::Duration};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use ureq::{Agent, Body, http::Response};
use url::{Host, Url, form_urlencoded::byte_serialize};

use crate::plain;

/// The items on a page of a list.
const PAGE: usize = 100;
const TIMEOUT: Duration = Duration::from_secs(30);
/// The time limit of an upload (32 MiB over half a megabit a second), and of a model's answer.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// The path of a server's description, which has the server's own address.
const CARD: &str = "/.well-known/agent-card.json";
/// The name of the HTTP API in that description.
const HTTP_API: &str = "https://spec.openapis.org/oas/v3.1.0";
const USER_AGENT: &str = concat!("gather/", env!("CARGO_PKG_VERSION"));

/// A server's API.
pub(crate) struct Client {
    agent: Agent,
    server: String,
}

/// The problem that a server answers with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    request_id: Option<String>,
    errors: Vec<FieldError>,
}

#[derive(Debug, Deserialize)]
struct FieldError {
    field: String,
    detail: String,
}

/// The reason why a request failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// No answer arrived.
    Unanswered { server: String, cause: String },
    /// The server refused or failed.
    Refused {
        status: u16,
        text: String,
        /// The problem's code, if the server names one.
        code: Option<String>,
        /// The time to wait before another request, if the server gives one.
        retry_after: Option<Duration>,
    },
}

impl Error {
    /// The answer's status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unanswered { .. } => None,
        }
    }

    /// The code of the problem, if the server named one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            Self::Unanswered { .. } => None,
        }
    }

    /// The time to wait before another request, if the server gave one.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Unanswered { .. } => None,
        }
    }

    /// Whether the server has certainly not done what was asked.
    pub fn is_refusal(&self) -> bool {
        self.status()
            .is_some_and(|status| (400..500).contains(&status))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered { server, cause } => {
                write!(
                    out,
                    "{server} does not answer ({cause}); does it run, and is --server or GATHER_SERVER right?"
                )
            }
            Self::Refused { text, .. } => out.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl Client {
    /// Makes a client of the server at `server`, an `http` or `https` address or the name of a host.
    pub fn new(server: &str) -> Result<Self> {
        let url = Url::parse(&with_scheme(server)).with_context(|| {
            format!("--server {server:?} is not an address, try http://127.0.0.1:3000")
        })?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            bail!("--server must be http://… or https://…, not {server:?}");
        }
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::PlatformVerifier)
            .build();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // A redirect would carry the token elsewhere.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(USER_AGENT)
            .tls_config(tls)
            .build()
            .into();
        Ok(Self {
            agent,
            server: url.as_str().trim_end_matches('/').to_owned(),
        })
    }

    /// The server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Makes a client of the same server by the server's own address, since challenges name that one and a key
    /// signs for no other. On this machine `localhost` and 127.0.0.1 are the same server. If the two differ otherwise,
    /// the error says how to call `command` instead, since nobody is to be led to another server unasked.
    pub fn by_its_own_name(self, command: &str) -> Result<Self> {
        let own = self.own_address()?;
        if own == self.server {
            return Ok(self);
        }
        let other = Self::new(&own)?;
        if !is_same_machine(&self.server, &own) {
            bail!(
                "the server at {} calls itself {own}, and an agent's key is good for that name only; run: \
                 {command} --server {own}",
                self.server
            );
        }
        eprintln!("{} calls itself {own}: used from here on", self.server);
        Ok(other)
    }

    /// Reads the server's own address from its description.
    fn own_address(&self) -> Result<String> {
        let card = self.get_openly(CARD)?;
        let interfaces = card["supportedInterfaces"].as_array();
        let own = interfaces
            .into_iter()
            .flatten()
            .find(|interface| interface["protocolBinding"] == HTTP_API)
            .and_then(|interface| interface["url"].as_str())
            .with_context(|| format!("{}{CARD} does not say where its API is", self.server))?;
        // It is shown as part of a command to run.
        let is_plain = own
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-.:/[]".contains(&byte));
        if !is_plain {
            bail!("{}{CARD} names an address that is not valid", self.server);
        }
        Ok(own.trim_end_matches('/').to_owned())
    }

    /// Sends a GET with `token`.
    pub fn get(&self, path: &str, token: &str) -> Result<Value, Error> {
        let request = self
            .agent
            .get(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {token}"));
        self.read(request.call())
    }

    /// Sends GETs with `token` until a list is complete: `path` has no `limit` and no `after`. The answer is one page with
    /// all items.
    pub fn list(&self, path: &str, token: &str) -> Result<Value, Error> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let first = format!("{path}{joint}limit={PAGE}");
        let mut whole = self.get(&first, token)?;
        while let Some(after) = whole["next"].as_str() {
            let after: String = byte_serialize(after.as_bytes()).collect();
            let mut page = self.get(&format!("{first}&after={after}"), token)?;
            whole["next"] = page["next"].take();
            if let (Some(items), Some(more)) =
                (whole["items"].as_array_mut(), page["items"].as_array_mut())
            {
                items.append(more);
            }
        }
        Ok(whole)
    }

    /// Sends a GET without a token.
    pub fn get_openly(&self, path: &str) -> Result<Value, Error> {
        self.read(self.agent.get(format!("{}{path}", self.server)).call())
    }

    /// Sends a POST of bytes of some type, with `token`.
    pub fn upload(
        &self,
        path: &str,
        kind: &str,
        body: &[u8],
        token: &str,
        idempotency_key: &str,
    ) -> Result<Value, Error> {
        let request = self
            .agent
            .post(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", kind)
            .header("idempotency-key", idempotency_key)
            .config()
            .timeout_global(Some(UPLOAD_TIMEOUT))
            .build();
        self.read(request.send(body))
    }

    /// Sends a POST with `token`, which is safe to repeat.
    pub fn send(&self, path: &str, body: &Value, token: &str) -> Result<Value, Error> {
        let request = self
            .agent
            .post(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {token}"));
        self.read(request.send_json(body))
    }

    /// Sends a POST as the holder of `token`, whose answer may take minutes.
    pub fn send_patiently(&self, path: &str, body: &Value, token: &str) -> Result<Value, Error> {
        let request = self
            .agent
            .post(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {token}"))
            .config()
            .timeout_global(Some(UPLOAD_TIMEOUT))
            .build();
        self.read(request.send_json(body))
    }

    /// Sends a POST as the holder of `token` that changes the version with the given `ETag`.
    pub fn send_matching(
        &self,
        path: &str,
        body: &Value,
        tag: &str,
        token: &str,
    ) -> Result<Value, Error> {
        let request = self
            .agent
            .post(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {token}"))
            .header("if-match", tag);
        self.read(request.send_json(body))
    }

    /// Sends a PUT as the holder of `token`.
    pub fn put(&self, path: &str, body: &Value, token: &str) -> Result<Value, Error> {
        let request = self
            .agent
            .put(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {token}"));
        self.read(request.send_json(body))
    }

    /// Sends a DELETE as the holder of `token`.
    pub fn delete(&self, path: &str, token: &str) -> Result<Value, Error> {
        let request = self
            .agent
            .delete(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {token}"));
        self.read(request.call())
    }

    /// Sends a POST, which `idempotency_key` makes safe to repeat.
    pub fn post(
        &self,
        path: &str,
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<Value, Error> {
        let mut request = self.agent.post(format!("{}{path}", self.server));
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        self.read(request.send_json(body))
    }

    fn read(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Value, Error> {
        let unanswered = |cause: ureq::Error| Error::Unanswered {
            server: self.server.clone(),
            cause: cause.to_string(),
        };
        let mut answer = answer.map_err(unanswered)?;
        let status = answer.status().as_u16();
        let header = |name: &str| {
            let value = answer.headers().get(name)?.to_str();
            value.ok().map(str::to_owned)
        };
        let request_id = header("x-request-id");
        let retry_after = header("retry-after")
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        let text = answer.body_mut().read_to_string().map_err(unanswered)?;
        if (200..300).contains(&status) {
            let foreign = |_| Error::Refused {
                status,
                text: format!(
                    "{} does not speak this API: its answer is not JSON",
                    self.server
                ),
                code: None,
                retry_after,
            };
            if status == 204 {
                return Ok(Value::Null);
            }
            return serde_json::from_str(&text).map_err(foreign);
        }
        let problem: Problem = serde_json::from_str(&text).unwrap_or_default();
        Err(Error::Refused {
            status,
            text: explain(status, &problem, request_id.as_deref()),
            code: problem.code,
            retry_after,
        })
    }
}

/// Parses a server's address. The name of a host alone stands for the server of `gather up` if it is this machine, and
/// for one with TLS otherwise.
fn with_scheme(server: &str) -> String {
    if server.is_empty() || server.contains("://") {
        return server.to_owned();
    }
    let local = format!("http://{server}");
    match Url::parse(&local) {
        Ok(url) if is_loopback(&url) => match server.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => local,
            _ => format!("{}:3000", local.trim_end_matches('/')),
        },
        _ => format!("https://{server}"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether two addresses are names of the same port of this machine.
fn is_same_machine(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (Url::parse(one), Url::parse(other)) else {
        return false;
    };
    is_loopback(&one)
        && is_loopback(&other)
        && one.scheme() == other.scheme()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn explain(status: u16, problem: &Problem, request_id: Option<&str>) -> String {
    let what = problem
        .detail
        .as_deref()
        .or(problem.title.as_deref())
        .unwrap_or("the server gave no reason");
    let fields: String = problem
        .errors
        .iter()
        .map(|error| format!("\n  {}: {}", error.field, error.detail))
        .collect();
    let code = problem
        .code
        .as_deref()
        .map(|code| format!(" {code}"))
        .unwrap_or_default();
    let id = problem
        .request_id
        .as_deref()
        .or(request_id)
        .unwrap_or("none");
    // A server may be anybody's.
    plain::text(&format!("{what} ({status}{code}, request {id}){fields}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_readable() {
        let problem: Problem = serde_json::from_str(
            r#"{"type": "about:blank", "title": "Unprocessable", "status": 422, "detail": "the input is invalid", "code": "invalid-input",
                "request_id": "r-1", "errors": [{"field": "name", "detail": "too short"}]}"#,
        )
        .unwrap();
        assert_eq!(
            explain(422, &problem, Some("r-2")),
            "the input is invalid (422 invalid-input, request r-1)\n  name: too short"
        );
        assert_eq!(
            explain(502, &Problem::default(), Some("r-2")),
            "the server gave no reason (502, request r-2)"
        );
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(
            Client::new("http://127.0.0.1:3000/").unwrap().server(),
            "http://127.0.0.1:3000"
        );
        for (short, long) in [
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("localhost", "http://localhost:3000"),
            ("localhost:80", "http://localhost"),
            ("[::1]", "http://[::1]:3000"),
            ("gather.example", "https://gather.example"),
            ("gather.example:8443", "https://gather.example:8443"),
        ] {
            assert_eq!(Client::new(short).unwrap().server(), long);
        }
        for bad in ["ftp://x", "", "http://", "a b"] {
            assert!(Client::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_taken_for_each_other() {
        const HERE: &str = "http://127.0.0.1:3000";
        for same in ["http://localhost:3000", "http://[::1]:3000"] {
            assert!(is_same_machine(same, HERE), "{same}");
        }
        for other in [
            "http://localhost:3001",
            "https://localhost:3000",
            "http://localhost.evil.example:3000",
            "http://gather.example:3000",
        ] {
            assert!(!is_same_machine(other, HERE), "{other}");
        }
    }
}
