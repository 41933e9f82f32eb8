//! `gather skill`: for authors of skills, from an empty folder to a published version.

mod build;
mod local;
mod new;
mod project;
mod publish;
mod show;
pub mod verify;

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};

use crate::{agent::Common, config::trusted_host};
pub(crate) use publish::upload;

/// The commands of an author.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a folder with a small skill that builds as it is
    #[command(after_help = "Example:\n  gather skill new my-words --lang python")]
    New(New),
    /// Build the component: skill.wasm, with the comments of the WIT within it
    #[command(after_help = "Example:\n  gather skill build my-words")]
    Build(Folder),
    /// Show the tools of a component as agents see them
    #[command(
        after_help = "Examples:\n  gather skill inspect my-words\n  gather skill inspect other.wasm --json"
    )]
    Inspect(Inspect),
    /// Call a tool on this machine, in the very sandbox that the platform has
    #[command(
        after_help = "Examples:\n  gather skill run --tool summarise --args '{\"text\": \"a short text\"}'\n  gather skill run my-words --tool repeat --args '{\"text\": \"ab\"}' --watch\n  \
                            gather skill run --tool look --sandbox-host api.internal.example=127.0.0.1:8080"
    )]
    Run(Run),
    /// Make the examples of skill.json, and compare
    #[command(after_help = "Example:\n  gather skill test my-words")]
    Test(Test),
    /// Upload the skill as an agent, and wait for the verdict of the review
    #[command(
        after_help = "Example (the agent must be registered: gather agent register --name ada):\n  gather skill publish my-words --server https://gather.example"
    )]
    Publish(Publish),
    /// Check a receipt or an attestation with the platform's public keys and nothing else
    #[command(
        after_help = "Examples:\n  curl https://gather.example/.well-known/jwks.json > keys.json\n  gather skill verify receipt.json --keys keys.json --component skill.wasm\n  \
                            gather skill verify attestations.json --server https://gather.example"
    )]
    Verify(Verify),
}

/// The arguments for a new skill.
#[derive(Args, Debug)]
pub struct New {
    /// Where; its last part becomes the skill's name
    pub folder: PathBuf,
    /// The language
    #[arg(long, default_value = "rust")]
    pub lang: Language,
}

/// The languages of templates. Any other language that compiles to components works too.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust, built by cargo for wasm32-wasip2.
    Rust,
    /// Python, built by componentize-py.
    Python,
    /// JavaScript, built by componentize-js.
    Js,
}

/// The folder of a skill.
#[derive(Args, Debug)]
pub struct Folder {
    /// The folder that holds skill.json
    #[arg(default_value = ".")]
    pub folder: PathBuf,
}

/// The choice of the component to show.
#[derive(Args, Debug)]
pub struct Inspect {
    /// A component, or the folder of a skill that is built
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Print JSON, with the schemas
    #[arg(long)]
    pub json: bool,
}

/// The arguments of a call.
#[derive(Args, Debug)]
pub struct Run {
    /// The folder that holds skill.json
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The tool
    #[arg(long)]
    pub tool: String,
    /// Its arguments, as JSON
    #[arg(long, default_value = "{}")]
    pub args: String,
    /// Build and call again whenever a file of the folder changes
    #[arg(long)]
    pub watch: bool,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub hosts: Hosts,
}

/// The choice of the skill to test.
#[derive(Args, Debug)]
pub struct Test {
    /// The folder that holds skill.json
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub hosts: Hosts,
}

/// The hosts that the author vouches for.
#[derive(Args, Debug)]
pub struct Hosts {
    /// A host that the skill may reach though it is in a private network: name=address:port; may be given several times
    #[arg(long = "sandbox-host", env = "GATHER_SANDBOX_HOSTS", value_delimiter = ',', value_parser = trusted_host)]
    pub sandbox_hosts: Vec<(String, SocketAddr)>,
}

/// The choice of the skill to publish.
#[derive(Args, Debug)]
pub struct Publish {
    /// The folder that holds skill.json and skill.wasm
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub common: Common,
    /// Do not wait for the verdict
    #[arg(long)]
    pub no_wait: bool,
}

/// The arguments of the check.
#[derive(Args, Debug)]
pub struct Verify {
    /// A receipt, an attestation, or the whole answer that holds it
    pub file: PathBuf,
    /// The platform's keys: what its /.well-known/jwks.json answers, in a file
    #[arg(long, conflicts_with = "server")]
    pub keys: Option<PathBuf>,
    /// Fetch the keys from this server instead
    #[arg(long)]
    pub server: Option<String>,
    /// A component that the statement must be about
    #[arg(long)]
    pub component: Option<PathBuf>,
}

/// Runs a command. Returns `false` after a failure that has been explained.
pub fn run(command: Command) -> Result<bool> {
    match command {
        Command::New(options) => new::create(&options).map(|()| true),
        Command::Build(options) => build::build(&options.folder).map(|()| true),
        Command::Inspect(options) => show::inspect(&options).map(|()| true),
        Command::Run(options) => local::run(&options),
        Command::Test(options) => local::test(&options),
        Command::Publish(options) => publish::publish(&options),
        Command::Verify(options) => verify::verify(&options).map(|()| true),
    }
}
