//! Access tokens: what they say, and how they are verified and remembered.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jwt_simple::prelude::{
    Duration, Ed25519PublicKey, EdDSAPublicKeyLike, JWTClaims, Token, VerificationOptions,
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{Caller, Db, Kind, db};

/// How long an access token is valid.
pub const TOKEN_SECONDS: u64 = 15 * 60;

/// The `typ` of an access token (RFC 9068), so that nothing else that we sign can pass for one.
pub const TOKEN_TYPE: &str = "at+jwt";

/// What servers' clocks may differ by.
const LEEWAY_SECONDS: u64 = 2;
const MAX_TOKEN_BYTES: usize = 4096;
const MAX_RELOADS_A_SECOND: u32 = 10;
/// Beyond this many the instance forgets them all: each costs one verification again.
const MAX_REMEMBERED: usize = 10_000;

/// What an access token says beside the registered claims.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccessClaims {
    /// An agent or a user.
    pub kind: Kind,
    /// Granted scopes, separated by spaces.
    pub scope: String,
    /// The session, by which it can be revoked.
    pub sid: Uuid,
}

thread_local! {
    static VERIFIER: RefCell<Verifier> = RefCell::default();
}

/// Who presents this token; `None` if it is not valid, for whatever reason.
pub(crate) async fn verify(
    db: &Db,
    server: &str,
    token: &str,
) -> Result<Option<Caller>, db::Error> {
    let now = unix_now();
    if VERIFIER.with_borrow(|verifier| verifier.is_stale(now)) {
        poll(db, now).await?;
    }
    if let Some(caller) = VERIFIER.with_borrow(|verifier| verifier.remembered(token, now)) {
        return Ok(Some(caller));
    }
    let Some(kid) = key_id(token) else {
        return Ok(None);
    };
    if VERIFIER.with_borrow_mut(|verifier| verifier.should_reload_for(&kid)) {
        poll(db, now).await?;
    }
    Ok(VERIFIER.with_borrow_mut(|verifier| verifier.verify(server, token, &kid, now)))
}

/// One statement brings the keys and what was revoked since the last one.
async fn poll(db: &Db, now: u64) -> Result<(), db::Error> {
    let since = VERIFIER.with_borrow(|verifier| verifier.polled_to.clone());
    let news: News = db
        .one(
            "select clock_timestamp() as now,
                    (select coalesce(jsonb_agg(k), '[]') from identity.verification_key k) as keys,
                    (select coalesce(jsonb_agg(r.session_id), '[]') from identity.revocation r
                     where $1::text is null
                        or r.revoked_at > $1::text::timestamptz - interval '5 seconds') as revoked",
            crate::args![since],
        )
        .await?;
    VERIFIER.with_borrow_mut(|verifier| verifier.learn(news, now));
    Ok(())
}

#[derive(Debug, Deserialize)]
struct News {
    now: String,
    keys: Vec<Key>,
    revoked: Vec<Uuid>,
}

#[derive(Debug, Deserialize)]
struct Key {
    kid: String,
    public_key: String,
}

/// A verified token with who presented it, until it expires.
struct Remembered {
    token: Box<[u8]>,
    caller: Caller,
    expires: u64,
}

/// What an instance knows: the keys, what is revoked, and the tokens that it has verified.
#[derive(Default)]
struct Verifier {
    keys: HashMap<String, Ed25519PublicKey>,
    /// Sessions, with the second in which every token of them has expired.
    revoked: HashMap<Uuid, u64>,
    /// By a hash with a random key, so that the time of a look-up tells nothing of what is there.
    verified: HashMap<u64, Remembered>,
    hasher: RandomState,
    /// The database's time of the last poll.
    polled_to: Option<String>,
    polled_at: u64,
    /// How often in this second unknown keys made it poll again.
    reloads: u32,
}

impl Verifier {
    /// Revocations hold within 2 s: polled once a second, so at most one second old.
    fn is_stale(&self, now: u64) -> bool {
        self.polled_to.is_none() || self.polled_at != now
    }

    /// An unknown key may be one that was made just now, on another instance. Made-up ones must
    /// not cost a statement each, nor keep a new one from being found.
    fn should_reload_for(&mut self, kid: &str) -> bool {
        let reload = !self.keys.contains_key(kid) && self.reloads < MAX_RELOADS_A_SECOND;
        self.reloads += u32::from(reload);
        reload
    }

