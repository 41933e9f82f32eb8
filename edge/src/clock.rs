//! The clock of this machine, which may differ from the origin's, and pauses.

use std::time::Duration;

use worker::{Date, Delay};

/// The time in milliseconds since 1970. It advances when something outside has been waited for.
pub fn now_ms() -> u64 {
    Date::now().as_millis()
}

/// Waits.
pub async fn pause(ms: u64) {
    Delay::from(Duration::from_millis(ms)).await;
}
