//! The origin of an address: its scheme, host and port.

use crate::Failure;
use http::{Uri, uri::Scheme};
use std::{fmt, str::FromStr};

/// A scheme, host and port. It is written as in an address, without the scheme's usual port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Whether TLS is spoken there.
    pub is_tls: bool,
    /// The host's name or address, in lower case; an IPv6 address in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// The origin of an address.
    ///
    /// # Errors
    /// The address is not one of the web.
    pub fn of(uri: &Uri) -> Result<Self, Failure> {
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(Failure::InvalidUri),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or(Failure::InvalidUri)?.to_ascii_lowercase();
        let port = port(uri).unwrap_or(Ok(usual_port(is_tls)))?;
        Ok(Self { is_tls, host, port })
    }
}

/// The port that an address names, if it names one. What stands behind the host is all of it: whoever reads an address that
/// has a port of no number, or of a larger one, may take another.
fn port(uri: &Uri) -> Option<Result<u16, Failure>> {
    let authority = uri.authority()?;
    let behind_user = authority.as_str().rsplit('@').next()?;
    let named = behind_user.strip_prefix(authority.host())?;
    if named.is_empty() {
        return None;
    }
    let digits = named
        .strip_prefix(':')
        .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    Some(number.ok_or(Failure::InvalidUri))
}

fn usual_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(out, "{scheme}://{}", self.host)?;
        if self.port == usual_port(self.is_tls) {
            return Ok(());
        }
        write!(out, ":{}", self.port)
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    /// Reads an origin: an address without a path, a query or a user.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected an origin such as https://api.example.org";
        let uri: Uri = text.parse().map_err(|_| EXPECTED)?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let has_user = uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        if !is_bare || has_user {
            return Err(EXPECTED);
        }
        Self::of(&uri).map_err(|_| EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_of_one_place_are_written_alike() {
        for (given, expected) in [
            ("https://API.example.org", "https://api.example.org"),
            ("https://api.example.org:443/", "https://api.example.org"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:80", "http://localhost"),
            ("https://[::1]:8443", "https://[::1]:8443"),
        ] {
            let origin: Origin = given.parse().unwrap();
            assert_eq!(origin.to_string(), expected);
        }
        for bad in [
            "",
            "api.example.org",
            "ftp://api.example.org",
            "https://",
            "https://a@api.example.org",
            "https://api.example.org/v1",
            "https://api.example.org?x",
            "https://api.example.org:99999",
            "https://api.example.org:",
            "https://api.example.org:+443",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
