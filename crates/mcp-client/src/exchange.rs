//! Talking with a server: its revision, its tools, and calls of them.

use std::time::Duration;

use axum::body::Body;
use guest::{Egress, Forward, REFUSED};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::definition::Definition;
use crate::message::{self, Messages};

/// The longest time until an answer begins, and of a pause in it.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest time of a whole answer.
const WHOLE: Duration = Duration::from_secs(300);
/// The largest number of pages of a list of tools.
const MAX_PAGES: usize = 20;
/// The largest number of tools of a server.
const MAX_TOOLS: usize = 200;
/// The largest number of requests of the server that are declined while it answers one.
const MAX_REQUESTS: usize = 100;
/// The largest explanation of the way out.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// The name of the header with a legacy session.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// The revision of the protocol that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// 2026-07-28, without sessions.
    Modern,
    /// 2025-11-25, with `initialize`.
    Legacy,
}

impl Revision {
    /// The name of the revision, as the protocol has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Modern => "2026-07-28",
            Self::Legacy => "2025-11-25",
        }
    }

    /// The revision with a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Modern, Self::Legacy]
            .into_iter()
            .find(|revision| revision.name() == name)
    }
}

/// The reason why there is no result.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What went wrong, in a sentence without secrets.
    pub detail: String,
    /// The status that the server answered, if it answered another one than 2xx.
    pub status: Option<u16>,
    /// The code of the way out's refusal, if it refused.
    pub refused: Option<String>,
}

impl Fault {
    /// A fault without a status.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            status: None,
            refused: None,
        }
    }
}

/// A server, and on whose behalf it is asked.
#[derive(Debug, Clone)]
pub struct Server {
    /// The client of the way out.
    pub egress: Egress,
    /// The address of the endpoint.
    pub url: String,
    /// The account on whose behalf requests are sent.
    pub account: Uuid,
    /// The headers of each request.
    pub headers: Vec<(String, String)>,
    /// The secret that is put into each request.
    pub secret: Option<Uuid>,
}

/// A conversation with a server in one revision.
struct Talk<'a> {
    server: &'a Server,
    revision: Revision,
    session: Option<HeaderValue>,
}

impl Server {
    /// Finds out which revision the server speaks, and lists its tools.
    ///
    /// # Errors
    /// The server can't be reached, or speaks no revision that is known here.
    pub async fn discover(&self) -> Result<(Revision, Vec<Definition>), Fault> {
        let modern = Talk {
            server: self,
            revision: Revision::Modern,
            session: None,
        };
        match modern.list().await {
            Ok(tools) => return Ok((Revision::Modern, tools)),
            // Whether it is of the server or of the way out, no other revision changes it.
            Err(fault) if fault.refused.is_some() || matches!(fault.status, Some(401 | 403)) => {
                return Err(fault);
            }
            Err(_) => {}
        }
        Ok((Revision::Legacy, self.list(Revision::Legacy).await?))
    }

    /// Lists the server's tools.
    ///
    /// # Errors
    /// The server can't be reached, or refuses.
    pub async fn list(&self, revision: Revision) -> Result<Vec<Definition>, Fault> {
        let talk = Talk::begin(self, revision).await?;
        let tools = talk.list().await;
        talk.end().await;
        tools
    }

    /// Calls a tool if its definition is still the one with this digest. Returns the server's result; `None` if the
    /// definition is another one now.
    ///
    /// # Errors
    /// The server can't be reached, or refuses.
    pub async fn call(
        &self,
        revision: Revision,
        tool: &Definition,
        arguments: &Map<String, Value>,
    ) -> Result<Option<Value>, Fault> {
        let talk = Talk::begin(self, revision).await?;
        let called = talk.call(tool, arguments).await;
        talk.end().await;
        called
    }
}

impl<'a> Talk<'a> {
    async fn begin(server: &'a Server, revision: Revision) -> Result<Self, Fault> {
        let mut talk = Self {
            server,
            revision,
            session: None,
        };
        if revision == Revision::Legacy {
            let params = json!({
                "protocolVersion": revision.name(), "capabilities": {}, "clientInfo": message::client(),
            });
            let answer = talk.send("initialize", object(params), None).await?;
            talk.session = answer.headers().get(SESSION).cloned();
            talk.result(answer).await?;
            talk.note("notifications/initialized").await?;
        }
        Ok(talk)
    }

    async fn list(&self) -> Result<Vec<Definition>, Fault> {
        let (mut tools, mut cursor) = (Vec::new(), None::<Value>);
        for _ in 0..MAX_PAGES {
            let mut params = Map::new();
            params.extend(cursor.take().map(|cursor| ("cursor".to_owned(), cursor)));
            let answer = self.send("tools/list", params, None).await?;
            let mut page = self.result(answer).await?;
            let listed = page["tools"].as_array().into_iter().flatten();
            tools.extend(listed.filter_map(Definition::read));
            tools.truncate(MAX_TOOLS);
            match page["nextCursor"].take() {
                next @ Value::String(_) => cursor = Some(next),
                _ => break,
            }
        }
        Ok(tools)
    }

