//! Calls of tools on this machine, with the engine, limits and grants of the platform's sandbox.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, anyhow, bail};
use sandbox::{Backing, End, Grant, Granted, LoadError, Outcome, Reach, Reason, Runner, Skill};
use serde_json::{Map, Value, json};
use skill::{Expected, Manifest, digest};

use super::{
    Hosts, Run, Test, build,
    project::{Project, explain},
};
use crate::{home, postgres, sandbox as service, secrets::MasterKey};

/// The interval at which the folder is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(300);
/// The folders that builds write to.
const NOT_WATCHED: [&str; 6] = [
    "target",
    "node_modules",
    ".venv",
    ".gather",
    ".git",
    "__pycache__",
];

/// A skill that is ready to be called on this machine.
struct Local {
    manifest: Manifest,
    runner: Runner,
    skill: Arc<Skill>,
    grant: Grant,
}

impl Local {
    async fn load(project: &Project, hosts: &Hosts) -> Result<Self> {
        let manifest = project.manifest()?;
        let wasm = project.read_component()?;
        // What was compiled is kept with the user's own files, sealed with a key of its own: a skill's folder may
        // come from a stranger, and what lies there ready to be run is not to be trusted.
        let cache = home::folder("XDG_CACHE_HOME", ".cache")
            .context("there is no home folder to keep compiled skills in; set XDG_CACHE_HOME")?;
        let state = cache.join("gather");
        postgres::create_state_folder(&state)?;
        let key = MasterKey::load_or_create(&state)?;
        let mut options =
            service::runner_options(state.join("compiled-skills"), &key, service::own_child()?)?;
        options.trusted_hosts = hosts.sandbox_hosts.iter().cloned().collect();
        let runner = Runner::new(options)?;
        let inspection = runner
            .inspect(&wasm)
            .await?
            .map_err(|refusal| anyhow!("{refusal}"))?;
        let errors = manifest.check_against(&inspection.tools);
        if !errors.is_empty() {
            return Err(explain(errors));
        }
        let skill = runner
            .load(&inspection.digest, async { Ok(Some(wasm)) })
            .await
            .map_err(|error| match error {
                LoadError::NotFound => anyhow!("the component is gone"),
                LoadError::Unusable(why) | LoadError::Failed(why) => {
                    anyhow!("the component can't be loaded: {why}")
                }
                LoadError::Busy => anyhow!("too many components are compiled at this moment"),
                LoadError::Storage(error) => anyhow!("the component can't be read: {error}"),
            })?;
        let key_value = manifest.permissions.kv.map(|kv| {
            let backing = Backing::Memory(Arc::new(Mutex::default()));
            Granted::new(backing, kv.max_bytes)
        });
        let grant = Grant {
            permissions: manifest.permissions.clone(),
            limits: manifest.limits,
            key_value,
            reach: Reach::Granted,
        };
        Ok(Self {
            manifest,
            runner,
            skill,
            grant,
        })
    }

    async fn call(&self, tool: &str, arguments: Map<String, Value>) -> Outcome {
        self.runner
            .call(&self.skill, tool, arguments, &self.grant)
            .await
    }
}

