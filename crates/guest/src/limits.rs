//! Rate limits: the number of requests a minute, by account or by address.
//!
//! The database counts. An instance leases a few requests at a time, so that most requests need no statement. All
//! leases together never exceed the quota, however many hosts there are.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Address;
use crate::{Problem, variable};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
const MINUTE_MS: u64 = 60_000;
/// The factor for requests from this machine, whose address may stand for everybody.
const LOCAL_FACTOR: u32 = 100;
/// The number of leases at which an instance drops all of them, losing what was left of them.
const MAX_LEASES: usize = 10_000;

/// The class of rate limit of an operation. Its OpenAPI entry names it with `extensions(("x-rate-limit" =
/// json!("strict")))`; without that it is `standard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tier {
    /// Targets of guessing and flooding, such as signing in and registering. Counted exactly.
    Strict,
    /// Nearly all operations.
    Standard,
    /// Pages, documents and health. Each instance counts for itself, so that no database is needed.
    Relaxed,
    /// Large operations, such as uploads and exports. Counted exactly.
    Bulk,
    /// The checks of load balancers, counted like [`Tier::Relaxed`] with a much higher quota.
    Health,
}

impl Tier {
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Standard => "standard",
            Self::Relaxed => "relaxed",
            Self::Bulk => "bulk",
            Self::Health => "health",
        }
    }

    /// The requests allowed a minute, unless the variable `rate_limits` says otherwise.
    fn default_quota(self) -> u32 {
        match self {
            Self::Strict | Self::Bulk => 60,
            Self::Standard => 1_200,
            Self::Relaxed => 6_000,
            Self::Health => 60_000,
        }
    }

    /// Whether each request is counted in the database.
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Strict | Self::Bulk)
    }

    /// Whether each instance counts for itself.
    fn is_local(self) -> bool {
        matches!(self, Self::Relaxed | Self::Health)
    }

    /// The requests allowed a minute from an address; `None` if there are no limits.
    pub async fn quota(self, address: &Address) -> Option<u32> {
        let quota = self.configured().await?;
        let factor = if address.is_local { LOCAL_FACTOR } else { 1 };
        Some(quota.saturating_mul(factor))
    }

    /// The requests allowed a minute from an account; `None` if there are no limits.
    async fn configured(self) -> Option<u32> {
        thread_local! {
            static QUOTAS: RefCell<Vec<(Tier, Option<u32>)>> = const { RefCell::new(Vec::new()) };
        }
        let known = QUOTAS.with_borrow(|all| all.iter().find(|(tier, _)| *tier == self).copied());
        match known {
            Some((_, quota)) => quota,
            None => {
                let configured = variable("rate_limits").await.unwrap_or_default();
                let quota = quota(self, &configured);
                QUOTAS.with_borrow_mut(|all| all.push((self, quota)));
                quota
            }
        }
    }
}

/// The requests that an account may make in a minute on the operations with the widest limit for accounts; `None` if there
/// are no limits.
pub async fn account_quota() -> Option<u32> {
    Tier::Relaxed.configured().await
}

/// Parses a quota from `strict=60,standard=1200`, or `off`.
fn quota(tier: Tier, configured: &str) -> Option<u32> {
    if configured.trim() == "off" {
        return None;
    }
    let pairs = configured
        .split(',')
        .filter_map(|pair| pair.split_once('='));
    let given = pairs
        .filter(|(name, _)| name.trim() == tier.name())
        .find_map(|(_, quota)| quota.trim().parse().ok());
    Some(given.unwrap_or_else(|| tier.default_quota()))
}

/// The requests that are counted together: those of one tier from one account or address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Bucket {
    pub tier: Tier,
    pub of: Counted,
}

/// The account or address that requests are counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    Account(Uuid),
    Address(Arc<str>),
}

impl std::fmt::Display for Bucket {
    /// The bucket's name in the database.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tier = self.tier.name();
        match &self.of {
            Counted::Account(id) => write!(out, "{tier}:account:{id}"),
            Counted::Address(address) => write!(out, "{tier}:address:{address}"),
        }
    }
}

/// A lease that the database grants.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Grant {
    /// The number of requests in this lease.
    granted: u32,
    /// The number of requests that the bucket has left besides.
    free: u32,
    ends_in_ms: u64,
}

/// The requests that this instance may still admit.
#[derive(Debug, Clone, Copy)]
struct Lease {
    left: u32,
    free: u32,
    /// The end of the lease, in Unix time.
    ends_ms: u64,
}

thread_local! {
    static LEASES: RefCell<HashMap<Bucket, Lease, RandomState>> = RefCell::default();
}

/// The state of a request's limit, after counting it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    tier: Tier,
    quota: u32,
    remaining: u32,
    ends_in_ms: u64,
    refused: bool,
}

/// Stores a lease.
pub(crate) fn remember(bucket: Bucket, grant: Grant, now_ms: u64) {
    let lease = Lease {
        left: grant.granted,
        free: grant.free,
        ends_ms: now_ms + grant.ends_in_ms.min(MINUTE_MS),
    };
    LEASES.with_borrow_mut(|leases| {
        if leases.len() >= MAX_LEASES {
            leases.clear();
        }
        leases.insert(bucket, lease);
    });
}

/// Whether a bucket is known to be used up, here and in the database.
pub(crate) fn is_exhausted(bucket: &Bucket, now_ms: u64) -> bool {
    LEASES.with_borrow(|leases| {
        let lease = leases.get(bucket);
        lease.is_some_and(|lease| lease.ends_ms > now_ms && lease.left == 0 && lease.free == 0)
    })
}

