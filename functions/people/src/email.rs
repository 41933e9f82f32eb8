//! Mail addresses.

use email_address::{EmailAddress, Options};

/// Checks that a mail address can be written to.
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

/// As addresses are kept and compared.
pub fn normal_email(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
