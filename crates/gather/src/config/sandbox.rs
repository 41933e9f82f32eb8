//! The settings of the sandbox.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::Args;
use url::Url;

use super::{HEADING, parse::trusted_host};

/// The bounds of a sandbox.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct SandboxSettings {
    /// Skills that a sandbox runs at the same time [default: eight for each core]
    #[arg(long, env = "GATHER_SANDBOX_CALLS")]
    pub sandbox_calls: Option<usize>,

    /// A host that skills may be granted though it is in a private network: name=address:port; may be given several
    /// times
    #[arg(long = "sandbox-host", env = "GATHER_SANDBOX_HOSTS", value_delimiter = ',', value_parser = trusted_host)]
    pub sandbox_hosts: Vec<(String, SocketAddr)>,

    /// Object store for skills' components, such as s3://bucket/folder with the usual AWS_… variables [default: the
    /// database]
    #[arg(long, env = "GATHER_COMPONENTS_URL", hide_env_values = true)]
    pub components_url: Option<String>,
}

impl SandboxSettings {
    /// The configured object store, if there is one.
    pub fn components_url(&self) -> Result<Option<Url>> {
        let url = self.components_url.as_deref().map(Url::parse).transpose();
        url.context("GATHER_COMPONENTS_URL is not an address, try s3://bucket/folder")
    }
}

/// The address of `gather sandbox`.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct SandboxListen {
    /// Where `gather sandbox` listens
    #[arg(long, env = "GATHER_SANDBOX_LISTEN", default_value = "127.0.0.1:3002")]
    pub sandbox_listen: SocketAddr,
}
