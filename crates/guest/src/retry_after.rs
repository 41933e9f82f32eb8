//! The pause before another attempt that an answer asks for.

use std::time::{Duration, SystemTime};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};

/// The pause that `Retry-After` asks for, in seconds or until a time in one of HTTP's three forms (RFC 9110); `None` if it
/// asks for none. A time counts from the answer's own `Date`, since the clock of whoever answers may be wrong; `now` stands
/// for one that is missing.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &HeaderName| Some(headers.get(name)?.to_str().ok()?.trim());
    let after = text(&RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = |text| httpdate::parse_http_date(text).ok();
    let sent = text(&DATE).and_then(time).unwrap_or(now);
    let at = time(after)?;
    Some(at.duration_since(sent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(after: &'static str, sent: Option<&'static str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
        headers.extend(sent.map(|sent| (DATE, HeaderValue::from_static(sent))));
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        retry_after(&headers, now)
    }

    #[test]
    fn a_pause_is_seconds_or_a_time_in_each_form() {
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
        for (after, seconds) in [
            ("3", Some(3)),
            (" 0 ", Some(0)),
            ("99999999999999999999", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(30)),
            ("Sun Nov  6 08:50:07 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(86_400)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(
                asked(after, None),
                seconds.map(Duration::from_secs),
                "{after}"
            );
        }
        let after = "Sun, 06 Nov 1994 10:00:05 GMT";
        let pause = asked(after, Some("Sun, 06 Nov 1994 10:00:00 GMT"));
        assert_eq!(pause, Some(Duration::from_secs(5)));
    }
}
