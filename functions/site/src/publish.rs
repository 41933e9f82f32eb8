//! Publishing a skill: drop its files, and follow the review.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use guest::{Path, Problem};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::frame::{Page, part};
use crate::group::Group;
use crate::ui;
use crate::visitor::Visitor;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[],
    routes: || {
        Router::new()
            .route("/publish", get(publish))
            .route("/publish/{skill}/{version}", get(follow))
            .route("/parts/review/{skill}/{version}", get(progress))
    },
};

const MANIFEST: &str = r#"{
  "name": "my-words",
  "version": "0.1.0",
  "description": "Counts the words of a text.",
  "permissions": {},
  "examples": [
    { "tool": "count", "arguments": { "text": "one two" }, "result": 2 }
  ]
}"#;

async fn publish(visitor: Visitor) -> Result<Page, Failure> {
    visitor.required()?;
    if !visitor.may("skills:publish") {
        let detail =
            "Publishing needs the scope `skills:publish`, which the role `developer` grants.";
        return Err(Problem::forbidden(detail).into());
    }
    let csrf = visitor.csrf().unwrap_or_default();
    let main = html! {
        h1 { "Publish a skill" }
        p.lead { "A WebAssembly component and its manifest. A review runs its examples and hundreds of generated calls, and decides within a minute." }
        noscript { (ui::alert(&html! { p { "Dropping files needs scripts. Without them, the command does the same: " code { "gather skill publish" } "." } })) }
        form #publish data-csrf=(csrf) data-scripted hidden {
            div.drop {
                p { strong { "Drop the component and " code { "skill.json" } " here" } ", or choose them:" }
                label.button.quiet for="files" { "Choose files" }
                input #files.hidden type="file" multiple accept=".wasm,.json,.md";
                p.meta #chosen { "No component yet. At most 32 MiB." }
            }
            div.field.wide {
                label for="manifest" { "Manifest" }
                textarea #manifest name="manifest" spellcheck="false" rows="12" aria-describedby="manifest-hint" { (MANIFEST) }
                p.hint #manifest-hint { "A dropped " code { "skill.json" } " replaces it. " code { "permissions" } " names what the skill may do beyond computing; " code { "examples" } " are run by the review." }
            }
            div #refused role="alert" {}
            (ui::actions(&html! { button { "Publish version" } }))
        }
    };
    Ok(Page::new("Publish a skill", main).scripts(&["js/publish.js"]))
}

#[derive(Debug, Deserialize)]
struct Version {
    status: String,
    held: bool,
    digest: String,
    size_bytes: i64,
    review: Option<Value>,
    job_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Job {
    progress: Progress,
    status: String,
}

#[derive(Debug, Deserialize)]
struct Progress {
    percent: u8,
    note: String,
}

async fn follow(
    visitor: Visitor,
    Path((skill, version)): Path<(String, String)>,
) -> Result<Page, Failure> {
    let content = stages(&visitor, &skill, &version).await?;
    let main = html! {
        h1 { code { (skill) } " " span.meta { (version) } }
        (content)
    };
    Ok(Page::new(format!("Review of {skill}"), main))
}

async fn progress(
    visitor: Visitor,
    Path((skill, version)): Path<(String, String)>,
) -> Result<Response, Failure> {
    Ok(part(stages(&visitor, &skill, &version).await?))
}

/// The stages of a review, which a script asks for again until it has decided.
async fn stages(visitor: &Visitor, skill: &str, version: &str) -> Result<Markup, Failure> {
    let own = format!("{}/versions/{}", ui::encode(skill), ui::encode(version));
    let found: Version = visitor.get("skills", &format!("/api/skills/{own}")).await?;
    let job = match &found.job_id {
        Some(job) => visitor
            .get::<Job>("jobs", &format!("/api/jobs/{job}"))
            .await
            .ok(),
        None => None,
    };
    let is_decided = found.status != "in_review" || found.held;
    let percent = job.as_ref().map_or(0, |job| job.progress.percent);
    let note = job.as_ref().map_or("", |job| job.progress.note.as_str());
    let has_begun = is_decided || job.as_ref().is_some_and(|job| job.status != "queued");
    let tone = |done: bool, busy: bool| {
        if done {
            "good"
        } else if busy {
            "busy"
        } else {
            "quiet"
        }
    };
    let address = format!(
        "/parts/review/{}/{}",
        ui::encode(skill),
        ui::encode(version)
    );
    Ok(html! {
        div hx-get=[(!is_decided).then_some(&address)] hx-trigger=[(!is_decided).then_some("every 1s")] hx-swap="outerHTML" {
            ol.stages aria-live="polite" {
                li { (ui::status("good", "received")) " " span.meta { (ui::number(found.size_bytes / 1024)) " KiB" } }
                li { (ui::status("good", "inspected")) " " span.meta { code { (found.digest) } } }
                li { (ui::status("good", "compiled")) }
                li { (ui::status(tone(is_decided, has_begun), "probed"))
                    @if has_begun && !is_decided { " " progress max="100" value=(percent) { (percent) " %" } " " span.meta { (note) } } }
                li { (decision(&found, is_decided)) }
            }
            @if let Some(review) = &found.review { (findings(review)) }
            @if is_decided {
                (ui::actions(&html! {
                    a.button href=(format!("/skills/{}", ui::encode(skill))) { "Open the skill" }
                    a.button.quiet href=(format!("/skills/{own}")) { "All evidence" }
                    @if found.status == "rejected" { a.button.quiet href="/publish" { "Publish it again" } }
                }))
            } @else {
                p.meta { "This page follows the review. " a href=(format!("/publish/{}/{}", ui::encode(skill), ui::encode(version))) { "Look again" } }
            }
        }
    })
}

fn decision(version: &Version, is_decided: bool) -> Markup {
    match version.status.as_str() {
        "approved" => ui::status("good", "approved: everybody can call it"),
        "rejected" => ui::status("bad", "rejected"),
        "yanked" => ui::status("quiet", "taken back"),
        _ if version.held => ui::status("warn", "held: a person decides"),
        _ => ui::status(if is_decided { "good" } else { "quiet" }, "decided"),
    }
}

/// What the review found, each with what would mend it.
fn findings(review: &Value) -> Markup {
    let findings = review["findings"].as_array().map_or(&[][..], Vec::as_slice);
    html! {
        ul.rows { @for finding in findings {
            li { code { (finding["code"].as_str().unwrap_or_default()) } p { (finding["detail"].as_str().unwrap_or_default()) } }
        } }
    }
}
