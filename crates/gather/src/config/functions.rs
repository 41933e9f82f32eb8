//! The settings of the functions.

use std::{collections::BTreeMap, net::IpAddr};

use anyhow::Result;
use clap::Args;
use ipnet::IpNet;

use super::{
    HEADING, edge::EdgeSettings, embed::EmbedUrl, model::Model, parse::http_url,
    provider::Provider, webhook::WebhookSettings,
};

/// The proxies that tell a client's address, to functions and gateways.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct TrustedProxies {
    /// Networks of proxies whose X-Forwarded-For is believed: a list with commas, such as 10.0.0.0/8 [default: none]
    #[arg(long, env = "GATHER_TRUSTED_PROXIES", default_value = "", hide_default_value = true, value_parser = networks)]
    pub trusted_proxies: String,
}

/// Settings of the functions.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct FunctionSettings {
    /// Origins whose pages may call the API from a browser: a list with commas, or `*` [default: none]
    #[arg(
        long,
        env = "CORS_ORIGINS",
        default_value = "",
        hide_default_value = true
    )]
    pub cors_origins: String,

    #[command(flatten)]
    pub(crate) proxies: TrustedProxies,

    /// Requests a minute of one account or address, by kind of endpoint: any of
    /// strict=60,standard=1200,relaxed=6000,bulk=60; or `off` [default: these]
    #[arg(long, env = "GATHER_RATE_LIMITS", default_value = "", hide_default_value = true, value_parser = rate_limits)]
    pub rate_limits: String,

    /// Where the functions reach the sandbox, which runs the skills [default: the one within `gather up` over the same
    /// state folder, or else http://127.0.0.1:3002]
    #[arg(long, env = "GATHER_SANDBOX_URL", value_parser = http_url)]
    pub sandbox_url: Option<String>,

    /// Where the functions reach the way out for secrets [default: the one within `gather up` over the same state folder, or else http://127.0.0.1:3004]
    #[arg(long, env = "GATHER_EGRESS_URL", value_parser = http_url)]
    pub egress_url: Option<String>,

    #[command(flatten)]
    pub(crate) embed: EmbedUrl,

    /// Where components and services reach the functions, when they act for accounts [default: the public URL]
    #[arg(long, env = "GATHER_INTERNAL_URL", value_parser = http_url)]
    pub internal_url: Option<String>,

    #[command(flatten)]
    pub(crate) provider: Provider,

    #[command(flatten)]
    pub(crate) model: Model,

    #[command(flatten)]
    pub(crate) webhooks: WebhookSettings,

    #[command(flatten)]
    pub(crate) edges: EdgeSettings,
}

impl FunctionSettings {
    /// The variables of external services that the platform may use, such as an identity provider.
    pub fn variables(&self) -> Result<BTreeMap<String, String>> {
        self.model.check()?;
        let mut variables = self.provider.variables()?;
        variables.extend(self.webhooks.variables());
        variables.extend(self.edges.variables());
        Ok(variables)
    }
}

/// Networks, or single addresses, with commas between them.
fn networks(text: &str) -> Result<String, String> {
    let network = |text: &str| {
        let text = text.trim();
        let network = text
            .parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| network.to_string()).map_err(|_| {
            format!("{text:?} is not a network; expected a list such as 10.0.0.0/8,fd00::/8")
        })
    };
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    let networks: Vec<_> = text.split(',').map(network).collect::<Result<_, _>>()?;
    Ok(networks.join(","))
}

/// The kinds of endpoints that have their own limits.
const TIERS: [&str; 4] = ["strict", "standard", "relaxed", "bulk"];

/// Checks limits such as `strict=60,bulk=10`, or `off`.
fn rate_limits(text: &str) -> Result<String, String> {
    const EXPECTED: &str = "expected `off`, or requests a minute such as strict=60,standard=1200,relaxed=6000,bulk=60, any of them";
    let text = text.trim();
    if text.is_empty() || text == "off" {
        return Ok(text.to_owned());
    }
    let mut limits = BTreeMap::new();
    for entry in text.split(',') {
        let (tier, limit) = entry.split_once('=').ok_or(EXPECTED)?;
        let (tier, limit) = (tier.trim(), limit.trim());
        if !TIERS.contains(&tier) {
            return Err(format!("there is no limit {tier:?}; {EXPECTED}"));
        }
        // As large as the database counts.
        let requests: i32 = limit.parse().map_err(|_| EXPECTED)?;
        if requests < 1 {
            return Err(format!("{tier} must be at least 1; {EXPECTED}"));
        }
        if limits.insert(tier, requests).is_some() {
            return Err(format!("{tier} is given twice; {EXPECTED}"));
        }
    }
    let limits: Vec<_> = limits
        .iter()
        .map(|(tier, limit)| format!("{tier}={limit}"))
        .collect();
    Ok(limits.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_proxies_are_networks() {
        for (given, expected) in [
            ("", ""),
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 10.0.0.0/8, fd00::/8 ", "10.0.0.0/8,fd00::/8"),
            ("127.0.0.1,::1", "127.0.0.1/32,::1/128"),
        ] {
            assert_eq!(networks(given).as_deref(), Ok(expected));
        }
        for bad in [",", "10.0.0.0/33", "proxy.internal", "10.0.0.0/8;::1", "*"] {
            let error = networks(bad).unwrap_err();
            assert!(error.contains("10.0.0.0/8,fd00::/8"), "{bad}: {error}");
        }
    }

    #[test]
    fn rate_limits_name_their_kind() {
        for (given, expected) in [
            ("", ""),
            ("off", "off"),
            ("strict=60", "strict=60"),
            (
                "strict=60, standard=1200,relaxed=6000,bulk=1",
                "bulk=1,relaxed=6000,standard=1200,strict=60",
            ),
        ] {
            assert_eq!(rate_limits(given).as_deref(), Ok(expected));
        }
        for bad in [
            "on",
            "60",
            "strict",
            "strict=",
            "strict=0",
            "strict=-1",
            "strict=1.5",
            "strict=4294967296",
            "strikt=60",
            "strict=60,strict=61",
            "strict=60,",
            "off,strict=60",
        ] {
            let error = rate_limits(bad).unwrap_err();
            assert!(error.contains("strict=60,standard=1200"), "{bad}: {error}");
        }
    }
}
