//! Clients of sockets, and gateways beside a server's own.

use crate::{MASTER_KEY, Server, agents::Agent, free_address, master_key, root, scratch};
use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use gather::realtime::{Realtime, Start};
use serde_json::{Value, json};
use std::{net::SocketAddr, process::Stdio, time::Duration};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};
use url::Url;

/// For whatever must come; a machine that is busy with other tests takes its time.
pub const WAIT: Duration = Duration::from_secs(60);

/// A client of a socket.
pub struct Client(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// Opens a socket at a path of a server.
    ///
    /// # Errors
    /// It is refused.
    ///
    /// # Panics
    /// A header that is none.
    pub async fn connect(
        url: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let url = format!("{}{path}", url.replacen("http", "ws", 1));
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            let value = value.parse().expect("a header");
            request.headers_mut().insert(*name, value);
        }
        Ok(Self(connect_async(request).await?.0))
    }

    /// Signed in by header, with its first frame read.
    ///
    /// # Errors
    /// It is refused.
    pub async fn signed_in(url: &str, who: &Agent) -> Result<Self> {
        let bearer = format!("Bearer {}", who.token);
        let mut client = Self::connect(url, "/ws", &[("authorization", &bearer)]).await?;
        let first = client.frame().await?;
        if first["type"] != "authenticated" || first["account"] != json!(who.id) {
            bail!("another first frame: {first}");
        }
        Ok(client)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The socket has ended.
    pub async fn send(&mut self, frame: &Value) -> Result<()> {
        Ok(self.0.send(Message::text(frame.to_string())).await?)
    }

    /// The next frame.
    ///
    /// # Errors
    /// None comes, or the socket ends.
    pub async fn frame(&mut self) -> Result<Value> {
        loop {
            let next = timeout(WAIT, self.0.next()).await;
            let next = next.context("no frame came")?;
            match next.context("the socket ended")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(why) => bail!("closed: {why:?}"),
                _ => {}
            }
        }
    }

    /// The frames until one of a type, with that one last.
    ///
    /// # Errors
    /// As [`Client::frame`].
    pub async fn until(&mut self, kind: &str) -> Result<Vec<Value>> {
        let mut frames = Vec::new();
        loop {
            frames.push(self.frame().await?);
            if frames.last().is_some_and(|frame| frame["type"] == kind) {
                return Ok(frames);
            }
        }
    }

    /// Asks for a topic; the frames until it is subscribed.
    ///
    /// # Errors
    /// As [`Client::frame`].
    pub async fn subscribe(&mut self, topic: &str, since: Option<&str>) -> Result<Vec<Value>> {
        let mut frame = json!({ "type": "subscribe", "topics": [topic] });
        if let Some(since) = since {
            frame["since"] = since.into();
        }
        self.send(&frame).await?;
        self.until("subscribed").await
    }

    /// Goes on until so many numbers have been told, with those that came before; answers them all.
    ///
    /// # Errors
    /// As [`Client::frame`].
    pub async fn told(&mut self, frames: &mut Vec<Value>, count: usize) -> Result<Vec<u64>> {
        while numbers(frames).len() < count {
            frames.push(self.frame().await?);
        }
        Ok(numbers(frames))
    }

    /// The frames until the server closes, and the code with which it does.
    ///
    /// # Errors
    /// It stays open, or ends without a word.
    pub async fn closed(&mut self) -> Result<(Vec<Value>, u16)> {
        let mut frames = Vec::new();
        loop {
            let next = timeout(WAIT, self.0.next()).await;
            match next.context("it stays open")? {
                Some(Ok(Message::Text(text))) => frames.push(serde_json::from_str(&text)?),
                Some(Ok(Message::Close(Some(why)))) => return Ok((frames, why.code.into())),
                Some(Ok(_)) => {}
                other => bail!("no close frame: {other:?}"),
            }
        }
    }
}

/// A statement that tells a number on a topic.
#[must_use]
pub fn emit(topic: &str, number: u64) -> String {
    format!("select events.emit(array['{topic}'], 'test.number', '{{\"n\": {number}}}')")
}

/// The numbers that frames tell.
#[must_use]
pub fn numbers(frames: &[Value]) -> Vec<u64> {
    let tests = frames.iter().filter(|frame| frame["type"] == "test.number");
    tests
        .filter_map(|frame| frame["data"]["n"].as_u64())
        .collect()
}

impl Server {
    /// A gateway beside the server's own, which finds the database elsewhere, or has other bounds; and where it listens.
    ///
    /// # Errors
    /// It can't be started.
    pub async fn gateway(
        &self,
        database: &Url,
        change: impl FnOnce(&mut Start<'_>),
    ) -> Result<(Realtime, String)> {
        let key = master_key();
        let mut start = Start {
            database,
            key: &key,
            functions_url: self.url.clone(),
            public_url: self.url.clone(),
            trusted_proxies: "127.0.0.1".to_owned(),
            edge_origins: Default::default(),
            limits: Default::default(),
        };
        change(&mut start);
        let realtime = Realtime::start(start)?;
        let address = realtime
            .listen(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await?;
        Ok((realtime, format!("http://{address}")))
    }
}

/// A gateway as a process of its own: `gather realtime`.
pub struct Gateway {
    /// `http://127.0.0.1:port`.
    pub url: String,
    child: Child,
    _state: TempDir,
}

impl Gateway {
    /// Starts one on a port of its own.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(server: &Server, arguments: &[&str]) -> Result<Self> {
        let address = free_address()?;
        let state = scratch()?;
        let child = Command::new(crate::command()?)
            .arg("realtime")
            .args(["--realtime-listen", &address.to_string()])
            .args(["--public-url", &server.url])
            .args(arguments)
            .env("DATABASE_URL", server.database.admin.as_str())
            .env("GATHER_MASTER_KEY", MASTER_KEY)
            .env("GATHER_MANIFEST", root().join("spin.toml"))
            .env("GATHER_STATE_DIR", state.path())
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let gateway = Self {
            url: format!("http://{address}"),
            child,
            _state: state,
        };
        let live = format!("{}/health/live", gateway.url);
        for _ in 0..600 {
            if server.http.get(&live).send().await.is_ok() {
                return Ok(gateway);
            }
            sleep(Duration::from_millis(100)).await;
        }
        bail!("the gateway does not come up");
    }

    /// Ends it in the middle of everything.
    ///
    /// # Errors
    /// It is gone already.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Its process.
    ///
    /// # Errors
    /// It has ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("ended")
    }
}
