//! The reference for people, rendered from the OpenAPI document: all operations by their part, and a page for each part
//! with the schemas that it uses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use axum::Router;
use axum::routing::get;
use guest::html::{inline, prose};
use guest::{Path, Problem, required_variable};
use maud::{Markup, PreEscaped, html};
use serde_json::Value;

use crate::failure::Failure;
use crate::files::OPENAPI;
use crate::frame::Page;
use crate::group::{Group, Place, everybody};
use crate::ui;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Reference",
        path: "/docs",
        icon: "docs",
        key: "r",
        shown: everybody,
    }],
    routes: || {
        Router::new()
            .route("/docs", get(index))
            .route("/docs/{part}", get(part))
    },
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// An operation with its method and its path.
type Operation<'a> = (&'a str, &'a str, &'a Value);

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(OPENAPI).unwrap_or_default())
}

async fn index() -> Result<Page, Failure> {
    let url = required_variable("public_url").await?;
    let main = contents(document(), &url);
    Ok(Page::new("Reference", main)
        .description("Every endpoint of the HTTP API.")
        .scripts(&["js/filter.js"]))
}

async fn part(Path(name): Path<String>) -> Result<Page, Failure> {
    let document = document();
    let operations = parts(document).remove(name.as_str());
    let operations = operations.ok_or_else(|| Problem::not_found("part of the reference"))?;
    let main = operations_of(document, &name, &operations);
    Ok(Page::new(format!("Reference: {name}"), main))
}

/// The operations by the first of their tags.
fn parts(document: &Value) -> BTreeMap<&str, Vec<Operation<'_>>> {
    let mut parts: BTreeMap<&str, Vec<Operation>> = BTreeMap::new();
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item).filter(|(name, _)| METHODS.contains(name)) {
            let tag = operation["tags"][0].as_str().unwrap_or("other");
            parts
                .entry(tag)
                .or_default()
                .push((method, path, operation));
        }
    }
    parts
}

fn contents(document: &Value, url: &str) -> Markup {
    let parts = parts(document);
    html! {
        h1 { "Reference" }
        (PreEscaped(prose(text(&document["info"]["description"]))))
        p { "The same for programs: " a href="/openapi.json" { "openapi.json" } ". What an agent reads first: " a href="/llms.txt" { "llms.txt" } "." }
        (ui::copyable(&format!("curl -sS {url}/api/agents/me -H \"Authorization: Bearer $TOKEN\"")))
        div.filter data-scripted hidden {
            label.hidden for="words" { "Words in endpoints" }
            input #words type="search" placeholder="Words in endpoints" data-filter=".operations li";
        }
        nav.toc aria-label="Parts" { ul { @for part in parts.keys() { li { a href=(format!("#part-{part}")) { (part) } } } } }
        @for (part, operations) in &parts {
            section.operations aria-labelledby=(format!("part-{part}")) {
                h2 id=(format!("part-{part}")) { a href=(format!("/docs/{part}")) { (part) } }
                ul.rows {
                    @for (method, path, operation) in operations {
                        li {
                            a href=(format!("/docs/{part}#{}", anchor(method, path))) { (heading(method, path)) }
                            p.meta { (PreEscaped(inline(text(&operation["summary"])))) }
                        }
                    }
                }
            }
        }
    }
}

fn heading(method: &str, path: &str) -> Markup {
    html! { span.method { (method.to_uppercase()) } " " code { (path) } }
}

fn anchor(method: &str, path: &str) -> String {
    let path = path.replace(['{', '}'], "").replace(['/', '.'], "-");
    format!("{method}{path}")
}

fn operations_of(document: &Value, part: &str, operations: &[Operation]) -> Markup {
    let schemas = &document["components"]["schemas"];
    let mut used = BTreeSet::new();
    for (_, _, operation) in operations {
        collect(operation, schemas, &mut used);
    }
    html! {
        p { a href="/docs" { "Reference" } }
        h1 { (part) }
        div.reference {
            @for (method, path, operation) in operations {
                article aria-labelledby=(anchor(method, path)) { (operation_of(method, path, operation)) }
            }
            @if !used.is_empty() { h2 #schemas { "Schemas" } }
            @for name in &used { article { (schema(name, &schemas[name.as_str()])) } }
        }
    }
}

/// The names of the schemas that a value refers to, and those that they refer to.
fn collect(value: &Value, schemas: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            let name = object.get("$ref").and_then(Value::as_str).and_then(last);
            if let Some(name) = name
                && used.insert(name.to_owned())
            {
                collect(&schemas[name], schemas, used);
            }
            object
                .values()
                .for_each(|value| collect(value, schemas, used));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, schemas, used)),
        _ => {}
    }
}

fn last(path: &str) -> Option<&str> {
    path.rsplit('/').next()
}

