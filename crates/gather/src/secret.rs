//! `gather secret`: as an agent, store secrets, grant them, and see who used them. Values are read from standard input
//! only: arguments and the environment can be read by other programs of the machine.

use std::{
    io::{IsTerminal, Read},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use crate::{
    agent::{self, AsAgent, Common},
    answer::{lines, newest, print, text},
    config::duration,
};

/// The largest value that is read, a little beyond what a server takes.
const MAX_VALUE_BYTES: u64 = 128 << 10;

/// What can be done with secrets.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Store a secret, whose value is read from standard input
    #[command(
        after_help = "Examples:\n  gather secret set github --origin https://api.github.com --header authorization --format 'Bearer {}' < token.txt\n  \
                      pass show api | gather secret set weather --origin https://api.weather.example --query key"
    )]
    Set(Box<AsAgent<Set>>),
    /// List the secrets that the agent may see, without their values
    #[command(after_help = "Example:\n  gather secret list --json")]
    List(Common),
    /// Give a secret another value, which is read from standard input
    #[command(after_help = "Example:\n  gather secret rotate github --overlap 10m < token.txt")]
    Rotate(AsAgent<Rotate>),
    /// Let somebody use a secret, or take that back
    #[command(
        after_help = "Examples:\n  gather secret grant github account:0192f5c0-0000-7000-8000-000000000000 --calls 100\n  \
                      gather secret grant github team:0192f5c0-0000-7000-8000-000000000000 --end"
    )]
    Grant(AsAgent<Grant>),
    /// List what a secret was used for and refused for, the newest first
    #[command(after_help = "Example:\n  gather secret uses github")]
    Uses(AsAgent<Uses>),
}

/// A new secret.
#[derive(Args, Debug)]
pub struct Set {
    /// Its name
    pub name: String,
    /// Refused: other programs can read arguments
    #[arg(hide = true)]
    pub value: Option<String>,
    /// The kind: token, basic, git, hmac, provider or opaque
    #[arg(long, default_value = "token")]
    pub kind: String,
    /// An origin that it may be sent to, such as https://api.example.org; may be given several times
    #[arg(long = "origin")]
    pub origins: Vec<String>,
    /// A method that it may be used with; may be given several times [default: all]
    #[arg(long = "method", requires = "origins")]
    pub methods: Vec<String>,
    /// A beginning of paths that it may be used for; may be given several times [default: all]
    #[arg(long = "path", requires = "origins")]
    pub paths: Vec<String>,
    /// Put it into this header
    #[arg(long, group = "place", requires = "origins")]
    pub header: Option<String>,
    /// The header's text, with {} for the value
    #[arg(long, requires = "header")]
    pub format: Option<String>,
    /// Put it into this parameter of the query
    #[arg(long, group = "place", requires = "origins")]
    pub query: Option<String>,
    /// Use it as the password of this user, in Basic authentication
    #[arg(long, group = "place", requires = "origins")]
    pub basic: Option<String>,
    /// Put it wherever {{vault:<name>}} stands in headers and bodies
    #[arg(long, group = "place", requires = "origins")]
    pub placeholder: bool,
    /// Hand it to containers that name it
    #[arg(long, group = "place", requires = "origins")]
    pub handed: bool,
    /// The id of the team that shall own it [default: the agent]
    #[arg(long)]
    pub team: Option<Uuid>,
    /// The time at which it expires, such as 2027-01-01T00:00:00Z [default: never]
    #[arg(long)]
    pub expires: Option<String>,
    /// A note for whoever sees it
    #[arg(long)]
    pub note: Option<String>,
}

/// A new value of a secret.
#[derive(Args, Debug)]
pub struct Rotate {
    /// The secret's name, or its id if it is another's
    pub secret: String,
    /// Refused: other programs can read arguments
    #[arg(hide = true)]
    pub value: Option<String>,
    /// The time for which the former value may still be used, such as 10m
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub overlap: Duration,
}

/// A grant of a secret.
#[derive(Args, Debug)]
pub struct Grant {
    /// The secret's name, or its id if it is another's
    pub secret: String,
    /// The subject that may use it: account:, team:, claw:, skill:, pipeline: or project: with an id
    pub subject: String,
    /// When the grant ends, such as 2027-01-01T00:00:00Z [default: never]
    #[arg(long, conflicts_with = "end")]
    pub until: Option<String>,
    /// The number of uses [default: any number of times]
    #[arg(long, conflicts_with = "end")]
    pub calls: Option<u32>,
    /// Take the grant back
    #[arg(long)]
    pub end: bool,
}

