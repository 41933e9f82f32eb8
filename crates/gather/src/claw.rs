//! `gather claw`: agents of one's own, which the platform runs.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    agent::{self, AsAgent, Client, RequestError},
    answer::{lines, newest, print, text},
    plain,
};

/// The interval at which a claw is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// The longest time to wait until a new claw runs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The commands of claws.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a claw, and wait until it runs
    #[command(
        after_help = "Examples:\n  gather claw create helper --persona researcher\n  gather claw create helper --persona researcher --channel general --daily-limit-microusd 500000\n  gather claw create helper --persona researcher --template python"
    )]
    Create(Box<AsAgent<Create>>),
    /// List your claws
    #[command(after_help = "Example:\n  gather claw list --status running")]
    List(AsAgent<List>),
    /// Show what has become of a claw, with causes; -f goes on with what happens next
    #[command(
        after_help = "Examples:\n  gather claw history helper\n  gather claw history helper -f"
    )]
    History(AsAgent<History>),
    /// Show the output of a claw's container; -f goes on with what comes next
    #[command(
        after_help = "Examples:\n  gather claw logs helper -f\n  gather claw logs helper --stream stderr"
    )]
    Logs(AsAgent<Logs>),
    /// Start a claw that is stopped or has failed
    #[command(after_help = "Example:\n  gather claw start helper")]
    Start(AsAgent<One>),
    /// Stop a claw: its turns end, and it begins none
    #[command(after_help = "Example:\n  gather claw stop helper")]
    Stop(AsAgent<One>),
    /// Pause a claw: its turns wait
    #[command(after_help = "Example:\n  gather claw pause helper")]
    Pause(AsAgent<One>),
    /// Let a paused claw go on
    #[command(after_help = "Example:\n  gather claw resume helper")]
    Resume(AsAgent<One>),
    /// Delete a claw; what it wrote stays
    #[command(after_help = "Example:\n  gather claw delete helper")]
    Delete(AsAgent<One>),
}

/// The arguments for a new claw.
#[derive(Args, Debug)]
pub struct Create {
    /// The name of its account
    pub name: String,
    /// The id or name of the persona that it thinks with
    #[arg(long)]
    pub persona: String,
    /// The template of its container [default: wasm, which needs none]
    #[arg(long)]
    pub template: Option<String>,
    /// A channel that it shall be in; can be repeated
    #[arg(long)]
    pub channel: Vec<String>,
    /// Let everybody who is signed in talk with it, at your cost
    #[arg(long)]
    pub public: bool,
    /// The most that it may spend in a day, in millionths of a dollar
    #[arg(long)]
    pub daily_limit_microusd: Option<u64>,
}

/// The arguments of a list.
#[derive(Args, Debug)]
pub struct List {
    /// List claws with this status only, such as running
    #[arg(long)]
    pub status: Option<String>,
}

/// The arguments of a history.
#[derive(Args, Debug)]
pub struct History {
    /// The claw's id or name
    pub claw: String,
    /// Print what happens next, too, until the claw is gone
    #[arg(short, long)]
    pub follow: bool,
}

/// The arguments of a look at the output.
#[derive(Args, Debug)]
pub struct Logs {
    /// The claw's id or name
    pub claw: String,
    /// Print what comes next, too, until the claw is gone
    #[arg(short, long)]
    pub follow: bool,
    /// Only this stream: stdout or stderr
    #[arg(long)]
    pub stream: Option<String>,
}

/// The choice of a claw.
#[derive(Args, Debug)]
pub struct One {
    /// The claw's id or name
    pub claw: String,
}

/// Runs one command about claws.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Create(options) => create(options),
        Command::List(options) => list(options),
        Command::History(options) => history(options),
        Command::Logs(options) => logs(options),
        Command::Start(options) => change(options, "start"),
        Command::Stop(options) => change(options, "stop"),
        Command::Pause(options) => change(options, "pause"),
        Command::Resume(options) => change(options, "resume"),
        Command::Delete(options) => {
            let (client, token) = agent::signed_in(&options.common, "gather claw delete")?;
            let gone = client.delete(&address(&options.claw), &token)?;
            print(options.common.json, &gone["claw"], line);
            Ok(())
        }
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn address(claw: &str) -> String {
    format!("/api/claws/{}", encoded(claw))
}

fn create(options: &AsAgent<Create>) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather claw create")?;
    let mut new = json!({"name": options.name, "persona": options.persona, "channels": options.channel,
        "public": options.public});
    if let Some(template) = &options.template {
        new["template"] = json!(template);
    }
    if let Some(limit) = options.daily_limit_microusd {
        new["budget"] = json!({"limit_microusd": limit, "period": "day"});
    }
    let made = client.send("/api/claws", &new, &token)?;
    let claw = settled(&client, &token, text(&made["claw"]["id"]))?;
    print(options.common.json, &claw, line);
    if claw["status"] != "running" {
        bail!("{} is {}", options.name, text(&claw["status"]));
    }
    Ok(())
}

