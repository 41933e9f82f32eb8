//! Mail against a server that speaks the real protocol over a real socket, and misbehaves when told to.

mod stand_in;

use super::*;
use stand_in::{Does, StandIn};
use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

fn mailer(smtp_url: Option<String>) -> Mailer {
    let options = MailOptions {
        smtp_url,
        from: "Gather <gather@gather.example>".to_owned(),
    };
    Mailer::new(&options).expect("a mailer")
}

fn mail(text: &str) -> Mail {
    Mail {
        to: "ada@example.org".to_owned(),
        subject: "Hello".to_owned(),
        text: text.to_owned(),
    }
}

/// The value of a header, with its continuation lines joined.
fn header<'a>(mail: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = mail.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn body(mail: &str) -> &str {
    mail.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn is_refused(sent: &Result<(), Error>) -> bool {
    matches!(sent, Err(Error::Refused(_)))
}

fn is_unavailable(sent: &Result<(), Error>) -> bool {
    matches!(sent, Err(Error::Unavailable(_)))
}

#[tokio::test]
async fn a_mail_arrives_byte_for_byte() {
    let server = StandIn::start(&["8BITMIME"], &[]).await;
    let text = "one\n.\n..two\n.three\n\nhttps://gather.example/account/verify?token=abc\n";
    server.mailer().send(&mail(text)).await.expect("sent");
    let heard = server.heard();
    assert_eq!(
        heard.commands,
        [
            "EHLO gather.example",
            "MAIL FROM:<gather@gather.example>",
            "RCPT TO:<ada@example.org>",
            "DATA",
            "QUIT"
        ]
    );
    let [mail] = &heard.mails[..] else {
        panic!("{} mails", heard.mails.len());
    };
    assert_eq!(header(mail, "From"), Some("Gather <gather@gather.example>"));
    assert_eq!(header(mail, "To"), Some("ada@example.org"));
    assert_eq!(header(mail, "Subject"), Some("Hello"));
    assert_eq!(
        header(mail, "Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    let date = header(mail, "Date").expect("a date");
    assert!(date.ends_with(" +0000"), "{date}");
    let id = header(mail, "Message-ID").expect("an id");
    assert!(
        id.starts_with('<') && id.ends_with("@gather.example>"),
        "{id}"
    );
    // A dot that begins a line is doubled on the wire; the protocol's own line end comes after ours.
    assert_eq!(
        body(mail),
        "one\r\n..\r\n...two\r\n..three\r\n\r\nhttps://gather.example/account/verify?token=abc\r\n\r\n"
    );
}

#[tokio::test]
async fn each_mail_has_an_id_and_a_connection_of_its_own() {
    let server = StandIn::start(&[], &[]).await;
    let mailer = server.mailer();
    for _ in 0..2 {
        mailer.send(&mail("x")).await.expect("sent");
    }
    let heard = server.heard();
    let ids: Vec<_> = heard
        .mails
        .iter()
        .map(|m| header(m, "Message-ID"))
        .collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    let greetings = heard.commands.iter().filter(|c| c.starts_with("EHLO"));
    assert_eq!(greetings.count(), 2);
}

#[tokio::test]
async fn other_languages_arrive_in_seven_bits() {
    let server = StandIn::start(&[], &[]).await;
    let mail = Mail {
        to: "ada@example.org".to_owned(),
        subject: "Grüße an Ада".to_owned(),
        text: "Grüße, 世界 = .\n".to_owned(),
    };
    server.mailer().send(&mail).await.expect("sent");
    let heard = server.heard();
    let arrived = &heard.mails[0];
    assert!(arrived.is_ascii(), "{arrived}");
    let subject = header(arrived, "Subject").expect("a subject");
    // RFC 2047: base64 of each word that needs it.
    assert_eq!(subject, "=?utf-8?b?R3LDvMOfZQ==?= an =?utf-8?b?0JDQtNCw?=");
    let (encoding, expected) = match header(arrived, "Content-Transfer-Encoding") {
        Some(encoding @ "quoted-printable") => (
            encoding,
            "Gr=C3=BC=C3=9Fe, =E4=B8=96=E7=95=8C =3D .\r\n\r\n",
        ),
        Some(encoding @ "base64") => (encoding, "R3LDvMOfZSwg5LiW55WMID0gLg0K\r\n"),
        other => panic!("{other:?}"),
    };
    assert_eq!(body(arrived), expected, "{encoding}");
}

#[tokio::test]
async fn a_permanent_refusal_of_the_mail_is_final() {
    for script in [
        &[("MAIL", Does::Says("550 not from here"))][..],
        &[("RCPT", Does::Says("550 5.1.1 <ada@example.org>: nobody"))],
        &[("DATA", Does::Says("554 no"))],
        &[(".", Does::Says("552 too large"))],
    ] {
        let server = StandIn::start(&[], script).await;
        let sent = server.mailer().send(&mail("x")).await;
        let Err(Error::Refused(why)) = &sent else {
            panic!("{}: {sent:?}", script[0].0);
        };
        assert!(!why.contains("ada") && !why.contains("nobody"), "{why}");
    }
}

#[tokio::test]
async fn what_may_pass_is_to_be_tried_again() {
    for script in [
        &[("", Does::Says("421 too busy"))][..],
        &[("", Does::Says("554 not for you"))],
        &[("MAIL", Does::Says("451 later"))],
        &[("RCPT", Does::Says("451 greylisted"))],
        &[(".", Does::Says("452 disk full"))],
        &[("", Does::HangsUp)],
        &[("DATA", Does::HangsUp)],
        &[(".", Does::HangsUp)],
        &[("", Does::Waits)],
        &[("RCPT", Does::Waits)],
        &[(".", Does::Waits)],
        &[("RCPT", Does::Says("nonsense"))],
    ] {
        let server = StandIn::start(&[], script).await;
        let sent = server.mailer().send(&mail("x")).await;
        assert!(is_unavailable(&sent), "{}: {sent:?}", script[0].0);
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = nobody.local_addr().expect("an address").port();
    drop(nobody);
    let mailer = mailer(Some(format!("smtp://127.0.0.1:{port}")));
    assert!(is_unavailable(&mailer.send(&mail("x")).await));
}

/// The mail was taken, so a second attempt would send a second mail.
#[tokio::test]
async fn a_server_that_ends_rudely_has_taken_the_mail() {
    for does in [Does::HangsUp, Does::Says("554 what?")] {
        let script: &'static [_] = match does {
            Does::HangsUp => &[("QUIT", Does::HangsUp)],
            _ => &[("QUIT", Does::Says("554 what?"))],
        };
        let server = StandIn::start(&[], script).await;
        server.mailer().send(&mail("x")).await.expect("sent");
    }
}

#[tokio::test]
async fn a_slow_server_holds_up_nobody_else() {
    let slow = StandIn::start(&[], &[("RCPT", Does::Waits)]).await;
    let quick = StandIn::start(&[], &[]).await;
    let (slow, quick) = (slow.mailer(), quick.mailer());
    let mail = mail("x");
    tokio::select! {
        biased;
        sent = slow.send(&mail) => panic!("the slow one was first: {sent:?}"),
        sent = quick.send(&mail) => sent.expect("sent"),
    }
}

#[tokio::test]
async fn nothing_of_a_stranger_becomes_a_header() {
    let server = StandIn::start(&[], &[]).await;
    let mailer = server.mailer();
    for to in [
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org\nBcc: eve@example.org",
        "ada@example.org\r\n",
        "ada@example.org\0",
        "ada@example.org>\r\nRCPT TO:<eve@example.org",
        "\"ada\r\nDATA\"@example.org",
        "ada@example.org, eve@example.org",
        "Ada <ada@example.org>",
        "ada",
        "ada@",
        "@example.org",
        "",
    ] {
        let sent = mailer
            .send(&Mail {
                to: to.to_owned(),
                ..mail("x")
            })
            .await;
        assert!(is_refused(&sent), "{to:?}: {sent:?}");
    }
    for subject in ["a\r\nBcc: eve@example.org", "a\n b", "a\rb", "a\u{85}b"] {
        let sent = mailer
            .send(&Mail {
                subject: subject.to_owned(),
                ..mail("x")
            })
            .await;
        assert!(is_refused(&sent), "{subject:?}: {sent:?}");
    }
    assert!(server.heard().commands.is_empty(), "nothing was connected");

    // A text is not a header, whatever it begins with.
    let text = "Bcc: eve@example.org\r\n\r\n.\r\nMAIL FROM:<eve@example.org>\r\n";
    mailer.send(&mail(text)).await.expect("sent");
    let heard = server.heard();
    assert_eq!(header(&heard.mails[0], "Bcc"), None);
    assert_eq!(heard.mails.len(), 1);
    let senders = heard.commands.iter().filter(|c| c.starts_with("MAIL"));
    assert_eq!(senders.count(), 1);
}

#[tokio::test]
async fn nothing_is_sent_without_the_tls_that_was_asked_for() {
    let server = StandIn::start(&["AUTH PLAIN"], &[]).await;
    let url = format!("smtp://me:s3cret@127.0.0.1:{}?tls=required", server.port);
    let sent = mailer(Some(url)).send(&mail("x")).await;
    assert!(is_unavailable(&sent), "{sent:?}");
    let heard = server.heard();
    let said_more = |command: &String| !command.starts_with("EHLO") && command != "QUIT";
    assert!(
        !heard.commands.iter().any(said_more),
        "{:?}",
        heard.commands
    );
}

#[tokio::test]
async fn it_signs_in_and_a_wrong_password_is_no_refusal_of_the_mail() {
    // Base64 of "\0me@x\0p@ss/w".
    const SIGNS_IN: &str = "AUTH PLAIN AG1lQHgAcEBzcy93";
    let url = |port| {
        Some(format!(
            "smtp://me%40x:p%40ss%2Fw@127.0.0.1:{port}/mta.example"
        ))
    };
    let server = StandIn::start(&["AUTH PLAIN LOGIN"], &[]).await;
    let sent = mailer(url(server.port)).send(&mail("x")).await;
    assert!(sent.is_ok(), "{sent:?}");
    assert_eq!(
        server.heard().commands[..2],
        ["EHLO mta.example".to_owned(), SIGNS_IN.to_owned()]
    );

    // One that repeats what it was told.
    let script = &[("AUTH", Does::Says("535 wrong: p@ss/w AG1lQHgAcEBzcy93"))];
    let server = StandIn::start(&["AUTH PLAIN"], script).await;
    let log = Log::default();
    let _guard = log.listen();
    let sent = mailer(url(server.port)).send(&mail("x")).await;
    assert!(is_unavailable(&sent), "{sent:?}");
    let told = format!("{sent:?}{}", log.text());
    assert!(told.contains("535"), "{told}");
    assert!(
        !told.contains("p@ss") && !told.contains("AG1lQHgAcEBzcy93"),
        "{told}"
    );
}

#[tokio::test]
async fn without_a_server_the_log_has_the_mail() {
    let log = Log::default();
    let _guard = log.listen();
    let text = "Open this link:\n\nhttp://127.0.0.1:3000/account/verify?token=abc\n";
    mailer(None).send(&mail(text)).await.expect("logged");
    let told = log.text();
    for expected in [
        "no SMTP server is configured; this mail was not sent",
        "INFO",
        "ada@example.org",
        "Hello",
        "\nhttp://127.0.0.1:3000/account/verify?token=abc\n",
    ] {
        assert!(told.contains(expected), "{expected:?} is not in {told}");
    }
    let mut unfit = mail("x");
    unfit.to = "nobody".to_owned();
    assert!(is_refused(&mailer(None).send(&unfit).await));
}

#[test]
fn addresses_of_mail_servers() {
    let new = |url: &str| {
        Mailer::new(&MailOptions {
            smtp_url: Some(url.to_owned()),
            ..MailOptions::default()
        })
    };
    for good in [
        "smtp://localhost",
        "smtp://[::1]:25",
        "smtp://user:password@host:587?tls=required",
        "smtp://host?tls=opportunistic",
        "smtps://user:password@host",
        "smtps://user:password@host:465/mta.example",
    ] {
        assert!(new(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "hunter2",
        "host:587",
        "smtp://",
        "smtp:///hunter2",
        "http://user:hunter2@host",
        "smtp://user:hunter2@host?tls=yes",
        "smtps://user:hunter2@host?tls=required",
        "smtp://user:hunter2@host?tsl=required",
        "smtp://user:hunter2@host:99999",
        "smtp://hunter2@host",
        "smtp://:hunter2@host",
        "smtp://user:hunter2%ff@host",
    ] {
        let Err(error) = new(bad) else {
            panic!("{bad:?} was taken");
        };
        let error = format!("{error:#}");
        assert!(
            error.contains("smtp://user:password@host:587?tls=required"),
            "{bad}: {error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
    for from in [
        "gather",
        "",
        "Gather <gather>",
        "a@b.example\nBcc: c@d.example",
    ] {
        let from = from.to_owned();
        let options = MailOptions {
            smtp_url: None,
            from,
        };
        assert!(Mailer::new(&options).is_err(), "{:?}", options.from);
    }
}

/// The log of one thread.
#[derive(Default, Clone)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_password_goes_in_clear_to_this_machine_only() {
    let new = |url: &str| {
        Mailer::new(&MailOptions {
            smtp_url: Some(url.to_owned()),
            ..MailOptions::default()
        })
    };
    for good in [
        "smtp://user:hunter2@localhost",
        "smtp://user:hunter2@127.0.0.1:2525",
        "smtp://user:hunter2@[::1]:25",
        "smtp://user:hunter2@localhost?tls=opportunistic",
        "smtp://user:hunter2@host?tls=required",
        "smtps://user:hunter2@host",
        // There is nothing to hide.
        "smtp://host:25",
    ] {
        assert!(new(good).is_ok(), "{good}");
    }
    for bad in [
        "smtp://user:hunter2@host",
        "smtp://user:hunter2@host:587",
        // Whoever is in between could say that the server has no TLS.
        "smtp://user:hunter2@host?tls=opportunistic",
        "smtp://user:hunter2@192.0.2.1",
        "smtp://user:hunter2@[2001:db8::1]:25",
        "smtp://user:hunter2@localhost.example",
        "smtp://user:hunter2@127.0.0.1.example",
        "smtp://localhost:hunter2@host",
    ] {
        let Err(error) = new(bad) else {
            panic!("{bad:?} was taken");
        };
        let error = format!("{error:#}");
        assert!(
            error.contains("in clear") && error.contains("?tls=required"),
            "{bad}: {error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
}
