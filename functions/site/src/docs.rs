//! The reference for people, rendered from the OpenAPI document.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::OnceLock;

use axum::Router;
use axum::routing::get;
use guest::html::{escape, inline, prose};
use maud::{PreEscaped, html};
use serde_json::Value;

use crate::files::OPENAPI;
use crate::frame::Page;
use crate::group::{Group, Place, everybody};

/// The group of this page.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Reference",
        path: "/docs",
        icon: "docs",
        key: "r",
        shown: everybody,
    }],
    routes: || Router::new().route("/docs", get(docs)),
};

async fn docs() -> Page {
    static CONTENT: OnceLock<String> = OnceLock::new();
    let content = CONTENT.get_or_init(|| {
        let document = serde_json::from_str(OPENAPI).unwrap_or_default();
        render(&document)
    });
    let main = html! { div.reference { (PreEscaped(content)) } };
    Page::new("Reference", main).description("Every endpoint of the HTTP API.")
}

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn render(document: &Value) -> String {
    let mut by_tag: BTreeMap<&str, Vec<(&str, &str, &Value)>> = BTreeMap::new();
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item).filter(|(name, _)| METHODS.contains(name)) {
            let tag = operation["tags"][0].as_str().unwrap_or("other");
            by_tag
                .entry(tag)
                .or_default()
                .push((method, path, operation));
        }
    }
    let mut page = String::from("<h1>Reference</h1>\n");
    page += &prose(text(&document["info"]["description"]));
    page += "<p>The same for programs: <a href=\"/openapi.json\">openapi.json</a>.</p>\n";
    page += "<nav class=\"toc\" aria-label=\"Endpoints\"><ul>\n";
    for tag in by_tag.keys() {
        let tag = escape(tag);
        _ = writeln!(page, "<li><a href=\"#{tag}\">{tag}</a></li>");
    }
    page += "<li><a href=\"#schemas\">schemas</a></li>\n</ul></nav>\n";
    for (tag, operations) in &by_tag {
        let tag = escape(tag);
        _ = writeln!(
            page,
            "<section aria-labelledby=\"{tag}\"><h2 id=\"{tag}\">{tag}</h2>"
        );
        for (method, path, operation) in operations {
            page += &render_operation(method, path, operation);
        }
        page += "</section>\n";
    }
    page += "<section aria-labelledby=\"schemas\"><h2 id=\"schemas\">schemas</h2>\n";
    for (name, schema) in members(&document["components"]["schemas"]) {
        page += &render_schema(name, schema);
    }
    page + "</section>\n"
}

/// What a caller needs to call an operation; the server checks exactly these scopes.
fn needs(security: &Value) -> String {
    let wanted: Vec<&Value> = security.as_array().into_iter().flatten().collect();
    if wanted.is_empty() {
        return String::new();
    }
    let scopes = wanted.iter().filter_map(|one| one["token"].as_array());
    let scopes: Vec<&str> = scopes.flatten().filter_map(Value::as_str).collect();
    let note = if wanted.iter().any(|one| one.get("token").is_none()) {
        "Looks at an access token or API key, if there is one.".to_owned()
    } else if scopes.is_empty() {
        "Needs an access token or API key.".to_owned()
    } else {
        format!(
            "Needs an access token or API key with the scope `{}`.",
            scopes.join("`, `")
        )
    };
    format!("<p class=\"note\">{}</p>\n", inline(&note))
}

fn render_operation(method: &str, path: &str, operation: &Value) -> String {
    let (path, upper) = (escape(path), method.to_uppercase());
    let mut html = format!(
        "<article>\n<h3><span class=\"method {method}\">{upper}</span> <code>{path}</code></h3>\n"
    );
    _ = writeln!(
        html,
        "<p class=\"lead\">{}</p>",
        inline(text(&operation["summary"]))
    );
    html += &prose(text(&operation["description"]));
    html += &needs(&operation["security"]);
    let parameters = operation["parameters"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let rows = parameters.iter().map(|parameter| {
        let location = format!("{}, {}", text(&parameter["in"]), kind(&parameter["schema"]));
        row(
            text(&parameter["name"]),
            &location,
            text(&parameter["description"]),
        )
    });
    html += &table("Parameters", rows.collect());
    for (media, content) in members(&operation["requestBody"]["content"]) {
        _ = writeln!(
            html,
            "<p>Body: {} as <code>{}</code></p>",
            kind(&content["schema"]),
            escape(media)
        );
    }
    let rows = members(&operation["responses"]).map(|(status, response)| {
        let body = members(&response["content"]).next();
        let body = body.map_or(String::new(), |(_, content)| kind(&content["schema"]));
        row(status, &body, text(&response["description"]))
    });
    html += &table("Answers", rows.collect());
    html + "</article>\n"
}

fn render_schema(name: &str, schema: &Value) -> String {
    let name = escape(name);
    let mut html = format!("<article>\n<h3 id=\"schema-{name}\"><code>{name}</code></h3>\n");
    html += &prose(text(&schema["description"]));
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = members(&schema["properties"]).map(|(field, property)| {
        let needed = required.iter().any(|required| required == field);
        let kind = kind(property) + if needed { "" } else { ", optional" };
        row(field, &kind, text(&property["description"]))
    });
    html += &table("Fields", rows.collect());
    let values: Vec<_> = schema["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    if !values.is_empty() {
        _ = writeln!(
            html,
            "<p>One of {}.</p>",
            inline(&format!("`{}`", values.join("`, `")))
        );
    }
    html + "</article>\n"
}

/// The kind of a schema in a word, as HTML.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
    {
        let name = escape(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    let choices = [&schema["oneOf"], &schema["anyOf"]];
    if let Some(choices) = choices.into_iter().find_map(Value::as_array) {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        name => text(name).to_owned(),
    };
    match (name.as_str(), schema["format"].as_str()) {
        ("array", _) => format!("list of {}", kind(&schema["items"])),
        (_, Some(format)) => escape(&format!("{name} ({format})")),
        (_, None) => escape(&name),
    }
}

fn row(name: &str, kind: &str, description: &str) -> String {
    let (name, description) = (escape(name), inline(description));
    format!(
        "<tr><th scope=\"row\"><code>{name}</code></th><td>{kind}</td><td>{description}</td></tr>\n"
    )
}

fn table(caption: &str, rows: String) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"wide\" tabindex=\"0\"><table><caption>{caption}</caption>\n<tbody>{rows}</tbody></table></div>\n"
    )
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_on_the_page() {
        let document: Value = serde_json::from_str(OPENAPI).expect("the committed document");
        let page = render(&document);
        for (path, _) in members(&document["paths"]) {
            assert!(page.contains(&escape(path)), "{path}");
        }
    }

    #[test]
    fn text_of_the_document_is_escaped() {
        let document = serde_json::json!({"paths": {"/<x>": {"get": {"summary": "a <b>"}}}});
        let page = render(&document);
        assert!(
            page.contains("/&lt;x&gt;") && page.contains("a &lt;b&gt;"),
            "{page}"
        );
    }
}
