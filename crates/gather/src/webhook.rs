//! `gather webhook` and `gather hook`: an agent's webhooks, which send events to others, and hooks, which receive them.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    agent::{self, Client, Common},
    answer::{lines, newest, print, text},
};

/// The commands of webhooks.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Have events sent to an address; prints the secret that signs them, once
    #[command(
        after_help = "Example:\n  gather webhook add https://example.org/gather --topic account:me --type 'inbox.*'"
    )]
    Add(Add),
    /// List the agent's webhooks
    #[command(after_help = "Example:\n  gather webhook list --json")]
    List(Common),
    /// Send a test to a webhook
    #[command(after_help = "Example:\n  gather webhook test 0192f5c0-0000-7000-8000-000000000000")]
    Test(One),
    /// Give a webhook another secret; the former one signs for another day, too
    #[command(
        after_help = "Example:\n  gather webhook rotate 0192f5c0-0000-7000-8000-000000000000"
    )]
    Rotate(One),
    /// List what was sent to a webhook, the newest first
    #[command(
        after_help = "Example:\n  gather webhook deliveries 0192f5c0-0000-7000-8000-000000000000"
    )]
    Deliveries(One),
}

/// The commands of hooks.
#[derive(Subcommand, Debug)]
pub enum HookCommand {
    /// Make an address that others send to; prints it and its secret, once
    #[command(after_help = "Examples:\n  gather hook add github\n  gather hook add generic --json")]
    Add(AddHook),
}

/// The arguments for a new webhook.
#[derive(Args, Debug)]
pub struct Add {
    /// Where to send to: https://…
    pub url: String,
    /// A topic whose events are sent; may be given several times
    #[arg(long = "topic", required = true)]
    pub topics: Vec<String>,
    /// Only events of this type, such as message.created or message.*; may be given several times [default: all]
    #[arg(long = "type")]
    pub types: Vec<String>,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub common: Common,
}

/// The choice of a webhook.
#[derive(Args, Debug)]
pub struct One {
    /// Its id
    pub id: Uuid,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub common: Common,
}

/// The arguments for a new hook.
#[derive(Args, Debug)]
pub struct AddHook {
    /// The sender: github, generic for anybody with the secret, or a source that the server's functions have added
    pub source: String,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub common: Common,
}

/// Runs one command about webhooks.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Add(options) => add(options),
        Command::List(options) => {
            let (client, token) = agent::signed_in(options, "gather webhook list")?;
            let page = client.list("/api/webhooks", &token)?;
            print(options.json, &page, |page| lines(&page["items"], webhook));
            Ok(())
        }
        Command::Test(options) => {
            let (client, token) = agent::signed_in(&options.common, "gather webhook test")?;
            let path = format!("/api/webhooks/{}/test", options.id);
            let sent = client.send(&path, &json!({}), &token)?;
            print(options.common.json, &sent, |sent| {
                format!(
                    "A test is under way as {}.\nNext: gather webhook deliveries {}",
                    text(&sent["id"]),
                    options.id
                )
            });
            Ok(())
        }
        Command::Rotate(options) => {
            let (client, token) = agent::signed_in(&options.common, "gather webhook rotate")?;
            let path = format!("/api/webhooks/{}/rotate", options.id);
            let rotated = client.send(&path, &json!({}), &token)?;
            print(options.common.json, &rotated, |rotated| {
                format!(
                    "The secret is {} from now on; it is not shown again.\nThe former one signs too until {}.",
                    text(&rotated["secret"]),
                    text(&rotated["former_until"])
                )
            });
            Ok(())
        }
        Command::Deliveries(options) => {
            let (client, token) = agent::signed_in(&options.common, "gather webhook deliveries")?;
            let path = format!("/api/webhooks/{}/deliveries?limit=100", options.id);
            let page = client.get(&path, &token)?;
            print(options.common.json, &page, |page| newest(page, delivery));
            Ok(())
        }
    }
}

/// Runs one command about hooks.
pub fn run_hook(command: &HookCommand) -> Result<()> {
    let HookCommand::Add(options) = command;
    let (client, token) = agent::signed_in(&options.common, "gather hook add")?;
    let made = client.send("/api/hooks", &json!({ "source": options.source }), &token)?;
    print(options.common.json, &made, |made| {
        format!(
            "Send to    {}\nSecret     {}\nEvents on  hook:{}\nNeither the address nor the secret is shown again.",
            text(&made["url"]),
            text(&made["secret"]),
            text(&made["id"])
        )
    });
    Ok(())
}

fn add(options: &Add) -> Result<()> {
    let (client, token): (Client, String) =
        agent::signed_in(&options.common, "gather webhook add")?;
    let mut new = json!({ "url": options.url, "topics": options.topics });
    if !options.types.is_empty() {
        new["types"] = json!(options.types);
    }
    let made = client.send("/api/webhooks", &new, &token)?;
    print(options.common.json, &made, |made| {
        format!(
            "Made webhook {}.\nIts secret is {}; it is not shown again.\nNext: gather webhook test {0}",
            text(&made["id"]),
            text(&made["secret"])
        )
    });
    Ok(())
}

fn webhook(webhook: &Value) -> String {
    let topics = webhook["topics"].as_array().into_iter().flatten().map(text);
    format!(
        "{}  {:8}  {}  {}",
        text(&webhook["id"]),
        text(&webhook["state"]),
        text(&webhook["url"]),
        topics.collect::<Vec<_>>().join(" ")
    )
}

fn delivery(delivery: &Value) -> String {
    let outcome = delivery["status"].as_u64().map_or_else(
        || text(&delivery["error"]).to_owned(),
        |status| status.to_string(),
    );
    format!(
        "{}  {}  {:9}  {} attempts  {}  {}",
        text(&delivery["created_at"]),
        text(&delivery["id"]),
        text(&delivery["state"]),
        delivery["attempts"],
        text(&delivery["type"]),
        outcome
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_show_what_matters() {
        let page = json!({ "items": [{ "id": "d", "state": "waiting", "attempts": 2, "type": "a.b", "status": 500,
            "created_at": "t" }, { "id": "e", "state": "dead", "attempts": 1, "type": "a.b", "error": "No." }] });
        let shown = lines(&page["items"], delivery);
        assert!(
            shown.contains("2 attempts  a.b  500") && shown.ends_with("No."),
            "{shown}"
        );
        assert_eq!(lines(&json!([]), webhook), "None.");
        let one =
            json!({ "id": "w", "state": "enabled", "url": "https://a/", "topics": ["x:1", "y:2"] });
        assert!(webhook(&one).ends_with("https://a/  x:1 y:2"));
    }
}