    fn learn(&mut self, news: News, now: u64) {
        self.keys = news.keys.into_iter().filter_map(Key::usable).collect();
        self.revoked.retain(|_, until| *until > now);
        if self.verified.len() > MAX_REMEMBERED / 2 {
            self.verified.retain(|_, known| known.expires > now);
        }
        let until = now + TOKEN_SECONDS + 60;
        self.revoked
            .extend(news.revoked.into_iter().map(|session| (session, until)));
        self.polled_to = Some(news.now);
        if self.polled_at != now {
            self.reloads = 0;
        }
        self.polled_at = now;
    }

    fn remembered(&self, token: &str, now: u64) -> Option<Caller> {
        let known = self.verified.get(&self.hasher.hash_one(token))?;
        let same = bool::from(known.token.ct_eq(token.as_bytes()));
        let valid = known.expires > now && !self.revoked.contains_key(&known.caller.session);
        (same && valid).then(|| known.caller.clone())
    }

    fn verify(&mut self, server: &str, token: &str, kid: &str, now: u64) -> Option<Caller> {
        let key = self.keys.get(kid)?;
        let claims = key
            .verify_token::<AccessClaims>(token, Some(options(server, kid)))
            .ok()?;
        let expires = claims.expires_at?.as_secs();
        let caller = caller(claims)?;
        if self.revoked.contains_key(&caller.session) {
            return None;
        }
        if self.verified.len() >= MAX_REMEMBERED {
            self.verified.clear();
        }
        if expires > now {
            let known = Remembered {
                token: token.as_bytes().into(),
                caller: caller.clone(),
                expires,
            };
            self.verified.insert(self.hasher.hash_one(token), known);
        }
        Some(caller)
    }
}

impl Key {
    fn usable(self) -> Option<(String, Ed25519PublicKey)> {
        let bytes = STANDARD.decode(self.public_key).ok()?;
        Some((self.kid, Ed25519PublicKey::from_bytes(&bytes).ok()?))
    }
}

fn options(server: &str, kid: &str) -> VerificationOptions {
    VerificationOptions {
        required_key_id: Some(kid.to_owned()),
        required_signature_type: Some(TOKEN_TYPE.to_owned()),
        allowed_issuers: Some(HashSet::from([server.to_owned()])),
        allowed_audiences: Some(HashSet::from([server.to_owned()])),
        time_tolerance: Some(Duration::from_secs(LEEWAY_SECONDS)),
        max_token_length: Some(MAX_TOKEN_BYTES),
        ..VerificationOptions::default()
    }
}

fn caller(claims: JWTClaims<AccessClaims>) -> Option<Caller> {
    Some(Caller {
        id: claims.subject?.parse().ok()?,
        kind: claims.custom.kind,
        scope: claims.custom.scope.into(),
        session: claims.custom.sid,
    })
}

/// Which key the token claims to be signed with. Nothing else of the header is believed: the
/// algorithm is ours, and a key in the header is not looked at.
fn key_id(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    Some(Token::decode_metadata(token).ok()?.key_id()?.to_owned())
}

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_simple::prelude::{Claims, Ed25519KeyPair, EdDSAKeyPairLike, HeaderOptions};

    const SERVER: &str = "https://gather.example";

    fn verifier(pair: &Ed25519KeyPair) -> Verifier {
        let mut verifier = Verifier::default();
        verifier.learn(news(pair, vec![]), unix_now());
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
        }
    }

    /// A good token, changed by `change` before it is signed.
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
        verifier.verify(SERVER, token, &key_id(token)?, unix_now())
    }

    #[test]
    fn a_good_token_is_verified_and_remembered() {
        let pair = Ed25519KeyPair::generate();
        let mut verifier = verifier(&pair);
        let token = token(&pair, "k1", TOKEN_TYPE, |claims| claims);
        assert!(verifier.remembered(&token, unix_now()).is_none());
        assert_eq!(
            verify(&mut verifier, &token).expect("a caller").kind,
            Kind::Agent
        );
        assert!(verifier.remembered(&token, unix_now()).is_some());
        assert!(
            verifier
                .remembered(&token, unix_now() + TOKEN_SECONDS + 1)
                .is_none()
        );
    }

    #[test]
    fn a_revoked_session_is_refused_even_if_remembered() {
        let pair = Ed25519KeyPair::generate();
        let mut verifier = verifier(&pair);
        let token = token(&pair, "k1", TOKEN_TYPE, |claims| claims);
        assert!(verify(&mut verifier, &token).is_some());
        verifier.learn(news(&pair, vec![Uuid::nil()]), unix_now());
        assert!(verifier.remembered(&token, unix_now()).is_none());
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
        let reloads = (0..100)
            .filter(|_| verifier.should_reload_for("made-up"))
            .count();
        assert_eq!(reloads, MAX_RELOADS_A_SECOND as usize);
    }
}
