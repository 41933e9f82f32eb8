//! `allowed_outbound_hosts`: the addresses that a component may reach. All others are refused.

use crate::template::Template;
use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// The schemes that this host connects for a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http://`
    Http,
    /// `https://`
    Https,
    /// `postgres://`
    Postgres,
    /// `redis://`, `*://` and others that no interface of this host uses.
    Any,
}

/// One entry of the list, before its variables are resolved.
#[derive(Debug, Clone)]
pub enum HostPattern {
    /// The scheme is written out; the rest may have variables.
    Written {
        /// The protocol that the entry allows.
        scheme: Scheme,
        /// The host and the port.
        authority: Template,
    },
    /// The whole entry is a variable.
    Variable(Template),
}

/// One entry with its variables resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    scheme: Scheme,
    host: String,
    port: Port,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Port {
    Default,
    Any,
    One(u16),
}

/// The addresses that a component may reach.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Vec<Entry>);

impl HostPattern {
    /// Whether this entry may name a PostgreSQL server.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(
            self,
            Self::Written {
                scheme: Scheme::Postgres,
                ..
            }
        )
    }

    /// Reads `scheme://host[:port]`, whose host may be `*`, `*.example.org` or a template. The whole entry may be
    /// one variable, `{{ url }}`, which allows nothing if it is empty.
    ///
    /// # Errors
    /// The entry is malformed, or this host has no interface for the scheme, which the error names.
    pub fn parse(text: &str) -> Result<Self> {
        if text.starts_with("{{") && text.ends_with("}}") && !text.contains("://") {
            return Ok(Self::Variable(Template::parse(text)?));
        }
        let Some((scheme, authority)) = text.split_once("://") else {
            bail!("{text:?} is not `scheme://host[:port]`");
        };
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "postgres" => Scheme::Postgres,
            "*" => Scheme::Any,
            other => bail!("scheme {other:?} of {text:?} is not supported (http, https, postgres)"),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let outside_templates: String = authority
            .split("{{")
            .map(|part| part.rsplit("}}").next().unwrap_or_default())
            .collect();
        if outside_templates.contains(['/', '@', '?', '#']) {
            bail!("{text:?} must have no path and no user: `scheme://host[:port]`");
        }
        Ok(Self::Written {
            scheme,
            authority: Template::parse(authority)?,
        })
    }

    /// Resolves one entry. `None` if its variable is empty.
    fn resolve(&self, variables: &BTreeMap<String, String>) -> Result<Option<Entry>> {
        let (scheme, authority) = match self {
            Self::Written { scheme, authority } => (*scheme, authority.resolve(variables)?),
            Self::Variable(template) => {
                let text = template.resolve(variables)?;
                if text.is_empty() {
                    return Ok(None);
                }
                return match Self::parse(&text)? {
                    written @ Self::Written { .. } => written.resolve(&BTreeMap::new()),
                    Self::Variable(_) => bail!("{text:?} is not `scheme://host[:port]`"),
                };
            }
        };
        let (host, port) = split_port(&authority);
        let port = match port {
            None => Port::Default,
            Some("*") => Port::Any,
            Some(port) => match port.parse() {
                Ok(port) => Port::One(port),
                Err(_) => bail!("{authority:?} has no valid port"),
            },
        };
        if host.is_empty() {
            bail!("an allowed host is empty");
        }
        Ok(Some(Entry {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        }))
    }
}

/// `host:port`, with the brackets of an IPv6 address kept.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

impl AllowedHosts {
    /// Resolves the variables in a component's entries.
    ///
    /// # Errors
    /// An unknown variable, an empty host or a bad port.
    pub fn resolve(patterns: &[HostPattern], variables: &BTreeMap<String, String>) -> Result<Self> {
        let entries = patterns
            .iter()
            .filter_map(|pattern| pattern.resolve(variables).transpose());
        entries.collect::<Result<_>>().map(Self)
    }

    /// Whether an entry allows this scheme, host and port.
    #[must_use]
    pub fn allows(&self, scheme: Scheme, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let default_port = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Postgres => 5432,
            Scheme::Any => 0,
        };
        self.0.iter().any(|entry| {
            let scheme_fits = entry.scheme == scheme || entry.scheme == Scheme::Any;
            let host_fits = match entry.host.strip_prefix('*') {
                Some("") => true,
                Some(suffix) if suffix.starts_with('.') => {
                    host.len() > suffix.len() && host.ends_with(suffix)
                }
                _ => entry.host == host,
            };
            let port_fits = match entry.port {
                Port::Any => true,
                Port::One(allowed) => allowed == port,
                Port::Default => port == default_port,
            };
            scheme_fits && host_fits && port_fits
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_allows_what_it_says_and_nothing_else() {
        let check = |entry: &str, scheme, host: &str, port, expected: bool| {
            let variables = BTreeMap::from([
                ("pg".to_owned(), "127.0.0.1:6000".to_owned()),
                ("url".to_owned(), "http://127.0.0.1:3002".to_owned()),
                ("none".to_owned(), String::new()),
            ]);
            let pattern = HostPattern::parse(entry).expect("valid");
            let allowed = AllowedHosts::resolve(&[pattern], &variables).expect("resolves");
            assert_eq!(
                allowed.allows(scheme, host, port),
                expected,
                "{entry} {host}:{port}"
            );
        };
        check("https://a.org", Scheme::Https, "a.org", 443, true);
        check("https://a.org", Scheme::Https, "A.ORG", 443, true);
        check("https://a.org", Scheme::Http, "a.org", 80, false);
        check("https://a.org", Scheme::Https, "a.org", 8443, false);
        check("https://a.org", Scheme::Https, "b.a.org", 443, false);
        check("https://*.a.org", Scheme::Https, "b.a.org", 443, true);
        check("https://*.a.org", Scheme::Https, "a.org", 443, false);
        check("https://*.a.org", Scheme::Https, "evila.org", 443, false);
        check("http://a.org:*", Scheme::Http, "a.org", 1, true);
        check("*://*:*", Scheme::Http, "x", 9, true);
        check(
            "postgres://{{ pg }}",
            Scheme::Postgres,
            "127.0.0.1",
            6000,
            true,
        );
        check(
            "postgres://{{ pg }}",
            Scheme::Postgres,
            "127.0.0.1",
            5432,
            false,
        );
        check("{{ url }}", Scheme::Http, "127.0.0.1", 3002, true);
        check("{{ url }}", Scheme::Http, "127.0.0.1", 80, false);
        check("{{ url }}", Scheme::Https, "127.0.0.1", 3002, false);
        check("{{ none }}", Scheme::Http, "", 80, false);
        check("postgres://db", Scheme::Postgres, "db", 5432, true);
        check("http://[::1]:80", Scheme::Http, "[::1]", 80, true);
    }

    #[test]
    fn bad_entries_are_refused() {
        for entry in [
            "a.org",
            "mysql://a.org",
            "postgres://u@a.org",
            "http://a.org/path",
        ] {
            assert!(HostPattern::parse(entry).is_err(), "{entry}");
        }
    }
}
