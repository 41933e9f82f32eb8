//! The time of a request, as the host stated it, since each look at a clock is a call of the host.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

thread_local! {
    static TOLD_MS: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Stores the time at which the request began, in milliseconds since 1970, if the host stated it.
pub(crate) fn request_began(told_ms: Option<u64>) {
    TOLD_MS.set(told_ms);
}

/// The time at which the request began, in seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    unix_now_ms() / 1000
}

/// The time at which the request began, in milliseconds since 1970.
pub(crate) fn unix_now_ms() -> u64 {
    TOLD_MS.get().unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    })
}
