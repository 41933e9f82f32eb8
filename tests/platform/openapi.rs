//! The OpenAPI document: committed and served are the same, and say what is served.

use super::english::wording_fault;
use anyhow::{Context, Result};
use e2e::{Server, root};
use serde_json::{Value, json};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub fn document() -> Result<Value> {
    let file = std::fs::read_to_string(root().join("static/openapi.json"))?;
    Ok(serde_json::from_str(&file)?)
}

/// Two types of one name would overwrite each other in the document.
#[test]
fn names_of_types_and_operations_stand_once() -> Result<()> {
    let mut names = std::collections::HashMap::new();
    for folder in std::fs::read_dir(root().join("functions"))? {
        let folder = folder?.path().join("src");
        for file in std::fs::read_dir(&folder)? {
            let file = file?.path();
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            // Attributes, then the type: from one derive to the next.
            for part in text
                .split("#[derive(")
                .skip(1)
                .filter(|part| part.contains("ToSchema"))
            {
                let attributes = part.split("pub ").next().unwrap_or_default();
                if !attributes
                    .split(")]")
                    .next()
                    .is_some_and(|derives| derives.contains("ToSchema"))
                {
                    continue;
                }
                let renamed = attributes.split("schema(as = ").nth(1);
                let declared = part.split("struct ").nth(1).or(part.split("enum ").nth(1));
                let name = renamed.or(declared).context("a name")?;
                let name = name
                    .split(|c: char| !c.is_alphanumeric())
                    .next()
                    .unwrap_or_default();
                let other = names.insert(name.to_owned(), file.clone());
                assert!(
                    other.is_none(),
                    "{name} is a schema of {} and of {other:?}",
                    file.display()
                );
            }
        }
    }
    assert!(names.len() > 50, "{names:?}");
    let document = document()?;
    let mut ids = std::collections::HashSet::new();
    for item in document["paths"].as_object().context("paths")?.values() {
        for operation in item.as_object().into_iter().flat_map(|item| item.values()) {
            let id = operation["operationId"].as_str().context("an id")?;
            assert!(
                ids.insert(id.to_owned()),
                "{id} is the id of two operations"
            );
        }
    }
    Ok(())
}

