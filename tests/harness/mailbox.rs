//! A mail server that keeps what it is sent, over a real socket.

use anyhow::{Context, Result};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A mail as it came.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Of the envelope.
    pub to: String,
    /// Headers and text, decoded from quoted-printable.
    pub text: String,
}

/// The server; it ends when this is dropped.
pub struct Mailbox {
    /// `smtp://127.0.0.1:port`.
    pub url: String,
    mails: Arc<Mutex<Vec<Mail>>>,
    server: JoinHandle<()>,
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Mailbox {
    /// A server on a free port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn open() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("smtp://{}", listener.local_addr()?);
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = mails.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move { receive(stream, &kept).await });
            }
        });
        Ok(Self { url, mails, server })
    }

    /// All mails to an address by now.
    ///
    /// # Panics
    /// A connection panicked.
    #[must_use]
    pub fn to(&self, address: &str) -> Vec<Mail> {
        let mails = self.mails.lock().expect("not poisoned");
        let mails = mails.iter().filter(|mail| mail.to == address);
        mails.cloned().collect()
    }

    /// The newest mail to an address, once it has got so many.
    ///
    /// # Errors
    /// They do not come within 20 s.
    pub async fn wait(&self, address: &str, count: usize) -> Result<Mail> {
        for _ in 0..400 {
            let mails = self.to(address);
            if mails.len() >= count {
                return mails.last().cloned().context("no mail");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("{address} got {:?} and not {count}", self.to(address))
    }
}

impl Mail {
    /// The token of the link in it.
    ///
    /// # Errors
    /// There is none.
    pub fn token(&self) -> Result<String> {
        let (_, rest) = self
            .text
            .split_once("token=")
            .with_context(|| format!("no link in {}", self.text))?;
        Ok(rest
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned())
    }
}

/// RFC 5321, as much as a client of ours needs.
async fn receive(stream: TcpStream, kept: &Mutex<Vec<Mail>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut to = String::new();
    stream.write_all(b"220 mailbox ready\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_ascii_uppercase();
        if command.starts_with("RCPT TO:") {
            to = line[8..].trim().trim_matches(['<', '>']).to_owned();
        }
        if command == "DATA" {
            stream.write_all(b"354 go on\r\n").await?;
            let text = data(&mut stream).await?;
            let mail = Mail {
                to: to.clone(),
                text,
            };
            kept.lock().expect("not poisoned").push(mail);
        }
        let quits = command == "QUIT";
        stream
            .write_all(if quits { b"221 bye\r\n" } else { b"250 ok\r\n" })
            .await?;
        if quits {
            return Ok(());
        }
    }
}

/// The lines to the lonely dot, without stuffed dots and with quoted-printable undone.
async fn data(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        anyhow::ensure!(stream.read_line(&mut line).await? > 0, "broken off");
        if line == ".\r\n" {
            return Ok(text.replace("=\r\n", "").replace("=3D", "="));
        }
        text += line.strip_prefix('.').unwrap_or(&line);
    }
}
