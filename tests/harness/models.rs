//! Stand-ins for providers of language models, over real sockets: they say what they are told to, well or badly.

use anyhow::{Context, Result, bail};
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use futures::StreamExt;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// What a model says to a request.
#[derive(Debug, Clone)]
pub enum Say {
    /// A status, lines of headers, and a whole body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// Server-sent events, piece by piece.
    Stream(Vec<Piece>),
    /// Nothing, for ever.
    Silence,
}

/// A piece of a stream.
#[derive(Debug, Clone)]
pub enum Piece {
    /// These bytes in one go.
    Bytes(Vec<u8>),
    /// A pause.
    Pause(Duration),
    /// Nothing more, without an end.
    Hold,
    /// The connection breaks.
    Break,
}

/// A request that a model was sent.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as it came.
    pub body: Bytes,
    /// When it came.
    pub at: Instant,
}

/// A provider that ends with this value.
pub struct Models {
    /// Its base URL, without a version.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    hung_up: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

type Script = dyn Fn(&Asked, usize) -> Say + Send + Sync;

impl Say {
    /// JSON with the status 200.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self::Whole(200, vec![], body.to_string())
    }

    /// An error of OpenAI's form.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        let body = json!({"error": {"message": message, "type": "x", "code": null}});
        Self::Whole(status, vec![], body.to_string())
    }

    /// A stream in one piece.
    #[must_use]
    pub fn stream(text: &str) -> Self {
        Self::Stream(vec![Piece::text(text)])
    }

    /// A stream in two pieces.
    #[must_use]
    pub fn cut(text: &str, at: usize) -> Self {
        let (first, second) = text.as_bytes().split_at(at);
        let pieces = [first, second].map(|piece| Piece::Bytes(piece.to_vec()));
        Self::Stream(vec![
            pieces[0].clone(),
            Piece::Pause(Duration::from_millis(1)),
            pieces[1].clone(),
        ])
    }
}

