//! How secrets leave.

use std::{collections::BTreeSet, net::SocketAddr};

use clap::Args;
use outgoing::Origin;

use super::HEADING;

/// What the way out for secrets may reach.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct EgressSettings {
    /// Origins that requests with secrets may go to though they are in a private network, or do not speak TLS: a list with commas, such as http://127.0.0.1:8080
    #[arg(long, env = "GATHER_EGRESS_HOSTS", value_delimiter = ',', value_parser = origin)]
    pub egress_hosts: Vec<Origin>,
}

impl EgressSettings {
    /// The origins that the operator lists.
    pub fn origins(&self) -> BTreeSet<Origin> {
        self.egress_hosts.iter().cloned().collect()
    }
}

pub(super) fn origin(text: &str) -> std::result::Result<Origin, String> {
    text.trim()
        .parse()
        .map_err(|_| "expected origins such as http://127.0.0.1:8080".to_owned())
}

/// Where a way out of its own listens.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct EgressListen {
    /// Where `gather egress` listens
    #[arg(long, env = "GATHER_EGRESS_LISTEN", default_value = "127.0.0.1:3004")]
    pub egress_listen: SocketAddr,
}
