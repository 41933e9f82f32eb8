//! Addresses, topics and types of events, as clients give them.

use guest::{Caller, Problem, Result, variable};
use url::Url;

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
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    if text.len() <= 100 && name.split(['.', '-']).all(is_word) {
        return Ok(());
    }
    Err(garde::Error::new(
        "must be a type such as `message.created`, or `message.*`",
    ))
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

/// The address of a receiver: `https`, or what the operator vouches for. Names and passwords in it would be sent to nobody.
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
        for good in ["message.created", "message.*", "auth.signed-in", "a"] {
            assert!(event_type(good, &()).is_ok(), "{good}");
        }
        for bad in ["", "*", ".*", "message*", "Message", "a..b", "a.b.", "a1"] {
            assert!(event_type(bad, &()).is_err(), "{bad}");
        }
    }
}