impl Piece {
    /// A text in one go.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl Models {
    /// Starts one; `script` is asked with the request and the number of requests before it.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(
        script: impl Fn(&Asked, usize) -> Say + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address: SocketAddr = listener.local_addr()?;
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let hung_up = Arc::<AtomicUsize>::default();
        let script: Arc<Script> = Arc::new(script);
        let (kept, counted) = (asked.clone(), hung_up.clone());
        let service = tower_service(move |request| {
            answer(request, script.clone(), kept.clone(), counted.clone())
        });
        let task = tokio::spawn(async move {
            drop(axum::serve(listener, service).await);
        });
        Ok(Self {
            url: format!("http://{address}"),
            asked,
            hung_up,
            task,
        })
    }

    /// The origin, as egress is told to trust it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.url
    }

    /// The requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until so many requests have come.
    ///
    /// # Errors
    /// They do not within half a minute.
    pub async fn until_asked(&self, count: usize) -> Result<Vec<Asked>> {
        let begin = Instant::now();
        while self.asked().len() < count {
            if begin.elapsed() > Duration::from_secs(30) {
                bail!("{} of {count} requests came", self.asked().len());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(self.asked())
    }

    /// Waits until so many answers were cut off by whoever asked.
    ///
    /// # Errors
    /// They are not within half a minute.
    pub async fn until_hung_up(&self, count: usize) -> Result<()> {
        let begin = Instant::now();
        while self.hung_up.load(Ordering::Relaxed) < count {
            if begin.elapsed() > Duration::from_secs(30) {
                bail!(
                    "{} of {count} answers were cut off",
                    self.hung_up.load(Ordering::Relaxed)
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Models {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts an answer that is dropped before its end.
struct Unfinished(Option<Arc<AtomicUsize>>);

impl Unfinished {
    fn finish(&mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(count) = self.0.take() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn tower_service<F, Fut>(answer: F) -> axum::Router
where
    F: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response, Infallible>> + Send + 'static,
{
    axum::Router::new().fallback(move |request: Request| {
        let answering = answer(request);
        async move {
            let Ok(response) = answering.await;
            response
        }
    })
}

async fn answer(
    request: Request,
    script: Arc<Script>,
    kept: Arc<Mutex<Vec<Asked>>>,
    hung_up: Arc<AtomicUsize>,
) -> Result<Response, Infallible> {
    let mut unfinished = Unfinished(Some(hung_up));
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20)
        .await
        .unwrap_or_default();
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
        at: Instant::now(),
    };
    let number = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(asked.clone());
        kept.len() - 1
    };
    match script(&asked, number) {
        Say::Whole(status, headers, body) => {
            unfinished.finish();
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
            for (name, value) in headers {
                if let Ok(value) = value.parse() {
                    response.headers_mut().insert(name, value);
                }
            }
            let kind = response.headers_mut().entry(header::CONTENT_TYPE);
            kind.or_insert(header::HeaderValue::from_static("application/json"));
            Ok(response)
        }
        Say::Stream(pieces) => {
            let last = pieces.len();
            let state = (pieces.into_iter().enumerate(), unfinished);
            let stream =
                futures::stream::unfold(state, move |(mut pieces, mut unfinished)| async move {
                    loop {
                        let Some((at, piece)) = pieces.next() else {
                            unfinished.finish();
                            return None;
                        };
                        if at + 1 == last && !matches!(piece, Piece::Hold) {
                            unfinished.finish();
                        }
                        match piece {
                            Piece::Bytes(bytes) if bytes.is_empty() => {}
                            Piece::Bytes(bytes) => {
                                return Some((Ok(Bytes::from(bytes)), (pieces, unfinished)));
                            }
                            Piece::Pause(pause) => tokio::time::sleep(pause).await,
                            Piece::Hold => futures::future::pending().await,
                            Piece::Break => {
                                unfinished.finish();
                                return Some((
                                    Err(io::Error::other("broken")),
                                    (pieces, unfinished),
                                ));
                            }
                        }
                    }
                });
            let mut response = Response::new(Body::from_stream(stream.boxed()));
            let kind = header::HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            Ok(response)
        }
        Say::Silence => futures::future::pending().await,
    }
}

/// An address at which nobody listens.
///
/// # Errors
/// No port is free.
pub async fn nobody() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr().context("an address")?;
    Ok(format!("http://{address}"))
}

/// What a model says in OpenAI's protocol, as a stream.
#[must_use]
pub fn says(text: &str) -> Say {
    Say::stream(&format!(
        "{}{}",
        chunk(&json!({"role": "assistant", "content": text})),
        end("stop")
    ))
}

/// Calls of tools that a model asks for: names, and arguments as text.
#[must_use]
pub fn calls(calls: &[(&str, &str)]) -> Say {
    says_and_calls("", calls)
}

/// Calls of tools that a model asks for, with what it says before.
#[must_use]
pub fn says_and_calls(text: &str, calls: &[(&str, &str)]) -> Say {
    let calls: Vec<Value> = calls
        .iter()
        .enumerate()
        .map(|(index, (name, arguments))| {
            json!({"index": index, "id": format!("x{index}"), "type": "function",
                "function": {"name": name, "arguments": arguments}})
        })
        .collect();
    Say::stream(&format!(
        "{}{}",
        chunk(&json!({"role": "assistant", "content": text, "tool_calls": calls})),
        end("tool_calls")
    ))
}

/// The beginning of an answer, and nothing more.
#[must_use]
pub fn begins(text: &str) -> Say {
    let words = chunk(&json!({"role": "assistant", "content": text}));
    Say::Stream(vec![Piece::text(&words), Piece::Hold])
}

fn chunk(delta: &Value) -> String {
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    format!("data: {chunk}\n\n")
}

fn end(reason: &str) -> String {
    let last = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]});
    let usage = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
        "usage": {"prompt_tokens": 25, "completion_tokens": 15, "total_tokens": 40}});
    format!("data: {last}\n\ndata: {usage}\n\ndata: [DONE]\n\n")
}
