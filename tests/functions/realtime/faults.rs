//! Lines that break: the database's, and clients'.

use crate::functions::realtime::rights::metric;
use anyhow::{Context, Result, bail};
use e2e::{
    Server,
    agents::Agent,
    sockets::{Client, WAIT, emit},
};
use futures::future::try_join_all;
use serde_json::json;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};
use url::Url;

/// What happens to the connections that a line carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// They end.
    Cut,
    /// Nothing passes any more, and nobody says so.
    Silent,
}

/// A line to the database. New connections always pass.
struct Line {
    /// The database at the line's end.
    database: Url,
    fault: Arc<watch::Sender<Fault>>,
}

impl Line {
    async fn to(database: &Url) -> Result<Self> {
        let target = SocketAddr::from(([127, 0, 0, 1], database.port().unwrap_or(5432)));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut through = database.clone();
        let port = listener.local_addr()?.port();
        through.set_port(Some(port)).ok().context("a port")?;
        let fault = Arc::new(watch::channel(Fault::None).0);
        let faults = fault.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut fault = faults.subscribe();
                fault.mark_unchanged();
                tokio::spawn(carry(client, target, fault));
            }
        });
        Ok(Self {
            database: through,
            fault,
        })
    }

    fn meets(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

async fn carry(
    mut client: TcpStream,
    target: SocketAddr,
    mut fault: watch::Receiver<Fault>,
) -> Result<()> {
    let mut server = TcpStream::connect(target).await?;
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return Ok(()),
        changed = fault.changed() => changed?,
    }
    if *fault.borrow() == Fault::Silent {
        // Both ends stay open until the test is over.
        sleep(WAIT * 10).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_cut_off_in_a_fan_out_costs_nobody_an_event() -> Result<()> {
    let server = Server::start().await?;
    let line = Line::to(&server.database.admin).await?;
    let (gateway, url) = server.gateway(&line.database, |_| {}).await?;
    let mut agents = Vec::new();
    for number in 1..=3 {
        agents.push(Agent::sign_in(&server, &format!("agent-{number}"), number).await?);
    }
    let open = "create function public.everybody(account uuid, id text) returns boolean language sql immutable
         as $$ select true $$;
         update events.topic_kind set reader = 'public.everybody' where kind = 'channel'";
    server.database.execute(open).await?;
    let channel = uuid::Uuid::now_v7();
    let topic = format!("channel:{channel}");
    let mut clients = Vec::new();
    for number in 0..30 {
        let mut client = Client::signed_in(&url, &agents[number % 3]).await?;
        client.subscribe(&topic, None).await?;
        clients.push(client);
    }
    let faults = [
        Fault::None,
        Fault::Cut,
        Fault::Cut,
        Fault::Silent,
        Fault::Cut,
        Fault::Silent,
    ];
    let (mut told, mut number) = (vec![Vec::new(); clients.len()], 0);
    for fault in faults {
        for part in 0..40 {
            number += 1;
            server.database.execute(&emit(&topic, number)).await?;
            if part == 20 && fault != Fault::None {
                line.meets(fault);
            }
        }
        let all = clients.iter_mut().zip(&mut told);
        let all = all.map(|(client, frames)| async move {
            while !client.told(frames, 1).await?.contains(&number) {
                frames.push(client.frame().await?);
            }
            anyhow::Ok(())
        });
        try_join_all(all).await?;
    }
    for frames in told {
        // What was under way when the line broke may come twice; in its order all the same, and nothing is left out.
        let mut last = 0;
        for told in e2e::sockets::numbers(&frames) {
            assert!(told <= last + 1, "{told} after {last}");
            last = last.max(told);
        }
        assert_eq!(last, number);
    }
    // Typing comes through again, too, though nobody said that its line was dead.
    let (mut writer, mut reader) = (clients.remove(0), clients.remove(0));
    let typing = async {
        loop {
            writer
                .send(&json!({ "type": "typing", "channel": channel }))
                .await?;
            if let Ok(told) = timeout(Duration::from_secs(3), reader.until("typing")).await {
                return told;
            }
        }
    };
    timeout(WAIT, typing).await??;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_gateway_without_its_database_says_how_far_behind_it_is() -> Result<()> {
    let server = Server::start().await?;
    let line = Line::to(&server.database.admin).await?;
    let (gateway, url) = server.gateway(&line.database, |_| {}).await?;
    let lag = async |is_enough: fn(f64) -> bool| {
        for _ in 0..600 {
            let text = server.http.get(format!("{url}/metrics")).send().await?;
            if is_enough(metric(&text.text().await?, "outbox_lag_seconds")?) {
                return Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
        bail!("the lag stays")
    };
    lag(|seconds| seconds < 1.5).await?;
    line.meets(Fault::Silent);
    lag(|seconds| seconds > 3.0).await?;
    lag(|seconds| seconds < 1.5).await?;
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_is_gone_without_a_word_is_let_go() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let (gateway, url) = server
        .gateway(&server.database.admin, |start| {
            start.limits.ping_every = Duration::from_millis(500);
            start.limits.gone_after = Duration::from_secs(8);
        })
        .await?;
    let mut there = Client::signed_in(&url, &ada).await?;
    let mut gone = TcpStream::connect(url.trim_start_matches("http://")).await?;
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
        ada.token
    );
    gone.write_all(upgrade.as_bytes()).await?;
    let mut answer = Vec::new();
    let (ended, ponged) = tokio::join!(
        // It reads, and answers no ping.
        timeout(WAIT, gone.read_to_end(&mut answer)),
        async {
            for _ in 0..100 {
                there.send(&json!({ "type": "ping" })).await?;
                there.until("pong").await?;
                sleep(Duration::from_millis(100)).await;
            }
            anyhow::Ok(())
        }
    );
    ended.context("it is held for ever")??;
    ponged?;
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    gateway.stop().await;
    Ok(())
}

/// A masked frame of a client; the mask is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn what_is_no_frame_is_refused_by_its_close_code() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let half = vec![b'x'; 40_000];
    let fragments = [frame(0x01, &half), frame(0x80, &half)].concat();
    // A thousand bytes that would be a million: compression was not agreed, so nothing is inflated.
    let compressed = frame(0xc1, &[0; 1000]);
    let in_parts = [frame(0x41, &[0; 1000]), frame(0x80, &[0; 1000])].concat();
    for (what, bytes, code) in [
        ("compressed", compressed, 1002),
        ("compressed in fragments", in_parts, 1002),
        ("not masked", vec![0x81, 2, b'{', b'}'], 1002),
        ("a reserved opcode", frame(0x83, b"{}"), 1002),
        ("a lone continuation", frame(0x80, b"{}"), 1002),
        ("not UTF-8", frame(0x81, b"\xff\xfe"), 1007),
        ("not text", frame(0x82, b"{}"), 1003),
        ("too large in fragments", fragments, 4413),
    ] {
        let mut socket = TcpStream::connect(server.url.trim_start_matches("http://")).await?;
        let upgrade = format!(
            "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
             Authorization: Bearer {}\r\n\r\n",
            ada.token
        );
        socket.write_all(upgrade.as_bytes()).await?;
        socket.write_all(&bytes).await?;
        let mut answer = Vec::new();
        timeout(WAIT, socket.read_to_end(&mut answer)).await??;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, frames) = answer.split_at(end.context("a head")? + 4);
        let head = String::from_utf8_lossy(head).to_lowercase();
        assert!(
            head.starts_with("http/1.1 101") && !head.contains("extensions"),
            "{head}"
        );
        // The last one closes.
        let close = frames.windows(2).rposition(|two| two[0] == 0x88);
        let close = frames.get(close.context(what)? + 2..).context(what)?;
        let told = close.first_chunk().map(|code| u16::from_be_bytes(*code));
        assert_eq!(told, Some(code), "{what}");
    }
    Ok(())
}
