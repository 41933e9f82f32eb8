use super::*;
use hpke::{aead::AeadCtxR, setup_receiver};
use proptest::prelude::*;

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(char::is_whitespace, "")).expect("hex")
}

/// RFC 9180, A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode.
#[test]
fn opens_what_the_rfc_sealed() {
    let (private, public) = X25519HkdfSha256::derive_keypair(&unhex(
        "1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df",
    ));
    assert_eq!(
        private.to_bytes().to_vec(),
        unhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
    );
    assert_eq!(
        public.to_bytes().to_vec(),
        unhex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a")
    );
    let encapsulated = Deserializable::from_bytes(&unhex(
        "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
    ))
    .expect("a key");
    let mut context: AeadCtxR<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256> = setup_receiver(
        &OpModeR::Base,
        &private,
        &encapsulated,
        &unhex("4f6465206f6e2061204772656369616e2055726e"),
    )
    .expect("a context");
    let plain = unhex("4265617574792069732074727574682c20747275746820626561757479");
    for (aad, sealed) in [
        (
            "436f756e742d30",
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28",
        ),
        (
            "436f756e742d31",
            "6b53c051e4199c518de79594e1c4ab18b96f081549d45ce015be002090bb119e85285337cc95ba5f59992dc98c",
        ),
    ] {
        let opened = context.open(&unhex(sealed), &unhex(aad));
        assert_eq!(opened.expect("opened"), plain);
    }
}

/// Fixed for good: another derivation could open nothing that was sealed before.
#[test]
fn the_key_pair_of_a_secret_never_changes() {
    let (_, public) = key_pair(&[11; 32]);
    let (_, again) = key_pair(&[11; 32]);
    assert_eq!(public.to_bytes(), again.to_bytes());
    let (_, other) = key_pair(&[12; 32]);
    assert_ne!(public.to_bytes(), other.to_bytes());
}

fn binding() -> Binding {
    Binding {
        secret: Uuid::from_u128(1),
        version: 1,
        owner: Owner::Account(Uuid::from_u128(2)),
    }
}

#[test]
fn a_seal_is_bound_to_secret_version_and_owner() {
    let (private, public) = key_pair(&[1; 32]);
    let sealed = public.seal(&binding(), b"canary").expect("sealed");
    assert_eq!(sealed.len(), 6 + OVERHEAD_BYTES);
    let opened = private.open(&binding(), &sealed).expect("opened");
    assert_eq!(opened.as_slice(), b"canary");
    for other in [
        Binding {
            secret: Uuid::from_u128(3),
            ..binding()
        },
        Binding {
            version: 2,
            ..binding()
        },
        Binding {
            owner: Owner::Account(Uuid::from_u128(3)),
            ..binding()
        },
        Binding {
            owner: Owner::Team(Uuid::from_u128(2)),
            ..binding()
        },
        Binding {
            owner: Owner::Platform,
            ..binding()
        },
    ] {
        assert!(private.open(&other, &sealed).is_none(), "{other:?}");
    }
    let (stranger, _) = key_pair(&[2; 32]);
    assert!(stranger.open(&binding(), &sealed).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_changed_does_not_open(value in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let (private, public) = key_pair(&[1; 32]);
        let mut sealed = public.seal(&binding(), &value).expect("sealed");
        let again = public.seal(&binding(), &value).expect("sealed");
        prop_assert_ne!(&sealed, &again);
        prop_assert_eq!(&*private.open(&binding(), &sealed).expect("opened"), &value);
        let at = at.index(sealed.len());
        sealed[at] ^= 1_u8 << bit;
        prop_assert!(private.open(&binding(), &sealed).is_none());
        prop_assert!(private.open(&binding(), &sealed[..at]).is_none());
    }
}
