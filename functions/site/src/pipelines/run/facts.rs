//! The facts of a run: where it came from, when it ran, what it used, what it waits for, and what came of it.

use maud::{Markup, html};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::step::Step;
use super::{Run, Shown, View, WAITING, api, page, state, values};
use crate::models::dollars;
use crate::ui;

/// What has started the run, and by which of its pipeline's versions it goes.
fn origin(run: &Run) -> Markup {
    html! {
        dl.facts {
            dt { "Started by" } dd { (cause(run)) }
            dt { "Version" } dd { a href=(format!("{}?version={}", super::super::address(&run.pipeline), run.version)) { (run.version) } }
            @if let Some(key) = &run.key { dt { "Key" } dd { code { (key) } } }
            dt { "Id" } dd { code { (run.id) } }
        }
    }
}

fn cause(run: &Run) -> Markup {
    let of_trigger = |what: &str| {
        html! {
            @match &run.trigger {
                Some(trigger) => a href=(format!("{}#trigger-{}", super::super::address(&run.pipeline), ui::encode(trigger))) { (what) },
                None => (what),
            }
        }
    };
    html! {
        @match (run.cause.as_str(), &run.parent, &run.restarted_from, &run.schedule) {
            ("pipeline", Some(parent), ..) => {
                @let step = run.parent_step.as_deref().unwrap_or_default();
                "the step " code { (step) } " of " a href=(View::default().opening(parent, step)) { "another run" }
            },
            ("restart", _, Some(former), _) => { "a restart of " a href=(page(former)) { "an earlier run" } },
            ("schedule", .., Some(schedule)) => { "a " a href=(format!("/schedules/{}", ui::encode(schedule))) { "schedule" } },
            ("event", ..) => { "an event, by a " (of_trigger("trigger")) },
            ("webhook", ..) => { "another system, by a " (of_trigger("webhook")) },
            ("call", ..) => "a call",
            (other, ..) => { "a " (other) },
        }
    }
}

/// The time between two times, in words; until now if there is no second one.
pub fn took(from: &str, to: Option<&str>) -> String {
    let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let to = match to {
        Some(to) => read(to),
        None => Some(OffsetDateTime::now_utc()),
    };
    let (Some(from), Some(to)) = (read(from), to) else {
        return String::new();
    };
    duration((to - from).whole_milliseconds().max(0))
}

fn duration(ms: i128) -> String {
    let (seconds, minutes, hours) = (ms / 1000, ms / 60_000, ms / 3_600_000);
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds}.{} s", ms / 100 % 10),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// The origin of the run, its times, and what it has used of its budget.
pub fn show(run: &Run) -> Markup {
    html! {
        div.columns { (origin(run)) (times(run)) }
        dl.usage { @for (name, label) in [("steps", "Steps"), ("cost", "Cost"), ("tokens", "Tokens"), ("fuel", "Fuel")] {
            (used(label, name, &run.usage[name], &run.budget[name]))
        } }
    }
}

fn times(run: &Run) -> Markup {
    let (ended, began) = (run.finished_at.as_deref(), run.started_at.as_deref());
    html! {
        dl.facts {
            dt { "Started" } dd { (ui::ago(&run.created_at)) }
            @if let Some(began) = began { dt { "Began" } dd { (ui::ago(began)) } }
            @if let Some(ended) = ended { dt { "Ended" } dd { (ui::ago(ended)) } }
            @if let Some(began) = began { dt { "Took" } dd { (took(began, ended)) @if ended.is_none() { " so far" } } }
        }
    }
}

/// What was used of something. What has no budget and was not used is not worth a word.
fn used(label: &str, name: &str, used: &Value, budget: &Value) -> Markup {
    let used = used.as_i64().unwrap_or_default();
    let text = |number: i64| match name {
        "cost" => dollars(number),
        _ => ui::number(number),
    };
    html! {
        @match budget.as_i64() {
            Some(most) => {
                @let part = used as f64 / (most.max(1)) as f64;
                div { dt { (label) } dd { (ui::meter(part, &text(used))) " " (text(used)) " of " (text(most)) } }
            },
            None if used > 0 || name == "steps" => div { dt { (label) } dd { (text(used)) } },
            None => {},
        }
    }
}

