//! `gather llm`: models, as an agent uses them, and the ledger of their calls.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sqlx::Connection;

use crate::{
    agent::{self, Common},
    answer::{lines, print, text},
    config::{DatabaseSettings, Project},
    database::Database,
    migrate, plain,
};

/// What can be done with models.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the providers that the agent may use, and ask each whether it answers
    #[command(after_help = "Examples:\n  gather llm providers\n  gather llm providers --check")]
    Providers(Providers),
    /// List the models that the agent may use, with their prices
    #[command(after_help = "Example:\n  gather llm models")]
    Models(Common),
    /// Add up the calls of the last 30 days
    #[command(
        after_help = "Examples:\n  gather llm usage\n  gather llm usage --by day --from 2026-11-01"
    )]
    Usage(Usage),
    /// Ask a model one question
    #[command(
        after_help = "Example:\n  gather llm chat 'Why is the sky blue?' --model openai/gpt-5.5"
    )]
    Chat(Chat),
    /// Compare what each subject has spent with the sum of its calls
    #[command(after_help = "Example:\n  gather llm audit || echo 'the sums differ'")]
    Audit(Box<Audit>),
}

/// Which providers.
#[derive(Args, Debug)]
pub struct Providers {
    /// Ask each provider for its models
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    common: Common,
}

/// What to add up.
#[derive(Args, Debug)]
pub struct Usage {
    /// Add up by: day, model, account, key, team, purpose or subject
    #[arg(long, default_value = "model", value_parser = ["day", "model", "account", "key", "team", "purpose", "subject"])]
    by: String,

    /// From this day on, such as 2026-11-01
    #[arg(long)]
    from: Option<String>,

    /// Up to this day, without it
    #[arg(long)]
    to: Option<String>,

    #[command(flatten)]
    common: Common,
}

/// A question.
#[derive(Args, Debug)]
pub struct Chat {
    /// The question
    question: String,

    /// An alias, or a provider's model: openai/gpt-5.5
    #[arg(long, default_value = "default")]
    model: String,

    /// What the model is to keep to
    #[arg(long)]
    system: Option<String>,

    #[command(flatten)]
    common: Common,
}

/// Which ledger.
#[derive(Args, Debug)]
pub struct Audit {
    /// Answer in JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    project: Project,

    #[command(flatten)]
    database: DatabaseSettings,
}

/// Runs the command; `false`: the sums differ, and it was said where.
pub fn run(command: Command) -> Result<bool> {
    match command {
        Command::Providers(options) => providers(&options)?,
        Command::Models(common) => {
            let (client, token) = agent::signed_in(&common, "gather llm models")?;
            let list = client.get("/api/ai/models", &token)?;
            print(common.json, &list, |list| lines(&list["models"], model));
        }
        Command::Usage(options) => usage(&options)?,
        Command::Chat(options) => chat(&options)?,
        Command::Audit(options) => {
            let runtime = tokio::runtime::Runtime::new()?;
            return runtime.block_on(audit(&options));
        }
    }
    Ok(true)
}

fn providers(options: &Providers) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather llm providers")?;
    let mut page = client.list("/api/llm/providers", &token)?;
    if options.check {
        for provider in page["items"].as_array_mut().into_iter().flatten() {
            let path = format!("/api/llm/providers/{}/check", text(&provider["id"]));
            provider["check"] = client.send(&path, &json!({}), &token)?;
        }
    }
    print(options.common.json, &page, |page| {
        lines(&page["items"], provider)
    });
    Ok(())
}

fn usage(options: &Usage) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather llm usage")?;
    let mut path = format!("/api/llm/usage?by={}", options.by);
    for (name, value) in [("from", &options.from), ("to", &options.to)] {
        if let Some(value) = value {
            let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            path.push_str(&format!("&{name}={value}"));
        }
    }
    let sums = client.get(&path, &token)?;
    print(options.common.json, &sums, |sums| {
        lines(&sums["items"], sum)
    });
    Ok(())
}

fn chat(options: &Chat) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather llm chat")?;
    let mut question = json!({"prompt": options.question, "model": options.model});
    if let Some(system) = &options.system {
        question["system"] = json!(system);
    }
    let answer = client.send_patiently("/api/ai/goose", &question, &token)?;
    print(options.common.json, &answer, |answer| {
        format!(
            "{}\n\n({}, {} + {} tokens, {})",
            text(&answer["text"]),
            text(&answer["model"]),
            answer["usage"]["input_tokens"],
            answer["usage"]["output_tokens"],
            dollars(&answer["cost_microusd"])
        )
    });
    Ok(())
}

