//! A mail server that speaks the real protocol over a real socket, and misbehaves when told to.

use super::Mailer;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// The reaction of a stand-in to a command.
#[derive(Clone, Copy)]
pub enum Does {
    /// Answers with this text.
    Says(&'static str),
    /// Waits without an answer.
    Waits,
    /// Closes the connection.
    HangsUp,
}

/// A mail server that takes every command unless `script` says otherwise. The command `.` is the mail's end,
/// the empty one the greeting.
pub struct StandIn {
    /// The address on which it listens.
    pub port: u16,
    heard: Arc<Mutex<Heard>>,
}

/// The commands and mails that a stand-in received, over all connections.
#[derive(Default, Clone)]
pub struct Heard {
    /// The commands, in order.
    pub commands: Vec<String>,
    /// Mails as they came over the wire, up to the lone dot.
    pub mails: Vec<String>,
}

impl StandIn {
    pub async fn start(offers: &'static [&'static str], script: &'static [(&str, Does)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::<Mutex<Heard>>::default();
        let shared = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let heard = shared.clone();
                tokio::spawn(async move {
                    // A client that leaves in the middle is not an error here.
                    _ = converse(stream, offers, script, &heard).await;
                });
            }
        });
        Self { port, heard }
    }

    pub fn heard(&self) -> Heard {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A mailer for this server, with short time limits.
    pub fn mailer(&self) -> Mailer {
        let mut mailer = super::mailer(Some(format!("smtp://127.0.0.1:{}", self.port)));
        if let Some(server) = &mut mailer.server {
            server.patience = Duration::from_millis(500);
        }
        mailer
    }
}

async fn converse(
    stream: TcpStream,
    offers: &[&str],
    script: &[(&str, Does)],
    heard: &Mutex<Heard>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut command = String::new();
    loop {
        let verb = command.split([' ', ':']).next().unwrap_or_default();
        let scripted = script.iter().find(|(at, _)| *at == verb);
        let answer = match (scripted, verb) {
            (Some((_, Does::Says(text))), _) => (*text).to_owned(),
            (Some((_, Does::Waits)), _) => std::future::pending().await,
            (Some((_, Does::HangsUp)), _) => return Ok(()),
            (None, "") => "220 stand-in ESMTP".to_owned(),
            (None, "EHLO") => {
                let lines = offers.iter().map(|offer| format!("250-{offer}\r\n"));
                format!("250-stand-in\r\n{}250 HELP", lines.collect::<String>())
            }
            (None, "DATA") => "354 go on".to_owned(),
            (None, "QUIT") => "221 bye".to_owned(),
            (None, _) => "250 ok".to_owned(),
        };
        stream
            .get_mut()
            .write_all(format!("{answer}\r\n").as_bytes())
            .await?;
        if verb == "DATA" && answer.starts_with('3') {
            let mut mail = Vec::new();
            while !mail.ends_with(b"\r\n.\r\n") {
                mail.push(stream.read_u8().await?);
            }
            mail.truncate(mail.len() - 3);
            let mail = String::from_utf8(mail).expect("mail is ASCII");
            lock(heard).mails.push(mail);
            ".".clone_into(&mut command);
            continue;
        }
        if verb == "QUIT" {
            return Ok(());
        }
        command.clear();
        if stream.read_line(&mut command).await? == 0 {
            return Ok(());
        }
        command.truncate(command.trim_end().len());
        lock(heard).commands.push(command.clone());
    }
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
