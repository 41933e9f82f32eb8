//! Addresses that a visitor is sent to.

use http::Uri;

/// The address if it is a path of this server, else `/`. It guards every redirect to a given address.
#[must_use]
pub fn own_address(address: &str) -> &str {
    let is_own = address.starts_with('/')
        && !address.starts_with("//")
        && address.is_ascii()
        && !address.contains(['\\', '\r', '\n'])
        && address.parse::<Uri>().is_ok();
    if is_own { address } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_addresses_are_followed() {
        for own in ["/", "/posts?sort=new", "/a%20b"] {
            assert_eq!(own_address(own), own);
        }
        for other in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "posts",
            "/a\r\nb",
            // A header has no such letter, and no browser sends one: it encodes addresses.
            "/ä",
        ] {
            assert_eq!(own_address(other), "/", "{other}");
        }
    }
}