async fn audit(options: &Audit) -> Result<bool> {
    let state = options.project.state_dir(&options.project.manifest()?)?;
    let audit = Database::during(&options.database, &state, async |database| {
        let mut connection = migrate::connect(database).await?;
        let audit: Value = sqlx::query_scalar("select llm.audit()")
            .fetch_one(&mut connection)
            .await
            .context("the ledger could not be read; is the database migrated?")?;
        connection.close().await?;
        Ok(audit)
    })
    .await?;
    let differences = audit["differences"].as_array().map_or(0, Vec::len);
    if options.json {
        say!("{}", plain::json(&audit));
    } else {
        say!("{}", plain::text(&described(&audit)));
    }
    Ok(differences == 0)
}

fn described(audit: &Value) -> String {
    let mut lines = vec![format!(
        "{} calls, {} of them under way, {} in all; {} budgets compared.",
        audit["calls"],
        audit["running"],
        dollars(&audit["cost_microusd"]),
        audit["budgets"]
    )];
    for one in audit["differences"].as_array().into_iter().flatten() {
        lines.push(format!(
            "{} ({}): {} is spent, but the calls add up to {}",
            text(&one["subject"]),
            text(&one["period"]),
            dollars(&one["spent_microusd"]),
            dollars(&one["sum_microusd"])
        ));
    }
    lines.join("\n")
}

fn provider(provider: &Value) -> String {
    let state = match (
        &provider["check"]["ok"],
        &provider["down_since"],
        &provider["drain"],
    ) {
        (Value::Bool(true), ..) => format!("answers within {} ms", provider["check"]["latency_ms"]),
        (Value::Bool(false), ..) => format!("fails: {}", text(&provider["check"]["error"])),
        (_, Value::String(since), _) => format!("down since {since}"),
        (.., Value::Bool(true)) => "drained".to_owned(),
        _ => "up".to_owned(),
    };
    format!(
        "{}  {}  {:9}  {}  {state}",
        text(&provider["id"]),
        text(&provider["name"]),
        text(&provider["protocol"]),
        text(&provider["url"]),
    )
}

fn model(model: &Value) -> String {
    let prices = &model["prices"];
    let price = if prices.is_null() {
        "no price".to_owned()
    } else {
        format!(
            "{} in, {} out per million tokens",
            dollars(&prices["input_microusd"]),
            dollars(&prices["output_microusd"])
        )
    };
    let targets: Vec<_> = model["targets"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    let leads = if model["alias"] == true {
        format!(" → {}", targets.join(", "))
    } else {
        String::new()
    };
    let cooling = if model["available"] == false {
        "  (cooling down)"
    } else {
        ""
    };
    format!("{}{leads}  {price}{cooling}", text(&model["id"]))
}

fn sum(sum: &Value) -> String {
    format!(
        "{}  {} calls, {} + {} tokens, {}",
        text(&sum["key"]),
        sum["calls"],
        sum["input_tokens"],
        sum["output_tokens"],
        dollars(&sum["cost_microusd"])
    )
}

/// Millionths of a dollar, as people read them.
fn dollars(microusd: &Value) -> String {
    let microusd = microusd.as_i64().unwrap_or_default();
    let (whole, part) = (microusd / 1_000_000, (microusd % 1_000_000).abs());
    let part = format!("{part:06}");
    let short = part.trim_end_matches('0');
    format!(
        "${whole}.{}",
        if short.len() < 2 { &part[..2] } else { short }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_read_as_dollars() {
        for (microusd, expected) in [
            (0, "$0.00"),
            (1, "$0.000001"),
            (2_500_000, "$2.50"),
            (1_234_500, "$1.2345"),
        ] {
            assert_eq!(dollars(&json!(microusd)), expected);
        }
    }

    #[test]
    fn differences_are_named() {
        let audit = json!({"calls": 3, "running": 0, "cost_microusd": 7, "budgets": 1, "differences": [
            {"subject": "platform", "period": "day", "spent_microusd": 5, "sum_microusd": 7}]});
        let text = described(&audit);
        assert!(
            text.ends_with("platform (day): $0.000005 is spent, but the calls add up to $0.000007"),
            "{text}"
        );
    }
}
