//! Passwords: which are good enough, and how they are kept.

use argon2::{Algorithm, Argon2, Params, Version};
use guest::{Problem, Result};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::secrets;

/// The shortest password.
pub const MIN_CHARS: usize = 12;
/// The longest: more would only cost time.
pub const MAX_BYTES: usize = 256;

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
    // A longer one can be nobody's; it would only cost time.
    let password = if password.len() <= MAX_BYTES {
        password
    } else {
        ""
    };
    derive(&secrets::subkey("password").await?, email, password)
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
    if password.chars().count() < MIN_CHARS {
        return Some("must have at least 12 characters");
    }
    if password.len() > MAX_BYTES {
        return Some("must have at most 256 bytes");
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
        ] {
            assert_eq!(
                weakness(good, "ada@example.org", "grace-hopper"),
                None,
                "{good}"
            );
        }
        assert!(weakness(&"long and random ".repeat(17), "a@b", "ada").is_some());
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
            let short = password.chars().count() < MIN_CHARS;
            prop_assert!(!short || weakness(&password, "a@b.c", "ada").is_some());
        }
    }
}
