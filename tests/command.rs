//! The `gather` command, for the tests that need a process of their own.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    gather::commands::run(gather::cli::Cli::parse()).map(drop)
}
