//! What the origin tells of keys, revocations and changed accounts; and what follows for a token.
//!
//! News that is older than two seconds decides nothing. It is asked for at most once a second, however many requests wait
//! for it, and whatever keys they invent.

use std::cell::RefCell;
use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_compact::PublicKey;
use serde::Deserialize;
use time::OffsetDateTime;
use worker::{Env, Method, Result};

use crate::clock::{now_ms, pause};
use crate::origin;
use crate::token::{Claims, Token};

/// The age at which news is asked for again.
const RENEWED_AFTER_MS: u64 = 1_000;
/// The age up to which news decides something.
const VALID_FOR_MS: u64 = 2_000;
/// The time that the origin has, after which another request asks.
const PATIENCE_MS: u64 = 1_500;
/// The pause between two looks at what another request has asked for.
const LOOK_EVERY_MS: u64 = 5;
/// The time for which a revocation is remembered: all older tokens have expired then.
const REMEMBERED_MS: u64 = 20 * 60 * 1_000;
/// The tolerance of a token's expiry, as the origin has it.
const LEEWAY_SECONDS: u64 = 2;
/// The number of verified tokens at which all are forgotten, and verified once more.
const MAX_VERIFIED: usize = 2_000;

#[derive(Deserialize)]
struct Answer {
    now: String,
    keys: Vec<Key>,
    revoked: Vec<String>,
    changed: Vec<(String, i64)>,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    x: String,
}

#[derive(Default)]
struct News {
    /// The time of this machine at which the last answer was asked for; 0: there is none.
    at_ms: u64,
    /// The origin's time of the answer, as it is sent back.
    now: String,
    /// The origin's time of the answer, in milliseconds since 1970.
    origin_ms: u64,
    /// The time at which a request began to ask, which has not ended.
    asking_since_ms: Option<u64>,
    /// The time of the last question, answered or not.
    asked_at_ms: u64,
    keys: HashMap<String, PublicKey>,
    /// Sessions, with the time at which they are forgotten.
    revoked: HashMap<String, u64>,
    /// Accounts with their generation, and the time at which they are forgotten.
    changed: HashMap<String, (i64, u64)>,
    verified: HashMap<String, Claims>,
}

thread_local! {
    static NEWS: RefCell<News> = RefCell::default();
}

/// The judgement of a token.
pub enum Verdict {
    /// It is valid.
    Valid(Claims),
    /// It is certainly not valid.
    Invalid,
    /// The origin has to say.
    Unsure,
}

/// The origin's time in milliseconds since 1970, as far as it is known.
pub fn origin_now_ms() -> u64 {
    let now = now_ms();
    NEWS.with_borrow(|news| match news.at_ms {
        0 => now,
        at_ms => news.origin_ms + now.saturating_sub(at_ms),
    })
}

/// As [`origin_now_ms`], after the origin was asked; `None` if it never told.
pub async fn told_now_ms(env: &Env) -> Option<u64> {
    is_fresh(env).await;
    let is_known = NEWS.with_borrow(|news| news.at_ms != 0);
    is_known.then(origin_now_ms)
}

/// Judges a token.
pub async fn judge(env: &Env, text: &str) -> Verdict {
    if !is_fresh(env).await {
        return Verdict::Unsure;
    }
    let known = NEWS.with_borrow(|news| news.verified.get(text).cloned());
    let claims = match known {
        Some(claims) => claims,
        None => {
            let Some(token) = Token::parse(text) else {
                return Verdict::Invalid;
            };
            let Some(key) = key(env, &token.kid).await else {
                // Whether the key exists is known only if the origin has told so since the question.
                return if is_fresh(env).await {
                    Verdict::Invalid
                } else {
                    Verdict::Unsure
                };
            };
            let Some(claims) = token.verified(&key) else {
                return Verdict::Invalid;
            };
            remember(text, &claims);
            claims
        }
    };
    let now = origin_now_ms() / 1000;
    let has_ended = NEWS.with_borrow(|news| {
        let generation = news.changed.get(&claims.account);
        news.revoked.contains_key(&claims.sid)
            || generation.is_some_and(|(generation, _)| claims.generation < *generation)
    });
    match has_ended || claims.exp + LEEWAY_SECONDS <= now {
        true => Verdict::Invalid,
        false => Verdict::Valid(claims),
    }
}

