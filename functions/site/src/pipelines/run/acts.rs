//! What a person can do about a run and its steps: the forms, and what they send.

use http::Method;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use guest::Problem;

use super::step::{FINALLY, Step};
use super::{Refusal, Run, Shown, api, page, step_api};
use crate::failure::Failure;
use crate::forms::{self, Proof};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

/// What a run may use, with the labels of the form that gives it more.
const BUDGET: [(&str, &str); 4] = [
    ("steps", "Steps"),
    ("cost", "Cost, in millionths of a dollar"),
    ("tokens", "Tokens"),
    ("fuel", "Fuel"),
];

/// The fields of all forms of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// The step that the form is about; empty if it is about the run.
    pub path: String,
    outcome: String,
    output: String,
    signal: String,
    data: String,
    version: String,
    input: String,
    outputs: String,
    steps: String,
    cost: String,
    tokens: String,
    fuel: String,
}

/// The JSON of a field; `None` if it is empty.
fn json_of<'a>(name: &str, text: &'a str) -> Result<Option<&'a RawValue>, Failure> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let read = serde_json::from_str(text);
    let refused = |error| Problem::invalid(name, format!("must be JSON: {error}")).into();
    read.map(Some).map_err(refused)
}

/// The whole number of a field; `None` if it is empty.
fn number_of(name: &str, text: &str) -> Result<Option<u64>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let refused = |_| Problem::invalid(name, "must be a whole number").into();
    text.parse().map(Some).map_err(refused)
}

/// A restart, as the API takes it.
#[derive(Serialize)]
struct Restart<'a> {
    from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<&'a RawValue>,
}

impl Fields {
    fn restart(&self) -> Result<Restart<'_>, Failure> {
        Ok(Restart {
            from: &self.path,
            version: number_of("version", &self.version)?,
            input: json_of("input", &self.input)?,
            outputs: json_of("outputs", &self.outputs)?,
        })
    }

    fn amount(&self, name: &str) -> &str {
        match name {
            "steps" => &self.steps,
            "cost" => &self.cost,
            "tokens" => &self.tokens,
            _ => &self.fuel,
        }
    }

    fn resumption(&self) -> Result<Value, Failure> {
        let mut budget = Map::new();
        for (name, _) in BUDGET {
            if let Some(most) = number_of(name, self.amount(name))? {
                budget.insert(name.to_owned(), json!(most));
            }
        }
        Ok(if budget.is_empty() {
            json!({})
        } else {
            json!({ "budget": budget })
        })
    }
}

/// Sends what a form asks for. Answers the run that it has begun, if it has.
pub async fn send(
    visitor: &Visitor,
    run: &str,
    what: &str,
    fields: &Fields,
    proof: &Proof,
) -> Result<Option<String>, Failure> {
    let (path, body) = match what {
        "cancel" | "pause" => (format!("{}/{what}", api(run)), json!({})),
        "resume" => (format!("{}/resume", api(run)), fields.resumption()?),
        "signal" => {
            let path = format!("{}/signals/{}", api(run), ui::encode(&fields.signal));
            (path, json!({"data": json_of("data", &fields.data)?}))
        }
        "resolve" => {
            let path = format!("{}/resolve", step_api(run, &fields.path));
            let output = json_of("output", &fields.output)?;
            (path, json!({"outcome": fields.outcome, "output": output}))
        }
        "restart" => {
            let path = format!("{}/restart", api(run));
            let restart = fields.restart()?;
            let begun: Run = visitor.create("pipelines", &path, &restart, proof).await?;
            return Ok(Some(begun.id));
        }
        _ => return Err(Problem::not_found("page").into()),
    };
    visitor
        .change(Method::POST, "pipelines", &path, &body, proof)
        .await?;
    Ok(None)
}

/// The address to which a form of the page is sent; the page that follows shows the same part of the run.
fn action(shown: &Shown<'_>, what: &str) -> String {
    let base = format!("{}/{what}", page(&shown.run.id));
    shown.view.address(base)
}

fn hidden(shown: &Shown<'_>, refusal: Option<&Refusal<'_>>) -> Markup {
    match refusal {
        Some(refusal) => forms::hidden_again(shown.visitor, Some(refusal.failure), refusal.proof),
        None => forms::hidden(shown.visitor),
    }
}

/// What can be done about a run that has not ended.
pub fn controls(shown: &Shown<'_>) -> Markup {
    let button = |what: &str, label: &str, is_dangerous: bool| {
        html! {
            form method="post" action=(action(shown, what)) {
                (forms::hidden(shown.visitor))
                button id=(what) .danger[is_dangerous] .quiet[!is_dangerous] { (label) }
            }
        }
    };
    let is_paused = shown.run.status == "paused";
    let is_spent = is_paused && is_spent(&shown.run);
    html! {
        @if is_spent { (larger(shown)) }
        (ui::actions(&html! {
            @if is_paused && !is_spent { (button("resume", "Resume run", false)) }
            @if !is_paused { (button("pause", "Pause run", false)) }
            (button("cancel", "Cancel run", true))
        }))
    }
}

/// Whether nothing is left of something that the run may use.
fn is_spent(run: &Run) -> bool {
    let amount = |of: &Value, name: &str| of[name].as_i64();
    BUDGET.iter().any(|(name, _)| {
        let used = amount(&run.usage, name).unwrap_or_default();
        amount(&run.budget, name).is_some_and(|most| used >= most)
    })
}

