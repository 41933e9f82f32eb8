//! Every setting, in one place: a flag, else an environment variable, else the default.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use host::{MailOptions, jobs::JobTimes};
use ipnet::IpNet;
use url::{Host, Url};

use crate::{
    manifest::{self, Manifest},
    postgres,
    secrets::MasterKey,
};

/// The settings of everything that builds, migrates or serves.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Configuration (flags over environment over defaults)")]
pub struct Settings {
    /// Address and port to serve on
    #[arg(long, env = "GATHER_LISTEN", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,

    /// Where clients reach this server; in links, tokens and challenges [default: http://<listen>]
    #[arg(long, env = "GATHER_PUBLIC_URL", value_parser = http_url)]
    pub public_url: Option<String>,

    /// Origins whose pages may call the API from a browser: a list with commas, or `*` [default: none]
    #[arg(
        long,
        env = "CORS_ORIGINS",
        default_value = "",
        hide_default_value = true
    )]
    pub cors_origins: String,

    /// Networks of proxies whose X-Forwarded-For is believed: a list with commas, such as 10.0.0.0/8 [default: none]
    #[arg(long, env = "GATHER_TRUSTED_PROXIES", default_value = "", hide_default_value = true, value_parser = networks)]
    pub trusted_proxies: String,

    /// Requests a minute of one account or address, by kind of endpoint: any of strict=60,standard=1200,relaxed=6000,bulk=60;
    /// or `off` [default: these]
    #[arg(long, env = "GATHER_RATE_LIMITS", default_value = "", hide_default_value = true, value_parser = rate_limits)]
    pub rate_limits: String,

    /// Mail server: smtps://user:password@host, or smtp://user:password@host:587?tls=required; prefer the variable, others
    /// can see flags [default: none, mail is written to the log]
    #[arg(long, env = "GATHER_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,

    /// Sender of mail [default: Gather <gather@HOST>, with the public URL's host]
    #[arg(long, env = "GATHER_MAIL_FROM")]
    pub mail_from: Option<String>,

    /// Separate address for GET /metrics [default: `gather up` answers it on the public one, `gather serve` nowhere]
    #[arg(long, env = "GATHER_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,

    /// PostgreSQL, as its administrator: postgres://user:password@host:port/name [default: a private cluster in the state folder]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// 32 bytes as base64 or hex, from which the functions' secrets are derived; prefer the variable, others can see flags
    /// [default: master.key in the state folder]
    #[arg(long, env = "GATHER_MASTER_KEY", hide_env_values = true)]
    pub master_key: Option<String>,

    /// Folder for the private cluster, the master key, key-value stores and compiled components [default: .gather beside spin.toml]
    #[arg(long, env = "GATHER_STATE_DIR")]
    pub state_dir: Option<PathBuf>,

    /// Router manifest [default: spin.toml here or in the nearest folder above]
    #[arg(long, env = "GATHER_MANIFEST")]
    pub manifest: Option<PathBuf>,

    /// Redis or Valkey for key-value stores [default: a file in the state folder]
    #[arg(long, env = "GATHER_KEY_VALUE_URL", hide_env_values = true)]
    pub key_value_url: Option<String>,

    /// Jobs that a worker runs at the same time
    #[arg(long, env = "GATHER_JOBS", default_value_t = JobTimes::default().concurrency)]
    pub jobs: usize,

    /// Silence of a worker after which others take its jobs over
    #[arg(long, env = "GATHER_WORKER_LEASE", default_value = "15s", value_parser = lease)]
    pub worker_lease: Duration,

    /// How long finished jobs are kept; dead ones four times as long
    #[arg(long, env = "GATHER_KEEP_JOBS", default_value = "7d", value_parser = duration)]
    pub keep_jobs: Duration,

    /// Where the functions reach the sandbox, which runs the skills [default: the one within `gather up` over the same state folder, or else http://127.0.0.1:3002]
    #[arg(long, env = "GATHER_SANDBOX_URL", value_parser = http_url)]
    pub sandbox_url: Option<String>,

    /// Where `gather sandbox` listens
    #[arg(long, env = "GATHER_SANDBOX_LISTEN", default_value = "127.0.0.1:3002")]
    pub sandbox_listen: SocketAddr,

    /// Where `gather realtime` listens
    #[arg(long, env = "GATHER_REALTIME_LISTEN", default_value = "127.0.0.1:3003")]
    pub realtime_listen: SocketAddr,

    /// Skills that a sandbox runs at the same time [default: eight for each core]
    #[arg(long, env = "GATHER_SANDBOX_CALLS")]
    pub sandbox_calls: Option<usize>,

    /// A host that skills may be granted though it is in a private network: name=address:port; may be given several times
    #[arg(long = "sandbox-host", env = "GATHER_SANDBOX_HOSTS", value_delimiter = ',', value_parser = trusted_host)]
    pub sandbox_hosts: Vec<(String, SocketAddr)>,

    /// A host that webhooks may be sent to though it is in a private network, or speaks no TLS: name=address:port; may be given several times
    #[arg(long = "webhook-host", env = "GATHER_WEBHOOK_HOSTS", value_delimiter = ',', value_parser = trusted_host)]
    pub webhook_hosts: Vec<(String, SocketAddr)>,

    /// Object store for skills' components, such as s3://bucket/folder with the usual AWS_… variables [default: the database]
    #[arg(long, env = "GATHER_COMPONENTS_URL", hide_env_values = true)]
    pub components_url: Option<String>,

    /// A provider of OpenID Connect that people may sign in with: its issuer, such as https://accounts.example [default: none]
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

    /// A language model that reads skills in their review: `openai` or `anthropic`, the protocol [default: none]
    #[arg(long, env = "GATHER_LLM_PROVIDER", value_parser = ["openai", "anthropic"])]
    pub llm_provider: Option<String>,

    /// Its address up to the version, such as https://api.openai.com/v1
    #[arg(long, env = "GATHER_LLM_URL", value_parser = http_url)]
    pub llm_url: Option<String>,

    /// Its name
    #[arg(long, env = "GATHER_LLM_MODEL")]
    pub llm_model: Option<String>,

    /// Its key; prefer the variable, others can see flags
    #[arg(long, env = "GATHER_LLM_API_KEY", hide_env_values = true)]
    pub llm_api_key: Option<String>,

    /// How long to go on serving, unready, before draining, so that load balancers notice
    #[arg(long, env = "GATHER_DRAIN_DELAY", default_value = "0s", value_parser = duration)]
    pub drain_delay: Duration,

    /// How long requests and jobs in flight may take to finish when stopping
    #[arg(long, env = "GATHER_GRACE", default_value = "20s", value_parser = duration)]
    pub grace: Duration,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a doc comment here would replace the heading")]
    pub log: LogSettings,
}

