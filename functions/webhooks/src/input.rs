//! Addresses, topics and types of events, as clients give them.

use guest::{Caller, Problem, Result, variable};
use public_address::{is_public, is_public_name};
use url::{Host, Url};

/// The topic of an event: `<kind>:<id>`.
pub fn topic(text: &str, _: &()) -> garde::Result {
    let fits = text.split_once(':').is_some_and(|(kind, id)| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !kind.is_empty()
            && kind.chars().all(|c| c.is_ascii_lowercase())
            && if kind == "tag" {
                (1..=40).contains(&id.chars().count())
                    && !id.contains(|c: char| c.is_whitespace() || c == ':')
            } else {
                (1..=100).contains(&id.len()) && id.chars().all(is_plain)
            }
    });
    if fits {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be `<kind>:<id>`, such as `account:me`",
    ))
}

/// A type of events, or the beginning of one before `.*`.
pub fn event_type(text: &str, _: &()) -> garde::Result {
    let name = text.strip_suffix(".*").unwrap_or(text);
    if text.len() <= 100 && name.split(['.', '-']).all(is_word) {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be a type such as `message.created`, or `message.*`",
    ))
}

/// Whether a text is a word of a type of events: `push`, `v2`.
pub fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Topics with the caller's own in place of `account:me`.
pub fn topics(caller: &Caller, topics: Vec<String>) -> Vec<String> {
    let own = |topic: String| match topic.as_str() {
        "account:me" => format!("account:{}", caller.id),
        _ => topic,
    };
    let mut topics: Vec<_> = topics.into_iter().map(own).collect();
    topics.sort();
    topics.dedup();
    topics
}

/// The name of a kind of sender.
pub fn source_name(text: &str, _: &()) -> garde::Result {
    if (1..=30).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(garde::Error::new("must be a name such as `github`"))
}

/// The address of a receiver: public and `https`, or what the operator vouches for. Names and passwords in it would be sent
/// to nobody. The name of its host is not resolved here: an attempt at a delivery does so.
pub async fn receiver(text: &str) -> Result<String> {
    let vouched_for = variable("webhook_hosts").await;
    let vouched_for = vouched_for.as_deref().unwrap_or_default();
    parse_receiver(text, vouched_for).map_err(|why| Problem::invalid("url", why))
}

fn parse_receiver(text: &str, vouched_for: &str) -> Result<String, &'static str> {
    let url =
        Url::parse(text).map_err(|_| "must be an address such as https://example.org/hook")?;
    let host = url.host_str().unwrap_or_default();
    let is_vouched_for = vouched_for
        .split(',')
        .any(|name| !name.is_empty() && name == host);
    match url.scheme() {
        "https" => {}
        "http" if is_vouched_for => {}
        _ => return Err("must begin with https://"),
    }
    let is_public = match url.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(name)) => is_public_name(name),
        None => false,
    };
    if !is_public && !is_vouched_for {
        return Err("must not be in a private network, unless the operator lists its host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not have a name or a password in it");
    }
    if url.fragment().is_some() {
        return Err("must not have a part behind `#`");
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_reached_by_tls_unless_the_operator_vouches_for_them() {
        let vouched_for = "inside.example,other.example";
        for good in [
            "https://a.example/x?y=1",
            "http://inside.example/x",
            "https://a.example:8443/",
        ] {
            assert_eq!(parse_receiver(good, vouched_for).as_deref(), Ok(good));
        }
        for bad in [
            "http://a.example/",
            "http://a.example",
            "ftp://inside.example/",
            "https://u:p@a.example/",
            "https://a.example/#x",
            "https://",
            "a.example",
            "file:///etc/passwd",
        ] {
            assert!(parse_receiver(bad, vouched_for).is_err(), "{bad}");
        }
        assert!(parse_receiver("http:///", "").is_err());
    }

    #[test]
    fn receivers_in_private_networks_are_the_listed_ones() {
        let vouched_for = "10.1.2.3,printer.local";
        for good in [
            "https://10.1.2.3/",
            "http://printer.local/x",
            "https://8.8.8.8/",
            "https://[2606:4700::1111]/",
        ] {
            assert_eq!(parse_receiver(good, vouched_for).as_deref(), Ok(good));
        }
        for private in [
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost:8443/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://10.0.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest",
            "https://0.0.0.0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fd00::1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://metadata.google.internal/",
            "https://postgres/",
            "https://１２７.0.0.1/",
        ] {
            let refused = parse_receiver(private, vouched_for);
            assert!(
                refused.is_err_and(|why| why.contains("private network")),
                "{private}"
            );
        }
    }

    #[test]
    fn topics_and_types_have_their_forms() {
        for good in ["account:me", "all:all", "tag:日本", "channel:0192-a"] {
            assert!(topic(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            ":a",
            "a:",
            "A:b",
            "a:b c",
            "tag:a b",
            "a:b:c",
            "channel:*",
        ] {
            assert!(topic(bad, &()).is_err(), "{bad}");
        }
        for good in [
            "message.created",
            "message.*",
            "auth.signed-in",
            "a",
            "github.projects-v2-item",
        ] {
            assert!(event_type(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "", "*", ".*", "message*", "Message", "a..b", "a.b.", "1a", "a.2",
        ] {
            assert!(event_type(bad, &()).is_err(), "{bad}");
        }
    }
}
