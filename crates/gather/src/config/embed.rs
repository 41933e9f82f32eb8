//! The embedding model that comes with the platform.

use std::{net::SocketAddr, num::NonZeroUsize, thread, time::Duration};

use clap::Args;

use super::{HEADING, duration, parse::http_url};

/// How the embedding model runs.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct EmbedSettings {
    /// The pause after which the embedding model is given back; the next request loads it again
    #[arg(long, env = "GATHER_EMBED_IDLE", default_value = "5m", value_parser = duration)]
    pub embed_idle: Duration,

    /// Texts are embedded on so many cores at once [default: all of them]
    #[arg(long, env = "GATHER_EMBED_THREADS")]
    pub embed_threads: Option<NonZeroUsize>,
}

impl EmbedSettings {
    /// The number of cores to use.
    pub fn threads(&self) -> usize {
        let all = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.embed_threads.map_or_else(all, NonZeroUsize::get)
    }
}

/// Where an embedding model of its own listens.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct EmbedListen {
    /// Where `gather embed` listens
    #[arg(long, env = "GATHER_EMBED_LISTEN", default_value = "127.0.0.1:3005")]
    pub embed_listen: SocketAddr,
}

/// Where the embedding model is.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct EmbedUrl {
    /// Where the way out reaches the embedding model [default: the one within `gather up` over the same state folder]
    #[arg(long, env = "GATHER_EMBED_URL", value_parser = http_url)]
    pub embed_url: Option<String>,
}