/// Uses one request of a lease; `None` if there is no usable lease, so that one must be asked for.
pub(crate) fn spend(bucket: &Bucket, quota: u32, now_ms: u64) -> Option<Standing> {
    let tier = bucket.tier;
    LEASES.with_borrow_mut(|leases| {
        // A bucket that is used up everywhere stays so until the minute ends; requests left elsewhere must be asked
        // for.
        if let Some(lease) = leases.get_mut(bucket)
            && lease.ends_ms > now_ms
            && (lease.left > 0 || lease.free == 0)
        {
            return Some(lease.spend(tier, quota, now_ms));
        }
        if !tier.is_local() {
            leases.remove(bucket);
            return None;
        }
        if leases.len() >= MAX_LEASES {
            leases.clear();
        }
        let mut whole = Lease {
            left: quota,
            free: 0,
            ends_ms: now_ms + MINUTE_MS,
        };
        let standing = whole.spend(tier, quota, now_ms);
        leases.insert(bucket.clone(), whole);
        Some(standing)
    })
}

impl Lease {
    fn spend(&mut self, tier: Tier, quota: u32, now_ms: u64) -> Standing {
        let refused = self.left == 0;
        self.left = self.left.saturating_sub(1);
        Standing {
            tier,
            quota,
            remaining: self.left.saturating_add(self.free),
            ends_in_ms: self.ends_ms - now_ms,
            refused,
        }
    }
}

impl Standing {
    /// The problem 429 `rate-limited`, if the request exceeds the limit.
    pub fn refusal(&self) -> Option<Problem> {
        self.refused.then(|| {
            let seconds = u32::try_from(self.seconds()).unwrap_or(60);
            let detail = format!(
                "At most {} requests of the tier `{}` a minute. Go on in {seconds} s.",
                self.quota,
                self.tier.name()
            );
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail).retry_after(seconds)
        })
    }

    fn seconds(&self) -> u64 {
        self.ends_in_ms.div_ceil(1000).max(1)
    }

    /// Writes the state into the answer's headers (draft-ietf-httpapi-ratelimit-headers-10).
    pub fn tell(&self, headers: &mut HeaderMap) {
        headers.extend(policy(self.tier, self.quota).map(|policy| (POLICY, policy)));
        let mut digits = (itoa::Buffer::new(), itoa::Buffer::new());
        let (remaining, seconds) = (
            digits.0.format(self.remaining),
            digits.1.format(self.seconds()),
        );
        let standing = ["\"", self.tier.name(), "\";r=", remaining, ";t=", seconds].concat();
        headers.extend(
            HeaderValue::try_from(standing)
                .ok()
                .map(|standing| (STANDING, standing)),
        );
    }
}

/// The header that states the limit. It has few different values, so each is made once.
fn policy(tier: Tier, quota: u32) -> Option<HeaderValue> {
    thread_local! {
        static MADE: RefCell<HashMap<(Tier, u32), HeaderValue, RandomState>> = RefCell::default();
    }
    if let Some(made) = MADE.with_borrow(|made| made.get(&(tier, quota)).cloned()) {
        return Some(made);
    }
    let text = format!("\"{}\";q={quota};w=60", tier.name());
    let value = HeaderValue::try_from(text).ok()?;
    MADE.with_borrow_mut(|made| made.insert((tier, quota), value.clone()));
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_configured_by_tier() {
        assert_eq!(quota(Tier::Strict, ""), Some(60));
        assert_eq!(quota(Tier::Strict, "standard=5, strict=7"), Some(7));
        assert_eq!(quota(Tier::Bulk, "standard=5"), Some(60));
        assert_eq!(quota(Tier::Bulk, "off"), None);
    }

    #[test]
    fn a_lease_is_used_up_and_asked_for_again() {
        let grant = |granted, free| Grant {
            granted,
            free,
            ends_in_ms: 30_000,
        };
        let bucket = Bucket {
            tier: Tier::Standard,
            of: Counted::Account(Uuid::nil()),
        };
        let spend = |now| spend(&bucket, 100, now);
        assert!(spend(0).is_none());
        remember(bucket.clone(), grant(2, 98), 0);
        assert_eq!(spend(0).expect("leased").remaining, 99);
        assert_eq!(spend(1).expect("leased").remaining, 98);
        assert!(spend(2).is_none(), "there is more in the database");
        remember(bucket.clone(), grant(1, 0), 2);
        assert!(!is_exhausted(&bucket, 3));
        assert!(spend(3).expect("the last").refusal().is_none());
        assert!(is_exhausted(&bucket, 4) && !is_exhausted(&bucket, 30_002));
        let refusal = spend(4).expect("known").refusal().expect("refused");
        assert_eq!(
            (refusal.status().as_u16(), refusal.code()),
            (429, "rate-limited")
        );
        assert!(spend(30_002).is_none(), "a new minute");
    }

    #[test]
    fn relaxed_needs_no_database() {
        let bucket = Bucket {
            tier: Tier::Relaxed,
            of: Counted::Address("192.0.2.1".into()),
        };
        let spend = |now| spend(&bucket, 2, now).expect("counted here");
        assert!(spend(0).refusal().is_none() && spend(1).refusal().is_none());
        assert!(spend(2).refusal().is_some());
        assert!(spend(MINUTE_MS).refusal().is_none());
    }
}
