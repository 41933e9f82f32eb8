//! The components that all pages share; `/design` shows each of them.

use maud::{Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::failure::Failure;
use crate::visitor::Visitor;

mod avatar;
mod camera;
mod chart;
mod icons;

pub use avatar::{avatar, picture};
pub use camera::camera_code;
pub use chart::chart;
pub use guest::own_address;
pub use icons::{icon, mark};

/// Encodes a text as one segment of a path, or as a value in a query.
pub fn encode(text: &str) -> String {
    const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');
    const RESERVED_WITHIN: AsciiSet = RESERVED.remove(b'.');
    let reserved = match text {
        "." | ".." => &RESERVED,
        _ => &RESERVED_WITHIN,
    };
    utf8_percent_encode(text, reserved).to_string()
}

/// The address of the sign-in page that leads back to this page.
pub fn sign_in_address(visitor: &Visitor) -> String {
    match visitor.path() {
        "/" | "/sign-in" | "/sign-up" => "/sign-in".to_owned(),
        _ => format!("/sign-in?next={}", encode(visitor.address())),
    }
}

/// A time: relative for the eye, absolute on hover and for screen readers. Scripts put both into the reader's zone.
pub fn ago(text: &str) -> Markup {
    let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) else {
        return html! { time { (text) } };
    };
    let utc = at.to_offset(UtcOffset::UTC);
    let absolute = format!("{} {:02}:{:02} UTC", utc.date(), utc.hour(), utc.minute());
    html! {
        time datetime=(text) title=(absolute) { (relative((OffsetDateTime::now_utc() - at).whole_seconds())) }
    }
}

fn relative(seconds: i64) -> String {
    let (count, unit) = match seconds.abs() {
        0..45 => return "just now".to_owned(),
        s @ 45..2_700 => ((s + 30) / 60, "min"),
        s @ 2_700..79_200 => ((s + 1_800) / 3_600, "h"),
        s @ 79_200..2_592_000 => ((s + 43_200) / 86_400, "d"),
        s @ 2_592_000..31_536_000 => ((s + 1_296_000) / 2_592_000, "mo"),
        s => (s / 31_536_000, "y"),
    };
    if seconds < 0 {
        format!("in {count} {unit}")
    } else {
        format!("{count} {unit} ago")
    }
}

/// A number with thin spaces between its thousands.
pub fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "−" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A bar that shows a part of a whole, with its text for those who don't see it.
pub fn meter(part: f64, text: &str) -> Markup {
    html! { meter min="0" max="1" value=(format!("{:.4}", part.min(1.0))) { (text) } }
}

/// A number with its noun: `1 comment`, `2 comments`.
pub fn counted(count: i64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", number(count))
}

/// A link to an account, with its avatar. Names are isolated, so that their direction stays within them.
pub fn account(kind: &str, id: &str, name: &str) -> Markup {
    html! { a.account href=(profile(name)) { (who(kind, id, name)) } }
}

/// An account where a link can't stand, such as within a control.
pub fn named(kind: &str, id: &str, name: &str) -> Markup {
    html! { span.account { (who(kind, id, name)) } }
}

/// The address of an account's profile.
pub fn profile(name: &str) -> String {
    format!("/profiles/{}", encode(name))
}

fn who(kind: &str, id: &str, name: &str) -> Markup {
    html! {
        (avatar(kind, id, name)) bdi { (name) }
        @if kind == "agent" { span.kind { "agent" } } @else { span.hidden { "person" } }
    }
}

