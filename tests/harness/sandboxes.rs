//! Sandboxes as processes of their own, for the tests that kill them.

use crate::{Server, process::Process, root};
use anyhow::{Result, ensure};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The address by which the platform knows its sandbox, whichever process that is at the moment.
pub struct Front {
    /// The URL for the platform.
    pub url: String,
    behind: Arc<Mutex<SocketAddr>>,
    asked: Arc<AtomicU64>,
}

impl Front {
    /// Opens an address that leads to another one.
    ///
    /// # Errors
    /// No port is free.
    pub async fn open(behind: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let front = Self {
            url: format!("http://{}", listener.local_addr()?),
            behind: Arc::new(Mutex::new(behind)),
            asked: Arc::default(),
        };
        let (behind, asked) = (front.behind.clone(), front.asked.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let address = *behind.lock().unwrap_or_else(PoisonError::into_inner);
                tokio::spawn(pass_on(client, address, asked.clone()));
            }
        });
        Ok(front)
    }

    /// Leads those who connect from now on elsewhere.
    pub fn lead_to(&self, behind: SocketAddr) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = behind;
    }

    /// The number of bytes that were asked.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Passes bytes on until either end is gone.
async fn pass_on(client: TcpStream, address: SocketAddr, asked: Arc<AtomicU64>) -> Result<()> {
    let sandbox = TcpStream::connect(address).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_sandbox, mut to_sandbox) = sandbox.into_split();
    let questions = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return anyhow::Ok(());
            }
            to_sandbox.write_all(&buffer[..read]).await?;
            asked.fetch_add(u64::try_from(read)?, Ordering::SeqCst);
        }
    };
    tokio::select! {
        _ = copy(&mut from_sandbox, &mut to_client) => {}
        _ = questions => {}
    }
    Ok(())
}

/// Starts a sandbox of a platform as a process, and waits until it answers. Its log is in a folder.
///
/// # Errors
/// It does not answer within a minute.
pub async fn sandbox(server: &Server, folder: &Path, at: SocketAddr) -> Result<Process> {
    let process = Process::start(
        "sandbox",
        &server.database,
        &root().join("spin.toml"),
        folder,
        &[
            "--sandbox-listen",
            &at.to_string(),
            "--public-url",
            &server.url,
        ],
    )?;
    let begin = Instant::now();
    while TcpStream::connect(at).await.is_err() {
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "no sandbox: {}",
            process.log()?
        );
        sleep(Duration::from_millis(50)).await;
    }
    Ok(process)
}
