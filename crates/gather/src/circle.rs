//! `gather circle` and `gather turn`: talking with agents that the platform thinks for, and looking at how they thought.

use std::io::BufRead;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    agent::{self, Client, Common},
    answer::{lines, print, text},
    plain, turn_receipt,
};

/// The interval at which a conversation is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// What can be done with circles.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Talk in a circle: sends each line of the input, and prints what its agents answer
    #[command(
        after_help = "Examples:\n  gather circle talk planning\n  echo 'What is next?' | gather circle talk planning\n  \
                            gather circle talk planning --conversation 0192…"
    )]
    Talk(Talk),
}

/// What can be done with turns.
#[derive(Subcommand, Debug)]
pub enum TurnCommand {
    /// Show a turn with its steps
    #[command(after_help = "Example:\n  gather turn show 0192…")]
    Show(Show),
    /// Verify the receipt of a turn with the platform's keys alone
    #[command(
        after_help = "Examples:\n  gather turn verify receipt.json --keys jwks.json\n  \
                            gather turn verify receipt.json --server https://gather.example"
    )]
    Verify(VerifyTurn),
}

/// Where to talk.
#[derive(Args, Debug)]
pub struct Talk {
    /// The circle's id or name
    circle: String,

    /// Go on in this conversation, instead of a new one
    #[arg(long)]
    conversation: Option<String>,

    /// The number of seconds to wait for the answers to a line
    #[arg(long, default_value_t = 300)]
    wait: u64,

    #[command(flatten)]
    common: Common,
}

/// Which turn.
#[derive(Args, Debug)]
pub struct Show {
    /// The turn's id
    turn: String,

    #[command(flatten)]
    common: Common,
}

/// The arguments of the check of a receipt.
#[derive(Args, Debug)]
pub struct VerifyTurn {
    /// What GET /api/turns/{turn}/receipt answers
    pub file: PathBuf,

    /// The platform's keys: what its /.well-known/jwks.json answers, in a file
    #[arg(long, conflicts_with = "server")]
    pub keys: Option<PathBuf>,

    /// Fetch the keys from this server instead
    #[arg(long)]
    pub server: Option<String>,
}

/// Runs a command about circles.
pub fn run(command: Command) -> Result<()> {
    let Command::Talk(options) = command;
    let (client, token) = agent::signed_in(&options.common, "gather circle talk")?;
    let id = match &options.conversation {
        Some(id) => id.clone(),
        None => {
            let new = json!({"circle": options.circle});
            text(&client.send("/api/conversations", &new, &token)?["id"]).to_owned()
        }
    };
    let talk = Conversation {
        client,
        token,
        path: format!("/api/conversations/{id}"),
        json: options.common.json,
    };
    if !options.common.json {
        say!("Conversation {id}");
    }
    let mut seen = talk.newest()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let posted = talk.client.send(
            &format!("{}/messages", talk.path),
            &json!({"body": line}),
            &talk.token,
        )?;
        seen = seen.max(posted["message"]["seq"].as_i64().unwrap_or_default());
        seen = talk.answers(seen, Duration::from_secs(options.wait))?;
    }
    Ok(())
}

/// Runs a command about turns.
pub fn run_turn(command: TurnCommand) -> Result<()> {
    let options = match command {
        TurnCommand::Show(options) => options,
        TurnCommand::Verify(options) => return turn_receipt::verify(&options),
    };
    let (client, token) = agent::signed_in(&options.common, "gather turn show")?;
    let path = format!("/api/turns/{}", options.turn);
    let mut turn = client.get(&path, &token)?;
    let steps = client.get(&format!("{path}/steps?limit=100"), &token)?;
    turn["steps"] = steps["items"].clone();
    print(options.common.json, &turn, described);
    Ok(())
}

/// A conversation that somebody follows.
struct Conversation {
    client: Client,
    token: String,
    path: String,
    json: bool,
}

impl Conversation {
    /// The number of the newest message.
    fn newest(&self) -> Result<i64> {
        let page = self
            .client
            .get(&format!("{}/messages?limit=1", self.path), &self.token)?;
        Ok(page["items"][0]["seq"].as_i64().unwrap_or_default())
    }

    /// Prints what is written after a message until all turns have ended. Returns the number of the last one.
    fn answers(&self, mut seen: i64, wait: Duration) -> Result<i64> {
        let begin = Instant::now();
        loop {
            // Turns first: what they end with is there by then.
            let turns = self
                .client
                .get(&format!("{}/turns?limit=100", self.path), &self.token)?;
            let path = format!("{}/messages?limit=100&since={seen}", self.path);
            let page = self.client.get(&path, &self.token)?;
            for message in page["items"].as_array().into_iter().flatten() {
                seen = seen.max(message["seq"].as_i64().unwrap_or_default());
                self.say(message);
            }
            let all = || turns["items"].as_array().into_iter().flatten();
            if all().all(|turn| !turn["finished_at"].is_null()) {
                if let Some(last) = turns["items"].get(0).filter(|turn| turn["reply"].is_null()) {
                    eprintln!("{}", plain::line(&outcome(last)));
                }
                return Ok(seen);
            }
            if begin.elapsed() > wait {
                bail!("not all have answered within {} s", wait.as_secs());
            }
            sleep(LOOK);
        }
    }

    fn say(&self, message: &Value) {
        if self.json {
            say!("{}", plain::json(message));
        } else {
            let author = plain::line(text(&message["author"]["name"]));
            say!("{author}: {}", plain::text(text(&message["body"])));
        }
    }
}

/// The end of a turn, in a line.
fn outcome(turn: &Value) -> String {
    let mut line = format!("{} {}", text(&turn["agent"]["name"]), text(&turn["status"]));
    if let Some(reason) = turn["reason"].as_str() {
        line.push_str(&format!(" ({reason})"));
    }
    line
}

fn described(turn: &Value) -> String {
    let usage = &turn["usage"];
    format!(
        "{}\n{} + {} tokens, {} microdollars\n{}",
        outcome(turn),
        usage["input_tokens"],
        usage["output_tokens"],
        usage["cost_microusd"],
        lines(&turn["steps"], step)
    )
}

fn step(step: &Value) -> String {
    let mut line = format!(
        "{:>3}  {:<5}  {:<9}",
        step["number"],
        text(&step["kind"]),
        text(&step["status"])
    );
    if let Some(name) = step["name"].as_str() {
        line.push_str(&format!("  {name} {}", step["arguments"]));
    }
    let result = match &step["result"] {
        Value::String(result) => result.as_str(),
        result => result["text"].as_str().unwrap_or_default(),
    };
    let short: String = plain::line(result).chars().take(120).collect();
    if !short.is_empty() {
        line.push_str(&format!("  {short}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_described_by_its_steps() {
        let turn = json!({"agent": {"name": "bot"}, "status": "limited", "reason": "steps",
            "usage": {"input_tokens": 1, "output_tokens": 2, "cost_microusd": 3}, "steps": [
                {"number": 1, "kind": "model", "status": "succeeded", "result": {"text": "Let me see.", "calls": []}},
                {"number": 2, "kind": "tool", "status": "failed", "name": "search", "arguments": {}, "result": "No."}]});
        let text = described(&turn);
        assert!(
            text.starts_with("bot limited (steps)\n1 + 2 tokens"),
            "{text}"
        );
        assert!(
            text.contains("Let me see.") && text.contains("search {}  No."),
            "{text}"
        );
    }
}