#[test]
fn every_reference_leads_to_a_schema() -> Result<()> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(
                    members
                        .get("$ref")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                members.values().for_each(|member| walk(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let document = document()?;
    let mut references = Vec::new();
    walk(&document, &mut references);
    assert!(references.len() > 50, "{references:?}");
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} is missing"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_served_document_is_the_committed_one_and_version_3_1() -> Result<()> {
    let server = Server::start().await?;
    let served: Value = server.get("/openapi.json").await?.json().await?;
    assert_eq!(served, document()?);
    assert!(
        served["openapi"]
            .as_str()
            .is_some_and(|v| v.starts_with("3.1"))
    );
    Ok(())
}

#[tokio::test]
async fn every_documented_route_is_served_and_no_other_method() -> Result<()> {
    let server = Server::start().await?;
    let document = document()?;
    for (path, item) in document["paths"].as_object().context("paths")? {
        let filled = path.replace(['{', '}'], "");
        for method in METHODS {
            let request = server.http.request(
                method.to_uppercase().parse()?,
                format!("{}{filled}", server.url),
            );
            let status = request.json(&json!({})).send().await?.status().as_u16();
            let operation = &item[method];
            if operation.is_null() {
                // A literal path may be shadowed by none, and a parameter may stand for another's word.
                assert!(
                    [404, 405, 401].contains(&status),
                    "{method} {path} is served ({status}) but not documented"
                );
                continue;
            }
            assert!(
                status != 405 && status < 500,
                "{method} {path} is documented, but answers {status}"
            );
            let documented = operation["responses"].as_object().context("responses")?;
            let class = format!("{}XX", status / 100);
            assert!(
                documented.contains_key(&status.to_string()) || documented.contains_key(&class),
                "{method} {path} answers {status}, which is not among {:?}",
                documented.keys().collect::<Vec<_>>()
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_needs_a_token_says_so_and_refuses_without() -> Result<()> {
    let server = Server::start().await?;
    let document = document()?;
    let mut open = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for method in METHODS.iter().filter(|m| !item[**m].is_null()) {
            // An empty requirement among them: an identity is looked at, if there is one.
            let wanted = item[*method]["security"].as_array();
            if wanted.is_none_or(|wanted| wanted.contains(&json!({}))) {
                open.push(format!("- `{} {path}`", method.to_uppercase()));
                continue;
            }
            let filled = path.replace(['{', '}'], "");
            let request = server.http.request(
                method.to_uppercase().parse()?,
                format!("{}{filled}", server.url),
            );
            let status = request.json(&json!({})).send().await?.status();
            assert_eq!(status, 401, "{method} {path}");
        }
    }
    // What anybody may call. It should only grow on purpose.
    open.sort();
    let published = std::fs::read_to_string(root().join("docs/permissions.md"))?;
    let (_, published) = published
        .split_once("<!-- open -->\n")
        .context("the mark")?;
    let (published, _) = published.split_once("<!-- end -->").context("the mark")?;
    let mut published: Vec<_> = published.lines().collect();
    published.sort_unstable();
    assert_eq!(open, published);
    Ok(())
}

/// JSON Schema takes 5.0 for an integer, as `strict-json` does and serde alone does not. A field is listed here when it is
/// read by `strict-json`, or its own test sends 5.0.
#[test]
fn integers_in_bodies_are_those_that_take_a_fraction_of_zero() -> Result<()> {
    let document = document()?;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("an item")? {
            let content = operation["requestBody"]["content"].as_object();
            for kind in content.into_iter().flat_map(|content| content.values()) {
                let mut fields = Vec::new();
                integers(&document, &kind["schema"], "", 0, &mut fields);
                found.extend(fields.iter().map(|field| format!("{method} {path}{field}")));
            }
        }
    }
    assert_eq!(
        found,
        [
            "post /api/channels.slow_mode_ms",
            "patch /api/channels/{channel}.slow_mode_ms",
            "post /api/circles.budget.limit_microusd",
            "post /api/circles.members[].budget.limit_microusd",
            "post /api/circles.members[].order",
            "post /api/circles.rules.hops",
            "post /api/circles.rules.quorum",
            "post /api/circles.rules.rounds",
            "post /api/circles.rules.stalls",
            "post /api/circles.rules.turn_ms",
            "patch /api/circles/{circle}.budget.limit_microusd",
            "patch /api/circles/{circle}.rules.hops",
            "patch /api/circles/{circle}.rules.quorum",
            "patch /api/circles/{circle}.rules.rounds",
            "patch /api/circles/{circle}.rules.stalls",
            "patch /api/circles/{circle}.rules.turn_ms",
            "post /api/circles/{circle}/members.budget.limit_microusd",
            "post /api/circles/{circle}/members.order",
            "put /api/circles/{circle}/members/{account}.order",
            "put /api/circles/{circle}/proposals/{proposal}/vote.value",
            "post /api/claw-templates.cpu_millis",
            "post /api/claw-templates.disk_bytes",
            "post /api/claw-templates.memory_bytes",
            "patch /api/claw-templates/{template}.cpu_millis",
            "patch /api/claw-templates/{template}.disk_bytes",
            "patch /api/claw-templates/{template}.memory_bytes",
            "post /api/claws.budget.limit_microusd",
            "post /api/claws.idle_ms",
            "patch /api/claws/{claw}.budget.limit_microusd",
            "patch /api/claws/{claw}.idle_ms",
            "patch /api/comments/{comment}.version",
            "put /api/comments/{comment}/vote.value",
            "post /api/conversations.limits.approval_ms",
            "post /api/conversations.limits.cost_microusd",
            "post /api/conversations.limits.input_tokens",
            "post /api/conversations.limits.output_tokens",
            "post /api/conversations.limits.steps",
            "post /api/conversations.limits.turn_ms",
            "post /api/conversations.limits.window_tokens",
            "patch /api/conversations/{conversation}.limits.approval_ms",
            "patch /api/conversations/{conversation}.limits.cost_microusd",
            "patch /api/conversations/{conversation}.limits.input_tokens",
            "patch /api/conversations/{conversation}.limits.output_tokens",
            "patch /api/conversations/{conversation}.limits.steps",
            "patch /api/conversations/{conversation}.limits.turn_ms",
            "patch /api/conversations/{conversation}.limits.window_tokens",
            "post /api/edge/limits.leases[].want",
            "put /api/llm/limits/{subject}.concurrency",
            "put /api/llm/limits/{subject}.limits[].limit_microusd",
            "put /api/llm/limits/{subject}.requests_per_minute",
            "put /api/llm/limits/{subject}.tokens_per_minute",
            "put /api/llm/models/{alias}.retries",
            "put /api/llm/models/{alias}.targets[].max_output_tokens",
            "put /api/llm/models/{alias}.targets[].order",
            "put /api/llm/models/{alias}.targets[].silence_ms",
            "put /api/llm/models/{alias}.targets[].total_ms",
            "put /api/llm/prices.above.cache_write_microusd",
            "put /api/llm/prices.above.cached_input_microusd",
            "put /api/llm/prices.above.input_microusd",
            "put /api/llm/prices.above.output_microusd",
            "put /api/llm/prices.above.tokens",
            "put /api/llm/prices.cache_write_microusd",
            "put /api/llm/prices.cached_input_microusd",
            "put /api/llm/prices.input_microusd",
            "put /api/llm/prices.output_microusd",
            "put /api/memory/blocks/{scope}/{scope_id}/{label}.limit_bytes",
            "post /api/memory/recall.max_tokens",
            "post /api/personas.limits.approval_ms",
            "post /api/personas.limits.cost_microusd",
            "post /api/personas.limits.input_tokens",
            "post /api/personas.limits.output_tokens",
            "post /api/personas.limits.steps",
            "post /api/personas.limits.turn_ms",
            "post /api/personas.limits.window_tokens",
            "post /api/personas.memory.recall_tokens",
            "patch /api/personas/{persona}.limits.approval_ms",
            "patch /api/personas/{persona}.limits.cost_microusd",
            "patch /api/personas/{persona}.limits.input_tokens",
            "patch /api/personas/{persona}.limits.output_tokens",
            "patch /api/personas/{persona}.limits.steps",
            "patch /api/personas/{persona}.limits.turn_ms",
            "patch /api/personas/{persona}.limits.window_tokens",
            "patch /api/personas/{persona}.memory.recall_tokens",
            "patch /api/pipelines/{pipeline}.active_version",
            "post /api/pipelines/{pipeline}/runs.budget.cost",
            "post /api/pipelines/{pipeline}/runs.budget.fuel",
            "post /api/pipelines/{pipeline}/runs.budget.steps",
            "post /api/pipelines/{pipeline}/runs.budget.tokens",
            "post /api/pipelines/{pipeline}/runs.priority",
            "post /api/pipelines/{pipeline}/runs.version",
            "patch /api/posts/{post}.version",
            "put /api/posts/{post}/vote.value",
            "post /api/runs/{run}/restart.version",
            "post /api/runs/{run}/resume.budget.cost",
            "post /api/runs/{run}/resume.budget.fuel",
            "post /api/runs/{run}/resume.budget.steps",
            "post /api/runs/{run}/resume.budget.tokens",
            "post /api/schedules.action.version",
            "post /api/schedules.catch_up.max",
            "post /api/schedules.catch_up.within_ms",
            "post /api/schedules.every_ms",
            "post /api/schedules.jitter_ms",
            "post /api/schedules.pause_after_failures",
            "post /api/schedules/preview.action.version",
            "post /api/schedules/preview.catch_up.max",
            "post /api/schedules/preview.catch_up.within_ms",
            "post /api/schedules/preview.every_ms",
            "post /api/schedules/preview.jitter_ms",
            "post /api/schedules/preview.pause_after_failures",
            "put /api/skills/{name}/reviews.rating",
            "post /api/turns/{turn}/fork.after_step",
            "put /api/vault/secrets/{secret}/grants/{subject}.calls",
            "post /api/vault/secrets/{secret}/versions.overlap_ms",
            "post /v1/embeddings.dimensions",
        ]
    );
    Ok(())
}

fn integers(document: &Value, schema: &Value, at: &str, depth: usize, found: &mut Vec<String>) {
    if depth > 10 {
        return;
    }
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|name| name.rsplit('/').next())
    {
        let target = &document["components"]["schemas"][name];
        return integers(document, target, at, depth + 1, found);
    }
    let is_integer = |kind: &Value| kind == "integer";
    let kinds = schema["type"].as_array();
    if is_integer(&schema["type"]) || kinds.is_some_and(|kinds| kinds.iter().any(is_integer)) {
        found.push(at.to_owned());
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        integers(document, schema, &format!("{at}.{name}"), depth + 1, found);
    }
    integers_below(document, schema, at, depth, found);
}

fn integers_below(
    document: &Value,
    schema: &Value,
    at: &str,
    depth: usize,
    found: &mut Vec<String>,
) {
    for name in ["oneOf", "anyOf", "allOf"] {
        for schema in schema[name].as_array().into_iter().flatten() {
            integers(document, schema, at, depth + 1, found);
        }
    }
    if schema["items"].is_object() {
        integers(
            document,
            &schema["items"],
            &format!("{at}[]"),
            depth + 1,
            found,
        );
    }
}

/// Readers of the document see nothing else of the API, so every operation, parameter, response, header, schema and
/// property has a description, in the English that CONTRIBUTING.md asks for.
#[test]
fn everything_is_described_in_plain_english() -> Result<()> {
    let document = document()?;
    let mut faults = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("an item")? {
            check_operation(&format!("{method} {path}"), operation, &mut faults);
        }
    }
    let schemas = document["components"]["schemas"].as_object();
    for (name, schema) in schemas.context("schemas")? {
        require_text(
            &format!("schema {name}"),
            &schema["description"],
            &mut faults,
        );
        check_texts(&format!("schema {name}"), schema, &mut faults);
    }
    assert!(
        faults.is_empty(),
        "{} descriptions need another wording, see CONTRIBUTING.md, section English:\n{}",
        faults.len(),
        faults.join("\n")
    );
    Ok(())
}

fn check_operation(at: &str, operation: &Value, faults: &mut Vec<String>) {
    require_text(&format!("{at} summary"), &operation["summary"], faults);
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let at = format!("{at} parameter {}", parameter["name"]);
        require_text(&at, &parameter["description"], faults);
    }
    let responses = operation["responses"].as_object();
    for (status, response) in responses.into_iter().flatten() {
        let at = format!("{at} response {status}");
        require_text(&at, &response["description"], faults);
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            require_text(
                &format!("{at} header {name}"),
                &header["description"],
                faults,
            );
        }
    }
    check_texts(at, operation, faults);
}

