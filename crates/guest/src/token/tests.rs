//! Tokens that are verified, remembered and refused.

use super::*;
use crate::clock::unix_now;
use jwt_simple::prelude::{Claims, Ed25519KeyPair, EdDSAKeyPairLike, HeaderOptions};

const SERVER: &str = "https://gather.example";

fn verifier(pair: &Ed25519KeyPair) -> Verifier {
    let mut verifier = Verifier::default();
    verifier.learn(&news(pair, vec![]), unix_now());
    verifier
}

fn news(pair: &Ed25519KeyPair, revoked: Vec<Uuid>) -> News {
    let key = Key {
        kid: "k1".to_owned(),
        public_key: STANDARD.encode(pair.public_key().to_bytes()),
    };
    News {
        now: "2026-11-20T00:00:00Z".to_owned(),
        keys: vec![key],
        revoked,
        changed: vec![],
        caller: None,
        lease: None,
    }
}

/// A valid token, changed by `change` before it is signed.
fn token(
    pair: &Ed25519KeyPair,
    kid: &str,
    kind: &str,
    change: impl FnOnce(JWTClaims<AccessClaims>) -> JWTClaims<AccessClaims>,
) -> String {
    let custom = AccessClaims {
        kind: Kind::Agent,
        scope: "agent".into(),
        sid: Uuid::nil(),
        generation: 1,
        act: None,
    };
    let claims = Claims::with_custom_claims(custom, Duration::from_secs(TOKEN_SECONDS))
        .with_subject(Uuid::nil())
        .with_issuer(SERVER)
        .with_audience(SERVER);
    let header = HeaderOptions {
        signature_type: Some(kind.to_owned()),
        ..Default::default()
    };
    let pair = pair.clone().with_key_id(kid);
    pair.sign_with_options(change(claims), &header)
        .expect("signed")
}

fn verify(verifier: &mut Verifier, token: &str) -> Option<Caller> {
    verifier.recall(SERVER, Secret::Token(token), unix_now())
}

#[test]
fn a_good_token_is_verified_and_remembered() {
    let pair = Ed25519KeyPair::generate();
    let mut verifier = verifier(&pair);
    let token = token(&pair, "k1", TOKEN_TYPE, |claims| claims);
    assert_eq!(
        verify(&mut verifier, &token).expect("a caller").kind,
        Kind::Agent
    );
    verifier.keys.clear();
    assert!(verify(&mut verifier, &token).is_some(), "remembered");
    let later = unix_now() + TOKEN_SECONDS + 1;
    assert!(
        verifier
            .recall(SERVER, Secret::Token(&token), later)
            .is_none()
    );
}

#[test]
fn a_changed_account_needs_a_newer_token() {
    let pair = Ed25519KeyPair::generate();
    let mut verifier = verifier(&pair);
    let token = token(&pair, "k1", TOKEN_TYPE, |claims| claims);
    for (generation, accepted) in [(1, true), (2, false)] {
        let mut news = news(&pair, vec![]);
        news.changed = vec![(Uuid::nil(), generation)];
        verifier.learn(&news, unix_now());
        assert_eq!(verify(&mut verifier, &token).is_some(), accepted);
    }
}

#[test]
fn an_opaque_secret_is_believed_for_a_minute() {
    let mut verifier = Verifier::default();
    let found = Found {
        id: Uuid::nil(),
        kind: Kind::User,
        generation: 0,
        session: Uuid::max(),
        via: Via::Key,
        scope: "kb:read".to_owned(),
        expires: None,
    };
    let now = unix_now();
    let recall = |verifier: &mut Verifier, at| {
        verifier
            .recall(SERVER, Secret::Opaque("gk_x"), at)
            .is_some()
    };
    assert!(!recall(&mut verifier, now));
    verifier.remember_opaque("gk_x", &found, now);
    assert!(recall(&mut verifier, now) && !recall(&mut verifier, now + OPAQUE_SECONDS));
    let pair = Ed25519KeyPair::generate();
    verifier.learn(&news(&pair, vec![Uuid::max()]), now);
    assert!(!recall(&mut verifier, now), "revoked");
}

#[test]
fn a_revoked_session_is_refused_even_if_remembered() {
    let pair = Ed25519KeyPair::generate();
    let mut verifier = verifier(&pair);
    let token = token(&pair, "k1", TOKEN_TYPE, |claims| claims);
    assert!(verify(&mut verifier, &token).is_some());
    verifier.learn(&news(&pair, vec![Uuid::nil()]), unix_now());
    assert!(verify(&mut verifier, &token).is_none());
}

#[test]
fn tokens_that_are_not_ours_or_not_now_are_refused() {
    let pair = Ed25519KeyPair::generate();
    let mut verifier = verifier(&pair);
    let hour = Duration::from_hours(1);
    let foreign = Ed25519KeyPair::generate();
    let refused = [
        token(&foreign, "k1", TOKEN_TYPE, |claims| claims),
        token(&pair, "k2", TOKEN_TYPE, |claims| claims),
        token(&pair, "k1", "JWT", |claims| claims),
        token(&pair, "k1", TOKEN_TYPE, |claims| {
            claims.with_issuer("https://other.example")
        }),
        token(&pair, "k1", TOKEN_TYPE, |claims| {
            claims.with_audience("https://other.example")
        }),
        token(&pair, "k1", TOKEN_TYPE, |mut claims| {
            claims.issuer = None;
            claims
        }),
        token(&pair, "k1", TOKEN_TYPE, |mut claims| {
            claims.expires_at = None;
            claims
        }),
        token(&pair, "k1", TOKEN_TYPE, |mut claims| {
            claims.expires_at = claims.issued_at.map(|at| at - hour);
            claims
        }),
        token(&pair, "k1", TOKEN_TYPE, |mut claims| {
            claims.invalid_before = claims.issued_at.map(|at| at + hour);
            claims
        }),
        token(&pair, "k1", TOKEN_TYPE, |claims| {
            claims.with_subject("somebody")
        }),
    ];
    for (number, token) in refused.iter().enumerate() {
        assert!(
            verify(&mut verifier, token).is_none(),
            "number {number}: {token}"
        );
    }
    for text in ["", ".", "..", "a.b.c", &"x".repeat(5000)] {
        assert!(verify(&mut verifier, text).is_none(), "{text}");
    }
}

#[test]
fn the_algorithm_is_not_the_tokens_to_choose() {
    let pair = Ed25519KeyPair::generate();
    let mut verifier = verifier(&pair);
    let good = token(&pair, "k1", TOKEN_TYPE, |claims| claims);
    let rest = good.split_once('.').expect("a header").1;
    for algorithm in ["none", "None", "HS256", "ES256"] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"k1","typ":"at+jwt"}}"#);
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
        assert!(
            verify(&mut verifier, &format!("{header}.{rest}")).is_none(),
            "{algorithm}"
        );
        let unsigned = rest.split_once('.').expect("claims").0;
        assert!(verify(&mut verifier, &format!("{header}.{unsigned}.")).is_none());
    }
}

#[test]
fn made_up_keys_cost_few_statements() {
    let mut verifier = Verifier::default();
    let token = token(
        &Ed25519KeyPair::generate(),
        "made-up",
        TOKEN_TYPE,
        |claims| claims,
    );
    let reloads = (0..100)
        .filter(|_| verifier.should_reload_for(&token))
        .count();
    assert_eq!(reloads, MAX_RELOADS_A_SECOND as usize);
}
