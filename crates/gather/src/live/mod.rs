//! Events of a server in the terminal as they happen: `gather chat` and `gather events tail`.

mod api;
mod chat;
mod socket;
mod tail;

use std::io::{self, Write};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

pub use chat::{Chat, run as chat};
pub use tail::Tail;

use crate::plain;

/// The commands of events.
#[derive(Subcommand, Debug)]
pub enum Events {
    /// Print what happens, as it happens
    #[command(
        after_help = "Examples:\n  gather events tail                                   what concerns the agent itself\n  \
                      gather events tail --topic channel:$ID --type 'message.*' --since 1h\n  \
                      gather events tail --topic job:$ID --type job.succeeded --count 1 --json | jq .data"
    )]
    Tail(Tail),
}

/// Runs a command.
pub fn events(command: Events) -> Result<bool> {
    match command {
        Events::Tail(options) => tail::run(options),
    }
}

/// Runs a command that reads a server for long. An output that is closed is not a failure.
fn run(work: impl Future<Output = Result<bool>>) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(work);
    // A request that is under way matters to nobody any more.
    runtime.shutdown_background();
    match ended {
        Err(error) if is_broken_pipe(&error) => Ok(true),
        ended => ended,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints a line that is safe for the terminal.
fn print(line: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// Prints a value as one line of JSON.
fn print_json(value: &Value) -> Result<()> {
    print(&plain::json(value))
}

/// Prints a message beside the output.
fn note(text: &str) {
    // A terminal that is gone hears nothing.
    _ = writeln!(io::stderr(), "{}", plain::text(text));
}

/// A point in time: as RFC 3339 has it, or so long ago: `90s`, `30m`, `2h`, `7d`.
fn when(text: &str) -> Result<OffsetDateTime> {
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(time);
    }
    let ago = || {
        let unit = text.chars().last()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        let ago = Duration::seconds(number.checked_mul(seconds).filter(|ago| *ago >= 0)?);
        OffsetDateTime::now_utc().checked_sub(ago)
    };
    match ago() {
        Some(time) => Ok(time),
        None => {
            bail!("must be a time such as 2026-01-31T12:00:00Z, or a while such as 30m, 2h or 7d")
        }
    }
}

/// The time that a field of an answer tells.
fn time_of(value: &Value) -> Result<OffsetDateTime> {
    let text = value
        .as_str()
        .context("the server's answer holds no time")?;
    Ok(OffsetDateTime::parse(text, &Rfc3339)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_points_or_whiles() {
        let now = OffsetDateTime::now_utc();
        for (text, ago) in [
            ("0s", 0),
            ("90s", 90),
            ("30m", 1800),
            ("2h", 7200),
            ("7d", 604_800),
        ] {
            let found = (now - when(text).unwrap()).whole_seconds();
            assert!((found - ago).abs() <= 60, "{text}: {found}");
        }
        assert_eq!(when("1970-01-01T00:01:00Z").unwrap().unix_timestamp(), 60);
        for bad in [
            "",
            "5",
            "h",
            "-5m",
            "5 m",
            "5w",
            "2026-01-31",
            "9223372036854775807d",
            "é",
        ] {
            assert!(when(bad).is_err(), "{bad}");
        }
    }
}