fn require_text(at: &str, text: &Value, faults: &mut Vec<String>) {
    if text.as_str().is_none_or(str::is_empty) {
        faults.push(format!("{at}: the description is missing"));
    }
}

/// Checks the texts within a value, and that the properties of its schemas are described.
fn check_texts(at: &str, value: &Value, faults: &mut Vec<String>) {
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check_texts(&format!("{at}/{index}"), item, faults);
    }
    let is_error = at
        .rsplit_once("/responses/")
        .is_some_and(|(_, status)| status.len() == 3 && status.starts_with(['4', '5']));
    for (name, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        match (name.as_str(), inner) {
            ("description" | "summary", Value::String(text)) => {
                let fault = fault_of(text).filter(|_| !(is_error && is_list_of_codes(text)));
                faults.extend(fault.map(|fault| format!("{at}: {fault}: {text:?}")));
            }
            ("example" | "examples" | "default" | "enum", _) => {}
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    if !is_described(property) {
                        faults.push(format!("{at}/{name}: the description is missing"));
                    }
                    check_texts(&format!("{at}/{name}"), property, faults);
                }
            }
            _ => check_texts(&at, inner, faults),
        }
    }
}

/// A reference shows the description of its schema, a choice those of its parts, and the tag of a variant the variant's.
fn is_described(schema: &Value) -> bool {
    if schema["enum"]
        .as_array()
        .is_some_and(|values| values.len() == 1)
    {
        return true;
    }
    let has_text = |name: &str| schema[name].as_str().is_some_and(|text| !text.is_empty());
    let parts = ["oneOf", "anyOf", "allOf"];
    let mut parts = parts
        .iter()
        .flat_map(|name| schema[*name].as_array())
        .flatten();
    has_text("description") || has_text("$ref") || parts.any(is_described)
}

/// Why a text is not a sentence or a noun phrase that a stranger understands.
fn fault_of(text: &str) -> Option<&'static str> {
    if text.split_whitespace().count() < 3 {
        return Some("it has fewer than three words");
    }
    wording_fault(text)
}

/// Whether a text is `` `one-code`, `another-code` `` and nothing else.
fn is_list_of_codes(text: &str) -> bool {
    text.split(", ").all(|part| {
        let code = part
            .strip_prefix('`')
            .and_then(|part| part.strip_suffix('`'));
        code.is_some_and(|code| {
            !code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        })
    })
}

#[test]
fn lists_of_codes_are_told_from_descriptions() {
    assert!(is_list_of_codes("`not-found`") && is_list_of_codes("`name-taken`, `last-owner`"));
    assert!(!is_list_of_codes("not-found") && !is_list_of_codes("`Gone`, or so"));
    assert!(fault_of("Id").is_some() && fault_of("Why.").is_some());
}
