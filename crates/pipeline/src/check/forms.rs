//! The forms of addresses and of types of events.

/// Whether a text is a type of events that can be waited for, or the beginning of types, as the database accepts them.
pub fn is_event_type(text: &str) -> bool {
    let body = text.strip_suffix(".*").unwrap_or(text);
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= 100 && body.split(['.', '-']).all(is_word)
}

/// The origin of an address, without a port that follows from the scheme.
pub fn origin(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let is_web = ["http", "https"].contains(&url.scheme())
        && url.username().is_empty()
        && url.password().is_none();
    is_web.then(|| url.origin().ascii_serialization())
}
