//! A host that requests with secrets go to, over real sockets: it remembers what came, and answers as it is told.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The first line, as it was sent.
    pub line: String,
    /// The headers, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// A host that ends with this value.
pub struct Target {
    /// The origin, `http://127.0.0.1:port`.
    pub origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    closed: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Target {
    /// Starts a host whose answers are the bytes that `answer` makes; the connection ends after each.
    pub async fn start(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Result<Self> {
        Self::answering(answer, false).await
    }

    /// Starts a host that sends the bytes, and waits until the other side ends the connection.
    pub async fn waiting(
        answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::answering(answer, true).await
    }

    async fn answering(
        answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static,
        waits: bool,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let (seen, closed) = (
            Arc::<Mutex<Vec<Seen>>>::default(),
            Arc::<Mutex<usize>>::default(),
        );
        let (answer, kept, counted) = (Arc::new(answer), seen.clone(), closed.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (answer, kept, counted) = (answer.clone(), kept.clone(), counted.clone());
                tokio::spawn(async move {
                    let Ok(seen) = read(&mut socket).await else {
                        return;
                    };
                    lock(&kept).push(seen.clone());
                    _ = socket.write_all(&answer(&seen)).await;
                    if waits {
                        let mut rest = [0; 1024];
                        while socket.read(&mut rest).await.is_ok_and(|read| read > 0) {}
                        *lock(&counted) += 1;
                    }
                });
            }
        });
        Ok(Self {
            origin,
            seen,
            closed,
            task,
        })
    }

    /// The host and port, as a path names them.
    pub fn host(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    /// The requests that came so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// The last request that came.
    pub fn last(&self) -> Result<Seen> {
        self.seen().pop().context("a request")
    }

    /// The number of connections that the other side has ended.
    pub fn closed(&self) -> usize {
        *lock(&self.closed)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer with a body.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    with_headers("", body)
}

/// An answer with a body, and lines of headers before it.
pub fn with_headers(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

async fn read(socket: &mut TcpStream) -> Result<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            bail!("no whole head");
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec())?;
    let mut lines = head.lines();
    let line = lines.next().context("a line")?.to_owned();
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut body = bytes.split_off(end);
    if headers
        .get("transfer-encoding")
        .is_some_and(|coding| coding == "chunked")
    {
        while !body.ends_with(b"0\r\n\r\n") {
            if socket.read_buf(&mut body).await? == 0 {
                bail!("no whole body");
            }
        }
    }
    let length = headers
        .get("content-length")
        .map_or(Ok(0), |length| length.parse())?;
    while body.len() < length {
        if socket.read_buf(&mut body).await? == 0 {
            bail!("no whole body");
        }
    }
    Ok(Seen {
        line,
        headers,
        body: String::from_utf8(body)?,
    })
}
