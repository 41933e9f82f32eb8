//! The settings of the database.

use anyhow::{Result, anyhow};
use clap::Args;
use url::Url;

use super::HEADING;

/// The choice of the database.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct DatabaseSettings {
    /// PostgreSQL, as its administrator: postgres://user:password@host:port/name [default: a private cluster in the
    /// state folder]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
}

impl DatabaseSettings {
    /// The configured database, if there is one. It is not parsed by the command line's parser, whose errors would
    /// quote the password.
    pub fn url(&self) -> Result<Option<Url>> {
        self.database_url
            .as_deref()
            .map(database_url)
            .transpose()
            .map_err(|error| anyhow!("DATABASE_URL: {error}"))
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
}
