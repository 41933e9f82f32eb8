//! Public answers of the last second, in the memory of this isolate.
//!
//! Only requests without any credential get here. While one request asks the origin for an answer, others for the same
//! wait for it, unless the last answer could not be kept: those are asked for side by side. If the origin is away, answers
//! are given up to a minute after they were fresh.

use std::cell::RefCell;
use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use worker::{Env, Headers, Method, Request, Response, ResponseBuilder, Result};

use crate::clock::{now_ms, pause};
use crate::metrics::count;
use crate::origin;
use crate::problem::{DIGEST_MISMATCH, ORIGIN_AWAY, request_id};

mod body;

/// The time for which an answer is fresh, unless it never changes.
const FRESH_MS: u64 = 1_000;
/// The time after that for which an answer is given if the origin is away.
const STALE_MS: u64 = 60_000;
/// The time that the origin has, after which another request asks.
const PATIENCE_MS: u64 = 10_000;
/// The pause between two looks at what another request has asked for.
const LOOK_EVERY_MS: u64 = 4;
/// The time for which requests do not wait for others after an answer that may not be kept.
const PASSED_MS: u64 = 5_000;
/// The time for which requests do not ask after an origin that was away.
const AWAY_MS: u64 = 1_000;
/// The number of keys without a kept answer, at which all are forgotten.
const MAX_LANDED: usize = 10_000;
/// The largest answer that is kept, and the size of all together.
const MAX_BYTES: usize = 2 << 20;
const MAX_TOTAL_BYTES: usize = 32 << 20;
/// The headers by which a kept answer may differ: the key has them, or requests with them do not get here.
const VARIES_BY: [&str; 6] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cookie",
    "origin",
    "x-api-key",
];
/// The headers of an answer that are for its request alone.
const OF_ONE_REQUEST: [&str; 8] = [
    "x-request-id",
    "ratelimit",
    "ratelimit-policy",
    "date",
    "age",
    "content-length",
    "content-encoding",
    "transfer-encoding",
];

/// An answer that is kept.
#[derive(Clone)]
struct Kept {
    /// The time at which it was asked for.
    at_ms: u64,
    never_changes: bool,
    tag: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Store {
    kept: HashMap<String, Kept>,
    bytes: usize,
    /// The keys that a request asks the origin for, with the time at which it began.
    flights: HashMap<String, u64>,
    /// The digests of keys whose last flight brought nothing to keep.
    landed: HashMap<[u8; 32], Landed>,
}

/// A flight that brought nothing to keep.
#[derive(Clone, Copy)]
enum Landed {
    /// The answer was for one request alone, and so are others until a time.
    Passed(u64),
    /// The origin is taken to be away until a time.
    Away(u64),
}

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

impl Kept {
    fn is_fresh(&self, now: u64) -> bool {
        self.never_changes || now < self.at_ms + FRESH_MS
    }

    fn is_usable(&self, now: u64) -> bool {
        self.never_changes || now < self.at_ms + FRESH_MS + STALE_MS
    }

