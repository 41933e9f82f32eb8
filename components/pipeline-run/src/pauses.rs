//! The pause before another attempt that the answer to a request asks for.

use std::time::SystemTime;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};

/// The longest pause that an answer may ask for.
const MAX_MS: u64 = 3_600_000;

/// The milliseconds that `Retry-After` asks for, as seconds or as a time; 0 if it does not. A time counts from the answer's
/// own `Date`, since the clock of whoever answers may be wrong.
pub fn asked_ms(headers: &HeaderMap, now: SystemTime) -> u64 {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(after) = text(&RETRY_AFTER) else {
        return 0;
    };
    if let Ok(seconds) = after.parse::<u64>() {
        return seconds.saturating_mul(1_000).min(MAX_MS);
    }
    let time = |text| httpdate::parse_http_date(text).ok();
    let sent = text(&DATE).and_then(time).unwrap_or(now);
    let pause = time(after).and_then(|at| at.duration_since(sent).ok());
    let pause = pause.unwrap_or_default().as_millis();
    u64::try_from(pause).unwrap_or(MAX_MS).min(MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::time::Duration;

    fn asked(after: &'static str, sent: Option<&'static str>) -> u64 {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
        headers.extend(sent.map(|sent| (DATE, HeaderValue::from_static(sent))));
        // Sun, 06 Nov 1994 08:49:37 GMT
        asked_ms(
            &headers,
            SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777),
        )
    }

    #[test]
    fn a_pause_is_seconds_or_a_time_and_an_hour_at_most() {
        assert_eq!(asked_ms(&HeaderMap::new(), SystemTime::now()), 0);
        for (after, pause) in [
            ("3", 3_000),
            ("99999999999999999999", 0),
            ("18446744073709551615", MAX_MS),
            ("Sun, 06 Nov 1994 08:50:07 GMT", 30_000),
            ("Sunday, 06-Nov-94 08:50:07 GMT", 30_000),
            ("Sun Nov  6 08:50:07 1994", 30_000),
            ("Sun, 06 Nov 1994 08:49:00 GMT", 0),
            ("Mon, 07 Nov 1994 08:49:37 GMT", MAX_MS),
            ("soon", 0),
        ] {
            assert_eq!(asked(after, None), pause, "{after}");
        }
        let after = "Sun, 06 Nov 1994 10:00:05 GMT";
        assert_eq!(asked(after, Some("Sun, 06 Nov 1994 10:00:00 GMT")), 5_000);
    }
}
