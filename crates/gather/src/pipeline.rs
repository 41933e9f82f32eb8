//! `gather pipeline`: an agent's pipelines and their runs.

use std::{fs, path::PathBuf, thread, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    agent::{self, AsAgent, Common},
    answer::{lines, print, text},
};

/// The pause between two looks at a run that is watched.
const PAUSE: Duration = Duration::from_millis(500);

/// The commands of pipelines.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Check a definition without storing it; all problems are named
    #[command(after_help = "Example:\n  gather pipeline check review.json")]
    Check(AsAgent<Check>),
    /// Publish a definition: a new pipeline, or a new active version of the one of this name
    #[command(
        after_help = "Example:\n  gather pipeline publish review review.json --note 'Asks two people'"
    )]
    Publish(AsAgent<Publish>),
    /// Start a run
    #[command(
        after_help = "Examples:\n  gather pipeline run review --input '{\"text\": \"Hello\"}'\n  gather pipeline run review --watch"
    )]
    Run(AsAgent<Start>),
    /// Show a run and its steps until it has ended
    #[command(
        after_help = "Example:\n  gather pipeline watch 0192f5c0-0000-7000-8000-000000000000"
    )]
    Watch(AsAgent<One>),
    /// Cancel a run
    #[command(
        after_help = "Example:\n  gather pipeline cancel 0192f5c0-0000-7000-8000-000000000000"
    )]
    Cancel(AsAgent<One>),
    /// Start a run again from one of its steps
    #[command(
        after_help = "Example:\n  gather pipeline restart 0192f5c0-0000-7000-8000-000000000000 fetch"
    )]
    Restart(AsAgent<Step>),
    /// Decide about a step of which nobody knows whether its request arrived
    #[command(
        after_help = "Example:\n  gather pipeline resolve 0192f5c0-0000-7000-8000-000000000000 pay succeeded"
    )]
    Resolve(AsAgent<Resolve>),
}

/// The choice of a definition.
#[derive(Args, Debug)]
pub struct Check {
    /// A file with the definition, as JSON
    pub file: PathBuf,
}

/// The arguments for a new version.
#[derive(Args, Debug)]
pub struct Publish {
    /// The pipeline's name
    pub name: String,
    /// A file with the definition, as JSON
    pub file: PathBuf,
    /// A note about the version
    #[arg(long, default_value = "")]
    pub note: String,
}

/// The arguments for a new run.
#[derive(Args, Debug)]
pub struct Start {
    /// The pipeline's name or id
    pub pipeline: String,
    /// The input, as JSON
    #[arg(long, default_value = "null")]
    pub input: String,
    /// While a run with this key has not ended, that run is the answer
    #[arg(long)]
    pub key: Option<String>,
    /// Wait until the run has ended, and fail if it does not succeed
    #[arg(long)]
    pub watch: bool,
}

/// The choice of a run.
#[derive(Args, Debug)]
pub struct One {
    /// The run's id
    pub run: Uuid,
}

/// The choice of a step.
#[derive(Args, Debug)]
pub struct Step {
    /// The run's id
    pub run: Uuid,
    /// The step that runs again, with all that follows from it
    pub step: String,
}

/// The arguments of a decision.
#[derive(Args, Debug)]
pub struct Resolve {
    /// The run's id
    pub run: Uuid,
    /// The step
    pub step: String,
    /// What the step counts as
    pub outcome: Outcome,
    /// The output, as JSON, if the step counts as succeeded
    #[arg(long, default_value = "null")]
    pub output: String,
}

/// What an uncertain step counts as.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Outcome {
    /// The request has arrived
    Succeeded,
    /// The request is sent again
    Retry,
    /// The step has failed
    Failed,
}

/// Runs one command about pipelines.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Check(options) => check(options),
        Command::Publish(options) => publish(options),
        Command::Run(options) => start(options),
        Command::Watch(options) => watch(options.run, &options.common, "gather pipeline watch"),
        Command::Cancel(options) => {
            let (client, token) = agent::signed_in(&options.common, "gather pipeline cancel")?;
            let path = format!("/api/runs/{}/cancel", options.run);
            let run = client.send(&path, &json!({}), &token)?;
            print(options.common.json, &run, |run| {
                format!("Run {} is {}.", text(&run["id"]), text(&run["status"]))
            });
            Ok(())
        }
        Command::Restart(options) => {
            let (client, token) = agent::signed_in(&options.common, "gather pipeline restart")?;
            let path = format!("/api/runs/{}/restart", options.run);
            let run = client.send(&path, &json!({"from": options.step}), &token)?;
            print(options.common.json, &run, started);
            Ok(())
        }
        Command::Resolve(options) => {
            let (client, token) = agent::signed_in(&options.common, "gather pipeline resolve")?;
            let outcome = match options.outcome {
                Outcome::Succeeded => "succeeded",
                Outcome::Retry => "retry",
                Outcome::Failed => "failed",
            };
            let decision =
                json!({"outcome": outcome, "output": value(&options.output, "--output")?});
            let path = format!("/api/runs/{}/steps/{}/resolve", options.run, options.step);
            let step = client.send(&path, &decision, &token)?;
            print(options.common.json, &step, |step| {
                format!("Step {} is {}.", text(&step["path"]), text(&step["status"]))
            });
            Ok(())
        }
    }
}

