//! What several inputs have: names, mail addresses, texts.

use email_address::{EmailAddress, Options};
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

/// The name of an account or a team.
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

/// PostgreSQL has no text with a zero in it.
pub fn printable(text: &str, _: &()) -> garde::Result {
    let zero = text.contains('\0');
    if zero {
        Err(garde::Error::new("must not contain a zero character"))
    } else {
        Ok(())
    }
}

/// A mail address that can be written to.
pub fn valid_email(text: &str, _: &()) -> garde::Result {
    let options = Options::default()
        .without_domain_literal()
        .without_display_text();
    let parses = EmailAddress::parse_with_options(text.trim(), options).is_ok();
    // Quoted local parts are allowed by RFC 5321, used by nobody, and a nuisance wherever they get.
    if !parses || !text.is_ascii() || text.len() > 254 || text.contains(['"', '\\']) {
        return Err(garde::Error::new("must be a mail address"));
    }
    Ok(())
}

/// A time that the database and RFC 3339 can tell in UTC.
pub fn sane_time(time: &OffsetDateTime, _: &()) -> garde::Result {
    let utc = time.checked_to_offset(UtcOffset::UTC);
    if utc.is_some_and(|utc| (1..=9998).contains(&utc.year())) {
        return Ok(());
    }
    Err(garde::Error::new("must be in the years 1 to 9998"))
}

/// As addresses are kept and compared.
pub fn normal_email(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn mail_addresses() {
        for good in [
            "ada@example.org",
            "a.b+c@mail.example.org",
            " Ada@Example.org ",
        ] {
            assert!(valid_email(good, &()).is_ok(), "{good}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "a@b@c",
            "Ada <ada@example.org>",
            "\"a b\"@example.org",
            "a@[127.0.0.1]",
            "a@example.org\nBcc: b@example.org",
            "a,b@example.org",
            "ädä@example.org",
            &long,
        ] {
            assert!(valid_email(bad, &()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_can_break_no_header(text in "[ -~\r\n]{0,30}@[ -~\r\n]{0,30}") {
            if valid_email(&text, &()).is_ok() {
                let kept = normal_email(&text);
                prop_assert!(!kept.contains(['\r', '\n', ' ', '<', '>', ',', ';', '"']), "{:?}", kept);
            }
        }
    }
}
