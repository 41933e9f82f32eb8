//! What became of requests, counted by this isolate.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;

thread_local! {
    static REQUESTS: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Counts a request.
pub fn count(outcome: &'static str) {
    REQUESTS.with_borrow_mut(|all| *all.entry(outcome).or_default() += 1);
}

/// The counts in Prometheus' text format.
pub fn text() -> String {
    let mut text = "# HELP gather_edge_requests_total Requests by what became of them.\n\
                    # TYPE gather_edge_requests_total counter\n"
        .to_owned();
    REQUESTS.with_borrow(|all| {
        for (outcome, count) in all {
            _ = writeln!(
                text,
                "gather_edge_requests_total{{outcome=\"{outcome}\"}} {count}"
            );
        }
    });
    text
}