fn remember(text: &str, claims: &Claims) {
    NEWS.with_borrow_mut(|news| {
        if news.verified.len() >= MAX_VERIFIED {
            news.verified.clear();
        }
        news.verified.insert(text.to_owned(), claims.clone());
    });
}

/// The key with an id. One that is not known may be new, so the next news is waited for.
async fn key(env: &Env, kid: &str) -> Option<PublicKey> {
    let find = || NEWS.with_borrow(|news| news.keys.get(kid).copied());
    if let Some(key) = find() {
        return Some(key);
    }
    let at_ms = NEWS.with_borrow(|news| news.at_ms);
    let wait = (at_ms + RENEWED_AFTER_MS + 1).saturating_sub(now_ms());
    pause(wait).await;
    is_fresh(env).await;
    find()
}

/// Whether the news decides something, after it was asked for if it is due.
async fn is_fresh(env: &Env) -> bool {
    loop {
        let now = now_ms();
        let (age, is_asked, asked_ago) = NEWS.with_borrow(|news| {
            let asking = news.asking_since_ms;
            let is_asked = asking.is_some_and(|since| now < since + PATIENCE_MS);
            (
                now.saturating_sub(news.at_ms),
                is_asked,
                now.saturating_sub(news.asked_at_ms),
            )
        });
        if age <= RENEWED_AFTER_MS {
            return true;
        }
        if is_asked {
            // Another request's answer can't be waited for, but looked for.
            pause(LOOK_EVERY_MS).await;
            continue;
        }
        if asked_ago <= RENEWED_AFTER_MS {
            return age <= VALID_FOR_MS;
        }
        let since = NEWS.with_borrow_mut(|news| {
            (news.asking_since_ms, news.asked_at_ms) = (Some(now), now);
            news.now.clone()
        });
        let answer = ask(env, &since).await;
        let is_learnt = NEWS.with_borrow_mut(|news| {
            news.asking_since_ms = None;
            answer.ok().and_then(|answer| news.learn(answer, now))
        });
        if is_learnt.is_none() {
            return age + now_ms().saturating_sub(now) <= VALID_FOR_MS;
        }
    }
}

async fn ask(env: &Env, since: &str) -> Result<Answer> {
    let mut path = "/api/edge/news".to_owned();
    if !since.is_empty() {
        let since: String = url::form_urlencoded::byte_serialize(since.as_bytes()).collect();
        path += &format!("?since={since}");
    }
    let mut response = origin::ask(env, Method::Get, &path, None, PATIENCE_MS).await?;
    response.json().await
}

impl News {
    fn learn(&mut self, answer: Answer, asked_at_ms: u64) -> Option<()> {
        let format = &time::format_description::well_known::Rfc3339;
        let now = OffsetDateTime::parse(&answer.now, format).ok()?;
        self.origin_ms = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).ok()?;
        let keys = answer.keys.iter().filter_map(|key| {
            let bytes = BASE64.decode(&key.x).ok()?;
            Some((key.kid.clone(), PublicKey::from_slice(&bytes).ok()?))
        });
        let keys: HashMap<_, _> = keys.collect();
        if self.keys.keys().any(|kid| !keys.contains_key(kid)) {
            // What a withdrawn key has signed is not valid any more.
            self.verified.clear();
        }
        self.keys = keys;
        self.revoked.retain(|_, until| *until > asked_at_ms);
        self.changed.retain(|_, (_, until)| *until > asked_at_ms);
        let until = asked_at_ms + REMEMBERED_MS;
        let revoked = answer.revoked.into_iter();
        self.revoked.extend(revoked.map(|session| (session, until)));
        let changed = answer.changed.into_iter();
        self.changed
            .extend(changed.map(|(account, generation)| (account, (generation, until))));
        self.now = answer.now;
        self.at_ms = asked_at_ms;
        Some(())
    }
}