fn value(json: &str, what: &str) -> Result<Value> {
    serde_json::from_str(json).with_context(|| format!("{what} is not JSON"))
}

fn read(file: &PathBuf) -> Result<Value> {
    let text =
        fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    value(&text, &file.display().to_string())
}

fn check(options: &AsAgent<Check>) -> Result<()> {
    let definition = read(&options.file)?;
    let (client, token) = agent::signed_in(&options.common, "gather pipeline check")?;
    let seen = client.send(
        "/api/pipelines/validate",
        &json!({"definition": definition}),
        &token,
    )?;
    print(options.common.json, &seen, |seen| {
        match seen["valid"].as_bool() {
            Some(true) => format!("The definition is valid: {}", text(&seen["digest"])),
            _ => lines(&seen["problems"], problem),
        }
    });
    if seen["valid"] != true {
        bail!("the definition has problems");
    }
    Ok(())
}

fn problem(problem: &Value) -> String {
    format!(
        "{}: {} ({})",
        text(&problem["path"]),
        text(&problem["detail"]),
        text(&problem["code"])
    )
}

fn publish(options: &AsAgent<Publish>) -> Result<()> {
    let definition = read(&options.file)?;
    let (client, token) = agent::signed_in(&options.common, "gather pipeline publish")?;
    let path = format!("/api/pipelines/{}", options.name);
    let published = match client.get(&path, &token) {
        Ok(_) => {
            let version = json!({"definition": definition, "note": options.note, "activate": true});
            client.send(&format!("{path}/versions"), &version, &token)?
        }
        Err(error) if error.status() == Some(404) => {
            let new = json!({"name": options.name, "definition": definition});
            client.send("/api/pipelines", &new, &token)?;
            client.get(&format!("{path}/versions/1"), &token)?
        }
        Err(error) => return Err(error.into()),
    };
    print(options.common.json, &published, |version| {
        format!(
            "Version {} of {} is active: {}\nNext: gather pipeline run {1}",
            version["number"],
            options.name,
            text(&version["digest"])
        )
    });
    Ok(())
}

fn started(run: &Value) -> String {
    format!(
        "Started run {}.\nNext: gather pipeline watch {0}",
        text(&run["id"])
    )
}

fn start(options: &AsAgent<Start>) -> Result<()> {
    let mut new = json!({"input": value(&options.input, "--input")?});
    if let Some(key) = &options.key {
        new["key"] = json!(key);
    }
    let (client, token) = agent::signed_in(&options.common, "gather pipeline run")?;
    let path = format!("/api/pipelines/{}/runs", options.pipeline);
    let run = client.send(&path, &new, &token)?;
    if options.watch {
        return watch(
            text(&run["id"]).parse()?,
            &options.common,
            "gather pipeline run",
        );
    }
    print(options.common.json, &run, started);
    Ok(())
}

/// Shows a run when it has ended, or waits for somebody.
fn watch(run: Uuid, common: &Common, command: &str) -> Result<()> {
    let (client, token) = agent::signed_in(common, command)?;
    let path = format!("/api/runs/{run}");
    let mut last = String::new();
    loop {
        let now = client.get(&path, &token)?;
        let steps = client.get(&format!("{path}/steps?limit=100"), &token)?;
        let shown = shown(&now, &steps);
        if !common.json && shown != last {
            print(false, &now, |_| shown.clone());
            last = shown;
        }
        if !now["finished_at"].is_null() {
            if common.json {
                print(true, &now, started);
            }
            return match now["status"].as_str() {
                Some("succeeded") => Ok(()),
                _ => bail!(
                    "the run has not succeeded: {}",
                    text(&now["error"]["detail"])
                ),
            };
        }
        thread::sleep(PAUSE);
    }
}

fn shown(run: &Value, steps: &Value) -> String {
    let result = if run["result"].is_null() {
        String::new()
    } else {
        format!("\nResult: {}", run["result"])
    };
    let more = if steps["next"].is_null() {
        String::new()
    } else {
        format!(
            "\n  … and more: GET /api/runs/{}/steps has them all",
            text(&run["id"])
        )
    };
    format!(
        "Run {}: {}\n{}{more}{result}",
        text(&run["id"]),
        text(&run["status"]),
        lines(&steps["items"], step)
    )
}

fn step(step: &Value) -> String {
    let error = step["error"]["code"]
        .as_str()
        .map(|code| format!("  {code}"));
    format!(
        "  {:30}  {:10}  {}{}",
        text(&step["path"]),
        text(&step["type"]),
        text(&step["status"]),
        error.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_shown_with_its_steps() {
        let run = json!({"id": "r", "status": "failed", "result": null});
        let mut steps = json!({"items": [{"path": "fetch", "type": "action", "status": "failed", "error": {"code": "timeout"}}]});
        let all = shown(&run, &steps);
        assert!(
            all.starts_with("Run r: failed") && all.ends_with("failed  timeout"),
            "{all}"
        );
        steps["next"] = json!("cursor");
        let some = shown(&run, &steps);
        assert!(
            some.ends_with("GET /api/runs/r/steps has them all"),
            "{some}"
        );
    }
}
