//! The accounts and sessions that a topic was told of lately.
//!
//! A socket that opens while its session ends is not there yet when the topic hears of it. So who opens one compares the
//! time at which the origin was asked with these.

use std::collections::HashMap;

/// The time within which the functions of the origin learn what has ended.
pub const LEARNED_WITHIN_MS: u64 = 2_000;
/// The time for which one is remembered, longer than a question to the origin takes.
const REMEMBERED_MS: u64 = 60_000;

/// What has ended, with the time at which the topic heard of it.
#[derive(Default)]
pub struct Ended(HashMap<String, u64>);

impl Ended {
    /// Notes accounts and sessions.
    pub fn note(&mut self, ids: &[String], now_ms: u64) {
        self.0.retain(|_, at| now_ms < *at + REMEMBERED_MS);
        self.0.extend(ids.iter().map(|id| (id.clone(), now_ms)));
    }

    /// Whether the topic has heard of an account or session since a time.
    pub fn since(&self, id: &str, since_ms: u64) -> bool {
        self.0.get(id).is_some_and(|at| *at >= since_ms)
    }
}