/// How to log. Flattened everywhere.
#[derive(Args, Debug, Clone)]
pub struct LogSettings {
    /// What to log, for example `info,sqlx=warn`
    #[arg(
        long,
        env = "RUST_LOG",
        default_value = "info,sqlx::postgres::notice=warn,graphile_worker_migrations=warn"
    )]
    pub log: String,

    /// How to log [default: pretty on a terminal, else json]
    #[arg(long, env = "GATHER_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// The forms of log lines.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One object a line.
    Json,
}

impl Settings {
    /// The manifest, read.
    pub fn manifest(&self) -> Result<Manifest> {
        match &self.manifest {
            Some(path) => Manifest::load(path),
            None => Manifest::load(&manifest::find()?),
        }
    }

    /// The state folder, whether it exists or not.
    pub fn state_dir(&self, manifest: &Manifest) -> Result<PathBuf> {
        match &self.state_dir {
            Some(folder) => Ok(std::path::absolute(folder)?),
            None => Ok(manifest.folder().join(".gather")),
        }
    }

    /// The given master key, or the one in the state folder, made there if need be.
    pub fn master_key(&self, manifest: &Manifest) -> Result<MasterKey> {
        match &self.master_key {
            Some(key) => MasterKey::parse(key).context("GATHER_MASTER_KEY"),
            None => {
                let state = self.state_dir(manifest)?;
                postgres::create_state_folder(&state)?;
                MasterKey::load_or_create(&state)
            }
        }
    }

