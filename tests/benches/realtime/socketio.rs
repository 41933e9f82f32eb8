//! The same fan-out by Socket.IO over its Postgres adapter: one process that clients are connected to, and another one
//! that publishes.

use crate::{EVENTS_A_SECOND, POSTS, SECONDS, SOCKETS, SUBSCRIBERS, figures, listen, now_us, pace};
use anyhow::{Context, Result, bail};
use e2e::{root, sockets::Client};
use futures::{SinkExt, StreamExt, stream};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    task::JoinHandle,
    time::{interval, sleep},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};
use url::Url;

/// Posts to many, then many events a second.
pub async fn socket_io(database: &Url) -> Result<()> {
    let folder = install().await?;
    let mut server = Node::start(&folder, database, "serve").await?;
    let mut publisher = Node::start(&folder, database, "publish").await?;
    let (told, mut heard) = mpsc::unbounded_channel();
    let listeners = listeners(server.port, SOCKETS, "\"body\":\"", &told).await?;
    let mut deliveries = Vec::new();
    for number in 0..POSTS as u64 {
        let begun = Instant::now();
        publisher
            .say(&format!("{{\"body\":\"{number}\"}}\n"))
            .await?;
        for _ in 0..SOCKETS {
            let (_, came) = heard.recv().await.context("a frame")?;
            deliveries.push(came.duration_since(begun));
        }
        sleep(pace(number)).await;
    }
    println!(
        "socket.io, line → {SOCKETS} sockets of one server: {}",
        figures(deliveries)
    );
    listeners.iter().for_each(JoinHandle::abort);

    let (told, mut heard) = mpsc::unbounded_channel();
    let listeners = self::listeners(server.port, SUBSCRIBERS, "\"at\":", &told).await?;
    let (clock, clock_us) = (Instant::now(), now_us());
    let count = EVENTS_A_SECOND * SECONDS as usize;
    let publish = async {
        let mut ticks = interval(Duration::from_secs(SECONDS) / count as u32);
        for _ in 0..count {
            ticks.tick().await;
            publisher.say(&format!("{{\"at\":{}}}\n", now_us())).await?;
        }
        anyhow::Ok(())
    };
    let collect = async {
        let mut times = Vec::new();
        while times.len() < count * SUBSCRIBERS {
            let (at_us, came) = heard.recv().await.context("a frame")?;
            let sent = clock + Duration::from_micros(at_us.saturating_sub(clock_us));
            times.push(came.saturating_duration_since(sent));
        }
        anyhow::Ok(times)
    };
    let (published, times) = tokio::join!(publish, collect);
    published?;
    let rate = count as f64 / clock.elapsed().as_secs_f64();
    println!(
        "socket.io, {rate:.0} events/s to {SUBSCRIBERS} subscribers each: {}",
        figures(times?)
    );
    listeners.iter().for_each(JoinHandle::abort);
    server.child.kill().await?;
    publisher.child.kill().await?;
    Ok(())
}

/// Sockets in the room that everything is told to (Engine.IO 4 and Socket.IO 5, over WebSocket alone).
async fn listeners(
    port: u16,
    count: usize,
    name: &'static str,
    told: &mpsc::UnboundedSender<(u64, Instant)>,
) -> Result<Vec<JoinHandle<()>>> {
    let url = format!("ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket");
    let opened = stream::iter(0..count).map(async |_| {
        let (mut socket, _) = connect_async(&url).await?;
        socket.next().await.context("an open packet")??;
        socket.send(Message::text("40")).await?;
        let connected = socket.next().await.context("a connect packet")??;
        let text = connected.to_text()?;
        anyhow::ensure!(text.starts_with("40"), "{text}");
        anyhow::Ok(listen(Client(socket), name, told.clone()))
    });
    let opened: Vec<_> = opened.buffer_unordered(50).collect().await;
    opened.into_iter().collect()
}

/// The script with its packages, under `target/`.
async fn install() -> Result<PathBuf> {
    let folder = root().join("target/node-socket-io");
    std::fs::create_dir_all(&folder)?;
    for file in ["package.json", "fanout.mjs"] {
        let source = root().join("tests/benches/realtime/node").join(file);
        std::fs::copy(source, folder.join(file))?;
    }
    if !folder.join("node_modules/socket.io").exists() {
        let installed = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&folder)
            .status()
            .await
            .context("npm is not there")?;
        if !installed.success() {
            bail!("npm install: {installed}");
        }
    }
    Ok(folder)
}

struct Node {
    child: Child,
    input: ChildStdin,
    port: u16,
}

impl Node {
    async fn start(folder: &Path, database: &Url, role: &str) -> Result<Self> {
        let mut child = Command::new("node")
            .args(["fanout.mjs", database.as_str(), role])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().context("stdin")?;
        let output = child.stdout.take().context("stdout")?;
        let mut lines = BufReader::new(output).lines();
        let port = lines.next_line().await?.context("node ended")?.parse()?;
        Ok(Self { child, input, port })
    }

    async fn say(&mut self, line: &str) -> Result<()> {
        Ok(self.input.write_all(line.as_bytes()).await?)
    }
}