/// The reason why the run did not succeed.
pub fn failure(shown: &Shown<'_>) -> Markup {
    let error = &shown.run.error;
    html! {
        @if let Some(detail) = error["detail"].as_str() {
            div.alert.bad #error {
                (ui::icon("bad"))
                div {
                    p { strong { code { (error["code"].as_str().unwrap_or_default()) } } " " bdi { (ui::marked(&values::cut(detail, 4096))) } }
                    @if let Some(step) = error["step"].as_str() {
                        p { a href=(shown.view.opening(&shown.run.id, step)) { "The step " code { (step) } } }
                    }
                }
            }
        }
    }
}

/// What the run was given and what it has answered.
pub fn values(run: &Run) -> Markup {
    let whole = api(&run.id);
    let show = |id: &str, label: &str, value: &Option<Box<RawValue>>| match value {
        Some(value) => values::show(id, &html! { h2 { (label) } }, value, &whole),
        None => html! {},
    };
    html! {
        div.columns {
            @if run.input.is_none() { div.value { h2 { "Input" } p.meta { "None." } } }
            (show("input", "Input", &run.input))
            (show("result", "Result", &run.result))
        }
    }
}

/// What the run waits for, and where that is done.
pub fn waits(shown: &Shown<'_>) -> Markup {
    let run = &shown.run.id;
    let waits = &shown.waits;
    let all = [(&waits.uncertain, "uncertain"), (&waits.waiting, "waiting")];
    html! {
        @if all.iter().any(|(steps, _)| !steps.is_empty()) {
            section aria-labelledby="waits" {
                h2 #waits { "Waits for" }
                ul.rows { @for (steps, status) in all {
                    @for step in steps { li {
                        p { a href=(shown.view.opening(run, &step.path)) { code { (step.path) } } " " (state(&step.status)) }
                        p { (reason(shown, step)) }
                    } }
                    @if steps.len() == WAITING {
                        li { p { a href=(View::narrowed(run, "", status)) { "All steps that are " (status) } } }
                    }
                } }
            }
        }
    }
}

fn reason(shown: &Shown<'_>, step: &Step) -> Markup {
    let here = shown.view.opening(&shown.run.id, &step.path);
    let signals = step.signals(&shown.definition);
    html! {
        @if step.status == "uncertain" {
            "A decision: nobody knows whether its request has arrived. " a href=(here) { "Decide" }
        } @else if let Some(approval) = &step.approval {
            "An approval. " a href=(format!("/approvals/{}", ui::encode(approval))) { "Open the approval" }
        } @else if let Some(child) = &step.child {
            "The run of another pipeline. " a href=(page(child)) { "Open its run" }
        } @else if let Some(turn) = &step.turn {
            "An agent. " a href=(format!("/turns/{}", ui::encode(turn))) { "Look at its turn" }
        } @else if !signals.is_empty() {
            "A signal: " @for signal in &signals { code { (signal) } " " } a href=(here) { "Send it" }
        } @else if step.kind == "map" {
            "Its items. " a href=(View::narrowed(&shown.run.id, &step.path, "")) { "Look at them" }
        } @else if step.wake_at.is_none() {
            @match step.kind.as_str() { "wait" => "An event.", _ => "Its other steps." }
        }
        @if let Some(at) = &step.wake_at { " It goes on " (ui::ago(at)) " at the latest." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (61_000, "1 min 1 s"),
            (3_600_000, "1 h 0 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(ms), expected);
        }
        let both = ("2026-01-01T00:00:00Z", Some("2026-01-01T00:00:02.5Z"));
        assert_eq!(took(both.0, both.1), "2.5 s");
    }
}
