//! The forms of settings: durations and addresses.

use std::{net::SocketAddr, time::Duration};

use url::Url;

/// Parses a duration such as `500ms`, `20s`, `2m` or `7d`; a bare number is seconds.
// The crate `humantime` takes no bare number, and takes `7M` for seven months where somebody meant `7m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(60 * 60))),
        "d" => Ok(Duration::from_secs(number.saturating_mul(24 * 60 * 60))),
        _ => Err(EXPECTED.to_owned()),
    }
}

const EXPECTED: &str = "expected a duration such as 500ms, 20s, 2m, 1h or 7d";

/// Parses a host with an address that an operator or author vouches for: `name=address:port`.
pub fn trusted_host(text: &str) -> Result<(String, SocketAddr), String> {
    let expected = "expected name=address:port, such as api.internal.example=10.0.0.5:443";
    let (name, address) = text.split_once('=').ok_or(expected)?;
    let address = address.parse().map_err(|_| expected)?;
    Ok((name.to_ascii_lowercase(), address))
}

/// Checks an `http` or `https` address, and keeps it unchanged.
pub fn http_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(text.to_owned()),
        _ => Err("expected http://… or https://…".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for bad in ["", "s", "1w", "-1s", "1.5s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
