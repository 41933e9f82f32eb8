//! The challenge that an agent signs to authenticate: a text that names this server and its purpose, valid for a
//! minute, for one key and for one use.
//!
//! `gather-authenticate-v1:<server>:<nonce>:<expiry>:<digest of the key>:<mac>`. The MAC is made with the server's
//! secret, so nothing is stored until a challenge is used, and asking for one reveals nothing about the key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// The lifetime of a challenge.
pub const SECONDS: i64 = 60;

/// The longest server address that leaves a challenge within 300 characters.
pub const MAX_SERVER_BYTES: usize = 160;

const PURPOSE: &str = "gather-authenticate-v1";

/// The nonce of a challenge, which is stored once it is used.
pub type Nonce = [u8; 16];

/// Makes a challenge for a key, valid until a Unix time.
pub fn issue(
    secret: &[u8; 32],
    server: &str,
    key: &[u8; 32],
    nonce: Nonce,
    expires: i64,
) -> String {
    let nonce = URL_SAFE_NO_PAD.encode(nonce);
    let key = URL_SAFE_NO_PAD.encode(digest(key));
    let signed = format!("{PURPOSE}:{server}:{nonce}:{expires}:{key}");
    let mac = URL_SAFE_NO_PAD.encode(mac(secret, &signed).finalize().into_bytes());
    format!("{signed}:{mac}")
}

/// The nonce and the expiry of a challenge that this server made for this key; `None` for anything else. The time is
/// not checked.
pub fn open(secret: &[u8; 32], server: &str, key: &[u8; 32], text: &str) -> Option<(Nonce, i64)> {
    let (signed, tag) = text.rsplit_once(':')?;
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    mac(secret, signed).verify_slice(&tag).ok()?;
    // From here on the text is known to be the server's, so constant time does not matter.
    let rest = signed.strip_prefix(PURPOSE)?.strip_prefix(':')?;
    let rest = rest.strip_prefix(server)?.strip_prefix(':')?;
    let mut fields = rest.split(':');
    let nonce = URL_SAFE_NO_PAD
        .decode(fields.next()?)
        .ok()?
        .try_into()
        .ok()?;
    let expires = fields.next()?.parse().ok()?;
    let for_this_key = fields.next()? == URL_SAFE_NO_PAD.encode(digest(key));
    (for_this_key && fields.next().is_none()).then_some((nonce, expires))
}

/// Half of SHA-256 distinguishes keys well enough and keeps the text short.
fn digest(key: &[u8; 32]) -> [u8; 16] {
    let whole = Sha256::digest(key);
    std::array::from_fn(|at| whole[at])
}

fn mac(secret: &[u8; 32], text: &str) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(secret).expect("HMAC takes any length");
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: [u8; 32] = [1; 32];
    const KEY: [u8; 32] = [2; 32];
    const SERVER: &str = "http://127.0.0.1:3000";

    #[test]
    fn it_names_server_and_purpose_in_300_characters() {
        let server = "s".repeat(MAX_SERVER_BYTES);
        let text = issue(&SECRET, &server, &KEY, [255; 16], i64::MAX);
        assert!(text.is_ascii() && text.len() <= 300, "{}", text.len());
        assert!(text.contains(&server) && text.contains("authenticate"));
    }

    #[test]
    fn it_is_for_one_server_one_key_one_secret() {
        let text = issue(&SECRET, SERVER, &KEY, [3; 16], 60);
        assert_eq!(open(&SECRET, SERVER, &KEY, &text), Some(([3; 16], 60)));
        assert_eq!(open(&SECRET, "http://127.0.0.1", &KEY, &text), None);
        assert_eq!(open(&SECRET, SERVER, &[9; 32], &text), None);
        assert_eq!(open(&[9; 32], SERVER, &KEY, &text), None);
    }

    proptest! {
        #[test]
        fn any_text_is_refused(text in ".*") {
            prop_assert_eq!(open(&SECRET, SERVER, &KEY, &text), None);
        }

        #[test]
        fn a_changed_character_is_refused(at in any::<prop::sample::Index>(), to in "[ -~]") {
            let text = issue(&SECRET, SERVER, &KEY, [3; 16], 60);
            let at = at.index(text.len());
            let mut changed = text.clone();
            changed.replace_range(at..=at, &to);
            let opened = open(&SECRET, SERVER, &KEY, &changed);
            prop_assert_eq!(opened.is_some(), changed == text);
        }

        #[test]
        fn what_is_issued_opens(nonce: [u8; 16], expires: i64, key: [u8; 32], server in "[a-z:/.0-9]{1,40}") {
            let text = issue(&SECRET, &server, &key, nonce, expires);
            prop_assert_eq!(open(&SECRET, &server, &key, &text), Some((nonce, expires)));
        }
    }
}
