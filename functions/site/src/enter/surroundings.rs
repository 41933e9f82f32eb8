//! The addresses at which signing in works: browsers keep the session and offer passkeys over https and on the machine itself only, and
//! passkeys belong to names, not to numbers.
//!
//! A function does not see the address that a browser has asked for. The public URL says what may be wrong, and
//! `js/passkey.js` what is.

use guest::variable;
use http::Uri;
use maud::{Markup, html};

use crate::ui;

/// The effect of the public URL on sessions and passkeys.
#[derive(Debug, PartialEq, Eq)]
pub enum Surroundings {
    /// Both work.
    Fine,
    /// The server is on the visitor's machine: passkeys work at this address of it.
    Local(String),
    /// Neither works, because the connection is not encrypted.
    Plain,
}

impl Surroundings {
    /// Tells it from the public URL.
    pub async fn ours() -> Self {
        Self::of(&variable("public_url").await.unwrap_or_default())
    }

    fn of(public_url: &str) -> Self {
        let Ok(url) = public_url.parse::<Uri>() else {
            return Self::Fine;
        };
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_local = host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if url.scheme_str() == Some("https") {
            return Self::Fine;
        }
        if !is_local {
            return Self::Plain;
        }
        let port = url.port().map(|port| format!(":{port}"));
        Self::Local(format!("http://localhost{}", port.unwrap_or_default()))
    }

    /// Says why signing in can't work, and what to do. A script shows it where only the browser knows.
    pub fn warning(&self) -> Markup {
        html! {
            div data-insecure hidden[*self != Self::Plain] {
                (ui::alert(&html! {
                    p { "This address is not encrypted, so your browser will not keep you signed in, and offers no passkeys. Nothing is wrong with your account." }
                    p { "On the machine itself, open " code { "http://localhost" } " with its port. For others, the operator puts https before the server, and names it with " code { "--public-url" } "." }
                }))
            }
        }
    }

    /// The `content` that needs passkeys, with a hint for addresses at which browsers have none. `path` is that of
    /// the page.
    pub fn passkey(&self, path: &str, content: &Markup) -> Markup {
        html! {
            @if *self != Self::Plain { (content) }
            @if let Self::Local(localhost) = self {
                p.meta data-number { "Passkeys belong to names, not to numbers: " a href=(format!("{localhost}{path}")) { "open this page at localhost" } " to use one." }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_says_where_passkeys_work() {
        let local = |port: &str| Surroundings::Local(format!("http://localhost{port}"));
        for (url, expected) in [
            ("http://127.0.0.1:3000", local(":3000")),
            ("http://[::1]:3000", local(":3000")),
            ("http://localhost", local("")),
            ("http://192.168.1.5:3000", Surroundings::Plain),
            ("http://gather.lan", Surroundings::Plain),
            ("https://gather.example", Surroundings::Fine),
            ("https://127.0.0.1:3000", Surroundings::Fine),
        ] {
            assert_eq!(Surroundings::of(url), expected, "{url}");
        }
    }
}
