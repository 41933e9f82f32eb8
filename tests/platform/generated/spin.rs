//! `spin.toml`, from the Cargo.toml files of functions and components.

use super::packages::{Package, Packages, Settings};
use anyhow::{Result, ensure};
use std::{collections::BTreeMap, fmt::Write};

const HEAD: &str = r#"# Generated from the Cargo.toml files of functions and components: see docs/functions.md.

spin_manifest_version = 2

[application]
name = "gather"
version = "0.1.0"
description = "Agent-first collaboration: identities, skills as tools, and soon posts, channels and an inbox."

[application.tool.gather]
# Answers 503 while the host drains, so that load balancers look away first.
readiness = "/health/ready"
# The host's process answers these itself where it has a gateway, and the functions elsewhere.
native_routes = {native_routes}

[variables]
# A JSON value with the settings and secrets that all functions share: crates/guest/src/variable.rs has its members.
platform = { required = true, secret = true }
pg_host = { default = "127.0.0.1:5432" }
"#;

/// The variables of every function.
const OF_FUNCTIONS: &str = "platform = \"{{ platform }}\"\n";

const LAST: &str = "
# --- Last of all routes: Spin's router orders a segment that begins with a dot against the others by what it has met
# --- before, and sends the paths above astray where one of these stands before them.
";

const QUEUED: &str = "
# --- Queued work: no route; a worker runs it (`gather worker`, or within `gather up`)
";

pub fn manifest(packages: &Packages) -> Result<String> {
    let native_routes = format!("{:?}", packages.native_routes);
    let mut text = HEAD.replace("{native_routes}", &native_routes) + &variables(packages)?;
    let mut last = LAST.to_owned();
    for function in &packages.functions {
        let settings = &function.settings;
        let default = vec![format!("/api/{}/...", function.name)];
        let routes = match settings.routes.as_slice() {
            [] => &default,
            _ => &settings.routes,
        };
        _ = writeln!(text, "\n# --- {}: {}", function.name, function.description);
        triggers(routes, &function.name, &mut text, &mut last);
        let own = OF_FUNCTIONS.to_owned() + &own_variables(function);
        text += &component(function, &function.name, &settings.hosts, &own);
        text += &tool(&function.name, &role(function, "tool"));
        text += &build(function);
        for (id, second) in &settings.components {
            _ = writeln!(text, "\n# --- {id}: {}", second.description);
            triggers(&second.routes, id, &mut text, &mut last);
            let own = own.clone() + &function.table(&format!("components.{id}.variables"));
            text += &component(function, id, &second.hosts, &own);
            text += &tool(id, &function.table(&format!("components.{id}.tool")));
        }
    }
    text = text + &last + QUEUED;
    for queued in &packages.components {
        _ = writeln!(text, "\n# {}", queued.description);
        let settings = &queued.settings;
        ensure!(
            settings.routes.is_empty() && settings.components.is_empty(),
            "{}: queued work has no routes and no second component",
            queued.folder
        );
        let table = component(
            queued,
            &queued.name,
            &settings.hosts,
            &own_variables(queued),
        );
        text += table.trim_start();
        text += &tool(&queued.name, &role(queued, "tool"));
        text += &build(queued);
    }
    Ok(text)
}

/// Lists the application's variables: the database of each role, and those that the packages declare.
fn variables(packages: &Packages) -> Result<String> {
    let mut lines = BTreeMap::new();
    let mut text = String::new();
    for package in packages.all() {
        let database = format!(
            "{}_database_url = {{ required = true, secret = true }}\n",
            package.identifier()
        );
        let seconds = package.settings.components.keys();
        let tables = seconds.map(|id| format!("components.{id}.application"));
        let tables = std::iter::once("application".to_owned()).chain(tables);
        let named: String = tables.map(|table| package.table(&table)).collect();
        for line in database.lines().chain(named.lines()) {
            let name = line.split(" =").next().unwrap_or_default().to_owned();
            match lines.insert(name.clone(), line.to_owned()) {
                None => _ = writeln!(text, "{line}"),
                Some(other) => ensure!(
                    other == line || name.starts_with('#'),
                    "{}: `{line}` elsewhere is `{other}`",
                    package.folder
                ),
            }
        }
    }
    Ok(text)
}

