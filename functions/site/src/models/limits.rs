//! The tab "Limits": what a subject may spend and has spent, and new limits by those who may set them.

use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::get;
use guest::Problem;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LLM, again, complaint, dollars, tabs};
use crate::failure::Failure;
use crate::forms::{self, Form};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new().route("/models/limits", get(show).post(change))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    subject: String,
}

#[derive(Debug, Default, Deserialize)]
struct Limits {
    models: Option<Vec<String>>,
    limits: Vec<Budget>,
    requests_per_minute: Option<i64>,
    tokens_per_minute: Option<i64>,
    concurrency: Option<i64>,
    running: i64,
}

#[derive(Debug, Deserialize)]
struct Budget {
    period: String,
    limit_microusd: i64,
    spent_microusd: i64,
    reserved_microusd: i64,
    resets_at: Option<String>,
}

impl Limits {
    /// The limit of a period, as the form has it.
    fn money(&self, period: &str) -> String {
        let budget = self.limits.iter().find(|budget| budget.period == period);
        let limit = budget.map(|budget| dollars(budget.limit_microusd));
        limit.map_or_else(String::new, |limit| {
            limit.trim_start_matches('$').replace('\u{202f}', "")
        })
    }
}

async fn show(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Page, Failure> {
    page(&visitor, asked.subject.trim(), None).await
}

fn path(subject: &str) -> String {
    format!("/api/llm/limits/{}", ui::encode(subject))
}

/// The subject that is asked for, or else the visitor.
fn chosen(visitor: &Visitor, subject: &str) -> Result<String, Failure> {
    let account = visitor.required()?;
    Ok(match subject {
        "" => format!("account:{}", account.id),
        subject => subject.to_owned(),
    })
}

async fn page(
    visitor: &Visitor,
    subject: &str,
    refused: Option<(&Change, &Failure)>,
) -> Result<Page, Failure> {
    let subject = chosen(visitor, subject)?;
    // Who has no limits, and who may not see them, is answered alike.
    let limits = match visitor.get::<Limits>(LLM, &path(&subject)).await {
        Ok(limits) => Some(limits),
        Err(failure) if failure.status == StatusCode::NOT_FOUND => None,
        Err(failure) => return Err(failure),
    };
    let main = html! {
        h1 { "Limits" }
        (tabs(visitor))
        form.filter action="/models/limits" {
            label.hidden for="subject" { "Who pays" }
            input #subject name="subject" value=(subject) maxlength="100";
            button.quiet { "Show" }
        }
        p.meta { "Who pays: " code { "account:" } ", " code { "team:" } " or " code { "key:" } " with an id, or " code { "platform" } "." }
        (complaint(refused.map(|(_, failure)| failure)))
        @match &limits {
            Some(limits) => (shown(limits)),
            None => p.empty { "No limits are set for " code { (subject) } ", or they are not yours to see." },
        }
        @if visitor.may("llm:provide") { (form(visitor, &subject, limits.as_ref(), refused)) }
    };
    Ok(Page::new("Limits of models", main))
}

fn shown(limits: &Limits) -> Markup {
    let rate = |label: &str, limit: Option<i64>| html! { @if let Some(limit) = limit { dt { (label) } dd { (ui::number(limit)) } } };
    html! {
        ul.rows { @for budget in &limits.limits {
            li {
                p { strong { @match budget.period.as_str() { "day" => "Today", "month" => "This month", _ => "In all" } } " "
                    (dollars(budget.spent_microusd)) " of " (dollars(budget.limit_microusd))
                    @if budget.reserved_microusd > 0 { " · " (dollars(budget.reserved_microusd)) " set aside" } }
                (meter(budget))
                @if let Some(at) = &budget.resets_at { p.meta { "Begins anew " (ui::ago(at)) } }
            }
        } }
        dl.facts {
            (rate("Calls in a minute", limits.requests_per_minute))
            (rate("Tokens in a minute", limits.tokens_per_minute))
            (rate("Calls at once", limits.concurrency))
            dt { "Under way" } dd { (ui::number(limits.running)) }
            @if let Some(models) = &limits.models { dt { "Models" } dd { (models.join(", ")) } }
        }
    }
}

fn meter(budget: &Budget) -> Markup {
    let share = budget.spent_microusd as f64 / budget.limit_microusd.max(1) as f64;
    let text = format!("{:.0} %", share.min(1.0) * 100.0);
    html! { meter min="0" max="1" high="0.8" value=(format!("{:.4}", share.min(1.0))) aria-label="Share that is spent" { (text) } " " (text) }
}

fn form(
    visitor: &Visitor,
    subject: &str,
    limits: Option<&Limits>,
    refused: Option<(&Change, &Failure)>,
) -> Markup {
    let present = limits.map(Change::of).unwrap_or_default();
    let (typed, failure) =
        refused.map_or((&present, None), |(typed, failure)| (typed, Some(failure)));
    let field = |name, label, hint, value| {
        Field {
            name,
            label,
            hint,
            value,
            optional: true,
            ..Field::default()
        }
        .show(failure)
    };
    let money = "In dollars.";
    html! {
        section aria-labelledby="set" {
            h2 #set { "Set limits" }
            p { "They replace those above. All limits of all who pay for a call have to hold. What is empty is not limited." }
            form method="post" action="/models/limits" {
                (forms::hidden(visitor))
                input type="hidden" name="subject" value=(subject);
                (field("day", "A day", money, &typed.day))
                (field("month", "A month", money, &typed.month))
                (field("total", "In all", money, &typed.total))
                (field("requests_per_minute", "Calls in a minute", "", &typed.requests_per_minute))
                (field("tokens_per_minute", "Tokens in a minute", "", &typed.tokens_per_minute))
                (field("concurrency", "Calls at once", "", &typed.concurrency))
                (field("models", "Models", "Separated by commas: provider/model, or provider/*.", &typed.models))
                div.actions {
                    button name="what" value="set" { "Set limits" }
                    @if limits.is_some() { button.danger name="what" value="end" { "Take all limits away" } }
                }
            }
        }
    }
}

/// The form of limits.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    subject: String,
    what: String,
    day: String,
    month: String,
    total: String,
    requests_per_minute: String,
    tokens_per_minute: String,
    concurrency: String,
    models: String,
}

