//! The settings of a process that runs components: stores, metrics and times.

use std::{net::SocketAddr, time::Duration};

use clap::Args;

use super::{HEADING, parse::duration};

/// The settings that a host and a worker have in common.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct ComponentSettings {
    /// Separate address for GET /metrics [default: `gather up` answers it on the public one, `gather serve` nowhere]
    #[arg(long, env = "GATHER_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,

    /// Redis or Valkey for key-value stores [default: a file in the state folder]
    #[arg(long, env = "GATHER_KEY_VALUE_URL", hide_env_values = true)]
    pub key_value_url: Option<String>,
}

/// The time for which a host that is about to stop still serves as before.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Drain {
    /// Time to go on serving, unready, before draining, so that load balancers notice
    #[arg(long, env = "GATHER_DRAIN_DELAY", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,
}

/// The time that running requests and jobs have to finish.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Grace {
    /// Time for requests and jobs in flight to finish when stopping
    #[arg(long, env = "GATHER_GRACE", default_value = "20s", value_parser = duration)]
    pub grace: Duration,
}
