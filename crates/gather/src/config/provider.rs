//! A provider of OpenID Connect that people may sign in with.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::Args;
use url::Url;

use super::{HEADING, parse::http_url};

/// The provider.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct Provider {
    /// A provider of OpenID Connect that people may sign in with: its issuer, such as https://accounts.example
    /// [default: none]
    #[arg(long, env = "GATHER_OIDC_ISSUER", value_parser = http_url)]
    pub oidc_issuer: Option<String>,

    /// What the provider knows this server as; its redirect address is <public-url>/api/sessions/provider/callback
    #[arg(long, env = "GATHER_OIDC_CLIENT_ID")]
    pub oidc_client_id: Option<String>,

    /// The secret shared with the provider; prefer the variable, others can see flags [default: none, a public client]
    #[arg(long, env = "GATHER_OIDC_CLIENT_SECRET", hide_env_values = true)]
    pub oidc_client_secret: Option<String>,

    /// Origin of the provider's token endpoint [default: the issuer's]
    #[arg(long, env = "GATHER_OIDC_TOKEN_ORIGIN", value_parser = http_url)]
    pub oidc_token_origin: Option<String>,

    /// Origin of the provider's keys [default: the issuer's]
    #[arg(long, env = "GATHER_OIDC_KEYS_ORIGIN", value_parser = http_url)]
    pub oidc_keys_origin: Option<String>,
}

impl Provider {
    /// The variables that tell the functions about the provider of OpenID Connect.
    pub fn variables(&self) -> Result<BTreeMap<String, String>> {
        let Some(issuer) = &self.oidc_issuer else {
            return Ok(BTreeMap::new());
        };
        let Some(client_id) = &self.oidc_client_id else {
            bail!("--oidc-issuer needs --oidc-client-id, which the provider gave this server");
        };
        let origin = |url: &str| {
            let url = Url::parse(url)?;
            let is_here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
            if url.scheme() != "https" && !is_here {
                bail!("a provider of OpenID Connect must be https://…: secrets travel there");
            }
            Ok(url.origin().ascii_serialization())
        };
        let own = origin(issuer)?;
        let other = |url: &Option<String>| url.as_deref().map_or(Ok(own.clone()), origin);
        let variables = [
            ("oidc_issuer", issuer.clone()),
            ("oidc_client_id", client_id.clone()),
            (
                "oidc_client_secret",
                self.oidc_client_secret.clone().unwrap_or_default(),
            ),
            ("oidc_token_origin", other(&self.oidc_token_origin)?),
            ("oidc_keys_origin", other(&self.oidc_keys_origin)?),
            ("oidc_origin", own),
        ];
        Ok(variables
            .map(|(name, value)| (name.to_owned(), value))
            .into())
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn a_provider_is_reached_by_https_or_on_this_machine() {
        let told = |flags: &[&str]| {
            let named = ["gather", "--oidc-client-id", "x"].iter();
            let cli = Cli::try_parse_from(named.chain(flags)).unwrap();
            cli.up.serve.functions.provider.variables()
        };
        let own = "https://idp.example/tenant";
        let variables = told(&["--oidc-issuer", own]).unwrap();
        for (name, value) in [
            ("oidc_issuer", own),
            ("oidc_client_secret", ""),
            ("oidc_origin", "https://idp.example"),
            ("oidc_token_origin", "https://idp.example"),
            ("oidc_keys_origin", "https://idp.example"),
        ] {
            assert_eq!(variables[name], value, "{name}");
        }
        let token = ["--oidc-token-origin", "https://token.example:8443/x"];
        let variables = told(&[&["--oidc-issuer", own], &token[..]].concat()).unwrap();
        assert_eq!(variables["oidc_token_origin"], "https://token.example:8443");
        assert!(told(&[]).unwrap().is_empty(), "there is none");

        for here in [
            "http://127.0.0.1:8080",
            "http://localhost:8080",
            "http://[::1]:8080",
        ] {
            assert!(told(&["--oidc-issuer", here]).is_ok(), "{here}");
        }
        for clear in [
            "http://idp.example",
            "http://192.168.0.1",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://localhost@idp.example",
        ] {
            for flags in [
                &["--oidc-issuer", clear][..],
                &["--oidc-issuer", own, "--oidc-token-origin", clear],
                &["--oidc-issuer", own, "--oidc-keys-origin", clear],
            ] {
                let error = told(flags).unwrap_err().to_string();
                assert!(error.contains("must be https://"), "{flags:?}: {error}");
            }
        }
        let nobody = Cli::try_parse_from(["gather", "--oidc-issuer", own]).unwrap();
        let error = nobody
            .up
            .serve
            .functions
            .provider
            .variables()
            .unwrap_err()
            .to_string();
        assert!(error.contains("--oidc-client-id"), "{error}");
    }
}
