//! Receivers of webhooks, over real sockets: they answer as they are told, or do not.

use crate::{Database, component_file};
use anyhow::{Result, bail, ensure};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What a receiver does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Answers with this status, and these lines of headers before a short body.
    Status(u16, String),
    /// Takes the request and says nothing for ever.
    Silence,
    /// Breaks the connection off.
    Reset,
    /// Answers with a body that has no end.
    Endless,
    /// Answers with a body that has 1 GB, and says so.
    Huge,
    /// Answers something that is no HTTP.
    Garbage,
    /// Answers 200 with bytes that are no text.
    Binary,
}

/// A request that came whole.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The time at which its first byte was here.
    pub at: Instant,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    /// As it came.
    pub body: Vec<u8>,
}

/// A receiver that ends with this value.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
    task: JoinHandle<()>,
}

impl Answer {
    /// A status without headers.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status(status, String::new())
    }
}

/// An answer of a receiver that takes nothing, another one for each number.
#[must_use]
pub fn broken(number: usize) -> Answer {
    match number % 6 {
        0 => Answer::Silence,
        1 => Answer::Reset,
        2 => Answer::status(500),
        3 => Answer::Huge,
        4 => Answer::Status(301, "location: https://example.org/\r\n".to_owned()),
        _ => Answer::Garbage,
    }
}

/// The manifest of a worker that sends to receivers, so many at a time, and compiles nothing else.
#[must_use]
pub fn only_deliveries(database: &Database, places: usize) -> String {
    let source = component_file("webhook-delivery");
    let port = database.admin.port().unwrap_or(5432);
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "deliveries"
[variables]
webhook_key = {{ required = true, secret = true }}
webhook_delivery_database_url = {{ required = true, secret = true }}
[component.webhook-delivery]
source = {source:?}
allowed_outbound_hosts = ["postgres://127.0.0.1:{port}", "http://*:*"]
[component.webhook-delivery.variables]
database_url = "{{{{ webhook_delivery_database_url }}}}"
webhook_key = "{{{{ webhook_key }}}}"
[component.webhook-delivery.tool.gather]
role = "gather_webhook_delivery"
public_only = true
concurrency = {places}
job = {{ attempts = 100, own_places = true }}
"#
    )
}

impl Receiver {
    /// Starts one; `answer` is asked with the number of requests that came before.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let taken = Arc::<Mutex<Vec<Taken>>>::default();
        let (answer, kept) = (Arc::new(answer), taken.clone());
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answer, kept) = (answer.clone(), kept.clone());
                tokio::spawn(async move { drop(serve(socket, &*answer, &kept).await) });
            }
        });
        Ok(Self {
            address,
            taken,
            task,
        })
    }

    /// What came so far.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        let taken = self.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of requests that came so far.
    #[must_use]
    pub fn count(&self) -> usize {
        let taken = self.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until so many requests have come, and answers them.
    ///
    /// # Errors
    /// They do not within a minute.
    pub async fn until(&self, count: usize) -> Result<Vec<Taken>> {
        let begin = Instant::now();
        loop {
            let taken = self.taken();
            if taken.len() >= count {
                return Ok(taken);
            }
            if begin.elapsed() > Duration::from_secs(60) {
                bail!("{} of {count} requests came within a minute", taken.len());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut socket: TcpStream,
    answer: &(dyn Fn(usize) -> Answer + Send + Sync),
    kept: &Mutex<Vec<Taken>>,
) -> Result<()> {
    let taken = read(&mut socket).await?;
    let number = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(taken);
        kept.len() - 1
    };
    match answer(number) {
        Answer::Status(status, headers) => {
            let text = format!(
                "HTTP/1.1 {status} X\r\n{headers}content-length: 5\r\nconnection: close\r\n\r\ntaken"
            );
            socket.write_all(text.as_bytes()).await?;
        }
        Answer::Silence => std::future::pending().await,
        Answer::Reset => socket.set_zero_linger()?,
        Answer::Endless => {
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                socket.write_all(&[b'x'; 4096]).await?;
            }
        }
        Answer::Huge => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
            socket.write_all(head).await?;
            for _ in 0..1_000 {
                socket.write_all(&vec![b'x'; 1_000_000]).await?;
            }
        }
        Answer::Binary => {
            socket
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n\xff\0a\x1b[\xc3b\n\xf0")
                .await?;
        }
        Answer::Garbage => socket.write_all(b"220 mail.example ESMTP\r\n").await?,
    }
    Ok(())
}

async fn read(socket: &mut TcpStream) -> Result<Taken> {
    let mut bytes = Vec::new();
    socket.readable().await?;
    let at = Instant::now();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            bail!("no whole head");
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec())?;
    let headers: BTreeMap<_, _> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    ensure!(!headers.contains_key("transfer-encoding"), "no length");
    // What has no length has no body.
    let length = headers.get("content-length").map(|length| length.parse());
    let length: usize = length.transpose()?.unwrap_or_default();
    let mut body = bytes.split_off(end);
    while body.len() < length {
        if socket.read_buf(&mut body).await? == 0 {
            bail!("no whole body");
        }
    }
    Ok(Taken { at, headers, body })
}