    /// The database that was given, if one was. Not parsed by the command line's parser, whose errors would quote the password.
    pub fn database_url(&self) -> Result<Option<Url>> {
        self.database_url
            .as_deref()
            .map(database_url)
            .transpose()
            .map_err(|error| anyhow!("DATABASE_URL: {error}"))
    }

    /// The object store that was given, if one was.
    pub fn components_url(&self) -> Result<Option<Url>> {
        let url = self.components_url.as_deref().map(Url::parse).transpose();
        url.context("GATHER_COMPONENTS_URL is no address, try s3://bucket/folder")
    }

    /// How a worker sends mail. The mail server's address is checked by the host, whose errors do not quote the password.
    pub fn mail(&self) -> MailOptions {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let smtp_url = given(&self.smtp_url);
        match given(&self.mail_from) {
            Some(from) => MailOptions { smtp_url, from },
            None => MailOptions {
                smtp_url,
                ..default_sender(self.public_url.as_deref())
            },
        }
    }

    /// What signing in is told about the provider of OpenID Connect.
    pub fn oidc_variables(&self) -> Result<BTreeMap<String, String>> {
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

    /// What the review is told about the language model.
    pub fn llm_variables(&self) -> Result<BTreeMap<String, String>> {
        let Some(provider) = &self.llm_provider else {
            return Ok(BTreeMap::new());
        };
        let (Some(url), Some(model)) = (&self.llm_url, &self.llm_model) else {
            bail!(
                "--llm-provider needs --llm-url and --llm-model, for example https://api.openai.com/v1 and gpt-5"
            );
        };
        let origin = Url::parse(url)?.origin().ascii_serialization();
        let key = self.llm_api_key.clone().unwrap_or_default();
        let variables = [
            ("llm_provider", provider.clone()),
            ("llm_url", url.clone()),
            ("llm_origin", origin),
            ("llm_model", model.clone()),
            ("llm_api_key", key),
        ];
        Ok(variables
            .map(|(name, value)| (name.to_owned(), value))
            .into())
    }

    /// What functions are told of the hosts that webhooks may be sent to beside public ones: their names.
    pub fn webhook_variables(&self) -> BTreeMap<String, String> {
        let names: Vec<_> = self
            .webhook_hosts
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        BTreeMap::from([("webhook_hosts".to_owned(), names.join(","))])
    }

    /// How a worker works.
    pub fn job_times(&self) -> JobTimes {
        JobTimes {
            concurrency: self.jobs,
            lease: self.worker_lease,
            keep: self.keep_jobs,
            keep_dead: self.keep_jobs.saturating_mul(4),
            ..JobTimes::default()
        }
    }

    /// Where clients reach a server that listens on `address`.
    pub fn public_url(&self, address: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if address.ip().is_unspecified() => format!("http://127.0.0.1:{}", address.port()),
            None => format!("http://{address}"),
        }
    }
}

/// From the host that clients know, if mail can be sent from it: not from an IP address or an unusual name.
fn default_sender(public_url: Option<&str>) -> MailOptions {
    let url = public_url.and_then(|url| Url::parse(url).ok());
    let named = match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => Some(MailOptions {
            from: format!("Gather <gather@{name}>"),
            ..MailOptions::default()
        }),
        _ => None,
    };
    named
        .filter(|options| options.check().is_ok())
        .unwrap_or_default()
}

/// Networks, or single addresses, with commas between them.
fn networks(text: &str) -> Result<String, String> {
    let network = |text: &str| {
        let text = text.trim();
        let network = text
            .parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| network.to_string()).map_err(|_| {
            format!("{text:?} is no network; expected a list such as 10.0.0.0/8,fd00::/8")
        })
    };
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    let networks: Vec<_> = text.split(',').map(network).collect::<Result<_, _>>()?;
    Ok(networks.join(","))
}

/// The kinds of endpoints that have a limit of their own.
const TIERS: [&str; 4] = ["strict", "standard", "relaxed", "bulk"];

/// `strict=60,bulk=10` or `off`.
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

