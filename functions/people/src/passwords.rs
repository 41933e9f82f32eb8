//! Passwords: which are good enough, and how they are kept.

use argon2::{Algorithm, Argon2, Params, Version};
use guest::{Problem, Result};
use hmac::{Hmac, Mac};
use principal::seal;
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization;

/// The shortest password.
pub const MIN_CHARS: usize = 12;
/// The longest: more would only cost time.
pub const MAX_CHARS: usize = 256;
/// As long as [`MAX_CHARS`] are at most, decomposed into four code points each.
const MAX_BYTES: usize = 4096;

/// Which of the parameters below a hash was made with. When they change, this grows.
pub const CURRENT_VERSION: i16 = 1;
/// Argon2id (RFC 9106), one lane, well above the least of OWASP's password storage cheat sheet (12 MiB and three passes): a
/// twentieth to a tenth of a second in wasm.
const MEMORY_KIB: u32 = 16 * 1024;
const PASSES: u32 = 4;

/// The 20,000 most common ones that Django ships with (after Royce Williams's list), those of at least four printable
/// ASCII characters; sorted.
const COMMON: &str = include_str!("common_passwords.txt");

/// Argon2id of a password. The salt follows from the mail address and a secret that the database never sees: so the
/// same work is done for known and unknown addresses, before anything is looked up.
pub async fn hash(email: &str, password: &str) -> Result<[u8; 32]> {
    // What is refused for a new password is nobody's.
    let password = prepared(password).unwrap_or_default();
    derive(&seal::subkey("password").await?, email, &password)
}

/// A password as it is kept and compared, so that it is the same on every keyboard: the profile OpaqueString of RFC 8265,
/// with the characters of Unicode's current version in place of a list.
fn prepared(password: &str) -> std::result::Result<String, &'static str> {
    const TOO_LONG: &str = "must have at most 256 characters";
    if password.len() > MAX_BYTES {
        return Err(TOO_LONG);
    }
    if password.chars().any(char::is_control) {
        return Err("must not contain control characters");
    }
    let prepared: String = password.chars().map(plain_space).nfc().collect();
    if prepared.is_empty() {
        return Err("must not be empty");
    }
    if prepared.chars().count() > MAX_CHARS {
        return Err(TOO_LONG);
    }
    Ok(prepared)
}

/// ASCII's space for any other space (Unicode's general category Zs).
fn plain_space(c: char) -> char {
    match c {
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            ' '
        }
        other => other,
    }
}

fn derive(secret: &[u8; 32], email: &str, password: &str) -> Result<[u8; 32]> {
    let mut salt = <Hmac<Sha256> as Mac>::new_from_slice(secret).map_err(Problem::internal)?;
    salt.update(email.as_bytes());
    let salt = salt.finalize().into_bytes();
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(Problem::internal)?;
    let argon = Argon2::new_with_secret(secret, Algorithm::Argon2id, Version::V0x13, params)
        .map_err(Problem::internal)?;
    let mut hash = [0; 32];
    argon
        .hash_password_into(password.as_bytes(), &salt, &mut hash)
        .map_err(Problem::internal)?;
    Ok(hash)
}

/// Why a password is not good enough for the person with this address and name; `None`: it is.
pub fn weakness(password: &str, email: &str, name: &str) -> Option<&'static str> {
    let password = match prepared(password) {
        Ok(password) => password,
        Err(why) => return Some(why),
    };
    if password.chars().count() < MIN_CHARS {
        return Some("must have at least 12 characters");
    }
    let lower = password.to_lowercase();
    let local = email.split('@').next().unwrap_or_default();
    let personal = [email, local, name].into_iter();
    if personal
        .filter(|word| word.len() >= 4)
        .any(|word| without(&lower, word).len() < 6)
    {
        return Some("must not be your name or address with a few characters more");
    }
    if is_common(&lower) {
        return Some(
            "is too common, or a common one with digits or repeated; a few random words are better",
        );
    }
    None
}

fn without(text: &str, word: &str) -> String {
    text.replace(word, "")
}

/// One of the list, as it is, after what people put around such a one, or several times over.
fn is_common(lower: &str) -> bool {
    let filler = |c: char| c.is_ascii_digit() || c.is_ascii_punctuation() || c == ' ';
    let core = lower.trim_matches(filler);
    [lower, core, repeated(lower), repeated(core)]
        .into_iter()
        .any(|word| word.chars().count() < 4 || is_listed(word))
}

