//! Bar charts as SVG, which need no script, and are drawn in the colours of the theme.

use maud::{Markup, html};

use super::{counted, number};

const BAR: usize = 10;
const HEIGHT: f64 = 60.0;

/// One bar.
pub struct Bar {
    /// What the bar stands for, such as an hour.
    pub label: String,
    /// The value.
    pub value: f64,
    /// The part of the value that is drawn darker, such as a median.
    pub part: f64,
}

/// What the values of a chart are.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// A number of things, by their noun.
    Count(&'static str),
    /// A time.
    Milliseconds,
}

impl Unit {
    fn text(self, value: f64) -> String {
        let rounded = value.round() as i64;
        match self {
            Self::Count(noun) => counted(rounded, noun),
            Self::Milliseconds => format!("{} ms", number(rounded)),
        }
    }
}

/// A chart of bars with its largest value. `tone` is `accent` or `bad`.
pub fn chart(title: &str, unit: Unit, tone: &str, bars: &[Bar]) -> Markup {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let width = bars.len() * BAR;
    let summary = match most {
        0.0 => format!("{title}: nothing in this time"),
        _ => format!("{title}: {} at most", unit.text(most)),
    };
    html! {
        figure.chart {
            figcaption { (title) @if most > 0.0 { span.meta { (unit.text(most)) " at most" } } }
            svg.(tone) viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(summary) {
                @for (index, bar) in bars.iter().enumerate() {
                    (column(index, bar.value, most, "bar", bar, unit))
                    @if bar.part > 0.0 { (column(index, bar.part, most, "part", bar, unit)) }
                }
                line x1="0" x2=(width) y1=(HEIGHT) y2=(HEIGHT) {}
            }
        }
    }
}

fn column(index: usize, value: f64, most: f64, class: &str, bar: &Bar, unit: Unit) -> Markup {
    // What is there at all is seen.
    let height = match value {
        0.0 => 0.0,
        _ => (value / most * HEIGHT).max(1.0),
    };
    html! {
        rect.(class) x=(index * BAR + 1) y=(format!("{:.1}", HEIGHT - height)) width=(BAR - 2) height=(format!("{height:.1}")) {
            title { (bar.label) ": " (unit.text(value)) }
        }
    }
}
