//! The `gather` command, for the tests that need a process of their own.

use clap::Parser;
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let explained = gather::commands::run(gather::cli::Cli::parse())?;
    Ok(if explained {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