/// The form that gives a run more to use.
fn larger(shown: &Shown<'_>) -> Markup {
    let budget = &shown.run.budget;
    let refusal = shown.refusal.as_ref();
    let refusal = refusal.filter(|refusal| refusal.what == "resume");
    let failure = refusal.map(|refusal| refusal.failure);
    html! {
        form method="post" action=(action(shown, "resume")) {
            (hidden(shown, refusal))
            p { "The budget of the run is spent. It goes on with a larger one." }
            @for (name, label) in BUDGET.iter().filter(|(name, _)| budget[name].is_u64()) {
                @let given = refusal.map_or_else(|| budget[name].to_string(), |refusal| refusal.fields.amount(name).to_owned());
                (Field { name, form: "budget", label, kind: "number", value: &given, ..Field::default() }.show(failure))
            }
            button id="resume" { "Resume run" }
        }
    }
}

/// What can be done about a step.
pub fn of_step(shown: &Shown<'_>, step: &Step) -> Markup {
    let has_ended = shown.run.finished_at.is_some();
    html! {
        @if step.status == "uncertain" { (question(shown, step)) }
        @if !has_ended { @for signal in step.signals(&shown.definition) { (signalling(shown, step, signal)) } }
        @if has_ended && step.path != FINALLY { (restarting(shown, step)) }
    }
}

/// Asks whether the request of a step has arrived.
fn question(shown: &Shown<'_>, step: &Step) -> Markup {
    let refusal = shown.refused("resolve", step);
    let output = refusal.map_or("", |refusal| refusal.fields.output.as_str());
    let name = format!("resolve-{}", step.path);
    html! {
        form method="post" action=(action(shown, "resolve") + "#step") aria-label=(format!("Has the request of {} arrived?", step.path)) {
            (hidden(shown, refusal))
            input type="hidden" name="path" value=(step.path);
            p { "Nobody knows whether its request has arrived. Find out, and decide." }
            (Field { name: "output", form: &name, label: "Output, as JSON", hint: "What it has answered, if it has arrived.", kind: "area", value: output, optional: true, ..Field::default() }
                .show(refusal.map(|refusal| refusal.failure)))
            div.actions {
                button.quiet name="outcome" value="succeeded" { "It has arrived" }
                button.quiet name="outcome" value="retry" { "Send it again" }
                button.quiet name="outcome" value="failed" { "It has failed" }
            }
        }
    }
}

fn signalling(shown: &Shown<'_>, step: &Step, signal: &str) -> Markup {
    let refusal = shown.refused("signal", step);
    let refusal = refusal.filter(|refusal| refusal.fields.signal == signal);
    let data = refusal.map_or("", |refusal| refusal.fields.data.as_str());
    let name = format!("signal-{signal}");
    html! {
        form method="post" action=(action(shown, "signal") + "#step") aria-label=(format!("Send the signal {signal}")) {
            (hidden(shown, refusal))
            input type="hidden" name="path" value=(step.path);
            input type="hidden" name="signal" value=(signal);
            (Field { name: "data", form: &name, label: "Data of the signal, as JSON", kind: "area", value: data, optional: true, ..Field::default() }
                .show(refusal.map(|refusal| refusal.failure)))
            div.actions { button { "Send the signal " (signal) } }
        }
    }
}

/// The form that begins a new run at a step of one that has ended.
fn restarting(shown: &Shown<'_>, step: &Step) -> Markup {
    let pipeline = &shown.pipeline;
    let why_not = match (pipeline.archived, pipeline.paused) {
        (true, _) => Some("The pipeline is archived, so nothing of it can be restarted."),
        (_, true) => Some("The pipeline is paused. Resume it to restart from here."),
        _ => None,
    };
    let refusal = shown.refused("restart", step);
    let failure = refusal.map(|refusal| refusal.failure);
    let typed = |text: fn(&Fields) -> &str| refusal.map_or("", |refusal| text(refusal.fields));
    let area = |name, label, hint, value| {
        let field = Field {
            name,
            form: "restart",
            label,
            hint,
            kind: "area",
            value,
            optional: true,
            ..Field::default()
        };
        field.show(failure)
    };
    let before = shown.run.version;
    let is_active = pipeline.active_version == before;
    html! {
        @match why_not {
            Some(why) => p.meta { (why) },
            None => form.restart method="post" action=(action(shown, "restart") + "#step") aria-label=(format!("Restart from {}", step.path)) {
                (hidden(shown, refusal))
                input type="hidden" name="path" value=(step.path);
                p.meta { "A new run takes over the outputs of all steps that do not follow from this one, and does the others again." }
                details #changes open[refusal.is_some()] {
                    summary { "With changes" }
                    @if !is_active {
                        div.field { label for="restart-version" { "Version" }
                            select #restart-version name="version" {
                                option value=(before) { (before) ", as before" }
                                @let active = pipeline.active_version.to_string();
                                option value=(active) selected[typed(|fields| &fields.version) == active] { (active) ", the active one" }
                            }
                        }
                    }
                    (area("input", "Input, as JSON", "That of this run if it is empty.", typed(|fields| &fields.input)))
                    (area("outputs", "Outputs of earlier steps, as JSON", "An object of outputs by the paths of their steps, instead of those of this run.", typed(|fields| &fields.outputs)))
                }
                div.actions { button { "Restart from here" } }
            },
        }
    }
}
