//! The load: one thread, some connections, each sends its next request when the answer has come.

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_compact::KeyPair;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a case measured.
pub struct Figures {
    /// Answers a second.
    pub throughput: f64,
    /// Median latency.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
}

/// One request, as bytes.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    request: Vec<u8>,
}

impl Target {
    /// GET of a path, with a token where one is given.
    pub fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Self {
        let token = token.map_or(String::new(), |t| format!("Authorization: Bearer {t}\r\n"));
        Self {
            address,
            request: format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{token}\r\n").into_bytes(),
        }
    }
    /// POST of JSON to a path, with a token.
    pub fn post(address: SocketAddr, path: &str, token: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        Self {
            address,
            request: (head + body).into_bytes(),
        }
    }
}

/// A client's connection.
struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            buffer: vec![0; 16 << 10],
        })
    }

    /// Sends a request and returns the answer's body.
    async fn send(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.socket.write_all(request).await?;
        let mut filled = 0;
        loop {
            let read = self.socket.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                bail!(
                    "the server closed: {}",
                    String::from_utf8_lossy(&self.buffer[..filled])
                );
            }
            filled += read;
            if let Some((start, length)) = framing(&self.buffer[..filled])?
                && filled >= start + length
            {
                return Ok(&self.buffer[start..start + length]);
            }
        }
    }

    async fn post(
        &mut self,
        address: SocketAddr,
        path: &str,
        body: &str,
    ) -> Result<serde_json::Value> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(serde_json::from_slice(
            self.send(request.as_bytes()).await?,
        )?)
    }
}

/// Where the body starts and how long it is, once the head is there.
fn framing(answer: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{}", String::from_utf8_lossy(answer));
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("an answer without a length")?;
    Ok(Some((end + 4, length.1.trim().parse()?)))
}

/// Repeats a request.
///
/// # Errors
/// The server does not answer, or not with 200.
pub async fn run(target: &Target, time: Duration, connections: usize) -> Result<Figures> {
    let target = target.clone();
    on_own_thread(time, connections, move |end| {
        let target = target.clone();
        async move {
            let mut connection = Connection::open(target.address).await?;
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let started = Instant::now();
                connection.send(&target.request).await?;
                latencies.push(started.elapsed());
            }
            Ok(latencies)
        }
    })
    .await
}

/// Signs in again and again: a challenge, its signature, the tokens.
///
/// # Errors
/// The server does not answer, or refuses.
pub async fn authenticate(
    address: SocketAddr,
    pair: &KeyPair,
    time: Duration,
    connections: usize,
) -> Result<Figures> {
    let pair = pair.clone();
    on_own_thread(time, connections, move |end| {
        let pair = pair.clone();
        async move {
            let mut connection = Connection::open(address).await?;
            let wanted = format!(
                "{{\"public_key\":\"{}\"}}",
                BASE64_STANDARD.encode(*pair.pk)
            );
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let started = Instant::now();
                let given = connection
                    .post(address, "/api/agents/challenge", &wanted)
                    .await?;
                let challenge = given["challenge"].as_str().context("no challenge")?;
                let body = signed(&pair, challenge).to_string();
                let tokens = connection
                    .post(address, "/api/agents/authenticate", &body)
                    .await?;
                tokens["access_token"].as_str().context("no token")?;
                latencies.push(started.elapsed());
            }
            Ok(latencies)
        }
    })
    .await
}

async fn on_own_thread<F>(
    time: Duration,
    connections: usize,
    client: impl Fn(Instant) -> F + Send + 'static,
) -> Result<Figures>
where
    F: Future<Output = Result<Vec<Duration>>> + 'static,
{
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            clients(time / 5, connections, &client).await?;
            clients(time, connections, &client).await
        })
    })
    .await?
}

async fn clients<F>(
    time: Duration,
    connections: usize,
    client: &impl Fn(Instant) -> F,
) -> Result<Figures>
where
    F: Future<Output = Result<Vec<Duration>>> + 'static,
{
    let started = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| tokio::task::spawn_local(client(started + time)))
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = ((latencies.len() - 1) as f64 * share) as usize;
        latencies[index].as_secs_f64() * 1e6
    };
    Ok(Figures {
        throughput: latencies.len() as f64 / elapsed.as_secs_f64(),
        p50_us: at(0.5),
        p99_us: at(0.99),
    })
}

/// What an agent sends to sign in.
pub fn signed(pair: &KeyPair, challenge: &str) -> Value {
    json!({
        "public_key": BASE64_STANDARD.encode(*pair.pk),
        "challenge": challenge,
        "signature": BASE64_STANDARD.encode(*pair.sk.sign(challenge.as_bytes(), None)),
    })
}
