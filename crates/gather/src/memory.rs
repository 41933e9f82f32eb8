//! `gather memory`: what an agent noted, searched, added to, and forgotten.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use crate::{
    agent::{self, AsAgent, Client},
    answer::{lines, print, text},
};

/// The longest time to wait for the job that forgets.
const PATIENCE: Duration = Duration::from_secs(300);
/// The pause between two looks at the job.
const PAUSE: Duration = Duration::from_millis(250);

/// The commands of memory.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Find memories by words and by meaning, the best first
    #[command(
        after_help = "Examples:\n  gather memory search 'what does Ada drink'\n  gather memory search INV-20993 --mode text"
    )]
    Search(AsAgent<Search>),
    /// Note something in the agent's own memory
    #[command(
        after_help = "Example:\n  gather memory add 'Ada prefers tea.' --kind preference --tag drinks"
    )]
    Add(AsAgent<Add>),
    /// Forget memories and all that came of them, and print the signed statement with --json
    #[command(
        after_help = "Example:\n  gather memory forget 0192f5c0-0000-7000-8000-000000000000 --dry-run"
    )]
    Forget(AsAgent<Forget>),
}

/// The arguments of a search.
#[derive(Args, Debug)]
pub struct Search {
    /// Words, or a question
    pub query: String,
    /// The way of the search: hybrid, semantic or text
    #[arg(long, default_value = "hybrid")]
    pub mode: String,
    /// The largest number of memories
    #[arg(long, default_value_t = 20)]
    pub limit: u8,
}

/// The arguments for something new.
#[derive(Args, Debug)]
pub struct Add {
    /// The text
    pub content: String,
    /// The kind: fact, preference, event, procedure or summary
    #[arg(long, default_value = "fact")]
    pub kind: String,
    /// A tag; may be given several times
    #[arg(long = "tag")]
    pub tags: Vec<String>,
    /// A key; a memory that has it is superseded
    #[arg(long)]
    pub key: Option<String>,
    /// The importance from 0 to 1
    #[arg(long)]
    pub importance: Option<f64>,
}

/// The arguments for forgetting.
#[derive(Args, Debug)]
pub struct Forget {
    /// The ids of memories
    #[arg(required = true)]
    pub ids: Vec<Uuid>,
    /// Say only how much would be forgotten
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs one command about memory.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Search(options) => search(options),
        Command::Add(options) => add(options),
        Command::Forget(options) => forget(options),
    }
}

fn search(options: &AsAgent<Search>) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather memory search")?;
    let mut query = Serializer::new(String::new());
    query.append_pair("query", &options.query);
    query.append_pair("mode", &options.mode);
    query.append_pair("limit", &options.limit.to_string());
    let path = format!("/api/memory/search?{}", query.finish());
    let found = client.get(&path, &token)?;
    print(options.common.json, &found, |found| {
        let mut shown = lines(&found["items"], memory);
        if found["degraded"] == true {
            shown.push_str("\nOnly words were searched: the embedding model does not answer.");
        }
        shown
    });
    Ok(())
}

fn add(options: &AsAgent<Add>) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather memory add")?;
    let me = client.get("/api/accounts/me", &token)?;
    let mut new = json!({
        "content": options.content, "scope": "agent", "scope_id": me["id"], "kind": options.kind, "tags": options.tags,
    });
    if let Some(key) = &options.key {
        new["key"] = json!(key);
    }
    if let Some(importance) = options.importance {
        new["importance"] = json!(importance);
    }
    let made = client.send("/api/memory", &new, &token)?;
    print(options.common.json, &made, |made| {
        format!(
            "Noted as {}.\nNext: gather memory search '…'",
            text(&made["id"])
        )
    });
    Ok(())
}

fn forget(options: &AsAgent<Forget>) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather memory forget")?;
    let asked = json!({"ids": options.ids, "dry_run": options.dry_run});
    let queued = client.send("/api/memory/forget", &asked, &token)?;
    let result = result_of(&client, &token, text(&queued["job_id"]))?;
    print(options.common.json, &result, |result| {
        let counts = &result["counts"];
        let verb = if options.dry_run {
            "Would forget"
        } else {
            "Forgot"
        };
        format!(
            "{verb} {} memories in {} versions, {} kept answers and {} captured calls.",
            counts["memories"],
            counts["versions"],
            counts["answers"].as_u64().unwrap_or_default(),
            counts["captured_calls"].as_u64().unwrap_or_default()
        )
    });
    Ok(())
}

/// Waits for a job, and returns its result.
fn result_of(client: &Client, token: &str, job: &str) -> Result<Value> {
    let path = format!("/api/jobs/{job}");
    let began = Instant::now();
    loop {
        let mut state = client.get(&path, token)?;
        match state["status"].as_str() {
            Some("succeeded") => return Ok(state["result"].take()),
            Some("dead" | "cancelled") => bail!("the job {job} failed: {}", text(&state["error"])),
            _ if began.elapsed() > PATIENCE => {
                bail!(
                    "the job {job} is not done yet; does a worker run? Look again with GET {path}"
                )
            }
            _ => thread::sleep(PAUSE),
        }
    }
}

fn memory(memory: &Value) -> String {
    format!(
        "{}  {:.3}  {:8}  {}",
        text(&memory["id"]),
        memory["score"].as_f64().unwrap_or_default(),
        text(&memory["trust"]),
        text(&memory["content"]).replace(['\n', '\r'], " ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_is_a_line() {
        let shown = memory(&json!({"id": "1", "score": 0.5, "trust": "own", "content": "a\nb"}));
        assert_eq!(shown, "1  0.500  own       a b");
    }
}
