//! `gather chat`: a channel in the terminal.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};
use time::{Date, OffsetDateTime};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    api::Api,
    note, print, print_json,
    socket::{Follower, Told, Topic},
    time_of, when,
};
use crate::{agent::Common, plain};

/// The most that `--since` shows.
const MOST: usize = 1000;
/// The most of one page.
const PAGE: usize = 100;

/// A channel in the terminal.
#[derive(Args, Debug)]
pub struct Chat {
    /// The channel: its name or its id
    pub channel: String,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub common: Common,
    /// Begin with what was said since then: a time (RFC 3339), or a while such as 30m, 2h or 7d
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Option<OffsetDateTime>,
    /// Begin with so many messages; 0: only what is new
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100), conflicts_with = "since")]
    pub limit: u8,
    /// Become a member first, without which nobody can write
    #[arg(long)]
    pub join: bool,
    /// Stay when the input has ended
    #[arg(long)]
    pub follow: bool,
}

/// Runs the command. Returns whether all lines were sent.
pub fn run(options: Chat) -> Result<bool> {
    let name = options.channel.trim_start_matches('#').to_lowercase();
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        bail!(
            "{:?} is neither a channel's name nor its id",
            options.channel
        );
    }
    let api = Api::sign_in(options.common.clone(), "gather chat")?;
    super::run(async move {
        if options.join {
            api.post(format!("/api/channels/{name}/join"), json!({}))
                .await?;
        }
        let channel = api.get(format!("/api/channels/{name}")).await?;
        let id = channel["id"]
            .as_str()
            .context("the server's answer holds no id")?;
        let room = Room {
            path: format!("/api/channels/{id}/messages"),
            topic: format!("channel:{id}"),
            api,
            json: options.common.json,
            echoed: io::stdin().is_terminal() && io::stdout().is_terminal(),
            session: Uuid::now_v7().simple().to_string(),
            last: 0,
            date: None,
        };
        room.talk(&options).await
    })
}

/// The view of a channel.
struct Room {
    api: Api,
    /// The path of the channel's messages.
    path: String,
    topic: String,
    json: bool,
    /// Whether the terminal shows what is typed, so that own lines need not be printed again.
    echoed: bool,
    /// The beginning of the `client_id` of own messages.
    session: String,
    /// The `seq` of the newest shown message.
    last: i64,
    /// The day of the last printed line.
    date: Option<Date>,
}

impl Room {
    async fn talk(mut self, options: &Chat) -> Result<bool> {
        let (told, mut hears) = mpsc::channel(256);
        let topic = Topic {
            name: self.topic.clone(),
            since: None,
        };
        let types = vec!["message.*".to_owned()];
        let follower = Follower::new(self.api.clone(), vec![topic], types, told);
        let mut follower = tokio::spawn(follower.run());
        // Live first, then what was said before: nothing is missed in between.
        loop {
            match hears.recv().await {
                Some(Told::Subscribed) => break,
                Some(Told::Denied(_)) => bail!("this channel can't be followed"),
                Some(_) => {}
                None => return ended(follower.await?),
            }
        }
        self.begin(options).await?;
        let sender = Sender {
            api: self.api.clone(),
            path: self.path.clone(),
            session: self.session.clone(),
        };
        let mut sending = tokio::spawn(sender.send_all(lines()));
        let mut sent = None;
        loop {
            tokio::select! {
                all = &mut sending, if sent.is_none() => {
                    let all = all?;
                    if !options.follow {
                        self.catch_up().await?;
                        return Ok(all);
                    }
                    sent = Some(all);
                }
                told = hears.recv() => match told {
                    Some(Told::Event(frame)) => self.show(&frame)?,
                    Some(Told::Gone(_)) => self.catch_up().await?,
                    Some(Told::Subscribed) => {}
                    Some(Told::Denied(_)) => {
                        note("This channel can't be followed any more.");
                        return Ok(false);
                    }
                    None => return ended((&mut follower).await?),
                },
            }
        }
    }

