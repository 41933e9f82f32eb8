//! The time of a request, as the host stated it, since each look at a clock is a call of the host.

use std::cell::Cell;
use time::OffsetDateTime;

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
    TOLD_MS.get().unwrap_or_else(clock_ms)
}

/// The time now, in seconds since 1970. A request may have begun long before.
pub(crate) fn clock_seconds() -> u64 {
    clock_ms() / 1000
}

/// By `time` and not by the standard library, which has no clock on Workers.
fn clock_ms() -> u64 {
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    u64::try_from(now).unwrap_or(0)
}
