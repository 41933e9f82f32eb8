//! The charts above the list of jobs, with the same numbers as a table.

use maud::{Markup, html};
use serde::Deserialize;

use crate::ui::{self, Bar, Unit};

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
    let bars = |value: fn(&Hour) -> f64, part: fn(&Hour) -> f64| -> Vec<Bar> {
        let bar = |hour: &Hour| Bar {
            label: clock(&hour.at),
            value: value(hour),
            part: part(hour),
        };
        hours.iter().map(bar).collect()
    };
    let ended = bars(
        |hour| f64::from(hour.succeeded + hour.dead + hour.cancelled),
        |_| 0.0,
    );
    let latency = bars(
        |hour| hour.p95_ms.unwrap_or(0.0),
        |hour| hour.median_ms.unwrap_or(0.0),
    );
    let dead = bars(|hour| f64::from(hour.dead), |_| 0.0);
    if hours.is_empty() {
        return html! {};
    }
    html! {
        section.charts aria-label="The last 24 hours" {
            (ui::chart("Ended an hour", Unit::Count("job"), "accent", &ended))
            (ui::chart("Time until 95 % ended", Unit::Milliseconds, "accent", &latency))
            (ui::chart("Died an hour", Unit::Count("job"), "bad", &dead))
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