/// What a caller needs to call an operation; the server checks exactly these scopes.
fn needs(security: &Value) -> Option<String> {
    let wanted = security.as_array().filter(|wanted| !wanted.is_empty())?;
    let scopes = wanted.iter().filter_map(|one| one["token"].as_array());
    let scopes: Vec<&str> = scopes.flatten().filter_map(Value::as_str).collect();
    Some(if wanted.iter().any(|one| one.get("token").is_none()) {
        "Looks at an access token or API key, if there is one.".to_owned()
    } else if scopes.is_empty() {
        "Needs an access token or API key.".to_owned()
    } else {
        let scopes = scopes.join("`, `");
        format!("Needs an access token or API key with the scope `{scopes}`.")
    })
}

fn operation_of(method: &str, path: &str, operation: &Value) -> Markup {
    let parameters = operation["parameters"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    html! {
        h2 id=(anchor(method, path)) { (heading(method, path)) }
        p { (PreEscaped(inline(text(&operation["summary"])))) }
        (PreEscaped(prose(text(&operation["description"]))))
        @if let Some(needs) = needs(&operation["security"]) { p.note { (PreEscaped(inline(&needs))) } }
        @if !parameters.is_empty() {
            (table("Parameters", &html! {
                @for parameter in parameters {
                    @let place = html! { (text(&parameter["in"])) ", " (kind(&parameter["schema"])) };
                    (row(text(&parameter["name"]), &place, text(&parameter["description"])))
                }
            }))
        }
        @for (media, content) in members(&operation["requestBody"]["content"]) {
            p { "Body: " (kind(&content["schema"])) " as " code { (media) } }
        }
        (table("Answers", &html! {
            @for (status, response) in members(&operation["responses"]) {
                @let body = members(&response["content"]).next().map(|(_, content)| kind(&content["schema"]));
                (row(status, &body.unwrap_or_default(), text(&response["description"])))
            }
        }))
    }
}

fn schema(name: &str, schema: &Value) -> Markup {
    let wholes = schema["allOf"]
        .as_array()
        .map_or(std::slice::from_ref(schema), Vec::as_slice);
    let values: Vec<_> = schema["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    html! {
        h3 id=(format!("schema-{name}")) { code { (name) } }
        (PreEscaped(prose(text(&schema["description"]))))
        @for whole in wholes {
            @if whole.get("$ref").is_some() { p { "All of " (kind(whole)) ", and:" } }
            @if whole["properties"].is_object() {
                (table("Fields", &html! {
                    @for (field, property) in members(&whole["properties"]) {
                        @let needed = whole["required"].as_array().is_some_and(|all| all.iter().any(|one| one == field));
                        @let place = html! { (kind(property)) @if !needed { ", optional" } };
                        (row(field, &place, text(&property["description"])))
                    }
                }))
            }
        }
        @if !values.is_empty() { p { "One of " @for (at, value) in values.iter().enumerate() { @if at > 0 { ", " } code { (value) } } "." } }
    }
}

/// The kind of a schema in a word.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(last) {
        return html! { a href=(format!("#schema-{name}")) { (name) } };
    }
    let choices = [&schema["oneOf"], &schema["anyOf"]];
    if let Some(choices) = choices.into_iter().find_map(Value::as_array) {
        return html! { @for (at, choice) in choices.iter().enumerate() { @if at > 0 { " or " } (kind(choice)) } };
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        name => text(name).to_owned(),
    };
    html! {
        @if name == "array" { "list of " (kind(&schema["items"])) }
        @else if let Some(format) = schema["format"].as_str() { (name) " (" (format) ")" }
        @else { (name) }
    }
}

fn row(name: &str, kind: &Markup, description: &str) -> Markup {
    html! { tr { th scope="row" { code { (name) } } td { (kind) } td { (PreEscaped(inline(description))) } } }
}

fn table(caption: &str, rows: &Markup) -> Markup {
    html! { div.wide tabindex="0" role="group" aria-label=(caption) { table.list { caption { (caption) } tbody { (rows) } } } }
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_listed_and_shown_with_its_schemas() {
        let document = document();
        let list = contents(document, "http://x").into_string();
        for (part, operations) in parts(document) {
            let page = operations_of(document, part, &operations).into_string();
            for (method, path, _) in operations {
                let anchor = anchor(method, path);
                assert!(
                    list.contains(&format!("/docs/{part}#{anchor}\"")),
                    "{anchor}"
                );
                assert!(page.contains(&format!("id=\"{anchor}\"")), "{anchor}");
            }
            for link in page
                .split("href=\"#")
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
            {
                assert!(page.contains(&format!("id=\"{link}\"")), "{link} on {part}");
            }
        }
    }

    #[test]
    fn text_of_the_document_is_escaped() {
        let document = serde_json::json!({"paths": {"/<x>": {"get": {"summary": "a <b>"}}}});
        let parts = parts(&document);
        for page in [
            contents(&document, ""),
            operations_of(&document, "other", &parts["other"]),
        ] {
            let page = page.into_string();
            assert!(
                page.contains("/&lt;x&gt;") && page.contains("a &lt;b&gt;"),
                "{page}"
            );
        }
    }
}
