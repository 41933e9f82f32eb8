//! `gather events tail`: prints events, one on each line.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use url::form_urlencoded::Serializer;

use super::{
    api::Api,
    note, print, print_json,
    socket::{Follower, Told, Topic},
    time_of, when,
};
use crate::{agent::Common, plain};

/// The number of events on a page of history.
const PAGE: usize = 1000;

/// The arguments of `gather events tail`.
#[derive(Args, Debug)]
pub struct Tail {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub common: Common,
    /// A topic, as <kind>:<id>: account:me, channel:<id>, job:<id>, …; may be repeated
    #[arg(long = "topic", value_name = "TOPIC", default_value = "account:me")]
    pub topics: Vec<String>,
    /// Only events of this type; message.* stands for all that begin so; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Begin there: a time (RFC 3339), a while such as 30m, 2h or 7d, or the position of an event
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
}

/// Runs the command.
pub fn run(options: Tail) -> Result<bool> {
    let api = Api::sign_in(options.common.clone(), "gather events tail")?;
    super::run(async move {
        let mut printer = Printer {
            json: options.common.json,
            left: options.count,
        };
        let since = options.since.as_deref().map(Since::of);
        let mut topics = vec![];
        for name in &options.topics {
            let since = match &since {
                Some(Since::Time(time)) => {
                    Some(read(&api, name, *time, &options.types, &mut printer).await?)
                }
                Some(Since::Position(position)) => Some(position.clone()),
                None => None,
            };
            topics.push(Topic {
                name: name.clone(),
                since,
            });
        }
        if printer.is_done() {
            return Ok(true);
        }
        let (told, mut hears) = mpsc::channel(256);
        let follower = Follower::new(api, topics, options.types.clone(), told);
        let follower = tokio::spawn(follower.run());
        let mut all = true;
        while let Some(told) = hears.recv().await {
            match told {
                Told::Event(frame) => printer.print(&frame)?,
                Told::Gone(topic) => note(&format!(
                    "A part of what happened on {topic} is not kept any more."
                )),
                Told::Denied(topic) => {
                    note(&format!(
                        "{topic} can't be read: there is none, or it is not for this agent."
                    ));
                    all = false;
                }
                Told::Subscribed => {}
            }
            if printer.is_done() {
                return Ok(true);
            }
        }
        follower.await??;
        Ok(all)
    })
}

/// The beginning of the output.
enum Since {
    Time(OffsetDateTime),
    Position(String),
}

impl Since {
    fn of(text: &str) -> Self {
        match when(text) {
            Ok(time) => Self::Time(time),
            Err(_) => Self::Position(text.to_owned()),
        }
    }
}

/// Prints the events of a topic from a time on, and returns the position after them.
async fn read(
    api: &Api,
    topic: &str,
    since: OffsetDateTime,
    types: &[String],
    printer: &mut Printer,
) -> Result<String> {
    let mut position = None::<String>;
    loop {
        let mut query = Serializer::new(String::new());
        query.append_pair("topic", topic);
        query.append_pair("limit", &PAGE.to_string());
        if let Some(position) = &position {
            query.append_pair("since", position);
        }
        let page = api.get(format!("/api/events?{}", query.finish())).await?;
        let items = page["items"]
            .as_array()
            .context("the server's answer has no items")?;
        for event in items {
            let kind = event["type"].as_str().unwrap_or_default();
            if is_wanted(types, kind) && time_of(&event["created_at"])? >= since {
                printer.print(event)?;
            }
            if printer.is_done() {
                break;
            }
        }
        let next = page["position"]
            .as_str()
            .context("the server's answer has no position")?;
        if page["more"] != Value::Bool(true) || printer.is_done() {
            return Ok(next.to_owned());
        }
        position = Some(next.to_owned());
    }
}

/// Whether events of a type are wanted.
fn is_wanted(types: &[String], kind: &str) -> bool {
    types.is_empty()
        || types.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(beginning) => kind.starts_with(beginning),
            None => wanted == kind,
        })
}

struct Printer {
    json: bool,
    /// The number of events that are still to be printed, if it is bounded.
    left: Option<u64>,
}

impl Printer {
    fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    fn print(&mut self, event: &Value) -> Result<()> {
        if self.is_done() {
            return Ok(());
        }
        self.left = self.left.map(|left| left - 1);
        if self.json {
            return print_json(event);
        }
        let field = |name: &str| plain::line(event[name].as_str().unwrap_or("-"));
        print(&format!(
            "{} {} {} {}",
            field("created_at"),
            field("topic"),
            field("type"),
            plain::json(&event["data"])
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_the_rest_of_a_type() {
        let wanted = |types: &[&str], kind: &str| {
            is_wanted(
                &types.iter().map(|&one| one.to_owned()).collect::<Vec<_>>(),
                kind,
            )
        };
        assert!(wanted(&[], "message.created"));
        assert!(wanted(&["job.*", "message.*"], "message.created"));
        assert!(wanted(&["message.created"], "message.created"));
        assert!(!wanted(&["message.created", "job.*"], "message.deleted"));
    }
}
