//! `gather audit`: the audit trail, verified and exported.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, Executor, FromRow, PgConnection};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::Url;

use crate::{
    config::{DatabaseSettings, Project},
    database::Database,
    migrate,
};

const MIGRATED: &str = "the audit trail could not be read; is the database migrated?";

/// The commands of the audit trail.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Look for entries that were changed, added or removed
    #[command(
        after_help = "Example (keep the file where the database's administrator can't reach it):\n  \
                      gather audit verify --json > heads.json\n  gather audit verify --expect heads.json"
    )]
    Verify(Box<Verify>),
    /// Print the entries as JSON lines, in the order of their time
    #[command(
        after_help = "Example:\n  gather audit export --since 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z > january.jsonl"
    )]
    Export(Box<Export>),
}

/// The choice of the audit trail.
#[derive(Args, Debug)]
struct Trail {
    #[command(flatten)]
    project: Project,

    #[command(flatten)]
    database: DatabaseSettings,
}

/// The arguments of a verification.
#[derive(Args, Debug)]
pub struct Verify {
    /// Answer in JSON
    #[arg(long)]
    json: bool,

    /// What this command answered before with --json: its entries must still be there
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,

    #[command(flatten)]
    trail: Trail,
}

/// The arguments of an export.
#[derive(Args, Debug)]
pub struct Export {
    /// From this time on
    #[arg(long, value_name = "RFC3339", value_parser = rfc3339)]
    since: Option<String>,

    /// Up to this time, without it
    #[arg(long, value_name = "RFC3339", value_parser = rfc3339)]
    until: Option<String>,

    #[command(flatten)]
    trail: Trail,
}

/// The result of a verification.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    /// The number of entries that were checked.
    entries: i64,
    problems: Vec<Problem>,
    heads: Vec<Head>,
}

/// An entry that is not as it was written.
#[derive(Debug, Serialize, Deserialize, FromRow)]
struct Problem {
    chain: i64,
    position: i64,
    problem: String,
}

/// The end of a chain.
#[derive(Debug, Serialize, Deserialize, FromRow)]
struct Head {
    chain: i64,
    length: i64,
    /// The hash of the chain's last entry, in hexadecimal.
    hash: String,
}

/// Runs the command. Returns `false` if the trail is broken, after printing where.
pub async fn run(command: Command) -> Result<bool> {
    match command {
        Command::Verify(options) => {
            let expected = options.expect.as_deref().map(read).transpose()?;
            let report = during(&options.trail, async |database| {
                verify(database, expected.as_ref()).await
            });
            let report = report.await?;
            if options.json {
                say!("{}", serde_json::to_string(&report)?);
            } else {
                say!("{}", describe(&report).trim_end());
            }
            Ok(report.problems.is_empty())
        }
        Command::Export(options) => {
            during(&options.trail, async |database| {
                export(database, options.since.as_deref(), options.until.as_deref()).await
            })
            .await?;
            Ok(true)
        }
    }
}

async fn during<T>(trail: &Trail, work: impl AsyncFnOnce(&Url) -> Result<T>) -> Result<T> {
    let state = trail.project.state_dir(&trail.project.manifest()?)?;
    Database::during(&trail.database, &state, work).await
}

fn read(path: &Path) -> Result<Report> {
    let text =
        fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is not an answer of `gather audit verify --json`",
            path.display()
        )
    })
}

/// Verifies the whole trail in one snapshot, since entries may be added meanwhile.
async fn verify(database: &Url, expected: Option<&Report>) -> Result<Report> {
    let mut connection = migrate::connect(database).await?;
    connection
        .execute("begin isolation level repeatable read, read only")
        .await?;
    let entries = sqlx::query_scalar("select count(*) from audit.entry")
        .fetch_one(&mut connection)
        .await
        .context(MIGRATED)?;
    let mut problems = sqlx::query_as(
        "select chain::bigint as chain, \"position\"::bigint as \"position\", problem from audit.verify()",
    )
    .fetch_all(&mut connection)
    .await
    .context(MIGRATED)?;
    let heads = sqlx::query_as(
        "select id::bigint as chain, length, encode(hash, 'hex') as hash from audit.chain order by id",
    )
    .fetch_all(&mut connection)
    .await
    .context(MIGRATED)?;
    for head in expected.into_iter().flat_map(|report| &report.heads) {
        problems.extend(compare(&mut connection, head).await?);
    }
    connection.execute("commit").await?;
    connection.close().await?;
    Ok(Report {
        entries,
        problems,
        heads,
    })
}

