//! The table of the steps of a run, by pages and filters. The row of a step opens its details.

use maud::{Markup, html};

use super::facts::took;
use super::step::Step;
use super::{PAGE, Shown, View, page, state, values};
use crate::ui;

/// The states by which the steps can be narrowed.
const STATES: [&str; 10] = [
    "ready",
    "running",
    "retrying",
    "waiting",
    "uncertain",
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
    "timed_out",
];
/// The largest part of an error in a row, in bytes.
const MAX_ERROR: usize = 200;

/// Shows the steps of the page.
pub fn show(shown: &Shown<'_>) -> Markup {
    let (view, run) = (&shown.view, &shown.run.id);
    let steps = &shown.steps.items;
    let is_narrowed = !view.path.is_empty() || !view.status.is_empty();
    let is_later = !view.after.is_empty();
    let next = View {
        after: String::new(),
        ..view.clone()
    };
    let next = next.address(page(run));
    html! {
        @if is_narrowed || is_later || shown.steps.next.is_some() || steps.len() == PAGE { (pills(view, run)) }
        @if !view.path.is_empty() {
            p { "At and below " code { (view.path) } ". " a href=(View::narrowed(run, "", &view.status)) { "All steps" } }
        }
        @if steps.is_empty() {
            p { @if is_narrowed || is_later { "No step is so." } @else { "No step has begun yet." } }
        } @else { (table(shown)) }
        @if is_later { p { a href=(View::narrowed(run, &view.path, &view.status)) { "The first steps" } } }
        (ui::more(&next, shown.steps.next.as_deref()))
    }
}

fn pills(view: &View, run: &str) -> Markup {
    html! {
        nav.pills aria-label="State of the steps" {
            a href=(View::narrowed(run, &view.path, "")) aria-current=[view.status.is_empty().then_some("page")] { "all" }
            @for status in STATES {
                a href=(View::narrowed(run, &view.path, status)) aria-current=[(view.status == status).then_some("page")] { (status.replace('_', " ")) }
            }
        }
    }
}

fn table(shown: &Shown<'_>) -> Markup {
    html! {
        table.list.steps {
            thead { tr { @for label in ["Step", "Type", "State", "Attempts", "Took", "Error"] { th scope="col" { (label) } } } }
            tbody { @for step in &shown.steps.items {
                @let opened = shown.opened.as_ref().filter(|opened| opened.path == step.path);
                (row(shown, step, opened.is_some()))
                @if let Some(opened) = opened { tr.opened { td colspan="6" { (opened.show(shown)) } } }
            } }
        }
    }
}

fn row(shown: &Shown<'_>, step: &Step, is_open: bool) -> Markup {
    let (view, run) = (&shown.view, &shown.run.id);
    let link = if is_open {
        view.closing(run, &step.path)
    } else {
        view.opening(run, &step.path)
    };
    let attempts = if step.attempts == 1 {
        " attempt"
    } else {
        " attempts"
    };
    html! {
        tr id=(format!("at-{}", step.path)) {
            td { a href=(link) aria-expanded=(is_open.to_string()) { code { (step.path) } } }
            td { (step.kind) }
            td { (state(&step.status)) (step.links(run))
                @if let Some(at) = step.wakes_at() { " until " (ui::ago(at)) } }
            td { @if step.attempts > 0 { (step.attempts) span.narrow { (attempts) } } }
            td { (took(&step.started_at, step.finished_at.as_deref())) }
            td { (error(shown, step)) }
        }
    }
}

/// The error of a step in a line. Of a private one it is the code.
fn error(shown: &Shown<'_>, step: &Step) -> Markup {
    let name = if step.is_private(&shown.definition) {
        "code"
    } else {
        "detail"
    };
    let text = step.error[name].as_str().unwrap_or_default();
    html! { bdi { (values::cut(text, MAX_ERROR)) } }
}