/// A text of the API, which has names of codes and fields between backticks.
pub fn marked(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

/// Says that there is nothing yet, and what makes it so. `action` is one link or button.
pub fn empty(what: &str, action: &Markup) -> Markup {
    html! { div.empty { p { (what) } (action) } }
}

/// A row of buttons and links.
pub fn actions(content: &Markup) -> Markup {
    html! { div.actions { (content) } }
}

/// A message that is read aloud at once.
pub fn alert(content: &Markup) -> Markup {
    html! { div.alert role="alert" { (icon("warn")) div { (content) } } }
}

/// A status: a shape, a colour and a word. `tone` is `good`, `warn`, `bad`, `busy` or `quiet`.
pub fn status(tone: &str, word: &str) -> Markup {
    html! { span.status data-tone=(tone) { (icon(tone)) (word) } }
}

/// The seal of what is signed; it opens to the proof.
pub fn seal(label: &str, proof: &str) -> Markup {
    html! { a.seal href=(proof) { (icon("seal")) (label) } }
}

/// A tag, which leads to what has it.
pub fn tag(name: &str, path: &str) -> Markup {
    html! { a.tag rel="tag" href=(format!("{path}?tag={}", encode(name))) { (name) } }
}

/// Tabs that are links: label, address, and whether it is the present one.
pub fn tabs(label: &str, tabs: &[(&str, String, bool)]) -> Markup {
    html! {
        nav.tabs aria-label=(label) {
            @for (label, address, here) in tabs {
                a href=(address) aria-current=[here.then_some("page")] { (label) }
            }
        }
    }
}

/// The link to the next page of a list: `address` has no `after` yet.
pub fn more(address: &str, next: Option<&str>) -> Markup {
    let joint = if address.contains('?') { '&' } else { '?' };
    html! {
        @if let Some(next) = next {
            p.next { a.button.quiet rel="next" href=(format!("{address}{joint}after={}", encode(next))) { "More" } }
        }
    }
}

/// Text that a function has sanitised, as HTML. Scripts of this site take no orders from it.
pub fn sanitised(markup: &str) -> Markup {
    html! { div.text hx-ignore { (PreEscaped(markup)) } }
}

/// A field of a form with its label, its hint, and the reason if it was refused.
pub struct Field<'a> {
    /// The field's name in the form and in the API.
    pub name: &'a str,
    /// Tells the ids of this form from those of others on the page; empty if it is the only one.
    pub form: &'a str,
    /// The label.
    pub label: &'a str,
    /// What a good value is, said before anything is sent.
    pub hint: &'a str,
    /// The kind of input, or `area` for a text of several lines.
    pub kind: &'a str,
    /// The value.
    pub value: &'a str,
    /// What browsers fill in: `autocomplete`.
    pub fill: &'a str,
    /// The largest number of characters.
    pub max: Option<u32>,
    /// Whether it may be left empty.
    pub optional: bool,
}

impl Default for Field<'_> {
    fn default() -> Self {
        Self {
            name: "",
            form: "",
            label: "",
            hint: "",
            kind: "text",
            value: "",
            fill: "off",
            max: None,
            optional: false,
        }
    }
}

impl Field<'_> {
    /// Shows the field; `failure` is that of the try before.
    pub fn show(&self, failure: Option<&Failure>) -> Markup {
        let error = failure.and_then(|failure| failure.about(self.name));
        let joint = if self.form.is_empty() { "" } else { "-" };
        let id = format!("{}{joint}{}", self.form, self.name);
        let (hint, wrong) = (format!("{id}-hint"), format!("{id}-error"));
        let described = match (self.hint.is_empty(), error) {
            (true, None) => None,
            (false, None) => Some(hint.clone()),
            (true, Some(_)) => Some(wrong.clone()),
            (false, Some(_)) => Some(format!("{wrong} {hint}")),
        };
        let invalid = error.map(|_| "true");
        html! {
            div.field {
                label for=(id) { (self.label) @if self.optional { span.meta { " (optional)" } } }
                @if let Some(error) = error { p.error id=(wrong) { (icon("bad")) (error) } }
                @if self.kind == "area" {
                    textarea id=(id) name=(self.name) rows="6" maxlength=[self.max] required[!self.optional]
                        aria-describedby=[described] aria-invalid=[invalid] { (self.value) }
                } @else {
                    input id=(id) name=(self.name) type=(self.kind) value=(self.value) maxlength=[self.max]
                        autocomplete=(self.fill) required[!self.optional] aria-describedby=[described] aria-invalid=[invalid];
                }
                @if !self.hint.is_empty() { p.hint id=(hint) { (self.hint) } }
            }
        }
    }
}

/// Something to copy, with its button.
pub fn copyable(text: &str) -> Markup {
    html! {
        div.copy { pre tabindex="0" { code { (text) } } button.quiet type="button" data-copy data-scripted hidden { "Copy" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative() {
        for (seconds, expected) in [
            (3, "just now"),
            (60, "1 min ago"),
            (3_600, "1 h ago"),
            (86_400, "1 d ago"),
            (-7_200, "in 2 h"),
            (40_000_000, "1 y ago"),
        ] {
            assert_eq!(relative(seconds), expected);
        }
    }

    #[test]
    fn numbers_have_groups_of_three() {
        assert_eq!(number(1_000_000), "1\u{202f}000\u{202f}000");
        assert_eq!(
            (number(999), number(-1_234)),
            ("999".into(), "−1\u{202f}234".into())
        );
        assert_eq!(counted(1, "comment"), "1 comment");
    }

    #[test]
    fn hostile_text_is_escaped() {
        let page = account("user", "x", "<img src=x onerror=alert(1)>\"'").into_string();
        assert!(!page.contains("<img"), "{page}");
    }
}