/// Long enough for several heartbeats.
fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    if lease < Duration::from_secs(1) {
        return Err("must be at least 1s".to_owned());
    }
    Ok(lease)
}

/// `500ms`, `20s`, `2m`, `7d`; a bare number is seconds.
// The crate `humantime` takes no bare number, and takes `7M` for seven months where somebody meant `7m`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(60 * 60))),
        "d" => Ok(Duration::from_secs(number.saturating_mul(24 * 60 * 60))),
        _ => Err(EXPECTED.to_owned()),
    }
}

const EXPECTED: &str = "expected a duration such as 500ms, 20s, 2m, 1h or 7d";

/// A host with an address that an operator, or an author on their own machine, vouches for: `name=address:port`.
pub fn trusted_host(text: &str) -> Result<(String, SocketAddr), String> {
    let expected = "expected name=address:port, such as api.internal.example=10.0.0.5:443";
    let (name, address) = text.split_once('=').ok_or(expected)?;
    let address = address.parse().map_err(|_| expected)?;
    Ok((name.to_ascii_lowercase(), address))
}

fn http_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(text.to_owned()),
        _ => Err("expected http://… or https://…".to_owned()),
    }
}

fn database_url(text: &str) -> Result<Url, String> {
    let expected = "expected postgres://user:password@host:port/name";
    let url = Url::parse(text).map_err(|error| format!("{error}; {expected}"))?;
    match url.scheme() {
        "postgres" | "postgresql" if url.host_str().is_some_and(|host| !host.is_empty()) => {
            let ssl_mode = url.query_pairs().find(|(name, _)| name == "sslmode");
            match ssl_mode.as_ref().map(|(_, mode)| &**mode) {
                None | Some("disable" | "prefer" | "require") => Ok(url),
                Some(_) => Err("sslmode must be disable, prefer or require: functions check the server's certificate in \
                                any case but the first".to_owned()),
            }
        }
        "postgres" | "postgresql" => Err(format!(
            "a unix socket won't do, functions reach the database by TCP; {expected}"
        )),
        other => Err(format!(
            "{other} is not supported, only PostgreSQL; {expected}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert!(lease("500ms").is_err());
        for bad in ["", "s", "1w", "-1s", "1.5s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

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

    #[test]
    fn mail_comes_from_the_public_host() {
        let too_long = format!("http://{}:3000", "a".repeat(64));
        for (url, expected) in [
            (None, "Gather <gather@localhost>"),
            (
                Some("https://gather.example/"),
                "Gather <gather@gather.example>",
            ),
            (Some("http://localhost:3000"), "Gather <gather@localhost>"),
            (Some("http://127.0.0.1:3000"), "Gather <gather@localhost>"),
            (Some("http://[::1]:3000"), "Gather <gather@localhost>"),
            (Some(too_long.as_str()), "Gather <gather@localhost>"),
        ] {
            let options = default_sender(url);
            assert_eq!(options.from, expected);
            assert!(options.check().is_ok(), "{}", options.from);
        }
    }

    #[test]
    fn database_addresses_need_tcp_and_postgresql() {
        assert!(database_url("postgres://u:p@h/d").is_ok());
        assert!(database_url("postgresql://u:p@h:1/d?sslmode=require").is_ok());
        for bad in [
            "mysql://u:secret@h/d",
            "postgres:///d?host=/run",
            "u:secret@h",
        ] {
            let error = database_url(bad).unwrap_err();
            assert!(
                error.contains("postgres://user:password@host:port/name"),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
        let error = database_url("postgres://u:secret@h/d?sslmode=verify-full").unwrap_err();
        assert!(error.contains("disable, prefer or require"), "{error}");
    }

    #[test]
    fn a_provider_is_reached_by_https_or_on_this_machine() {
        let told = |flags: &[&str]| {
            let named = ["gather", "--oidc-client-id", "x"].iter();
            let cli = Cli::try_parse_from(named.chain(flags)).unwrap();
            cli.settings.oidc_variables()
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
        let error = nobody.settings.oidc_variables().unwrap_err().to_string();
        assert!(error.contains("--oidc-client-id"), "{error}");
    }
}