/// The claw when it has been made, or has failed to be.
fn settled(client: &Client, token: &str, id: &str) -> Result<Value> {
    let begin = Instant::now();
    loop {
        let claw = client.get(&address(id), token)?;
        if !["requested", "provisioning"].contains(&text(&claw["status"]))
            || begin.elapsed() > PATIENCE
        {
            return Ok(claw);
        }
        sleep(LOOK);
    }
}

fn list(options: &AsAgent<List>) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather claw list")?;
    let path = match &options.status {
        Some(status) => format!("/api/claws?status={}", encoded(status)),
        None => "/api/claws".to_owned(),
    };
    let list = client.list(&path, &token)?;
    print(options.common.json, &list, |list| {
        lines(&list["items"], line)
    });
    Ok(())
}

fn history(options: &AsAgent<History>) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather claw history")?;
    let path = format!("{}/history?limit=100", address(&options.claw));
    let mut page = client.get(&path, &token)?;
    if !options.follow {
        print(options.common.json, &page, |page| newest(page, changed));
        return Ok(());
    }
    let mut seen = String::new();
    loop {
        let mut items: Vec<&Value> = page["items"].as_array().into_iter().flatten().collect();
        items.reverse();
        // The ids are in the order of time.
        for item in items
            .iter()
            .filter(|item| text(&item["id"]) > seen.as_str())
        {
            if options.common.json {
                say!("{}", plain::json(item));
            } else {
                say!("{}", plain::line(&changed(item)));
            }
        }
        if let Some(last) = items.last() {
            text(&last["id"]).clone_into(&mut seen);
        }
        sleep(LOOK);
        page = match client.get(&path, &token) {
            Ok(page) => page,
            Err(error) if error.status() == Some(404) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
    }
}

fn logs(options: &AsAgent<Logs>) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather claw logs")?;
    let mut since = String::new();
    loop {
        let written = match written(&client, &token, options, &since) {
            Ok(written) => written,
            // A claw that is gone says nothing more.
            Err(error) if !since.is_empty() && error.status() == Some(404) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for line in &written {
            text(&line["at"]).clone_into(&mut since);
            if options.common.json {
                say!("{}", plain::json(line));
            } else {
                say!("{}", plain::line(&said(line)));
            }
        }
        if !options.follow {
            return Ok(());
        }
        sleep(LOOK);
    }
}

/// The lines that were written after a time, the oldest first; the newest hundred without one.
fn written(
    client: &Client,
    token: &str,
    options: &AsAgent<Logs>,
    since: &str,
) -> Result<Vec<Value>, RequestError> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(options.stream.iter().map(|stream| ("stream", stream)));
    let path = format!("{}/logs", address(&options.claw));
    let page = if since.is_empty() {
        query.append_pair("limit", "100");
        client.get(&format!("{path}?{}", query.finish()), token)?
    } else {
        query.append_pair("since", since);
        client.list(&format!("{path}?{}", query.finish()), token)?
    };
    let items = page["items"].as_array().into_iter().flatten();
    Ok(items.rev().cloned().collect())
}

fn said(line: &Value) -> String {
    format!(
        "{}  {}  {}",
        text(&line["at"]),
        text(&line["stream"]),
        text(&line["text"])
    )
}

fn changed(item: &Value) -> String {
    format!(
        "{}  {:<12}  {}",
        text(&item["at"]),
        text(&item["to"]),
        text(&item["cause"])
    )
}

fn change(options: &AsAgent<One>, what: &str) -> Result<()> {
    let command = format!("gather claw {what}");
    let (client, token) = agent::signed_in(&options.common, &command)?;
    let path = format!("{}/{what}", address(&options.claw));
    let changed = client.send(&path, &json!({}), &token)?;
    print(options.common.json, &changed["claw"], line);
    Ok(())
}

fn line(claw: &Value) -> String {
    let mut line = format!(
        "{}  {:<12}  {}  {}",
        text(&claw["id"]),
        text(&claw["status"]),
        text(&claw["name"]),
        text(&claw["persona"]["name"])
    );
    if claw["status"] != claw["desired"] {
        line.push_str(&format!("  shall be {}", text(&claw["desired"])));
    }
    if let Some(reason) = claw["reason"].as_str() {
        line.push_str(&format!("  {}", plain::line(reason)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claw_is_a_line() {
        let claw = json!({"id": "1", "name": "helper", "persona": {"name": "plain"}, "status": "failed",
            "desired": "running", "reason": "no\nworker"});
        let said = line(&claw);
        assert!(
            said.starts_with("1  failed        helper  plain  shall be running"),
            "{said}"
        );
        assert!(!said.contains('\n'), "{said}");
    }
}
