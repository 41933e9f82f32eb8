//! A way between a command and its server that can be cut and slowed down.

use anyhow::Result;
use e2e::Server;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// How a way lets pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Passage {
    Open,
    /// What is sent arrives, and no answer comes back.
    OneWay,
    Closed,
}

/// A way to a server, which can be closed.
pub struct Way {
    pub url: String,
    pub passage: watch::Sender<Passage>,
    /// Connections that were refused.
    pub refused: Arc<AtomicUsize>,
    pub listener: TcpListener,
}

impl Way {
    pub async fn new() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self {
            url: format!("http://{}", listener.local_addr()?),
            passage: watch::channel(Passage::Open).0,
            refused: Arc::default(),
            listener,
        })
    }

    pub async fn lead_to(
        self,
        server: &Server,
    ) -> Result<(watch::Sender<Passage>, Arc<AtomicUsize>)> {
        let to: SocketAddr = server.url.trim_start_matches("http://").parse()?;
        let (passage, refused) = (self.passage.clone(), self.refused.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = self.listener.accept().await {
                if *self.passage.borrow() == Passage::Closed {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                } else {
                    tokio::spawn(pass(client, to, self.passage.subscribe()));
                }
            }
        });
        Ok((passage, refused))
    }
}

async fn pass(client: TcpStream, to: SocketAddr, passage: watch::Receiver<Passage>) -> Result<()> {
    let server = TcpStream::connect(to).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut closed = passage.clone();
    let forth = tokio::io::copy(&mut from_client, &mut to_server);
    let back = async {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 || *passage.borrow() != Passage::Open {
                return anyhow::Ok(());
            }
            to_client.write_all(&buffer[..read]).await?;
        }
    };
    tokio::select! {
        _ = forth => {}
        _ = back => {}
        _ = closed.wait_for(|passage| *passage == Passage::Closed) => {}
    }
    Ok(())
}