fn own_variables(package: &Package) -> String {
    format!(
        "database_url = \"{{{{ {}_database_url }}}}\"\n{}",
        package.identifier(),
        package.table("variables")
    )
}

/// Writes the routes. Those with a segment that begins with a dot go last.
fn triggers(routes: &[String], component: &str, text: &mut String, last: &mut String) {
    for route in routes {
        let text = match route.trim_end_matches("...").contains("/.") {
            true => &mut *last,
            false => &mut *text,
        };
        _ = write!(
            text,
            "\n[[trigger.http]]\nroute = \"{route}\"\ncomponent = \"{component}\"\n"
        );
    }
}

fn component(package: &Package, id: &str, hosts: &[String], variables: &str) -> String {
    let postgres = "postgres://{{ pg_host }}".to_owned();
    let hosts: Vec<_> = std::iter::once(&postgres).chain(hosts).collect();
    let hosts = match hosts.len() {
        1..=3 => format!("{hosts:?}"),
        _ => format!("{hosts:#?}"),
    };
    format!(
        "
[component.{id}]
source = \"target/wasm32-wasip2/function/{}.wasm\"
allowed_outbound_hosts = {hosts}

[component.{id}.variables]
{variables}",
        package.identifier()
    )
}

fn role(package: &Package, table: &str) -> String {
    format!("role = \"{}\"\n{}", package.role(), package.table(table))
}

fn tool(id: &str, lines: &str) -> String {
    format!("\n[component.{id}.tool.gather]\n{lines}")
}

fn build(package: &Package) -> String {
    let mut watch = vec![format!("{}/src/**", package.folder)];
    let crates = package.crates.iter();
    watch.extend(crates.map(|folder| format!("{folder}/src/**/*.rs")));
    watch.extend(package.settings.watch.iter().cloned());
    format!(
        "
[component.{}.build]
command = \"cargo build --target wasm32-wasip2 --profile function -p {0}\"
watch = {watch:?}
",
        package.name
    )
}

#[test]
fn variables_of_one_name_are_the_same() -> Result<()> {
    let package = |name: &str, line: &str| Package {
        name: name.to_owned(),
        description: String::new(),
        folder: format!("functions/{name}"),
        crates: Vec::new(),
        settings: Settings::default(),
        text: format!(
            "[package.metadata.gather.application]\n{line}\n\n[lints]\nworkspace = true\n"
        ),
    };
    let mut packages = Packages {
        functions: vec![
            package("one", "shared = { default = \"\" }"),
            package("two", "shared = { default = \"\" }"),
        ],
        components: Vec::new(),
        native_problems: BTreeMap::new(),
        native_routes: Vec::new(),
    };
    let database = "database_url = { required = true, secret = true }";
    assert_eq!(
        variables(&packages)?,
        format!("one_{database}\nshared = {{ default = \"\" }}\ntwo_{database}\n")
    );
    packages
        .functions
        .push(package("three", "shared = { required = true }"));
    let refused = variables(&packages).map_err(|error| error.to_string());
    assert!(refused.is_err_and(|refused| refused.starts_with("functions/three: `shared")));
    Ok(())
}

#[test]
fn segments_that_begin_with_a_dot_stand_last() {
    let (mut text, mut last) = (String::new(), String::new());
    for route in [
        "/.well-known/jwks.json",
        "/api/.hidden/...",
        "/api/posts/...",
        "/...",
    ] {
        triggers(&[route.to_owned()], "posts", &mut text, &mut last);
    }
    assert_eq!(last.matches("route = ").count(), 2, "{last}");
    assert_eq!(text.matches("route = ").count(), 2, "{text}");
    assert!(last.contains("jwks.json") && last.contains("/api/.hidden/"));
}
