//! Names and addresses, as clients give them.

use guest::{Problem, Result};
use url::Url;

/// The name of a provider.
pub fn provider_name(name: &str, _: &()) -> garde::Result {
    let is_part =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let fits = (1..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(is_part);
    if fits {
        return Ok(());
    }
    Err(garde::Error::new(
        "must have 1 to 40 of the characters a-z, 0-9, `.`, `_` and `-`, and begin with a letter or digit",
    ))
}

/// Checks the name of an alias.
///
/// # Errors
/// The name has a slash, or another character that names of aliases do not have.
pub fn alias_name(name: &str) -> Result<()> {
    let is_part = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | ':')
    };
    let fits = (1..=64).contains(&name.len())
        && !name.starts_with("platform:")
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(is_part);
    if fits {
        return Ok(());
    }
    Err(Problem::invalid(
        "alias",
        "must have 1 to 64 of the characters a-z, 0-9, `.`, `_`, `:` and `-`; a slash stands between a provider and its model",
    ))
}

/// A provider's address, and the provider whose public prices apply to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Address {
    pub url: String,
    pub catalogue: Option<&'static str>,
}

/// Reads the base URL of a provider.
///
/// # Errors
/// The text is not the address of a server.
pub fn address(text: &str) -> Result<Address> {
    let refused = |detail: &str| Problem::invalid("url", detail);
    let url = Url::parse(text.trim())
        .map_err(|_| refused("must be an address such as https://api.openai.com/v1"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused("must begin with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(
            "must not have a key in it; name a secret in `secret`",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("must not have a query or a fragment"));
    }
    let catalogue = match url.host_str().unwrap_or_default() {
        "api.openai.com" => Some("openai"),
        "api.anthropic.com" => Some("anthropic"),
        "api.deepseek.com" => Some("deepseek"),
        _ => None,
    };
    Ok(Address {
        url: url.as_str().trim_end_matches('/').to_owned(),
        catalogue,
    })
}

/// Whether a text names somebody who pays: `platform`, or a kind with an id.
pub fn is_subject(text: &str) -> bool {
    const KINDS: [&str; 7] = [
        "account", "team", "key", "claw", "circle", "pipeline", "project",
    ];
    text == "platform"
        || text.split_once(':').is_some_and(|(kind, id)| {
            KINDS.contains(&kind) && uuid::Uuid::try_parse(id).is_ok() && id.len() == 36
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_no_keys() {
        let read = |text| {
            address(text)
                .map(|address| (address.url, address.catalogue))
                .ok()
        };
        assert_eq!(
            read("https://api.openai.com/v1/"),
            Some(("https://api.openai.com/v1".to_owned(), Some("openai")))
        );
        assert_eq!(
            read("http://127.0.0.1:11434"),
            Some(("http://127.0.0.1:11434".to_owned(), None))
        );
        for bad in [
            "",
            "a",
            "ftp://a.example",
            "https://k:s@a.example",
            "https://a.example?key=1",
            "https://a.example#x",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_have_their_forms() {
        assert!(provider_name("openai-eu", &()).is_ok() && provider_name("Open AI", &()).is_err());
        assert!(alias_name("default").is_ok() && alias_name("openai/x").is_err());
        assert!(alias_name("platform:default").is_err());
        assert!(is_subject("platform") && is_subject("team:0192f2a8-7b1c-7def-8000-000000000000"));
        assert!(
            !is_subject("team:x") && !is_subject("banana:0192f2a8-7b1c-7def-8000-000000000000")
        );
    }
}