    fn answer(&self, request: &Request, status: &str) -> Result<Response> {
        let headers = Headers::new();
        for (name, value) in &self.headers {
            headers.append(name, value)?;
        }
        headers.set("cache-status", status)?;
        headers.set(
            "age",
            &(now_ms().saturating_sub(self.at_ms) / 1000).to_string(),
        )?;
        headers.set("x-request-id", &request_id(request))?;
        let names = request.headers().get("if-none-match")?;
        let is_known = self.tag.as_ref().zip(names).is_some_and(|(tag, names)| {
            let mut names = names.split(',').map(str::trim);
            names.any(|name| {
                name == "*" || name.trim_start_matches("W/") == tag.trim_start_matches("W/")
            })
        });
        let builder = ResponseBuilder::new().with_headers(headers);
        Ok(match is_known {
            true => builder.with_status(304).empty(),
            false => builder.fixed(self.body.clone()),
        })
    }
}

/// Whether a request without credentials may be answered from what is kept.
pub fn is_cacheable(request: &Request) -> Result<bool> {
    let headers = request.headers();
    let is_plain =
        !headers.has("range")? && !headers.has("if-match")? && !headers.has("hx-request")?;
    Ok(is_plain && request.method() == Method::Get)
}

/// Answers a request from what is kept, or asks the origin.
pub async fn answer(request: &Request, env: &Env) -> Result<Response> {
    let key = key(request)?;
    let digest: [u8; 32] = Sha256::digest(&key).into();
    loop {
        let now = now_ms();
        let (kept, flight, landed) = STORE.with_borrow(|store| {
            (
                store.kept.get(&key).cloned(),
                store.flights.get(&key).copied(),
                store.landed.get(&digest).copied(),
            )
        });
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_fresh(now)) {
            count("hit");
            return kept.answer(request, "gather-edge; hit");
        }
        match landed {
            Some(Landed::Passed(until)) if now < until => {
                return ask(request, env, &key, kept, now).await;
            }
            Some(Landed::Away(until)) if now < until => return away(request, kept, now),
            _ => {}
        }
        if flight.is_none_or(|since| now > since + PATIENCE_MS) {
            STORE.with_borrow_mut(|store| store.flights.insert(key.clone(), now));
            let _flight = Flight(&key, now);
            return ask(request, env, &key, kept, now).await;
        }
        // Another request's answer can't be waited for, but looked for.
        pause(LOOK_EVERY_MS).await;
    }
}

/// The answer while the origin is away.
fn away(request: &Request, kept: Option<Kept>, now: u64) -> Result<Response> {
    if let Some(kept) = kept.filter(|kept| kept.is_usable(now)) {
        count("stale");
        return kept.answer(request, "gather-edge; hit; fwd=stale; detail=origin-away");
    }
    count("away");
    ORIGIN_AWAY.retried(request, 1)
}

/// A question to the origin, which others wait for.
struct Flight<'a>(&'a str, u64);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        STORE.with_borrow_mut(|store| {
            if store.flights.get(self.0) == Some(&self.1) {
                store.flights.remove(self.0);
            }
        });
    }
}

async fn ask(
    request: &Request,
    env: &Env,
    key: &str,
    kept: Option<Kept>,
    now: u64,
) -> Result<Response> {
    let mut asked = origin::forwarded(request, env)?;
    let headers = asked.headers_mut()?;
    headers.delete("if-none-match")?;
    if let Some(tag) = kept.as_ref().and_then(|kept| kept.tag.as_ref()) {
        headers.set("if-none-match", tag)?;
    }
    let sent = origin::send_within(asked, PATIENCE_MS).await;
    let mut response = match sent {
        Ok(response) if !matches!(response.status_code(), 502..=504) => response,
        sent => {
            land(key, Landed::Away(now_ms() + AWAY_MS));
            return match sent {
                // The origin's own refusal says more.
                Ok(refusal) if !kept.as_ref().is_some_and(|kept| kept.is_usable(now)) => {
                    count("away");
                    Ok(refusal)
                }
                _ => away(request, kept, now),
            };
        }
    };
    if response.status_code() == 304
        && let Some(kept) = kept
    {
        count("hit");
        let kept = Kept { at_ms: now, ..kept };
        let answer = kept.answer(request, "gather-edge; hit; fwd=stale; fwd-status=304");
        keep(key, kept);
        return answer;
    }
    count("miss");
    let status = format!(
        "gather-edge; fwd=uri-miss; fwd-status={}",
        response.status_code()
    );
    if !may_be_kept(&response)? {
        forget(key);
        return origin::marked(response, &status);
    }
    let body = match body::read(&mut response, MAX_BYTES).await? {
        body::Read::Whole(body) => body,
        body::Read::Begun(answer) => {
            forget(key);
            return origin::marked(answer, &status);
        }
    };
    if !matches_its_digest(request, &response, &body)? {
        forget(key);
        return DIGEST_MISMATCH.answer(request);
    }
    let headers = response.headers().entries();
    let headers = headers.filter(|(name, _)| !OF_ONE_REQUEST.contains(&name.as_str()));
    let said = response.headers().get("cache-control")?.unwrap_or_default();
    let fresh = Kept {
        at_ms: now,
        never_changes: said.contains("immutable"),
        tag: response.headers().get("etag")?,
        headers: headers.collect(),
        body,
    };
    let answer = fresh.answer(request, &(status + "; stored"));
    keep(key, fresh);
    answer
}

