//! The settings of the log.

use clap::{Args, ValueEnum};

use super::HEADING;

/// The settings of the log.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct LogSettings {
    /// What to log, for example `info,sqlx=warn`
    #[arg(
        long,
        env = "RUST_LOG",
        default_value = "info,sqlx::postgres::notice=warn,graphile_worker_migrations=warn"
    )]
    pub log: String,

    /// How to log [default: pretty on a terminal, else json]
    #[arg(long, env = "GATHER_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// The forms of log lines.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
pub enum LogFormat {
    /// Lines for people.
    Pretty,
    /// A JSON object on each line.
    Json,
}
