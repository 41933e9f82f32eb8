//! A chart of columns, drawn as an image with its numbers in words.

use maud::{Markup, html};

/// The height of the tallest column.
const HEIGHT: i64 = 100;
/// The width of a column, and the distance to the next one.
const WIDTH: usize = 16;
const STEP: usize = 20;

/// A chart: for each column its name, its number, and the number as text.
pub fn chart(title: &str, columns: &[(&str, i64, String)]) -> Markup {
    let most = columns.iter().map(|(_, number, _)| *number).max();
    let most = most.unwrap_or_default().max(1);
    let height = |number: i64| number.clamp(0, most).saturating_mul(HEIGHT) / most;
    let width = columns.len().max(1) * STEP;
    html! {
        figure.chart {
            figcaption { (title) }
            svg viewBox=(format!("0 0 {width} {}", HEIGHT + 2)) role="img" aria-label=(format!("{title}, {} columns", columns.len())) preserveAspectRatio="none" {
                @for (at, (name, number, text)) in columns.iter().enumerate() {
                    // What is not nothing can be seen.
                    @let tall = height(*number).max(i64::from(*number > 0));
                    rect x=(at * STEP) y=(HEIGHT + 1 - tall) width=(WIDTH) height=(tall + 1) { title { (name) ": " (text) } }
                }
            }
            @if let (Some((first, ..)), Some((last, ..))) = (columns.first(), columns.last()) {
                p.meta.spread { span { (first) } @if columns.len() > 1 { span { (last) } } }
            }
        }
    }
}
