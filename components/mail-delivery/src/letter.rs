//! The texts of the mails.

use serde::Deserialize;

/// A mail that is due, as stored in the database.
#[derive(Debug, Deserialize)]
pub struct Recipient {
    /// The mail address.
    pub to: String,
    /// The account's name; `None` if several accounts claim the address.
    name: Option<String>,
    /// The purpose of the mail.
    purpose: String,
}

/// A mail's content.
#[derive(Debug, PartialEq, Eq)]
pub struct Letter {
    /// The subject, a single line.
    pub subject: String,
    /// The text, without markup.
    pub text: String,
}

impl Recipient {
    /// Writes the mail. `token` opens the link.
    ///
    /// # Errors
    /// The purpose is unknown, or the name could carry a message of its own.
    pub fn letter(&self, public_url: &str, token: &str) -> Result<Letter, &'static str> {
        let Some(name) = self.name.as_deref() else {
            return self.letter_to_several(public_url, token);
        };
        // A stranger chose the name, and somebody else reads it.
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.chars().all(plain) {
            return Err("The account's name can't be mailed.");
        }
        let notice = |happened: &str| {
            format!(
                "{happened}\n\n\
                 If it wasn't you, somebody else may have access to the account. Reset the\n\
                 password within a week: that ends all sessions, API keys and passkeys, and a\n\
                 second factor that was just added.\n\n\
                 {public_url}/account/forgot\n"
            )
        };
        let (subject, text) = match self.purpose.as_str() {
            "verify" => (
                "Confirm your mail address",
                format!(
                    "Somebody, we hope you, gave this mail address for the account {name} at\n\
                     {public_url}. To confirm that the address is yours, open this link:\n\n\
                     {public_url}/account/verify?token={token}\n\n\
                     It works once, for 24 hours. If it wasn't you, ignore this mail.\n"
                ),
            ),
            "reset" => (
                "Choose a new password",
                format!(
                    "Somebody, we hope you, asked for a new password of the account {name} at\n\
                     {public_url}. To choose one, open this link:\n\n\
                     {public_url}/account/reset?token={token}\n\n\
                     It works once, for 30 minutes. If it wasn't you, ignore this mail: the\n\
                     password stays as it is.\n"
                ),
            ),
            "registered" => (
                "You have an account already",
                format!(
                    "Somebody, perhaps you, wants to have this mail address for another account at\n\
                     {public_url}. It belongs to the account {name} already,\n\
                     and no other can have it while that one is there.\n\n\
                     If it was you, sign in with that account. If you don't know its password\n\
                     any more, reset it at\n\n\
                     {public_url}/account/forgot\n\n\
                     If it wasn't you, ignore this mail.\n"
                ),
            ),
            "password-changed" => (
                "Your password was changed",
                notice(&format!(
                    "The password of your account {name} was changed at\n\
                     {public_url}. Other sessions than the one that changed it were ended."
                )),
            ),
            "passkey-added" => (
                "A passkey was added to your account",
                notice(&format!(
                    "A passkey was added to your account {name} at\n\
                     {public_url}. Whoever has its device can sign in with it."
                )),
            ),
            "passkey-removed" => (
                "A passkey was removed from your account",
                notice(&format!(
                    "A passkey was removed from your account {name} at\n\
                     {public_url}. Nobody can sign in with it any more."
                )),
            ),
            "provider-linked" => (
                "Your account can be signed in to with a provider",
                notice(&format!(
                    "Somebody signed in to your account {name} at\n\
                     {public_url} with a provider for the first time."
                )),
            ),
            "key-created" => (
                "An API key was made for your account",
                notice(&format!(
                    "An API key was made for your account {name} at\n\
                     {public_url}. Whoever has it can act for you as far as it allows."
                )),
            ),
            "second-factor-added" => (
                "Your account has a second factor now",
                notice(&format!(
                    "A second factor was added to your account {name} at\n\
                     {public_url}. Signing in with the password asks for its code."
                )),
            ),
            "second-factor-removed" => (
                "Your account has no second factor any more",
                notice(&format!(
                    "The second factor of your account {name} was removed at\n\
                     {public_url}. Signing in does not ask for a code any more."
                )),
            ),
            _ => return Err("Mail of this purpose is unknown here."),
        };
        Ok(Letter {
            subject: subject.to_owned(),
            text,
        })
    }

    /// Writes to an address that several accounts claim. The accounts are not named, because strangers chose their
    /// names.
    fn letter_to_several(&self, public_url: &str, token: &str) -> Result<Letter, &'static str> {
        if self.purpose != "reset" {
            return Err("Mail of this purpose is about one account.");
        }
        Ok(Letter {
            subject: "Choose a new password".to_owned(),
            text: format!(
                "Somebody, we hope you, asked for a new password of an account with this mail\n\
                 address at {public_url}. Several accounts claim the address,\n\
                 and the first that proves it has it. To choose a password for yours, open this\n\
                 link; it asks for the account's name:\n\n\
                 {public_url}/account/reset?token={token}\n\n\
                 It works once, for 30 minutes. If it wasn't you, ignore this mail: all\n\
                 passwords stay as they are.\n"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://gather.example";
    const TOKEN: &str = "AbC-_123";

    fn recipient(name: &str, purpose: &str) -> Recipient {
        Recipient {
            to: "ada@example.org".to_owned(),
            name: Some(name.to_owned()),
            purpose: purpose.to_owned(),
        }
    }

    fn letter(purpose: &str) -> Letter {
        recipient("ada-1", purpose)
            .letter(URL, TOKEN)
            .expect("a letter")
    }

    /// The links of a text to the account's pages, each on its own line.
    fn links(text: &str) -> Vec<&str> {
        text.lines()
            .filter(|line| line.contains("/account/"))
            .collect()
    }

    #[test]
    fn each_purpose_has_its_link_and_its_time() {
        let verify = letter("verify");
        assert_eq!(verify.subject, "Confirm your mail address");
        assert_eq!(
            links(&verify.text),
            ["https://gather.example/account/verify?token=AbC-_123"]
        );
        assert!(verify.text.contains("ada-1") && verify.text.contains("once, for 24 hours"));
        let reset = letter("reset");
        assert_eq!(
            links(&reset.text),
            ["https://gather.example/account/reset?token=AbC-_123"]
        );
        assert!(reset.text.contains("once, for 30 minutes"));
        for purpose in ["verify", "reset", "registered"] {
            assert!(letter(purpose).text.contains("ignore this mail"));
        }
    }

    const NOTICES: [&str; 8] = [
        "registered",
        "password-changed",
        "passkey-added",
        "passkey-removed",
        "provider-linked",
        "key-created",
        "second-factor-added",
        "second-factor-removed",
    ];

    #[test]
    fn notices_carry_no_token() {
        for purpose in NOTICES {
            let notice = letter(purpose);
            assert_eq!(
                links(&notice.text),
                ["https://gather.example/account/forgot"]
            );
            assert!(!notice.text.contains(TOKEN), "{}", notice.text);
            assert!(notice.text.contains("ada-1"), "{}", notice.text);
        }
    }

    #[test]
    fn subjects_are_one_line_and_the_same_for_everybody() {
        for purpose in [&["verify", "reset"], NOTICES.as_slice()].concat() {
            let subject = letter(purpose).subject;
            assert!(!subject.contains("ada") && !subject.contains(char::is_control));
        }
    }

    #[test]
    fn a_name_says_nothing_of_its_own() {
        for bad in [
            "ada\nSubject: x",
            "http://evil.example",
            "www.evil.example",
            "Ada",
            "a b",
        ] {
            let letter = recipient(bad, "verify").letter(URL, TOKEN);
            assert_eq!(letter, Err("The account's name can't be mailed."), "{bad}");
        }
    }

    #[test]
    fn where_several_claim_the_address_none_is_named() {
        let to_several = |purpose: &str| {
            let recipient = Recipient {
                name: None,
                ..recipient("ada-1", purpose)
            };
            recipient.letter(URL, TOKEN)
        };
        let reset = to_several("reset").expect("a letter");
        assert_eq!(reset.subject, letter("reset").subject);
        assert_eq!(links(&reset.text), links(&letter("reset").text));
        assert!(reset.text.contains("ignore this mail"), "{}", reset.text);
        assert!(to_several("verify").is_err() && to_several("registered").is_err());
    }

    #[test]
    fn an_unknown_purpose_is_an_error() {
        assert!(recipient("ada", "other").letter(URL, TOKEN).is_err());
    }

    #[test]
    fn the_databases_answer_is_read() {
        let row = r#"{"mail": {"to": "a@b.example", "name": "ada", "purpose": "verify", "expires_at": "2026-01-01T00:00:00Z"}}"#;
        let found: crate::Found = serde_json::from_str(row).expect("a mail");
        assert_eq!(found.mail.expect("a mail").to, "a@b.example");
        let none: crate::Found = serde_json::from_str(r#"{"mail": null}"#).expect("none");
        assert!(none.mail.is_none());
    }
}
