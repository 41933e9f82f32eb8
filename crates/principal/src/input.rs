//! What several inputs have: names, texts, times.

use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

/// Checks the name of an account or a team.
///
/// # Errors
/// Says what a name must be.
pub fn valid_name(text: &str, _: &()) -> garde::Result {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(3..=40).contains(&text.len()) || !text.bytes().all(allowed) {
        return Err(garde::Error::new("must be 3 to 40 of a-z, 0-9 and `-`"));
    }
    if text.parse::<Uuid>().is_ok() {
        return Err(garde::Error::new("must not have the form of an id"));
    }
    Ok(())
}

/// Checks a text: PostgreSQL has none with a zero in it.
///
/// # Errors
/// There is a zero character.
pub fn printable(text: &str, _: &()) -> garde::Result {
    let zero = text.contains('\0');
    if zero {
        Err(garde::Error::new("must not contain a zero character"))
    } else {
        Ok(())
    }
}

/// Checks that the database and RFC 3339 can tell a time in UTC.
///
/// # Errors
/// Says which years they can tell.
pub fn sane_time(time: &OffsetDateTime, _: &()) -> garde::Result {
    let utc = time.checked_to_offset(UtcOffset::UTC);
    if utc.is_some_and(|utc| (1..=9998).contains(&utc.year())) {
        return Ok(());
    }
    Err(garde::Error::new("must be in the years 1 to 9998"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(40);
        for good in ["abc", "a-b", "007", "---", &long] {
            assert!(valid_name(good, &()).is_ok(), "{good}");
        }
        let id = Uuid::nil().to_string();
        let plain_id = Uuid::nil().simple().to_string();
        let longer = "a".repeat(41);
        for bad in [
            "ab", "Abc", "a_b", "a b", "äbc", "", &longer, &id, &plain_id,
        ] {
            assert!(valid_name(bad, &()).is_err(), "{bad}");
        }
    }

    #[test]
    fn times() {
        let time = |text: &str| {
            OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
                .expect("RFC 3339")
        };
        assert!(sane_time(&time("2026-01-01T00:00:00+16:00"), &()).is_ok());
        for bad in [
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-15:00",
            "0001-01-01T00:00:00+15:00",
        ] {
            assert!(sane_time(&time(bad), &()).is_err(), "{bad}");
        }
    }
}
