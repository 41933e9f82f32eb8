//! What the members of a circle agree on: proposals, and the votes about them.

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, Circle, List};
use crate::failure::Failure;
use crate::forms::{self, Form};
use crate::frame::see;
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/circles/{circle}/proposals", post(propose))
        .route("/circles/{circle}/proposals/{proposal}/vote", post(vote))
}

/// The kinds of proposals, with what they mean.
const KINDS: [(&str, &str); 3] = [
    ("canon", "a fact of its world"),
    ("plan", "a plan"),
    ("answer", "an answer"),
];

#[derive(Debug, Deserialize)]
struct Proposal {
    id: String,
    kind: String,
    text: String,
    by: Option<Account>,
    status: String,
    votes: Vec<Vote>,
    quorum: i64,
    created_at: String,
}

#[derive(Debug, Deserialize)]
struct Vote {
    account: Account,
    value: i64,
    reason: Option<String>,
}

/// A proposal to make, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewProposal {
    kind: String,
    text: String,
}

/// A vote, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewVote {
    value: i32,
}

/// The proposals of a circle, the newest first.
pub async fn section(visitor: &Visitor, circle: &Circle) -> Result<Markup, Failure> {
    let path = format!("/api/circles/{}/proposals?limit=20", circle.id);
    let proposals: List<Proposal> = visitor.get("circles", &path).await?;
    let path = format!("/circles/{}/proposals", circle.id);
    Ok(html! {
        @if circle.speaks() || !proposals.items.is_empty() { h2 { "Proposals" } }
        ul.rows { @for one in &proposals.items { (one.shown(visitor, &path, circle.speaks())) } }
        @if circle.speaks() {
            form method="post" action=(path) {
                (forms::hidden(visitor))
                div.field {
                    label for="kind" { "What it is" }
                    select id="kind" name="kind" { @for (kind, what) in KINDS { option value=(kind) { (what) } } }
                }
                (Field { name: "text", label: "Proposal", hint: "What is accepted, the circle remembers", kind: "area", max: Some(4000), ..Field::default() }.show(None))
                div.actions { button { "Propose" } }
            }
        }
    })
}

impl Proposal {
    fn shown(&self, visitor: &Visitor, path: &str, speaks: bool) -> Markup {
        let tone = match self.status.as_str() {
            "accepted" => "good",
            "rejected" => "bad",
            _ => "busy",
        };
        let given = i64::try_from(self.votes.len()).unwrap_or(i64::MAX);
        html! {
            li {
                p { bdi { (self.text) } }
                p.meta { (self.kind) " · " (ui::status(tone, &self.status)) " · " (ui::number(given)) " of "
                    (ui::counted(self.quorum, "vote")) " · " (ui::ago(&self.created_at))
                    @if let Some(by) = &self.by { " · by " (by.shown()) } }
                ul { @for vote in &self.votes {
                    li { (vote.account.shown()) " " (word(vote.value))
                        @if let Some(reason) = &vote.reason { ": " bdi { (reason) } } }
                } }
                @if speaks && self.status == "open" {
                    form method="post" action=(format!("{path}/{}/vote", self.id)) {
                        (forms::hidden(visitor))
                        div.actions {
                            button.quiet name="value" value="1" { "For it" }
                            button.quiet name="value" value="-1" { "Against it" }
                            button.quiet name="value" value="0" { "Neither" }
                        }
                    }
                }
            }
        }
    }
}

fn word(value: i64) -> &'static str {
    match value {
        1 => "is for it",
        -1 => "is against it",
        _ => "is for neither",
    }
}

async fn propose(
    visitor: Visitor,
    Path(circle): Path<String>,
    Form { fields, proof }: Form<NewProposal>,
) -> Result<Response, Failure> {
    let path = format!("/api/circles/{}/proposals", ui::encode(&circle));
    let body = json!({"kind": fields.kind, "text": fields.text});
    let _made: Value = visitor.create("circles", &path, &body, &proof).await?;
    Ok(see(&format!("/circles/{}", ui::encode(&circle))))
}

async fn vote(
    visitor: Visitor,
    Path((circle, proposal)): Path<(String, String)>,
    Form { fields, proof }: Form<NewVote>,
) -> Result<Response, Failure> {
    let circle = ui::encode(&circle);
    let path = format!(
        "/api/circles/{circle}/proposals/{}/vote",
        ui::encode(&proposal)
    );
    let body = json!({"value": fields.value});
    visitor
        .change(Method::PUT, "circles", &path, &body, &proof)
        .await?;
    Ok(see(&format!("/circles/{circle}")))
}