    /// Shows the earlier messages.
    async fn begin(&mut self, options: &Chat) -> Result<()> {
        let wanted = match options.since {
            Some(_) => MOST,
            None => usize::from(options.limit),
        };
        let is_old = |message: &Value| {
            let said = time_of(&message["created_at"]);
            options
                .since
                .is_some_and(|since| said.is_ok_and(|said| said < since))
        };
        let mut history: Vec<Value> = vec![];
        // The newest message tells where the channel stands, also where none is shown.
        let mut newest = None;
        let mut next = Some(format!("{}?limit={}", self.path, wanted.clamp(1, PAGE)));
        while let Some(path) = next {
            let page = self.api.get(path).await?;
            let items = page["items"]
                .as_array()
                .context("the server's answer has no items")?;
            newest = newest.or_else(|| items.first().and_then(|first| first["seq"].as_i64()));
            let young = items.iter().take_while(|message| !is_old(message));
            history.extend(young.take(wanted - history.len()).cloned());
            let is_over = history.len() == wanted || items.last().is_some_and(is_old);
            let cursor = page["next"].as_str().filter(|_| !is_over);
            next = cursor.map(|cursor| format!("{}?limit={PAGE}&before={cursor}", self.path));
        }
        for message in history.iter().rev() {
            self.show_message(message)?;
        }
        self.last = self.last.max(newest.unwrap_or_default());
        Ok(())
    }

    /// Shows the messages since the last shown one.
    async fn catch_up(&mut self) -> Result<()> {
        loop {
            let path = format!("{}?limit={PAGE}&after={}", self.path, self.last);
            let page = self.api.get(path).await?;
            for message in page["items"].as_array().into_iter().flatten() {
                self.show_message(message)?;
            }
            if page["next"].is_null() {
                return Ok(());
            }
        }
    }

    fn show_message(&mut self, message: &Value) -> Result<()> {
        self.show(&json!({ "type": "message.created", "topic": self.topic, "data": message }))
    }

    /// Shows an event, unless it was shown before.
    fn show(&mut self, frame: &Value) -> Result<()> {
        let message = &frame["data"];
        let kind = frame["type"].as_str().unwrap_or_default();
        if kind == "message.created" {
            let seq = message["seq"].as_i64().unwrap_or_default();
            // The history and the socket may both have told it. One that was deleted meanwhile has no number.
            if seq <= self.last {
                return Ok(());
            }
            self.last = seq;
        }
        if self.json {
            return print_json(frame);
        }
        let author = message["author"]["name"].as_str().map(plain::line);
        let body = message["body"].as_str().map(plain::text);
        let said = match (kind, author, body) {
            ("message.created", Some(author), Some(body)) => {
                if self.echoed && self.is_own(message, &author) {
                    return Ok(());
                }
                format!("{author}: {body}")
            }
            ("message.updated", Some(author), Some(body)) if !message["edited_at"].is_null() => {
                format!("{author} edited: {body}")
            }
            ("message.updated", None, _) => "a message was hidden".to_owned(),
            ("message.deleted", ..) => "a message was deleted".to_owned(),
            _ => return Ok(()),
        };
        let time = match kind {
            "message.created" => time_of(&message["created_at"])?,
            _ => OffsetDateTime::now_utc(),
        };
        self.print(time, &said)
    }

    /// Prints a message. Its further lines are indented, so that none looks like another author's message.
    fn print(&mut self, time: OffsetDateTime, said: &str) -> Result<()> {
        if self.date.replace(time.date()) != Some(time.date()) {
            print(&format!("--- {} (UTC)", time.date()))?;
        }
        let said = said.replace('\n', "\n      | ");
        print(&format!("{:02}:{:02} {said}", time.hour(), time.minute()))
    }

    /// Whether this command sent a message. Others could use the same beginning.
    fn is_own(&self, message: &Value, author: &str) -> bool {
        let client_id = message["client_id"].as_str().unwrap_or_default();
        client_id.starts_with(&self.session) && author == self.api.access().name
    }
}

/// The result of the command when the follower ends.
fn ended(ended: Result<()>) -> Result<bool> {
    ended?;
    Err(anyhow!("the server tells nothing more of this channel"))
}

/// Reads the lines of the standard input until its end.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    // A thread of its own: nothing interrupts a read, and the command's end does not wait for it.
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        while input
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if !text.is_empty() && sender.blocking_send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    lines
}

/// A sender of lines as messages.
struct Sender {
    api: Api,
    path: String,
    session: String,
}

impl Sender {
    /// Sends all lines in order, each once, however often it has to be tried. Returns whether all were taken.
    async fn send_all(self, mut lines: mpsc::Receiver<String>) -> bool {
        let (mut number, mut all) = (0_u64, true);
        while let Some(line) = lines.recv().await {
            number += 1;
            let client_id = format!("{}-{number}", self.session);
            let message = json!({ "body": line, "client_id": client_id });
            if let Err(error) = self.api.post(self.path.clone(), message).await {
                note(&format!("Not sent: {line}\n  {error:#}"));
                all = false;
            }
        }
        all
    }
}
