//! The settings of the platform's addresses.

use std::net::SocketAddr;

use clap::Args;

use super::{HEADING, parse::http_url};

/// The address to listen on.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Listen {
    /// Address and port to serve on
    #[arg(long, env = "GATHER_LISTEN", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
}

/// The platform's addresses.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Address {
    #[command(flatten)]
    pub(crate) own: Listen,

    /// Where clients reach this server; in links, tokens and challenges [default: http://<listen>]
    #[arg(long, env = "GATHER_PUBLIC_URL", value_parser = http_url)]
    pub public_url: Option<String>,
}

impl Address {
    /// The URL by which clients reach a server that listens on the configured address.
    pub fn own_public_url(&self) -> String {
        self.public_url(self.own.listen)
    }

    /// The URL by which clients reach a server that listens on `address`.
    pub fn public_url(&self, address: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if address.ip().is_unspecified() => format!("http://127.0.0.1:{}", address.port()),
            None => format!("http://{address}"),
        }
    }
}
