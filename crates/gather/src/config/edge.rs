//! The settings of edges.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use outgoing::Origin;

use super::{HEADING, egress::origin};

/// Edges that the operator vouches for.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct EdgeSettings {
    /// An origin of an edge that events may be pushed to though it is in a private network, or does not speak TLS, such as
    /// http://127.0.0.1:8787; may be given several times
    #[arg(long = "edge-origin", env = "GATHER_EDGE_ORIGINS", value_delimiter = ',', value_parser = origin)]
    pub edge_origins: Vec<Origin>,
}

impl EdgeSettings {
    /// The origins, for gateways.
    pub fn origins(&self) -> BTreeSet<Origin> {
        self.edge_origins.iter().cloned().collect()
    }

    /// The variable that gives functions the origins.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let origins: Vec<_> = self.origins().iter().map(ToString::to_string).collect();
        BTreeMap::from([("edge_origins".to_owned(), origins.join(","))])
    }
}