/// Calls a tool, once or, with `--watch`, after each change.
pub fn run(options: &Run) -> Result<bool> {
    let arguments: Value = serde_json::from_str(&options.args).context("--args is not JSON")?;
    let Value::Object(arguments) = arguments else {
        bail!("--args must be an object by parameter name, such as '{{\"text\": \"a\"}}'");
    };
    let project = Project::open(&options.folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let once = || -> Result<bool> {
        let outcome = runtime.block_on(async {
            let local = Local::load(&project, &options.hosts).await?;
            anyhow::Ok(local.call(&options.tool, arguments.clone()).await)
        })?;
        Ok(show(&outcome))
    };
    if !options.watch {
        return once();
    }
    let mut seen = newest(&project.folder);
    loop {
        if let Err(error) = once() {
            eprintln!("error: {error:#}");
        }
        eprintln!("— waiting for a change, Ctrl-C ends —");
        while newest(&project.folder) == seen {
            std::thread::sleep(WATCH_EVERY);
        }
        seen = newest(&project.folder);
        if project.language().is_ok()
            && let Err(error) = build::build(&project.folder)
        {
            eprintln!("error: {error:#}");
        }
        // The build's own files do not count as a change.
        seen = seen.max(newest(&project.folder));
    }
}

/// Prints the requests that were not sent or not answered, each on a line with advice.
fn refusals(outcome: &Outcome) -> Vec<String> {
    let refused = outcome.used.refused.iter().map(|refused| {
        let advice = match refused.reason {
            Reason::NotGranted => "; add it to `permissions.http` of skill.json",
            Reason::PrivateAddress | Reason::DoesNotResolve => {
                "; --sandbox-host name=address:port says where it is on this machine"
            }
            _ => "",
        };
        format!("refused: {refused}{advice}")
    });
    refused.collect()
}

/// Prints the result on stdout and everything else on stderr. Returns whether the skill answered.
fn show(outcome: &Outcome) -> bool {
    if !outcome.log.is_empty() {
        eprintln!("{}", outcome.log.trim_end());
    }
    for refused in refusals(outcome) {
        eprintln!("{refused}");
    }
    let usage = outcome.usage;
    let good = match &outcome.end {
        End::Answered(value) => {
            say!(
                "{}",
                serde_json::to_string_pretty(value).unwrap_or_default()
            );
            true
        }
        End::Failed(error) => {
            eprintln!("the skill's own error: {error}");
            false
        }
        End::Ended(fault) => {
            eprintln!("{}: {}", fault.code(), fault.detail());
            if let sandbox::Fault::InvalidArguments(errors) = fault {
                errors
                    .iter()
                    .for_each(|error| eprintln!("  {}: {}", error.field, error.detail));
            }
            false
        }
    };
    eprintln!(
        "fuel {}, memory {} kB, {} ms",
        usage.fuel,
        usage.memory_bytes / 1000,
        usage.duration_ms
    );
    good
}

/// The time of the last change of a file in the folder.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries
        .filter_map(Result::ok)
        .filter(|entry| !NOT_WATCHED.iter().any(|name| entry.file_name() == *name))
        .filter_map(|entry| match entry.file_type().ok()?.is_dir() {
            true => newest(&entry.path()),
            false => entry.metadata().ok()?.modified().ok(),
        })
        .max()
}

/// Runs the examples of the manifest. Returns whether all results match.
pub fn test(options: &Test) -> Result<bool> {
    let project = Project::open(&options.folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let local = Local::load(&project, &options.hosts).await?;
        if local.manifest.examples.is_empty() {
            bail!("skill.json has no examples; the review wants one for each tool");
        }
        let mut failures = 0;
        for example in &local.manifest.examples {
            let outcome = local.call(&example.tool, example.arguments.clone()).await;
            let call = format!(
                "{}({})",
                example.tool,
                Value::Object(example.arguments.clone())
            );
            let expected = match &example.expected {
                Expected::Result(value) => json!({"result": value}),
                Expected::Error(value) => json!({"error": value}),
            };
            let actual = match &outcome.end {
                End::Answered(value) => json!({"result": value}),
                End::Failed(value) => json!({"error": value}),
                End::Ended(fault) => json!({fault.code(): fault.detail()}),
            };
            // The same value has the same canonical JSON, whatever the form of its numbers.
            if digest::of_json(&expected)? == digest::of_json(&actual)? {
                say!("✓ {call}");
            } else {
                failures += 1;
                say!("✗ {call}\n    expected {expected}\n    got      {actual}");
                for refused in refusals(&outcome) {
                    say!("    {refused}");
                }
            }
        }
        say!(
            "{} of {} examples are true.",
            local.manifest.examples.len() - failures,
            local.manifest.examples.len()
        );
        Ok(failures == 0)
    })
}
