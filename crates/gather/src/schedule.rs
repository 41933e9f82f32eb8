//! `gather schedule`: work of an agent that starts at times.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    agent::{self, AsAgent, Common},
    answer::{lines, print, text},
};

/// The commands of schedules.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a schedule
    #[command(
        after_help = "Examples:\n  gather schedule add nightly --cron '0 2 * * *' --timezone Europe/Berlin --pipeline report --input '{\"query\": \"owls\"}'\n  gather schedule add ping --every-ms 60000 --action '{\"type\": \"call_api\", \"url\": \"/api/health/status\"}'"
    )]
    Add(Box<AsAgent<Add>>),
    /// List your schedules
    #[command(after_help = "Example:\n  gather schedule list")]
    List(Common),
    /// Show the next ten times of a schedule without making it
    #[command(
        after_help = "Example:\n  gather schedule preview --cron '30 2 * * *' --timezone Europe/Berlin"
    )]
    Preview(AsAgent<Preview>),
    /// Pause a schedule: what falls due meanwhile is skipped
    #[command(
        after_help = "Example:\n  gather schedule pause 0192f5c0-0000-7000-8000-000000000000"
    )]
    Pause(AsAgent<One>),
    /// Let a paused schedule go on
    #[command(
        after_help = "Example:\n  gather schedule resume 0192f5c0-0000-7000-8000-000000000000"
    )]
    Resume(AsAgent<One>),
}

/// The times of a schedule.
#[derive(Args, Debug)]
pub struct Times {
    /// A cron expression with five fields, or six with seconds; can be repeated
    #[arg(long, required_unless_present_any = ["every_ms", "at"], conflicts_with_all = ["every_ms", "at"])]
    pub cron: Vec<String>,
    /// The interval in milliseconds, at least 1000
    #[arg(long, conflicts_with = "at")]
    pub every_ms: Option<i64>,
    /// A time in RFC 3339; can be repeated
    #[arg(long)]
    pub at: Vec<String>,
    /// The IANA name of the time zone
    #[arg(long, default_value = "UTC")]
    pub timezone: String,
}

/// The arguments for a new schedule.
#[derive(Args, Debug)]
pub struct Add {
    /// The name, for people
    pub name: String,
    /// The pipeline that is run
    #[arg(long, required_unless_present = "action", conflicts_with = "action")]
    pub pipeline: Option<String>,
    /// The input of the pipeline, as JSON
    #[arg(long, default_value = "null")]
    pub input: String,
    /// The action, as JSON: `{"type": "send_notification", …}` or `{"type": "call_api", …}`
    #[arg(long)]
    pub action: Option<String>,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub times: Times,
}

/// The arguments of a preview.
#[derive(Args, Debug)]
pub struct Preview {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub times: Times,
}

/// The choice of a schedule.
#[derive(Args, Debug)]
pub struct One {
    /// The schedule's id
    pub schedule: Uuid,
}

/// Runs one command about schedules.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Add(options) => add(options),
        Command::List(options) => {
            let (client, token) = agent::signed_in(options, "gather schedule list")?;
            let list = client.list("/api/schedules", &token)?;
            print(options.json, &list, |list| lines(&list["items"], line));
            Ok(())
        }
        Command::Preview(options) => {
            let (client, token) = agent::signed_in(&options.common, "gather schedule preview")?;
            // The action does not matter to the times.
            let action = json!({"type": "call_api", "url": "/api/health/status"});
            let seen = client.send(
                "/api/schedules/preview",
                &said("preview", action, &options.times),
                &token,
            )?;
            print(options.common.json, &seen, |seen| {
                let times = lines(&seen["next"], |time| {
                    format!("{}  {}", text(&time["utc"]), text(&time["local"]))
                });
                let notes = seen["notes"].as_array().into_iter().flatten();
                notes.fold(times, |all, note| format!("{all}\n{}", text(note)))
            });
            Ok(())
        }
        Command::Pause(options) => change(options, "pause"),
        Command::Resume(options) => change(options, "resume"),
    }
}

fn said(name: &str, action: Value, times: &Times) -> Value {
    let mut said = Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("action".to_owned(), action),
        ("timezone".to_owned(), json!(times.timezone)),
    ]);
    if let Some(every) = times.every_ms {
        said.insert("every_ms".to_owned(), json!(every));
    } else if times.at.is_empty() {
        said.insert("cron".to_owned(), json!(times.cron));
    } else {
        said.insert("at".to_owned(), json!(times.at));
    }
    Value::Object(said)
}

fn add(options: &AsAgent<Add>) -> Result<()> {
    let read = |json: &str, what: &str| -> Result<Value> {
        serde_json::from_str(json).with_context(|| format!("{what} is not JSON"))
    };
    let action = match (&options.pipeline, &options.action) {
        (Some(pipeline), _) => json!({"type": "execute_pipeline", "pipeline": pipeline,
            "input": read(&options.input, "--input")?}),
        (None, Some(action)) => read(action, "--action")?,
        (None, None) => bail!("name a pipeline or an action"),
    };
    let (client, token) = agent::signed_in(&options.common, "gather schedule add")?;
    let made = client.send(
        "/api/schedules",
        &said(&options.name, action, &options.times),
        &token,
    )?;
    print(options.common.json, &made, line);
    Ok(())
}

fn change(options: &AsAgent<One>, what: &str) -> Result<()> {
    let command = format!("gather schedule {what}");
    let (client, token) = agent::signed_in(&options.common, &command)?;
    let path = format!("/api/schedules/{}/{what}", options.schedule);
    let schedule = client.send(&path, &json!({}), &token)?;
    print(options.common.json, &schedule, line);
    Ok(())
}

fn line(schedule: &Value) -> String {
    let next = match (schedule["paused"].as_bool(), schedule["next_at"].as_str()) {
        (Some(true), _) => "paused",
        (_, Some(next)) => next,
        _ => "over",
    };
    format!(
        "{}  {next}  {}",
        text(&schedule["id"]),
        text(&schedule["name"])
    )
}
