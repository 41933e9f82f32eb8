//! The charts above the list of jobs, with the same numbers as a table.

use maud::{Markup, html};
use serde::Deserialize;

use crate::ui;

/// The jobs that ended lately, by the hour.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct History {
    hours: Vec<Hour>,
}

#[derive(Debug, Deserialize)]
struct Hour {
    at: String,
    succeeded: u32,
    dead: u32,
    cancelled: u32,
    median_ms: Option<f64>,
    p95_ms: Option<f64>,
}

/// Throughput, latency and failures of the last day.
pub fn charts(history: &History) -> Markup {
    let hours = &history.hours;
    if hours.is_empty() {
        return html! {};
    }
    let clocks: Vec<_> = hours.iter().map(|hour| clock(&hour.at)).collect();
    let columns = |column: fn(&Hour) -> (i64, String)| -> Vec<(&str, i64, String)> {
        let named = clocks.iter().zip(hours).map(|(clock, hour)| {
            let (number, text) = column(hour);
            (clock.as_str(), number, text)
        });
        named.collect()
    };
    let ended = columns(|hour| {
        let ended = i64::from(hour.succeeded + hour.dead + hour.cancelled);
        (ended, ui::counted(ended, "job"))
    });
    let latency = columns(|hour| {
        let (p95, median) = (hour.p95_ms, milliseconds(hour.median_ms));
        let text = format!("{} ms, half within {median} ms", milliseconds(p95));
        (p95.unwrap_or_default().round() as i64, text)
    });
    let dead = columns(|hour| {
        let dead = i64::from(hour.dead);
        (dead, ui::counted(dead, "job"))
    });
    html! {
        section.charts aria-label="The last 24 hours" {
            (ui::chart("Ended an hour", &ended))
            (ui::chart("Time until 95 % ended", &latency))
            (ui::chart("Died an hour", &dead))
        }
        details.numbers-table {
            summary { "The last 24 hours as a table" }
            table.list {
                thead { tr {
                    @for name in ["From", "Succeeded", "Died", "Cancelled", "Median, ms", "95 %, ms"] { th scope="col" { (name) } }
                } }
                tbody { @for hour in hours.iter().rev() {
                    tr {
                        th scope="row" { (ui::ago(&hour.at)) }
                        td { (hour.succeeded) } td { (hour.dead) } td { (hour.cancelled) }
                        td { (milliseconds(hour.median_ms)) } td { (milliseconds(hour.p95_ms)) }
                    }
                } }
            }
        }
    }
}

fn milliseconds(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"))
}

/// The hour and minute of a time, in UTC.
fn clock(at: &str) -> String {
    match at.get(11..16) {
        Some(clock) => format!("{clock} UTC"),
        None => at.to_owned(),
    }
}
