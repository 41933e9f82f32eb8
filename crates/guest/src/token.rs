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
    if VERIFIER.with_borrow_mut(|verifier| verifier.should_reload_for(&kid, now)) {
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
    reloaded_at: u64,
}

impl Verifier {
    /// Revocations hold within 2 s: polled once a second, so at most one second old.
    fn is_stale(&self, now: u64) -> bool {
        self.polled_to.is_none() || self.polled_at != now
    }

    /// An unknown key may be one that was made just now; a made-up one must not cost a statement
    /// each time.
    fn should_reload_for(&mut self, kid: &str, now: u64) -> bool {
        let reload = !self.keys.contains_key(kid) && self.reloaded_at != now;
        if reload {
            self.reloaded_at = now;
        }
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
