//! The settings of realtime gateways.

use std::net::SocketAddr;

use clap::Args;

use super::HEADING;

/// The address of `gather realtime`.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct RealtimeListen {
    /// Where `gather realtime` listens
    #[arg(long, env = "GATHER_REALTIME_LISTEN", default_value = "127.0.0.1:3003")]
    pub realtime_listen: SocketAddr,
}

/// The bounds of a gateway.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct RealtimeLimits {
    /// Sockets and event streams of one account
    #[arg(long, env = "GATHER_REALTIME_SOCKETS", default_value_t = realtime::Limits::default().sockets)]
    pub realtime_sockets: usize,

    /// Topics of one socket
    #[arg(long, env = "GATHER_REALTIME_TOPICS", default_value_t = realtime::Limits::default().topics)]
    pub realtime_topics: usize,
}

impl RealtimeLimits {
    /// The bounds of sockets.
    pub fn limits(&self) -> realtime::Limits {
        realtime::Limits {
            sockets: self.realtime_sockets,
            topics: self.realtime_topics,
            ..realtime::Limits::default()
        }
    }
}
