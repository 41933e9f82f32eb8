//! The tables of the documents: parts, roles and permissions.

use super::packages::Packages;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::fmt::Write;

/// Makes the tables of `docs/architecture.md`, by the names of their marks.
pub fn tables(packages: &Packages) -> [(&'static str, String); 2] {
    let mut parts = "| path | what it is |\n|---|---|\n".to_owned();
    let mut roles = "| role | connects | may |\n|---|---|---|\n".to_owned();
    for package in packages.all() {
        let (folder, description) = (&package.folder, &package.description);
        _ = writeln!(parts, "| `{folder}` | {description} |");
        let schema = format!("the schema {}", package.identifier());
        let may = package.settings.may.as_ref().unwrap_or(&schema);
        _ = writeln!(roles, "| `{}` | `{folder}` | {may} |", package.role());
    }
    [("parts", parts), ("roles", roles)]
}

/// Makes the tables of `docs/permissions.md` from the database's roles and the OpenAPI document.
pub async fn permissions(
    admin: &mut PgConnection,
    document: &str,
) -> Result<[(&'static str, String); 2]> {
    let roles: Vec<(String, Vec<String>)> =
        sqlx::query_as("select name, scopes from identity.role order by rank")
            .fetch_all(admin)
            .await?;
    let document: Value = serde_json::from_str(document)?;
    let (mut granted, mut open) = (Vec::new(), String::new());
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("operations")? {
            let operation_name = format!("`{} {path}`", method.to_uppercase());
            let security = operation["security"].as_array();
            // An empty requirement among them: an identity is looked at, if there is one.
            if security.is_none_or(|ways| ways.contains(&json!({}))) {
                _ = writeln!(open, "- {operation_name}");
            }
            let scopes = security.into_iter().flatten();
            let scopes = scopes.filter_map(|one| one["token"].as_array()).flatten();
            for scope in scopes.filter_map(Value::as_str) {
                granted.push((operation_name.clone(), scope.to_owned()));
            }
        }
    }
    Ok([("tables", by_scope(&roles, &granted)), ("open", open)])
}

fn by_scope(roles: &[(String, Vec<String>)], operations: &[(String, String)]) -> String {
    let mut scopes: Vec<&String> = roles.iter().flat_map(|(_, scopes)| scopes).collect();
    scopes.sort();
    scopes.dedup();
    let marks = |scope: &String| -> String {
        let mark = |(_, granted): &(String, Vec<String>)| match granted.contains(scope) {
            true => " yes |",
            false => " |",
        };
        roles.iter().map(mark).collect()
    };
    let head = |first: &[&str]| {
        let names = roles.iter().map(|(name, _)| name.as_str());
        let names: Vec<&str> = first.iter().copied().chain(names).collect();
        let rule = "---|".repeat(names.len());
        format!("| {} |\n|{rule}\n", names.join(" | "))
    };
    let mut text = head(&["scope"]);
    for scope in scopes {
        _ = writeln!(text, "| `{scope}` |{}", marks(scope));
    }
    text += "\n";
    text += &head(&["operation", "scope"]);
    for (operation, scope) in operations {
        _ = writeln!(text, "| {operation} | `{scope}` |{}", marks(scope));
    }
    text
}
