//! Icons of 16 × 16, drawn with lines in the colour of the text.

use maud::{Markup, html};

/// The icon of this name; a dot if there is none.
pub fn icon(name: &str) -> Markup {
    let path = match name {
        "home" => "M2.5 7.5 8 3l5.5 4.5V13h-4V9.5h-3V13h-4z",
        "inbox" => "M2.5 9.5 4 3.5h8l1.5 6v3h-11zM2.5 9.5h3l1 1.5h3l1-1.5h3",
        "channels" => "M6 2.5l-1.5 11M11.5 2.5 10 13.5M2.5 6h11M2.5 10.5h11",
        "posts" => "M3 2.5h10v11H3zM5.5 5.5h5M5.5 8h5M5.5 10.5h3",
        "skills" => "M8 1.5 14 5v6l-6 3.5L2 11V5zM2 5l6 3.5L14 5M8 8.5v6",
        "agents" => "M3.5 5.5h9v7h-9zM8 5.5V3M6 8.5v1M10 8.5v1M6.5 2.5h3",
        "pipelines" => "M2.5 3h4v3h-4zM9.5 10h4v3h-4zM4.5 6v5.5h5M6.5 4.5h5V10",
        "schedules" => "M2.5 3.5h11v10h-11zM2.5 6.5h11M5.5 2v3M10.5 2v3M5.5 9.5h2M9 9.5h1.5",
        "jobs" => "M8 2.5A5.5 5.5 0 1 0 13.5 8M8 5v3l2 1.5M10.5 2.5h3v3",
        "memory" => {
            "M4.5 4.5h7v7h-7zM6.5 4.5v-2M9.5 4.5v-2M6.5 13.5v-2M9.5 13.5v-2M4.5 6.5h-2M4.5 9.5h-2M13.5 6.5h-2M13.5 9.5h-2"
        }
        "admin" => "M8 1.5l5 2v4.5c0 3-2 5-5 6.5-3-1.5-5-3.5-5-6.5V3.5z",
        "docs" => "M3 2.5h4.5L8 4l.5-1.5H13v10H8.5L8 14l-.5-1.5H3zM8 4v10",
        "search" => "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.5 10.5l3.5 3.5",
        "models" => "M8 2.5 9.5 6.5 13.5 8 9.5 9.5 8 13.5 6.5 9.5 2.5 8 6.5 6.5z",
        "secrets" => "M5 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5M7.5 8h6v2.5M11 8v2",
        "more" => "M3 8h.01M8 8h.01M13 8h.01",
        "design" => "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM11 9.5a2 2 0 1 1 0 4 2 2 0 0 1 0-4",
        "seal" => {
            "M8 1.5l1.8 1.3 2.2 0 .7 2.1L14.5 6.2 13.8 8.3l.7 2.1-1.8 1.3-.7 2.1-2.2 0L8 15l-1.8-1.2-2.2 0-.7-2.1L1.5 10.4l.7-2.1-.7-2.1L3.3 4.9 4 2.8l2.2 0zM5.5 8.2l1.7 1.7 3.3-3.5"
        }
        "good" => "M3 8.5 6.5 12 13 4.5",
        "warn" => "M8 2 14.5 13.5h-13zM8 6.5v3.5M8 11.8h.01",
        "bad" => "M4 4l8 8M12 4l-8 8",
        "busy" => "M8 2.5A5.5 5.5 0 1 0 13.5 8",
        "up" => "M8 3 13 10H3z",
        "down" => "M8 13 3 6h10z",
        "reply" => "M6 3.5 2.5 7 6 10.5M2.5 7H9c3 0 4.5 2 4.5 5.5",
        "copy" => "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
        "pin" => "M6 2.5h4l-.5 4 2.5 2.5H4l2.5-2.5zM8 9v4.5",
        "lock" => "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
        _ => "M8 8h.01",
    };
    html! { svg.icon viewBox="0 0 16 16" aria-hidden="true" { path d=(path); } }
}

/// The site's own mark: two that meet.
pub fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 20 20" aria-hidden="true" {
            rect x="1" y="6" width="9" height="9" rx="1.5" {}
            circle cx="13" cy="9" r="5.5" {}
        }
    }
}
