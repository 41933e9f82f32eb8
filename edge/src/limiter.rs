//! Limits of accounts: shares that the origin grants, handed on in small parts.
//!
//! A request never waits for a share. Until one is there, requests pass, and the origin counts them. Only an account whose
//! limit is surely reached is refused here.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use worker::{
    Context, DurableObject, Env, Method, Request, RequestInit, Response, Result, State,
    durable_object,
};

use crate::clock::now_ms;
use crate::news::origin_now_ms;
use crate::origin;

/// The requests that an isolate takes at a time.
const PART: u32 = 20;
/// The requests that a `Limiter` asks the origin for.
const WANTED: u32 = 100;
const PATIENCE_MS: u64 = 5_000;
/// The number of accounts whose shares an isolate has at a time.
const MAX_ACCOUNTS: usize = 10_000;

/// A part of an account's limit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Share {
    left: u32,
    /// The time of this machine at which it ends.
    until_ms: u64,
}

impl Share {
    const NOTHING: Self = Self {
        left: 0,
        until_ms: 0,
    };

    /// The requests that are left at a time.
    const fn left_at(self, now: u64) -> u32 {
        if now < self.until_ms { self.left } else { 0 }
    }

    /// This share, and what is left of another one.
    fn with(self, other: Self) -> Self {
        Self {
            left: self.left.saturating_add(other.left_at(now_ms())),
            until_ms: self.until_ms.max(other.until_ms),
        }
    }
}

/// What an isolate knows of an account.
#[derive(Default)]
struct Known {
    share: Option<Share>,
    /// The time at which a share was asked for, which has not come.
    asked_at_ms: Option<u64>,
    /// Whether the last share had nothing in it.
    is_exhausted: bool,
}

thread_local! {
    static ACCOUNTS: RefCell<HashMap<String, Known>> = RefCell::default();
}

/// Counts a request of an account. The seconds to wait, if the limit is surely reached.
pub fn spend(account: &str, env: &Env, context: &Context) -> Option<u64> {
    let now = now_ms();
    let (refused, asks) = ACCOUNTS.with_borrow_mut(|accounts| {
        if accounts.len() >= MAX_ACCOUNTS && !accounts.contains_key(account) {
            accounts.retain(|_, known| known.share.is_some_and(|share| now < share.until_ms));
        }
        if accounts.len() >= MAX_ACCOUNTS && !accounts.contains_key(account) {
            // Its requests pass, and the origin counts them.
            return (None, false);
        }
        let known = accounts.entry(account.to_owned()).or_default();
        let share = known.share.filter(|share| now < share.until_ms);
        match share {
            Some(share) if share.left > 0 => {
                known.share = Some(Share {
                    left: share.left - 1,
                    ..share
                });
                (None, false)
            }
            Some(share) if known.is_exhausted => {
                (Some((share.until_ms - now).div_ceil(1000)), false)
            }
            _ => {
                let asks = known.asked_at_ms.is_none_or(|at| now > at + PATIENCE_MS);
                if asks {
                    known.asked_at_ms = Some(now);
                }
                (None, asks)
            }
        }
    });
    if asks {
        let (account, env) = (account.to_owned(), env.clone());
        context.wait_until(async move { take(&account, &env).await });
    }
    refused
}

async fn take(account: &str, env: &Env) {
    let part = part(account, env).await;
    ACCOUNTS.with_borrow_mut(|accounts| {
        let known = accounts.entry(account.to_owned()).or_default();
        match part {
            Ok(share) => {
                known.asked_at_ms = None;
                known.is_exhausted = share.left == 0;
                // One that was asked for twice comes twice.
                let had = known.share.unwrap_or(Share::NOTHING);
                known.share = Some(share.with(had));
            }
            Err(error) => {
                worker::console_warn!("no share of a limit: {error}");
            }
        }
    });
}

async fn part(account: &str, env: &Env) -> Result<Share> {
    let limiter = env.durable_object("LIMITER")?.get_by_name(account)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post);
    let request = Request::new_with_init(&format!("https://limiter/{account}"), &init)?;
    limiter.fetch_with_request(request).await?.json().await
}

/// The limit of one account, for all isolates.
#[durable_object]
pub struct Limiter {
    env: Env,
    share: Cell<Share>,
}

#[derive(Deserialize)]
struct Granted {
    leases: Vec<Lease>,
}

#[derive(Deserialize)]
struct Lease {
    granted: u32,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

impl DurableObject for Limiter {
    fn new(_: State, env: Env) -> Self {
        let share = Cell::new(Share::NOTHING);
        Self { env, share }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        if self.share.get().left_at(now_ms()) == 0 {
            let account = request.path().trim_start_matches('/').to_owned();
            let leased = self.lease(&account).await?;
            // Others may have taken a lease meanwhile.
            self.share.set(leased.with(self.share.get()));
        }
        let share = self.share.get();
        let part = Share {
            left: share.left.min(PART),
            ..share
        };
        self.share.set(Share {
            left: share.left - part.left,
            ..share
        });
        Response::from_json(&part)
    }
}

impl Limiter {
    async fn lease(&self, account: &str) -> Result<Share> {
        let body = json!({"leases": [{"account": account, "want": WANTED}]}).to_string();
        let asked = origin::ask(
            &self.env,
            Method::Post,
            "/api/edge/limits",
            Some(body),
            PATIENCE_MS,
        );
        let granted: Granted = asked.await?.json().await?;
        let lease = granted.leases.first().ok_or("no lease")?;
        let until_ms = u64::try_from(lease.until.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        // By this machine's clock.
        let left_ms = until_ms.saturating_sub(origin_now_ms()).min(60_000);
        Ok(Share {
            left: lease.granted,
            until_ms: now_ms() + left_ms,
        })
    }
}
