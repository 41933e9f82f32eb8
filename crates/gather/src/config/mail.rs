//! The settings of mail.

use clap::Args;
use host::MailOptions;
use url::{Host, Url};

use super::HEADING;

/// The mail server and the sender.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct MailSettings {
    /// Mail server: smtps://user:password@host, or smtp://user:password@host:587?tls=required; prefer the variable,
    /// others can see flags [default: none, mail is written to the log]
    #[arg(long, env = "GATHER_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,

    /// Sender of mail [default: Gather <gather@HOST>, with the public URL's host]
    #[arg(long, env = "GATHER_MAIL_FROM")]
    pub mail_from: Option<String>,
}

impl MailSettings {
    /// The mail options of a worker. The host checks the mail server's address, and its errors do not quote the
    /// password.
    pub fn options(&self, public_url: Option<&str>) -> MailOptions {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let smtp_url = given(&self.smtp_url);
        match given(&self.mail_from) {
            Some(from) => MailOptions { smtp_url, from },
            None => MailOptions {
                smtp_url,
                ..default_sender(public_url)
            },
        }
    }
}

/// The sender at the public URL's host, unless that is an IP address or an unusual name.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
