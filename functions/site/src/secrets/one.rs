//! The page of one secret: its values' times, its grants, its uses, and what can be done with it.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::join;
use guest::{Path, Problem};
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{List, Secret, VAULT, value_field};
use crate::failure::{self, Failure};
use crate::forms::{self, Form};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/secrets/{secret}", get(show))
        .route("/secrets/{secret}/versions", post(rotate))
        .route("/secrets/{secret}/versions/end", post(end_version))
        .route("/secrets/{secret}/grants", post(grant))
        .route("/secrets/{secret}/grants/end", post(end_grant))
        .route("/secrets/{secret}/delete", post(delete))
}

#[derive(Debug, Deserialize)]
struct Grant {
    subject: String,
    until: Option<String>,
    calls: Option<u32>,
    used: u32,
    created_at: String,
}

#[derive(Debug, Deserialize)]
struct Use {
    at: String,
    by: Option<String>,
    component: String,
    on_behalf_of: Option<String>,
    origin: String,
    method: String,
    path: String,
    status: Option<u16>,
    version: Option<u32>,
    refused: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct After {
    after: String,
    grants: String,
}

async fn show(
    visitor: Visitor,
    Path(id): Path<String>,
    Query(from): Query<After>,
) -> Result<Page, Failure> {
    page(&visitor, &id, &from, None).await
}

fn path(id: &str) -> String {
    format!("/api/vault/secrets/{}", ui::encode(id))
}

/// A part that only those see who may change the secret; `None` for others.
async fn managed<T: serde::de::DeserializeOwned>(
    visitor: &Visitor,
    path: &str,
) -> Result<Option<List<T>>, Failure> {
    match visitor.get(VAULT, path).await {
        Ok(list) => Ok(Some(list)),
        Err(failure) if failure.status == StatusCode::FORBIDDEN => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn page(
    visitor: &Visitor,
    id: &str,
    from: &After,
    refused: Option<&Failure>,
) -> Result<Page, Failure> {
    visitor.required()?;
    let path = path(id);
    let secret: Secret = visitor.get(VAULT, &path).await?;
    let mut uses = format!("{path}/uses?limit=30");
    let mut grants = format!("{path}/grants?limit=100");
    for (list, after) in [(&mut uses, &from.after), (&mut grants, &from.grants)] {
        if !after.is_empty() {
            *list += &format!("&after={}", ui::encode(after));
        }
    }
    let (grants, uses) = join(
        managed::<Grant>(visitor, &grants),
        managed::<Use>(visitor, &uses),
    )
    .await;
    let (grants, uses) = (grants?, uses?);
    let own = format!("/secrets/{}", secret.id);
    let is_managed = grants.is_some() && visitor.may("vault:write");
    let main = html! {
        p { a href="/secrets" { "All secrets" } }
        h1 { (secret.name) " " (secret.state()) }
        @if let Some(failure) = refused { (ui::alert(&failure::message(failure))) }
        (facts(&secret, visitor))
        (versions(&secret, visitor, is_managed))
        @if is_managed && secret.state == "active" { (rotation(&secret, visitor, refused)) }
        @if let Some(grants) = &grants { (granted(&secret, grants, visitor, is_managed, refused)) }
        @if let Some(uses) = &uses { (used(uses, &own)) }
        @if is_managed {
            section aria-labelledby="end" { h2 #end { "Delete it" }
                p { "The values are erased, and all grants end. Nothing brings them back." }
                form method="post" action=(format!("{own}/delete")) { (forms::hidden(visitor)) button.danger { "Delete secret" } } }
        }
    };
    Ok(Page::new(format!("Secret {}", secret.name), main))
}

fn facts(secret: &Secret, visitor: &Visitor) -> Markup {
    let used = secret.used.as_ref();
    html! {
        dl.facts {
            dt { "Owner" } dd { (secret.owner(visitor)) }
            dt { "Kind" } dd { (secret.kind) }
            dt { "Id" } dd { code { (secret.id) } }
            dt { "Changed" } dd { (ui::ago(&secret.changed_at)) }
            @if let Some(at) = &secret.expires_at { dt { "Expires" } dd { (ui::ago(at)) } }
            @if !secret.note.is_empty() { dt { "Note" } dd { bdi { (secret.note) } } }
            dt { "Put into" } dd {
                @match used {
                    Some(used) => { "requests to " (secret.origins()) ", " code { (used["place"].to_string()) }
                        @for name in ["methods", "paths"] { @if !used[name].is_null() { ", " (name) " " code { (used[name].to_string()) } } } }
                    None => { @if secret.kind == "provider" { "requests to its provider of models" } @else { "nothing" } }
                }
            }
        }
    }
}

fn versions(secret: &Secret, visitor: &Visitor, is_managed: bool) -> Markup {
    html! {
        section aria-labelledby="values" {
            h2 #values { "Values" }
            ul.rows { @for version in &secret.versions {
                li.spread {
                    div {
                        p { "Version " (version.version) " " (ui::status(match version.state.as_str() { "current" => "good", "former" => "warn", _ => "quiet" }, &version.state)) }
                        p.meta { "came " (ui::ago(&version.created_at)) @if let Some(until) = &version.until { " · until " (ui::ago(until)) } }
                    }
                    @if is_managed && version.state == "former" {
                        form method="post" action=(format!("/secrets/{}/versions/end", secret.id)) { (forms::hidden(visitor))
                            input type="hidden" name="version" value=(secret.version);
                            input type="hidden" name="number" value=(version.version);
                            button.quiet { "End it now" span.hidden { ": version " (version.version) } } }
                    }
                }
            } }
        }
    }
}

fn rotation(secret: &Secret, visitor: &Visitor, refused: Option<&Failure>) -> Markup {
    html! {
        section aria-labelledby="rotate" {
            h2 #rotate { "Another value" }
            form method="post" action=(format!("/secrets/{}/versions", secret.id)) autocomplete="off" {
                (forms::hidden(visitor))
                input type="hidden" name="version" value=(secret.version);
                (value_field("rotate", refused))
                (Field { name: "overlap", label: "Minutes for which the former one may be used still", value: "0", kind: "number", ..Field::default() }.show(refused))
                (ui::actions(&html! { button { "Rotate" } }))
            }
        }
    }
}

fn granted(
    secret: &Secret,
    grants: &List<Grant>,
    visitor: &Visitor,
    is_managed: bool,
    refused: Option<&Failure>,
) -> Markup {
    let own = format!("/secrets/{}/grants", secret.id);
    html! {
        section aria-labelledby="grants" {
            h2 #grants { "Who else may use it" }
            @if grants.items.is_empty() { p.meta { "Nobody." } }
            ul.rows { @for grant in &grants.items {
                li.spread {
                    div {
                        p { code { (grant.subject) } }
                        p.meta { "since " (ui::ago(&grant.created_at))
                            @if let Some(until) = &grant.until { " · until " (ui::ago(until)) }
                            @if let Some(calls) = grant.calls { " · used " (grant.used) " of " (ui::counted(i64::from(calls), "time")) } }
                    }
                    @if is_managed {
                        form method="post" action=(format!("{own}/end")) { (forms::hidden(visitor))
                            input type="hidden" name="subject" value=(grant.subject);
                            button.quiet { "Take back" span.hidden { " from " (grant.subject) } } }
                    }
                }
            } }
            @if let Some(next) = &grants.next {
                p.next { a.button.quiet href=(format!("/secrets/{}?grants={}#grants", secret.id, ui::encode(next))) { "More grants" } }
            }
            @if is_managed && secret.state == "active" {
                form method="post" action=(own) {
                    (forms::hidden(visitor))
                    (Field { name: "subject", label: "Grant it to", hint: "account:, team:, claw:, skill:, pipeline: or project: with an id.", max: Some(100), ..Field::default() }.show(refused))
                    (Field { name: "calls", label: "Number of uses", hint: "Empty: any number.", kind: "number", optional: true, ..Field::default() }.show(refused))
                    (Field { name: "until", label: "Until the beginning of", hint: "Empty: until it is taken back.", kind: "date", optional: true, ..Field::default() }.show(refused))
                    (ui::actions(&html! { button.quiet { "Grant" } }))
                }
            }
        }
    }
}

fn used(uses: &List<Use>, own: &str) -> Markup {
    html! {
        section aria-labelledby="uses" {
            h2 #uses { "Who used it" }
            @if uses.items.is_empty() { p.meta { "Nobody yet." } } @else {
                table.list {
                    thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "By the right of" } th scope="col" { "For" } th scope="col" { "Version" } th scope="col" { "Result" } } }
                    tbody { @for one in &uses.items {
                        tr {
                            td { (ui::ago(&one.at)) }
                            td { @match &one.by { Some(by) => code { (by) }, None => "the platform" } " through " (one.component) }
                            td { @if let Some(subject) = &one.on_behalf_of { code { (subject) } } }
                            td { (one.method) " " (one.origin) (one.path) }
                            td { @if let Some(version) = one.version { (version) } }
                            td { @match (&one.refused, one.status) {
                                (Some(refused), _) => (ui::status("bad", refused)),
                                (None, Some(status)) => (status),
                                (None, None) => "no answer",
                            } }
                        }
                    } }
                }
                (ui::more(own, uses.next.as_deref()))
            }
        }
    }
}

