//! The mail server: its address, and one connection for each mail.

use super::wit::Error;
use anyhow::{Result, bail};
use lettre::{
    Message,
    transport::smtp::{
        self,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        extension::ClientId,
    },
};
use percent_encoding::percent_decode_str;
use std::time::Duration;
use tokio::time::timeout;
use url::{Host, Url};

/// The time limits for connecting (with TLS and signing in) and for one mail.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time limit for closing the connection.
const FAREWELL: Duration = Duration::from_secs(2);

/// The form of a mail server's address, for errors.
const EXPECTED: &str = "expected smtps://user:password@host (TLS), \
                        smtp://user:password@host:587?tls=required (STARTTLS) or smtp://host:25 (no TLS); \
                        write special characters of user and password as %XX";

/// The mail server. This is not the library's transport, whose pool would keep a connection that was cut off in
/// the middle of an exchange, and whose refusals do not tell a wrong password from an unwanted mail.
pub(super) struct Server {
    host: String,
    port: u16,
    security: Security,
    hello: ClientId,
    credentials: Option<Credentials>,
    pub(super) patience: Duration,
}

enum Security {
    /// The connection is not encrypted.
    Plain,
    /// The connection uses STARTTLS if the server offers it.
    Opportunistic(TlsParameters),
    /// The connection uses STARTTLS, and nothing is sent without it.
    Required(TlsParameters),
    /// The connection uses TLS from the first byte.
    Wrapped(TlsParameters),
}

impl Server {
    /// Reads an address as the library's own `from_url` does. `domain` is the client's name in the greeting if the
    /// address's path does not give one.
    ///
    /// # Errors
    /// The address is malformed. The error says what is expected, and does not quote the address.
    pub(super) fn parse(text: &str, domain: &str) -> Result<Self> {
        // The parser's error has nothing of the text.
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => bail!("the mail server's address is malformed ({error}); {EXPECTED}"),
        };
        let Some(host) = host(&url) else {
            bail!("the mail server's address has no host; {EXPECTED}");
        };
        let mut tls = None;
        for (name, value) in url.query_pairs() {
            if name != "tls" {
                bail!(
                    "the mail server's address may have `?tls=…` and nothing else there; {EXPECTED}"
                );
            }
            tls = Some(value.into_owned());
        }
        let parameters = || TlsParameters::new(host.clone());
        let (port, security) = match (url.scheme(), tls.as_deref()) {
            ("smtp", None) => (smtp::SMTP_PORT, Security::Plain),
            ("smtp", Some("opportunistic")) => (
                smtp::SUBMISSION_PORT,
                Security::Opportunistic(parameters()?),
            ),
            ("smtp", Some("required")) => {
                (smtp::SUBMISSION_PORT, Security::Required(parameters()?))
            }
            ("smtps", None) => (smtp::SUBMISSIONS_PORT, Security::Wrapped(parameters()?)),
            _ => bail!("the mail server's address has another scheme or `tls`; {EXPECTED}"),
        };
        let credentials = credentials(&url)?;
        let is_clear = matches!(security, Security::Plain | Security::Opportunistic(_));
        if credentials.is_some() && is_clear && !is_loopback(&host) {
            bail!(
                "the mail server's password would be sent in clear; write smtps://… or add ?tls=required"
            );
        }
        let hello = match url.path().trim_matches('/') {
            "" => domain,
            named => named,
        };
        Ok(Self {
            port: url.port().unwrap_or(port),
            credentials,
            hello: ClientId::Domain(hello.to_owned()),
            host,
            security,
            patience: PATIENCE,
        })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The server can't be reached or refuses. A refusal before the mail's own commands does not count as one of the
    /// mail.
    pub(super) async fn deliver(&self, message: &Message) -> Result<(), Error> {
        let mut connection = match timeout(self.patience, self.connect()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                // A server could repeat what we signed in with, so its words are not told.
                let why = error.status().map_or_else(
                    || error.to_string(),
                    |code| format!("it answered {code} before any mail"),
                );
                return Err(self.unavailable(&why));
            }
            Err(_) => return Err(self.unavailable("it was silent for too long")),
        };
        let bytes = message.formatted();
        let sent = connection.send(message.envelope(), &bytes);
        match timeout(self.patience, sent).await {
            Ok(Ok(_)) => {
                // The mail is the server's now, whatever becomes of the good-bye.
                _ = timeout(FAREWELL, connection.quit()).await;
                Ok(())
            }
            Ok(Err(error)) if error.is_permanent() => {
                tracing::warn!(server = self.host, %error, "the mail server refused a mail");
                let code = error.status().map(|code| format!(" ({code})"));
                let code = code.unwrap_or_default();
                Err(Error::Refused(format!("the mail server refused it{code}")))
            }
            // The address or the text needs an extension of SMTP.
            Ok(Err(error)) if error.is_client() => {
                tracing::warn!(server = self.host, %error, "the mail server can't take a mail");
                Err(Error::Refused("the mail server can't take it".to_owned()))
            }
            Ok(Err(error)) => Err(self.unavailable(&error.to_string())),
            Err(_) => Err(self.unavailable("it was silent for too long")),
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, smtp::Error> {
        let wrapped = match &self.security {
            Security::Wrapped(parameters) => Some(parameters.clone()),
            _ => None,
        };
        let place = (self.host.as_str(), self.port);
        let limit = Some(self.patience);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(place, limit, &self.hello, wrapped, None).await?;
        let upgrade = match &self.security {
            Security::Required(parameters) => Some(parameters),
            Security::Opportunistic(parameters) if connection.can_starttls() => Some(parameters),
            _ => None,
        };
        if let Some(parameters) = upgrade {
            connection.starttls(parameters.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// Logs the reason, and tells the component that it may try again.
    fn unavailable(&self, why: &str) -> Error {
        tracing::warn!(
            server = self.host,
            port = self.port,
            why,
            "the mail server took no mail"
        );
        Error::Unavailable("the mail server took no mail for now".to_owned())
    }
}

fn host(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Domain("") => None,
        Host::Domain(name) => Some(name.to_owned()),
        Host::Ipv4(ip) => Some(ip.to_string()),
        // Without the brackets, as the resolver and TLS want it.
        Host::Ipv6(ip) => Some(ip.to_string()),
    }
}

/// Whether a host is this machine, so that nothing travels over a network.
fn is_loopback(host: &str) -> bool {
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

fn credentials(url: &Url) -> Result<Option<Credentials>> {
    let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => bail!("user and password of the mail server are not UTF-8; {EXPECTED}"),
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => {
            bail!("the mail server's address has only one of user and password; {EXPECTED}")
        }
        (user, Some(password)) => Ok(Some(Credentials::new(decode(user)?, decode(password)?))),
    }
}
