//! Credentials: the contents of access tokens, and how tokens, API keys and cookies are verified and remembered.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use foldhash::fast::RandomState as FastState;
use jwt_simple::prelude::{
    Duration, Ed25519PublicKey, EdDSAPublicKeyLike, JWTClaims, Token, VerificationOptions,
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::caller::{Caller, Kind, Via};
use crate::limits::Grant;

/// The lifetime of an access token.
pub const TOKEN_SECONDS: u64 = 15 * 60;

/// The `typ` of an access token (RFC 9068), so that nothing else that the platform signs can pass for one.
pub const TOKEN_TYPE: &str = "at+jwt";

/// The tolerated difference between servers' clocks.
const LEEWAY_SECONDS: u64 = 2;
const MAX_TOKEN_BYTES: usize = 4096;
const MAX_RELOADS_A_SECOND: u32 = 10;
/// The number of credentials at which the instance forgets all of them. Each costs another verification then.
const MAX_REMEMBERED: usize = 10_000;
/// The time for which an API key or a cookie is believed before the database is asked again, which also records that
/// the key is in use.
const OPAQUE_SECONDS: u64 = 60;

/// The claims of an access token beside the registered ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The kind of account: an agent or a user.
    pub kind: Kind,
    /// The granted scopes, separated by spaces.
    pub scope: String,
    /// The session, by which the token can be revoked.
    pub sid: Uuid,
    /// The account's generation, which grows when the account's permissions change. Older tokens are then refused.
    #[serde(default)]
    pub generation: i32,
    /// The component that acts for the account (RFC 8693, section 4.1); absent if the account acts itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
}

/// A component that acts for an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Actor {
    /// The component's name.
    pub sub: String,
}

/// A secret that a caller presents.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Secret<'a> {
    /// An access token, which can be verified with public keys.
    Token(&'a str),
    /// An API key or a cookie, whose owner only the database knows.
    Opaque(&'a str),
}

impl<'a> Secret<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Token(text) | Self::Opaque(text) => text,
        }
    }
}

thread_local! {
    static VERIFIER: RefCell<Verifier> = RefCell::default();
}

/// Runs with the instance's verifier.
pub(crate) fn with_verifier<R>(work: impl FnOnce(&mut Verifier) -> R) -> R {
    VERIFIER.with_borrow_mut(work)
}

/// The database's answer about a request; see `sql/identity/check_in.sql`.
#[derive(Debug, Deserialize)]
pub(crate) struct News {
    now: String,
    keys: Vec<Key>,
    revoked: Vec<Uuid>,
    changed: Vec<(Uuid, i32)>,
    pub caller: Option<Found>,
    pub lease: Option<Grant>,
}

#[derive(Debug, Deserialize)]
struct Key {
    kid: String,
    public_key: String,
}

/// The owner of an API key, a cookie or a signature.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    id: Uuid,
    kind: Kind,
    generation: i32,
    session: Uuid,
    via: Via,
    scope: String,
    /// The time of expiry, in Unix time; `None` if it does not expire.
    expires: Option<u64>,
}

impl Found {
    pub fn caller(&self) -> Caller {
        Caller {
            id: self.id,
            kind: self.kind,
            scope: self.scope.as_str().into(),
            session: self.session,
            via: self.via,
            act: None,
        }
    }
}

/// A verified credential and its owner, until it expires.
struct Remembered {
    secret: Box<[u8]>,
    caller: Caller,
    generation: i32,
    expires: u64,
}

/// The knowledge of an instance: the keys, the revoked sessions, the changed accounts, and the credentials that it has
/// verified.
#[derive(Default)]
pub(crate) struct Verifier {
    keys: HashMap<String, Ed25519PublicKey>,
    /// Revoked sessions and API keys, with the second in which all their tokens have expired.
    revoked: HashMap<Uuid, u64, FastState>,
    /// Changed accounts with their generation, kept until every older token has expired.
    changed: HashMap<Uuid, (i32, u64), FastState>,
    /// The verified credentials by a hash with a random key, so that the time of a look-up reveals nothing.
    verified: HashMap<u64, Remembered>,
    hasher: RandomState,
    /// The database's time at the last answer.
    polled_to: Option<String>,
    polled_at: u64,
    /// The number of reloads that unknown keys caused in this second.
    reloads: u32,
}

impl Verifier {
    /// Whether the knowledge is older than a second. Asking once a second makes revocations take effect within 2 s.
    pub fn is_stale(&self, now: u64) -> bool {
        self.polled_to.is_none() || self.polled_at != now
    }