/// Leads back to the secret after a change, or shows it again with what went wrong.
async fn back<T>(visitor: &Visitor, id: &str, changed: Result<T, Failure>) -> Response {
    let failure = match changed {
        Ok(_) => return see(&format!("/secrets/{}", ui::encode(id))),
        Err(failure) => failure,
    };
    match page(visitor, id, &After::default(), Some(&failure)).await {
        Ok(page) => page.status(failure.status).into_response(),
        Err(failure) => failure.into_response(),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rotation {
    version: u32,
    value: String,
    overlap: u32,
}

async fn rotate(visitor: Visitor, Path(id): Path<String>, form: Form<Rotation>) -> Response {
    let fields = form.fields;
    let overlap = u64::from(fields.overlap) * 60_000;
    let body = json!({"value": fields.value, "overlap_ms": overlap});
    let path = format!("{}/versions", path(&id));
    let rotated = visitor
        .change_version(
            Method::POST,
            VAULT,
            &path,
            fields.version,
            &body,
            &form.proof,
        )
        .await;
    back(&visitor, &id, rotated).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ending {
    version: u32,
    number: u32,
    subject: String,
}

async fn end_version(visitor: Visitor, Path(id): Path<String>, form: Form<Ending>) -> Response {
    let path = format!("{}/versions/{}", path(&id), form.fields.number);
    let (version, proof) = (form.fields.version, &form.proof);
    let ended = visitor
        .change_version(Method::DELETE, VAULT, &path, version, &json!({}), proof)
        .await;
    back(&visitor, &id, ended).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewGrant {
    subject: String,
    calls: String,
    until: String,
}

async fn grant(visitor: Visitor, Path(id): Path<String>, form: Form<NewGrant>) -> Response {
    let fields = &form.fields;
    let granted = async {
        let mut body = json!({});
        if !fields.calls.trim().is_empty() {
            let calls = fields.calls.trim().parse::<u32>();
            let calls = calls.map_err(|_| Problem::invalid("calls", "must be a whole number"))?;
            body["calls"] = json!(calls);
        }
        if !fields.until.is_empty() {
            body["until"] = json!(format!("{}T00:00:00Z", fields.until));
        }
        let subject = ui::encode(fields.subject.trim());
        let path = format!("{}/grants/{subject}", path(&id));
        visitor
            .change(Method::PUT, VAULT, &path, &body, &form.proof)
            .await
    };
    back(&visitor, &id, granted.await).await
}

async fn end_grant(visitor: Visitor, Path(id): Path<String>, form: Form<Ending>) -> Response {
    let subject = ui::encode(&form.fields.subject);
    let path = format!("{}/grants/{subject}", path(&id));
    let ended = visitor.delete(VAULT, &path, &form.proof).await;
    back(&visitor, &id, ended).await
}

async fn delete(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Ending>,
) -> Result<Response, Failure> {
    visitor.delete(VAULT, &path(&id), &form.proof).await?;
    Ok(see("/secrets"))
}