fn is_listed(word: &str) -> bool {
    thread_local! {
        static LINES: Vec<&'static str> = COMMON.lines().collect();
    }
    LINES.with(|lines| lines.binary_search(&word).is_ok())
}

/// `abcabcabc` → `abc`; what is no repetition is left as it is.
fn repeated(text: &str) -> &str {
    let found = (1..=text.len() / 2).find(|unit| {
        text.len().is_multiple_of(*unit)
            && text.is_char_boundary(*unit)
            && text
                .as_bytes()
                .chunks(*unit)
                .all(|part| part == &text.as_bytes()[..*unit])
    });
    found.map_or(text, |unit| &text[..unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_list_is_sorted() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.len() > 19_000 && lines.is_sorted());
    }

    #[test]
    fn common_passwords_are_refused() {
        for bad in [
            "short",
            "password1234",
            "Password!2024",
            "123456789012",
            "aaaaaaaaaaaaaa",
            "qwertyqwerty",
            "monkeymonkeymonkey",
            "ada@example.org1",
            "grace-hopper12",
            "            ",
            "",
            "correct horse\tbattery",
            "correct horse\0battery",
            // Twelve code points, and eight characters.
            "u\u{308}o\u{308}a\u{308}e\u{301}xyzq",
        ] {
            assert!(
                weakness(bad, "ada@example.org", "grace-hopper").is_some(),
                "{bad}"
            );
        }
        for good in [
            "correct horse battery",
            "Tr0ub4dor&3 and more",
            "ein langes deutsches Wort",
            "ünïcödé-pässwörd",
            "robots 🤖 dance",
            "한국어로 쓴 긴 비밀번호",
        ] {
            assert_eq!(
                weakness(good, "ada@example.org", "grace-hopper"),
                None,
                "{good}"
            );
        }
        assert!(weakness(&"long and random ".repeat(17), "a@b", "ada").is_some());
        let longest: String = (0..256)
            .filter_map(|n| char::from_u32(0xac00 + 31 * n))
            .collect();
        let longer = longest.clone() + "x";
        let decomposed: String = longest.nfd().collect();
        for good in [&longest, &decomposed] {
            assert_eq!(weakness(good, "a@b", "ada"), None, "256 characters");
        }
        let bad = Some("must have at most 256 characters");
        assert_eq!(weakness(&longer, "a@b", "ada"), bad);
        assert_eq!(weakness(&"x".repeat(1 << 20), "a@b", "ada"), bad);
    }

    #[test]
    fn a_password_is_the_same_on_every_keyboard() {
        for (typed, kept) in [
            ("pa\u{308}sswo\u{308}rd", "p\u{e4}ssw\u{f6}rd"),
            ("p\u{e4}ssw\u{f6}rd", "p\u{e4}ssw\u{f6}rd"),
            ("\u{212b}ngstr\u{f6}m", "\u{c5}ngstr\u{f6}m"),
            ("a\u{a0}b\u{3000}c\u{2003}d e", "a b c d e"),
            // Neither case nor width is mapped, and nothing is trimmed.
            (" Ab\u{ff23} ", " Ab\u{ff23} "),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
        ] {
            assert_eq!(prepared(typed).as_deref(), Ok(kept), "{typed}");
        }
        for refused in ["", "a\nb", "\u{7f}", "\u{85}"] {
            assert!(prepared(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_hash_is_of_one_password_address_and_secret() {
        let hash = derive(&[1; 32], "a@b.c", "correct horse").expect("a hash");
        assert_eq!(
            hash,
            derive(&[1; 32], "a@b.c", "correct horse").expect("a hash")
        );
        assert_ne!(
            hash,
            derive(&[1; 32], "a@b.d", "correct horse").expect("a hash")
        );
        assert_ne!(
            hash,
            derive(&[1; 32], "a@b.c", "correct Horse").expect("a hash")
        );
        assert_ne!(
            hash,
            derive(&[2; 32], "a@b.c", "correct horse").expect("a hash")
        );
    }

    proptest! {
        #[test]
        fn any_password_is_judged(password in ".{0,40}") {
            let short = prepared(&password).is_ok_and(|kept| kept.chars().count() < MIN_CHARS);
            prop_assert!(!short || weakness(&password, "a@b.c", "ada").is_some());
        }

        #[test]
        fn what_is_prepared_stays_so(password in any::<String>()) {
            let decomposed: String = password.nfd().collect();
            let kept = prepared(&password);
            prop_assert_eq!(&prepared(&decomposed), &kept);
            if let Ok(kept) = kept {
                prop_assert_eq!(prepared(&kept), Ok(kept));
            }
        }
    }
}
