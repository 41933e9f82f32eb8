//! The settings of webhooks.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use clap::Args;

use super::{HEADING, parse::trusted_host};

/// Receivers of webhooks that the operator vouches for.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct WebhookSettings {
    /// A host that webhooks may be sent to though it is in a private network, or does not speak TLS: name=address:port;
    /// may be given several times
    #[arg(long = "webhook-host", env = "GATHER_WEBHOOK_HOSTS", value_delimiter = ',', value_parser = trusted_host)]
    pub webhook_hosts: Vec<(String, SocketAddr)>,
}

impl WebhookSettings {
    /// The hosts with their addresses, for workers.
    pub fn hosts(&self) -> BTreeMap<String, SocketAddr> {
        self.webhook_hosts.iter().cloned().collect()
    }

    /// The variable that gives functions the names of the hosts.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let names: BTreeSet<_> = self
            .webhook_hosts
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let names: Vec<_> = names.into_iter().collect();
        BTreeMap::from([("webhook_hosts".to_owned(), names.join(","))])
    }
}
