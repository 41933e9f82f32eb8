//! What the benchmarks measure with: a load, the functions' handlers in native axum, and how times are told.

use std::time::Duration;

pub mod load;
pub mod native;

/// The median of some times.
#[must_use]
pub fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    at(&times, 0.5)
}

/// Median and 99th percentile in milliseconds.
#[must_use]
pub fn figures(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| at(&times, share).as_secs_f64() * 1e3;
    format!("p50 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.99))
}

fn at(sorted: &[Duration], share: f64) -> Duration {
    let index = (sorted.len().saturating_sub(1) as f64 * share) as usize;
    sorted.get(index).copied().unwrap_or_default()
}