/// Checks that the former last entry of a chain still exists, since a tail that was cut off, with the chain's length
/// set to match, shows nowhere else.
async fn compare(connection: &mut PgConnection, head: &Head) -> Result<Option<Problem>> {
    if head.length == 0 {
        return Ok(None);
    }
    let hash: Option<String> = sqlx::query_scalar(
        "select encode(hash, 'hex') from audit.entry where chain = $1 and \"position\" = $2",
    )
    .bind(head.chain)
    .bind(head.length)
    .fetch_optional(connection)
    .await
    .context(MIGRATED)?;
    let problem = match hash {
        Some(hash) if hash == head.hash => return Ok(None),
        Some(_) => "this entry has another hash than in the given file",
        None => "this entry is in the given file, and is missing",
    };
    Ok(Some(Problem {
        chain: head.chain,
        position: head.length,
        problem: problem.to_owned(),
    }))
}

fn describe(report: &Report) -> String {
    use std::fmt::Write;
    let mut text = format!("{} entries checked, ", report.entries);
    match report.problems.len() {
        0 => text.push_str("all as they were written.\n"),
        count => {
            _ = writeln!(text, "{count} problems:");
            for problem in &report.problems {
                _ = writeln!(
                    text,
                    "  chain {}, entry {}: {}",
                    problem.chain, problem.position, problem.problem
                );
            }
        }
    }
    text.push_str("\nchain  length  hash of the last entry\n");
    for head in &report.heads {
        _ = writeln!(text, "{:>5}  {:>6}  {}", head.chain, head.length, head.hash);
    }
    text
}

/// Prints a line for each entry as it comes from the database, since there may be more than fit in memory.
async fn export(database: &Url, since: Option<&str>, until: Option<&str>) -> Result<()> {
    let mut connection = migrate::connect(database).await?;
    let mut entries = sqlx::query_scalar::<_, String>(
        "select (to_jsonb(e) - 'hash' || jsonb_build_object('hash', encode(e.hash, 'hex')))::text
         from audit.entry e
         where ($1::text is null or e.at >= $1::text::timestamptz)
         and ($2::text is null or e.at < $2::text::timestamptz)
         order by e.at, e.id",
    )
    .bind(since)
    .bind(until)
    .fetch(&mut connection);
    let mut out = BufWriter::new(io::stdout().lock());
    while let Some(entry) = entries.try_next().await.context(MIGRATED)? {
        if let Err(error) = writeln!(out, "{entry}") {
            return ended(error);
        }
    }
    out.flush().or_else(ended)
}

/// Whether the reader has closed the output, as in `gather audit export | head`.
fn ended(error: io::Error) -> Result<()> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error).context("can't write the entries"),
    }
}

fn rfc3339(text: &str) -> Result<String, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(|_| text.to_owned())
        .map_err(|_| "expected a time such as 2026-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert!(rfc3339("2026-01-31T12:00:00Z").is_ok());
        assert!(rfc3339("2026-01-31T12:00:00.123+02:00").is_ok());
        for bad in ["", "now", "2026-01-31", "2026-01-31 12:00:00", "infinity"] {
            assert!(rfc3339(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_broken_place_is_named() {
        let report = Report {
            entries: 7,
            problems: vec![Problem {
                chain: 3,
                position: 2,
                problem: "it was changed".to_owned(),
            }],
            heads: vec![Head {
                chain: 3,
                length: 7,
                hash: "ab".to_owned(),
            }],
        };
        let text = describe(&report);
        assert!(
            text.contains("7 entries checked, 1 problems:\n  chain 3, entry 2: it was changed\n"),
            "{text}"
        );
    }
}