    /// The time since which changes are wanted.
    pub fn since(&self) -> Option<String> {
        self.polled_to.clone()
    }

    /// Whether the token is signed with an unknown key, which another instance may have just made. Invented keys must
    /// not cost a statement each, nor keep a new one from being found.
    pub fn should_reload_for(&mut self, token: &str) -> bool {
        let Some(kid) = key_id(token) else {
            return false;
        };
        let reload = !self.keys.contains_key(&kid) && self.reloads < MAX_RELOADS_A_SECOND;
        self.reloads += u32::from(reload);
        reload
    }

    /// Stores the database's answer.
    pub fn learn(&mut self, news: &News, now: u64) {
        self.keys = news.keys.iter().filter_map(Key::usable).collect();
        self.revoked.retain(|_, until| *until > now);
        self.changed.retain(|_, (_, until)| *until > now);
        if self.verified.len() > MAX_REMEMBERED / 2 {
            self.verified.retain(|_, known| known.expires > now);
        }
        let until = now + TOKEN_SECONDS + 60;
        self.revoked
            .extend(news.revoked.iter().map(|session| (*session, until)));
        let changed = news.changed.iter();
        self.changed
            .extend(changed.map(|(account, generation)| (*account, (*generation, until))));
        self.polled_to = Some(news.now.clone());
        if self.polled_at != now {
            self.reloads = 0;
        }
        self.polled_at = now;
    }

    /// Remembers the owner of an API key or a cookie.
    pub fn remember_opaque(&mut self, secret: &str, found: &Found, now: u64) {
        let expires = found.expires.unwrap_or(u64::MAX);
        self.remember(
            secret,
            found.caller(),
            found.generation,
            expires.min(now + OPAQUE_SECONDS),
            now,
        );
    }

    fn remember(&mut self, secret: &str, caller: Caller, generation: i32, expires: u64, now: u64) {
        if self.verified.len() >= MAX_REMEMBERED {
            self.verified.clear();
        }
        if expires > now {
            let known = Remembered {
                secret: secret.as_bytes().into(),
                caller,
                generation,
                expires,
            };
            self.verified.insert(self.hasher.hash_one(secret), known);
        }
    }

    /// The owner of a secret, as far as it is known here. An unknown token is verified.
    pub fn recall(&mut self, server: &str, secret: Secret<'_>, now: u64) -> Option<Caller> {
        let text = secret.text();
        let known = self.verified.get(&self.hasher.hash_one(text));
        if let Some(known) = known
            && bool::from(known.secret.ct_eq(text.as_bytes()))
            && known.expires > now
        {
            let valid = self.is_valid(&known.caller, known.generation);
            return valid.then(|| known.caller.clone());
        }
        match secret {
            Secret::Token(token) => self.verify(server, token, now),
            Secret::Opaque(_) => None,
        }
    }

    /// Whether the session is not revoked and the account has not changed since.
    fn is_valid(&self, caller: &Caller, generation: i32) -> bool {
        let changed = self.changed.get(&caller.id);
        !self.revoked.contains_key(&caller.session)
            && changed.is_none_or(|(newest, _)| generation >= *newest)
    }

    fn verify(&mut self, server: &str, token: &str, now: u64) -> Option<Caller> {
        let kid = key_id(token)?;
        let key = self.keys.get(&kid)?;
        let claims = key
            .verify_token::<AccessClaims>(token, Some(options(server, &kid)))
            .ok()?;
        let expires = claims.expires_at?.as_secs();
        let generation = claims.custom.generation;
        let caller = caller(claims)?;
        if !self.is_valid(&caller, generation) {
            return None;
        }
        self.remember(token, caller.clone(), generation, expires, now);
        Some(caller)
    }
}

impl Key {
    fn usable(&self) -> Option<(String, Ed25519PublicKey)> {
        let bytes = STANDARD.decode(&self.public_key).ok()?;
        Some((self.kid.clone(), Ed25519PublicKey::from_bytes(&bytes).ok()?))
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
        via: Via::Token,
        act: claims.custom.act.map(|actor| actor.sub.into()),
    })
}

/// The id of the key that the token claims to be signed with. Nothing else in its header is believed: the algorithm is
/// fixed, and a key in the header is ignored.
fn key_id(token: &str) -> Option<String> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    Some(Token::decode_metadata(token).ok()?.key_id()?.to_owned())
}

#[cfg(test)]
mod tests;
