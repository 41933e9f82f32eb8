//! Outgoing mail: makes the message and sends it to the mail server, or writes it to the log if there is none.

mod server;
#[cfg(test)]
mod tests;
pub mod wit;

use anyhow::{Context, Result};
use lettre::{
    Address, Message,
    message::{Mailbox, header::ContentType},
};
use server::Server;
use uuid::Uuid;
use wit::{Error, Mail};

/// The mail server and the sender of mail.
#[derive(Clone)]
pub struct MailOptions {
    /// The mail server: `smtp://user:password@host:587?tls=required` or `smtps://user:password@host`.
    /// If there is none, mail is written to the log.
    pub smtp_url: Option<String>,
    /// The sender: `Gather <gather@gather.example>`.
    pub from: String,
}

impl Default for MailOptions {
    fn default() -> Self {
        Self {
            smtp_url: None,
            from: "Gather <gather@localhost>".to_owned(),
        }
    }
}

impl MailOptions {
    /// Checks the options without connecting.
    ///
    /// # Errors
    /// An option is malformed. The error says what to write instead, and does not quote the address, which has a
    /// password.
    pub fn check(&self) -> Result<()> {
        Mailer::new(self).map(|_| ())
    }
}

/// Sends mail.
pub struct Mailer {
    from: Mailbox,
    server: Option<Server>,
}

impl Mailer {
    /// Makes the mailer without connecting.
    ///
    /// # Errors
    /// As [`MailOptions::check`].
    pub fn new(options: &MailOptions) -> Result<Self> {
        let from: Mailbox = options.from.parse().ok().with_context(|| {
            format!(
                "the sender of mail, {:?}, is not a mail address; write for example `Gather <gather@gather.example>`",
                options.from
            )
        })?;
        let domain = from.email.domain();
        let server = options.smtp_url.as_deref();
        Ok(Self {
            server: server.map(|url| Server::parse(url, domain)).transpose()?,
            from,
        })
    }

    /// Sends one mail.
    ///
    /// # Errors
    /// As [`Error`] says. The texts contain nothing of the mail.
    pub async fn send(&self, mail: &Mail) -> Result<(), Error> {
        let message = self.message(mail)?;
        if let Some(server) = &self.server {
            return server.deliver(&message).await;
        }
        // In development this is how one gets at the links.
        tracing::info!(
            to = mail.to,
            subject = mail.subject,
            text = %mail.text,
            "no SMTP server is configured; this mail was not sent"
        );
        Ok(())
    }

    fn message(&self, mail: &Mail) -> Result<Message, Error> {
        // A line break would begin a header of a stranger's own.
        let is_one_line = |text: &str| !text.contains(char::is_control);
        if !is_one_line(&mail.to) || !is_one_line(&mail.subject) {
            let why = "the address or the subject has a line break or another control character";
            return Err(Error::Refused(why.to_owned()));
        }
        let to: Address = mail
            .to
            .parse()
            .map_err(|_| Error::Refused("the address is malformed".to_owned()))?;
        let id = format!("<{}@{}>", Uuid::now_v7(), self.from.email.domain());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.as_str())
            .message_id(Some(id))
            .date_now()
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| Error::Refused(format!("it makes no message: {error}")))
    }
}
