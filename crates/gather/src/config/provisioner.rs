//! Where the containers of claws come from.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::HEADING;

/// The container runtime of claws.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct ProvisionerSettings {
    /// The socket of Docker or Podman, in which claws of container templates live [default: the one of this machine, if
    /// there is one]
    #[arg(long, env = "GATHER_CONTAINER_SOCKET")]
    pub container_socket: Option<PathBuf>,
}

/// Where a provisioner of its own listens, and for whom.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct ProvisionerProcess {
    /// Where `gather provisioner` listens
    #[arg(
        long,
        env = "GATHER_PROVISIONER_LISTEN",
        default_value = "127.0.0.1:8091"
    )]
    pub provisioner_listen: SocketAddr,

    /// The key of the component that may ask, which `gather variables` prints as `claw_provision_provisioner_key`; prefer
    /// the variable, others can see flags
    #[arg(long, env = "GATHER_PROVISIONER_KEY", hide_env_values = true)]
    pub provisioner_key: String,

    /// Where claws in containers reach the platform
    #[arg(long, env = "GATHER_PUBLIC_URL", value_parser = super::parse::http_url)]
    pub public_url: String,

    /// Write the address to the standard output, and end with the standard input: for `gather up`
    #[arg(long, hide = true)]
    pub child: bool,
}
