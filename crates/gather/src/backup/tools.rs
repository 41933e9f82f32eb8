//! PostgreSQL's own programs for dumps.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, bail};
use percent_encoding::percent_decode_str;
use tokio::process::Command;
use url::Url;

use crate::postgres;

/// `pg_dump` and `pg_restore` of one version.
pub struct Tools(PathBuf);

impl Tools {
    /// Finds programs that can read a server of the major version `server`.
    pub fn find(server: u32) -> Result<Self> {
        postgres::client_programs(&["pg_dump", "pg_restore"], server)
            .map(Self)
            .with_context(|| {
                format!(
                    "pg_dump and pg_restore of PostgreSQL {server} or newer are not installed; install them (Debian, Ubuntu: \
                     apt-get install postgresql-client-{server}, from apt.postgresql.org if the distribution's are older; \
                     Fedora: dnf install postgresql; macOS: brew install libpq)"
                )
            })
    }

    /// Runs one of them over `database`. What it complains of is the error.
    pub async fn run(&self, program: &str, database: &Url, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(self.0.join(program));
        // The address goes by the environment: everybody on the machine can read a command line.
        for (name, value) in environment(database)? {
            command.env(name, value);
        }
        let output = command
            .args(arguments)
            .env("LC_ALL", "C")
            .env_remove("PGOPTIONS")
            .env_remove("PGSERVICE")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("{program} can't be run"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{program} failed: {}", said.trim());
        }
        Ok(())
    }
}

/// What `libpq` reads in place of a URL.
fn environment(database: &Url) -> Result<Vec<(&'static str, String)>> {
    let decode =
        |text: &str| -> Result<String> { Ok(percent_decode_str(text).decode_utf8()?.into_owned()) };
    let mut all = vec![
        (
            "PGHOST",
            decode(database.host_str().unwrap_or("localhost"))?,
        ),
        ("PGPORT", database.port().unwrap_or(5432).to_string()),
        ("PGUSER", decode(database.username())?),
        (
            "PGPASSWORD",
            decode(database.password().unwrap_or_default())?,
        ),
        (
            "PGDATABASE",
            decode(database.path().trim_start_matches('/'))?,
        ),
    ];
    for (name, value) in database.query_pairs() {
        let variable = match &*name {
            "host" => "PGHOST",
            "sslmode" => "PGSSLMODE",
            "sslrootcert" => "PGSSLROOTCERT",
            _ => continue,
        };
        all.push((variable, value.into_owned()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_variables() {
        let url = "postgres://me:p%40ss@db.example:5433/app?sslmode=require"
            .parse()
            .unwrap();
        let all = environment(&url).unwrap();
        for pair in [
            ("PGHOST", "db.example"),
            ("PGPORT", "5433"),
            ("PGUSER", "me"),
            ("PGPASSWORD", "p@ss"),
            ("PGDATABASE", "app"),
            ("PGSSLMODE", "require"),
        ] {
            assert!(all.contains(&(pair.0, pair.1.to_owned())), "{pair:?}");
        }
    }
}