/// The uses of a secret.
#[derive(Args, Debug)]
pub struct Uses {
    /// The secret's name, or its id if it is another's
    pub secret: String,
    /// The time from which uses are listed, such as 2026-11-01T00:00:00Z
    #[arg(long)]
    pub since: Option<String>,
}

/// Runs one command about secrets.
pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Set(options) => set(options),
        Command::List(options) => {
            let (client, token) = agent::signed_in(options, "gather secret list")?;
            let page = client.list("/api/vault/secrets", &token)?;
            print(options.json, &page, |page| lines(&page["items"], secret));
            Ok(())
        }
        Command::Rotate(options) => rotate(options),
        Command::Grant(options) => grant(options),
        Command::Uses(options) => {
            let (client, token) = agent::signed_in(&options.common, "gather secret uses")?;
            let since = options.since.as_deref().map(|since| {
                let since: String = byte_serialize(since.as_bytes()).collect();
                format!("&since={since}")
            });
            let path = format!(
                "{}/uses?limit=100{}",
                path_of(&options.secret),
                since.unwrap_or_default()
            );
            let page = client.get(&path, &token)?;
            print(options.common.json, &page, |page| newest(page, used));
            Ok(())
        }
    }
}

fn set(options: &AsAgent<Set>) -> Result<()> {
    refuse_argument(
        options.value.as_deref(),
        &format!("gather secret set {}", options.name),
    )?;
    let value = value()?;
    let (client, token) = agent::signed_in(&options.common, "gather secret set")?;
    let made = client.send("/api/vault/secrets", &new_secret(options, &value)?, &token)?;
    print(options.common.json, &made, |made| {
        format!(
            "Stored {} as {}. Its value is not shown again.\nNext: gather secret grant {0} account:…",
            text(&made["name"]),
            text(&made["id"])
        )
    });
    Ok(())
}

/// What the server is asked to store.
fn new_secret(options: &AsAgent<Set>, value: &str) -> Result<Value> {
    let mut new = json!({"name": options.name, "kind": options.kind, "value": value});
    let optional = [
        ("team_id", options.team.map(|team| json!(team))),
        ("expires_at", options.expires.as_ref().map(|at| json!(at))),
        ("note", options.note.as_ref().map(|note| json!(note))),
    ];
    for (name, given) in optional {
        if let Some(given) = given {
            new[name] = given;
        }
    }
    if options.origins.is_empty() {
        return Ok(new);
    }
    let place = if let Some(header) = &options.header {
        json!({"header": header, "format": options.format.as_deref().unwrap_or("{}")})
    } else if let Some(query) = &options.query {
        json!({"query": query})
    } else if let Some(user) = &options.basic {
        json!({"basic": user})
    } else if options.placeholder {
        json!({"placeholder": true})
    } else if options.handed {
        json!({"handed": true})
    } else {
        bail!(
            "--origin needs one of --header, --query, --basic, --placeholder and --handed: where the value goes"
        );
    };
    let mut used = json!({"origins": options.origins, "place": place});
    if !options.methods.is_empty() {
        used["methods"] = json!(options.methods);
    }
    if !options.paths.is_empty() {
        used["paths"] = json!(options.paths);
    }
    new["use"] = used;
    Ok(new)
}

fn rotate(options: &AsAgent<Rotate>) -> Result<()> {
    let command = format!("gather secret rotate {}", options.secret);
    refuse_argument(options.value.as_deref(), &command)?;
    let value = value()?;
    let (client, token) = agent::signed_in(&options.common, "gather secret rotate")?;
    let path = path_of(&options.secret);
    let version = client.get(&path, &token)?["version"].clone();
    let overlap = u64::try_from(options.overlap.as_millis()).unwrap_or(u64::MAX);
    let body = json!({"value": value, "overlap_ms": overlap});
    let tag = format!("\"{version}\"");
    let rotated = client.send_matching(&format!("{path}/versions"), &body, &tag, &token)?;
    print(options.common.json, &rotated, |rotated| {
        format!(
            "{} has version {} now.",
            text(&rotated["name"]),
            rotated["version"]
        )
    });
    Ok(())
}