    async fn call(
        &self,
        tool: &Definition,
        arguments: &Map<String, Value>,
    ) -> Result<Option<Value>, Fault> {
        let listed = self.list().await?;
        let same = |one: &Definition| one.name == tool.name && one.digest == tool.digest;
        if !listed.iter().any(same) {
            return Ok(None);
        }
        let params = object(json!({"name": tool.name, "arguments": arguments}));
        let answer = self.send("tools/call", params, Some(&tool.name)).await?;
        self.result(answer).await.map(Some)
    }

    /// Reads the result of a request. What the server asks for meanwhile is declined at once, so that it does not wait.
    async fn result(&self, answer: Response<Body>) -> Result<Value, Fault> {
        let (mut messages, mut requests) = (Messages::of(answer), 0);
        while let Some(message) = messages.next().await? {
            if let Some(declined) = message::declined(&message) {
                requests += 1;
                if requests > MAX_REQUESTS {
                    return Err(Fault::failed(
                        "The server asks for more than arguments, too often.",
                    ));
                }
                let body = Body::from(declined.to_string());
                self.forward(Request::post("/"), body, None).await?;
            } else if let Some(found) = message::own(message) {
                return understood(found);
            }
        }
        let what = "The server's answer is none of the Model Context Protocol.";
        Err(Fault::failed(what))
    }

    /// Ends a session; a server that does not answer ends it by itself.
    async fn end(&self) {
        if self.session.is_some() {
            let ended = self
                .forward(Request::delete("/"), Body::empty(), None)
                .await;
            drop(ended);
        }
    }

    async fn note(&self, method: &str) -> Result<(), Fault> {
        let body = json!({"jsonrpc": "2.0", "method": method}).to_string();
        self.forward(Request::post("/"), Body::from(body), None)
            .await?;
        Ok(())
    }

    async fn send(
        &self,
        method: &str,
        params: Map<String, Value>,
        name: Option<&str>,
    ) -> Result<Response<Body>, Fault> {
        let body = message::request(self.revision, method, params).to_string();
        self.forward(Request::post("/"), Body::from(body), Some((method, name)))
            .await
    }

    async fn forward(
        &self,
        request: http::request::Builder,
        body: Body,
        called: Option<(&str, Option<&str>)>,
    ) -> Result<Response<Body>, Fault> {
        let unsendable = |_| Fault::failed("The request can't be sent.");
        let mut request = request
            .body(body)
            .map_err(|_| Fault::failed("The request can't be sent."))?;
        let headers = request.headers_mut();
        for (name, value) in &self.server.headers {
            let name = HeaderName::try_from(name)
                .map_err(|_| Fault::failed("A header has no valid name."))?;
            headers.insert(name, HeaderValue::try_from(value).map_err(unsendable)?);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        self.state(headers, called)?;
        let forward = Forward {
            target: &self.server.url,
            account: Some(self.server.account),
            subjects: Vec::new(),
            secret: self.server.secret,
            version: None,
            head_within: SILENCE,
            silence: SILENCE,
            whole: WHOLE,
        };
        let answer = self.server.egress.forward(forward, request).await;
        let answer = answer.map_err(|problem| Fault {
            refused: Some(problem.code().to_owned()),
            ..Fault::failed("The way out can't be reached at the moment.")
        })?;
        checked(answer).await
    }

    /// States the revision, the session and, in the modern revision, the method.
    fn state(
        &self,
        headers: &mut HeaderMap,
        called: Option<(&str, Option<&str>)>,
    ) -> Result<(), Fault> {
        let is_first = matches!(called, Some(("initialize", _)));
        if !is_first {
            let revision = HeaderValue::from_static(self.revision.name());
            headers.insert(HeaderName::from_static("mcp-protocol-version"), revision);
        }
        if let Some(session) = &self.session {
            headers.insert(SESSION, session.clone());
        }
        if let (Revision::Modern, Some((method, name))) = (self.revision, called) {
            for (header, value) in [("mcp-method", Some(method)), ("mcp-name", name)] {
                if let Some(value) = value {
                    let value = HeaderValue::try_from(value)
                        .map_err(|_| Fault::failed("The tool has no valid name."))?;
                    headers.insert(HeaderName::from_static(header), value);
                }
            }
        }
        Ok(())
    }
}

/// An answer of the server itself, with a good status.
async fn checked(answer: Response<Body>) -> Result<Response<Body>, Fault> {
    if let Some(code) = answer.headers().get(REFUSED) {
        let code = code.to_str().unwrap_or_default().to_owned();
        let body = Limited::new(answer.into_body(), MAX_REFUSAL_BYTES)
            .collect()
            .await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let refusal: Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = refusal["detail"]
            .as_str()
            .unwrap_or("The way out refused the request.");
        return Err(Fault {
            refused: Some(code),
            ..Fault::failed(detail)
        });
    }
    let status = answer.status();
    if !status.is_success() {
        return Err(Fault {
            status: Some(status.as_u16()),
            ..Fault::failed(format!("The server answers {}.", status.as_u16()))
        });
    }
    Ok(answer)
}

/// The result of a method, or its error as a fault.
fn understood(result: Result<Value, Value>) -> Result<Value, Fault> {
    result.map_err(|error| {
        let what: String = error["message"]
            .as_str()
            .unwrap_or_default()
            .chars()
            .take(500)
            .collect();
        Fault::failed(format!("The server refuses: {what}"))
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
