//! Where a gateway listens.

use std::net::SocketAddr;

use clap::Args;

use super::HEADING;

/// Where a gateway of its own listens.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct RealtimeListen {
    /// Where `gather realtime` listens
    #[arg(long, env = "GATHER_REALTIME_LISTEN", default_value = "127.0.0.1:3003")]
    pub realtime_listen: SocketAddr,
}