fn grant(options: &AsAgent<Grant>) -> Result<()> {
    let (client, token) = agent::signed_in(&options.common, "gather secret grant")?;
    let subject: String = byte_serialize(options.subject.as_bytes()).collect();
    let path = format!("{}/grants/{subject}", path_of(&options.secret));
    if options.end {
        client.delete(&path, &token)?;
        print(options.common.json, &json!({}), |_| {
            format!(
                "{} may not use {} any more.",
                options.subject, options.secret
            )
        });
        return Ok(());
    }
    let mut body = json!({});
    if let Some(until) = &options.until {
        body["until"] = json!(until);
    }
    if let Some(calls) = options.calls {
        body["calls"] = json!(calls);
    }
    let given = client.put(&path, &body, &token)?;
    print(options.common.json, &given, |_| {
        format!(
            "{} may use {}.\nNext: gather secret uses {1}",
            options.subject, options.secret
        )
    });
    Ok(())
}

fn refuse_argument(given: Option<&str>, command: &str) -> Result<()> {
    if given.is_some() {
        bail!(
            "a value is no argument, since other programs can read those; it is read from standard input: {command} < FILE"
        );
    }
    Ok(())
}

/// The value on standard input, without one line break at its end.
fn value() -> Result<String> {
    let mut input = std::io::stdin().lock();
    if input.is_terminal() {
        eprintln!("Type the value, then Ctrl-D (it is shown as you type; `< FILE` is safer):");
    }
    let mut text = String::new();
    (&mut input)
        .take(MAX_VALUE_BYTES)
        .read_to_string(&mut text)
        .ok()
        .context("standard input can't be read as text")?;
    Ok(without_line_break(text))
}

fn without_line_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

fn path_of(secret: &str) -> String {
    let secret: String = byte_serialize(secret.as_bytes()).collect();
    format!("/api/vault/secrets/{secret}")
}

fn secret(secret: &Value) -> String {
    let origins = secret["use"]["origins"].as_array();
    let origins = origins.into_iter().flatten().map(text);
    format!(
        "{}  {:20}  {:8}  {:7}  version {}  {}",
        text(&secret["id"]),
        text(&secret["name"]),
        text(&secret["kind"]),
        text(&secret["state"]),
        secret["version"],
        origins.collect::<Vec<_>>().join(" ")
    )
}

fn used(used: &Value) -> String {
    let outcome = used["status"].as_u64().map_or_else(
        || text(&used["refused"]).to_owned(),
        |status| status.to_string(),
    );
    format!(
        "{}  {:6}  {}{}  {}  {}",
        text(&used["at"]),
        text(&used["method"]),
        text(&used["origin"]),
        text(&used["path"]),
        text(&used["by"]),
        outcome
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn parsed(arguments: &[&str]) -> Result<Command, clap::Error> {
        let named = ["gather", "secret"].iter().chain(arguments);
        match Cli::try_parse_from(named)?.command {
            Some(crate::cli::Command::Secret(command)) => Ok(command),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_is_refused_as_an_argument_and_not_repeated() {
        for arguments in [
            ["set", "github", "canary-1234"],
            ["rotate", "github", "canary-1234"],
        ] {
            let error = run(&parsed(&arguments).unwrap()).unwrap_err().to_string();
            assert!(error.contains("standard input"), "{error}");
            assert!(
                error.contains("github < FILE") && !error.contains("canary"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_new_secret_says_where_its_value_goes() {
        let new = |arguments: &[&str]| {
            let arguments = [&["set", "github"], arguments].concat();
            match parsed(&arguments) {
                Ok(Command::Set(options)) => new_secret(&options, "canary-1234"),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error.into()),
            }
        };
        assert_eq!(
            new(&[]).unwrap(),
            json!({"name": "github", "kind": "token", "value": "canary-1234"})
        );
        let given = [
            "--origin",
            "https://a.example",
            "--header",
            "x-key",
            "--method",
            "GET",
        ];
        assert_eq!(
            new(&given).unwrap()["use"],
            json!({"origins": ["https://a.example"], "methods": ["GET"], "place": {"header": "x-key", "format": "{}"}})
        );
        assert!(new(&["--origin", "https://a.example"]).is_err());
        assert!(new(&["--header", "x-key"]).is_err());
        assert!(
            new(&[
                "--origin",
                "https://a.example",
                "--query",
                "k",
                "--basic",
                "u"
            ])
            .is_err()
        );
    }

    #[test]
    fn one_last_line_break_is_not_the_value_s() {
        for (given, expected) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a", "a"),
            ("\n", ""),
        ] {
            assert_eq!(without_line_break(given.to_owned()), expected);
        }
    }
}