impl Change {
    fn of(limits: &Limits) -> Self {
        let number = |limit: Option<i64>| limit.map_or_else(String::new, |limit| limit.to_string());
        Self {
            day: limits.money("day"),
            month: limits.money("month"),
            total: limits.money("total"),
            requests_per_minute: number(limits.requests_per_minute),
            tokens_per_minute: number(limits.tokens_per_minute),
            concurrency: number(limits.concurrency),
            models: limits.models.clone().unwrap_or_default().join(", "),
            ..Self::default()
        }
    }

    fn body(&self) -> Result<Value, Failure> {
        let mut body = json!({});
        let mut money = Vec::new();
        for (period, text) in [
            ("day", &self.day),
            ("month", &self.month),
            ("total", &self.total),
        ] {
            if !text.trim().is_empty() {
                let limit = microusd(text.trim());
                let refused =
                    || Problem::invalid(period, "must be a number of dollars, such as 2.50");
                money.push(json!({"period": period, "limit_microusd": limit.ok_or_else(refused)?}));
            }
        }
        body["limits"] = json!(money);
        for (name, text) in [
            ("requests_per_minute", &self.requests_per_minute),
            ("tokens_per_minute", &self.tokens_per_minute),
            ("concurrency", &self.concurrency),
        ] {
            if !text.trim().is_empty() {
                let number = text.trim().parse::<u32>();
                body[name] =
                    json!(number.map_err(|_| Problem::invalid(name, "must be a whole number"))?);
            }
        }
        let models: Vec<_> = self.models.split(',').map(str::trim).collect();
        if models.iter().any(|model| !model.is_empty()) {
            body["models"] = json!(models);
        }
        Ok(body)
    }
}

/// Dollars with at most six decimals as millionths of a dollar.
fn microusd(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 9
        || part.len() > 6
        || !is_number(whole)
        || !is_number(part)
    {
        return None;
    }
    format!("{whole}{part:0<6}").parse().ok()
}

async fn change(visitor: Visitor, Form { fields, proof }: Form<Change>) -> Response {
    let changed = async {
        let subject = chosen(&visitor, &fields.subject)?;
        let path = path(&subject);
        if fields.what == "end" {
            visitor.delete(LLM, &path, &proof).await?;
        } else {
            let body = fields.body()?;
            visitor
                .change(Method::PUT, LLM, &path, &body, &proof)
                .await?;
        }
        Ok::<_, Failure>(subject)
    };
    match changed.await {
        Ok(subject) => see(&format!("/models/limits?subject={}", ui::encode(&subject))),
        Err(failure) => {
            let shown = page(&visitor, &fields.subject, Some((&fields, &failure))).await;
            again(shown, &failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly() {
        for (text, expected) in [
            ("2.50", Some(2_500_000)),
            ("0", Some(0)),
            ("1", Some(1_000_000)),
            ("0.000001", Some(1)),
            ("0.0000001", None),
            ("-1", None),
            ("1e3", None),
            (".5", None),
            ("", None),
        ] {
            assert_eq!(microusd(text), expected, "{text}");
        }
    }
}