/// What the same answer is given for.
fn key(request: &Request) -> Result<String> {
    let url = request.url()?;
    let header = |name| Ok::<_, worker::Error>(request.headers().get(name)?.unwrap_or_default());
    Ok(format!(
        "{}?{}\n{}\n{}",
        url.path(),
        url.query().unwrap_or_default(),
        header("accept")?,
        header("origin")?
    ))
}

/// Whether everybody may be given an answer.
fn may_be_kept(response: &Response) -> Result<bool> {
    let headers = response.headers();
    let said = headers.get("cache-control")?.unwrap_or_default();
    let directives: Vec<_> = said
        .split(',')
        .map(|one| one.trim().to_ascii_lowercase())
        .collect();
    let says = |wanted: &str| {
        directives
            .iter()
            .any(|one| one.split('=').next() == Some(wanted))
    };
    let varies = headers
        .get("vary")?
        .unwrap_or_default()
        .to_ascii_lowercase();
    let mut varies = varies
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let length = headers.get("content-length")?;
    let length = length.and_then(|length| length.parse::<usize>().ok());
    Ok(response.status_code() == 200
        && says("public")
        && !says("private")
        && !says("no-store")
        && !says("no-cache")
        && !headers.has("set-cookie")?
        && varies.all(|name| VARIES_BY.contains(&name))
        && length.is_none_or(|length| length <= MAX_BYTES))
}

/// Whether an answer that is named by its digest has it.
fn matches_its_digest(request: &Request, response: &Response, body: &[u8]) -> Result<bool> {
    if response.headers().has("content-encoding")? {
        return Ok(true);
    }
    let digest = Sha256::digest(body);
    let said = response.headers().get("repr-digest")?;
    let said = said
        .as_deref()
        .and_then(|said| said.strip_prefix("sha-256=:"));
    if said.is_some_and(|said| said.trim_end_matches(':') != STANDARD.encode(digest)) {
        return Ok(false);
    }
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = request.path();
    let mut named = path
        .split('/')
        .filter_map(|part| part.strip_prefix("sha256:"));
    Ok(named.all(|named| named == hex))
}

fn keep(key: &str, kept: Kept) {
    STORE.with_borrow_mut(|store| {
        store.remove(key);
        store.landed.remove(Sha256::digest(key).as_slice());
        if store.bytes + kept.size() > MAX_TOTAL_BYTES {
            let now = now_ms();
            let old = store.kept.iter().filter(|(_, kept)| !kept.is_fresh(now));
            let old: Vec<_> = old.map(|(key, _)| key.clone()).collect();
            old.iter().for_each(|key| store.remove(key));
        }
        if store.bytes + kept.size() > MAX_TOTAL_BYTES {
            store.kept.clear();
            store.bytes = 0;
        }
        store.bytes += kept.size();
        store.kept.insert(key.to_owned(), kept);
    });
}

/// Notes that an answer may not be kept.
fn forget(key: &str) {
    STORE.with_borrow_mut(|store| store.remove(key));
    land(key, Landed::Passed(now_ms() + PASSED_MS));
}

fn land(key: &str, landed: Landed) {
    STORE.with_borrow_mut(|store| {
        if store.landed.len() >= MAX_LANDED {
            store.landed.clear();
        }
        store.landed.insert(Sha256::digest(key).into(), landed);
    });
}

impl Store {
    fn remove(&mut self, key: &str) {
        if let Some(kept) = self.kept.remove(key) {
            self.bytes -= kept.size();
        }
    }
}

impl Kept {
    fn size(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| name.len() + value.len() + 64);
        self.body.len() + headers.sum::<usize>() + 512
    }
}
