//! Where a request goes, as the calling function says in the header `Gather-Target`. The bytes that are checked are the
//! bytes that are sent.

use crate::problem::Problem;
use http::Uri;
use outgoing::{Origin, Outgoing};

/// A target.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address.
    pub uri: Uri,
    /// Its origin.
    pub origin: Origin,
}

impl Target {
    /// Reads a target that may be reached: https and its usual port, unless the operator lists the origin. A target without
    /// a scheme, `//host/path`, has the one that is listed, else https.
    ///
    /// # Errors
    /// 422 if the text is not an address, 403 if nothing may be sent there.
    pub fn read(text: &str, outgoing: &Outgoing) -> Result<Self, Problem> {
        let invalid = || Problem::invalid("The target is not an address of the web.");
        if text.starts_with("//") {
            let plain = Self::read(&format!("http:{text}"), outgoing);
            let is_refused = |problem: &Problem| problem.code == "origin-refused";
            return match plain {
                Err(problem) if is_refused(&problem) => {
                    Self::read(&format!("https:{text}"), outgoing)
                }
                plain => plain,
            };
        }
        // What stands behind it is never sent, and whoever reads a user before the host may take it for the host.
        if text.contains('#') {
            return Err(invalid());
        }
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        let has_user = uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        let origin = Origin::of(&uri).map_err(|_| invalid())?;
        if has_user || !text_is_sent(text, &uri) {
            return Err(invalid());
        }
        if !outgoing.trusts_origin(&origin) && (!origin.is_tls || origin.port != 443) {
            return Err(Problem::origin_refused(
                "Only https on its usual port is reached, and origins that the operator lists.",
            ));
        }
        Ok(Self { uri, origin })
    }

    /// The path, as it is sent.
    pub fn path(&self) -> &str {
        match self.uri.path() {
            "" => "/",
            path => path,
        }
    }

    /// The same target with another query.
    ///
    /// # Errors
    /// The query can't stand in an address.
    pub fn with_query(&self, query: &str) -> Result<Uri, Problem> {
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let scheme = if self.origin.is_tls { "https" } else { "http" };
        let uri = format!("{scheme}://{authority}{}?{query}", self.path());
        uri.parse()
            .map_err(|_| Problem::invalid("The target is not an address of the web."))
    }
}

/// Whether path and query are sent as they were given.
fn text_is_sent(text: &str, uri: &Uri) -> bool {
    let sent = uri.path_and_query().map_or("/", |sent| sent.as_str());
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    let given = after_scheme
        .find(['/', '?'])
        .map_or("", |at| &after_scheme[at..]);
    match given.strip_prefix('?') {
        Some(_) => sent == format!("/{given}") || sent == given,
        None => sent == given || (given.is_empty() && sent == "/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn read(text: &str) -> Result<Target, Problem> {
        let listed = BTreeSet::from(["http://127.0.0.1:8080".parse().unwrap()]);
        let outgoing = Outgoing::new(None, BTreeMap::new()).trusting(listed);
        Target::read(text, &outgoing)
    }

    #[test]
    fn what_is_given_is_what_is_sent() {
        for (text, path) in [
            ("https://api.example.org", "/"),
            ("https://API.example.org/repos/a/@s%2fn", "/repos/a/@s%2fn"),
            ("https://api.example.org/a/%2e%2e/b?x=/..#", ""),
            ("https://api.example.org/a/../b//c;d?x=%2e", "/a/../b//c;d"),
            ("http://127.0.0.1:8080/x", "/x"),
            ("https://api.example.org?x=1", "/"),
            ("//api.example.org/a%2fb//c", "/a%2fb//c"),
            ("//127.0.0.1:8080/x", "/x"),
        ] {
            match read(text) {
                Ok(target) => assert_eq!(target.path(), path, "{text}"),
                Err(problem) => assert_eq!((problem.code, path), ("invalid-input", ""), "{text}"),
            }
        }
    }

    #[test]
    fn only_https_and_listed_origins_are_reached() {
        for (text, code) in [
            ("http://api.example.org/", "origin-refused"),
            ("https://api.example.org:8443/", "origin-refused"),
            ("http://127.0.0.1:8081/", "origin-refused"),
            ("https://127.0.0.1:8080/", "origin-refused"),
            ("http://127.0.0.1:8080@api.example.org/", "invalid-input"),
            ("https://a@api.example.org/", "invalid-input"),
            ("ftp://api.example.org/", "invalid-input"),
            ("/v1", "invalid-input"),
            ("", "invalid-input"),
            ("//", "invalid-input"),
            ("//127.0.0.1:8081/", "origin-refused"),
        ] {
            assert_eq!(read(text).map(|_| ()).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn a_query_is_replaced_and_nothing_else() {
        let target = read("https://api.example.org/a%2Fb?x=1").unwrap();
        let uri = target.with_query("x=1&key=v").unwrap();
        assert_eq!(uri, "https://api.example.org/a%2Fb?x=1&key=v");
    }
}
