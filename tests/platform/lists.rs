//! Every list of the OpenAPI document: whose cursors it takes, and what it answers below something that is not there.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::{
    Server,
    agents::Agent,
    client::code,
    people::{PASSWORD, Person},
    publishing::{approved, manifest},
    root,
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// An operation, with the parameters of its path and of its query.
struct Operation {
    method: Method,
    path: String,
    /// Name and schema.
    in_path: Vec<(String, Value)>,
    in_query: Vec<String>,
    /// Those of the query that have to be there.
    required: Vec<String>,
}

impl Operation {
    /// The path with something in each parameter.
    fn filled(&self, fill: impl Fn(&Value) -> String) -> String {
        let path = self.path.clone();
        self.in_path.iter().fold(path, |path, (name, schema)| {
            path.replace(&format!("{{{name}}}"), &fill(schema))
        })
    }

    /// What the query has to have.
    fn query(&self) -> String {
        self.required
            .iter()
            .map(|name| format!("{name}=a&"))
            .collect()
    }

    /// The path to something that is not there.
    fn nowhere(&self) -> String {
        self.filled(|schema| match is_id(schema) {
            true => Uuid::nil().to_string(),
            false => "not-there".to_owned(),
        })
    }

    fn filters(&self) -> impl Iterator<Item = &String> {
        let page = ["limit", "after"];
        let names = self.in_query.iter();
        names.filter(move |name| !page.contains(&name.as_str()))
    }
}

fn is_id(schema: &Value) -> bool {
    schema["format"] == "uuid"
}

fn operations() -> Result<Vec<Operation>> {
    let file = std::fs::read_to_string(root().join("static/openapi.json"))?;
    let document: Value = serde_json::from_str(&file)?;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("operations")? {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let of = |place: &str| {
                let found = parameters.clone().filter(|one| one["in"] == *place);
                let pair = |one: &Value| {
                    let name = one["name"].as_str().unwrap_or_default();
                    (name.to_owned(), one["schema"].clone())
                };
                found.map(pair).collect::<Vec<_>>()
            };
            operations.push(Operation {
                required: parameters
                    .clone()
                    .filter(|one| one["in"] == "query" && one["required"] == true)
                    .filter_map(|one| one["name"].as_str().map(str::to_owned))
                    .collect(),
                method: method.to_uppercase().parse()?,
                path: path.clone(),
                in_path: of("path"),
                in_query: of("query").into_iter().map(|(name, _)| name).collect(),
            });
        }
    }
    Ok(operations)
}

fn lists() -> Result<Vec<Operation>> {
    let mut lists = operations()?;
    lists.retain(|one| one.in_query.iter().any(|name| name == "after"));
    assert!(lists.len() >= 15, "{}", lists.len());
    Ok(lists)
}

/// A server with two of what is listed with filters, and an admin.
async fn furnished() -> Result<(Server, Person)> {
    let server = Server::start().await?;
    let admin = Person::register(&server, "operator").await?;
    let admin = admin.into_admin(&server).await?;
    Person::sign_in(&server, &admin.email, PASSWORD).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    Agent::sign_in(&server, "bob", 2).await?;
    for name in ["one-skill", "two-skill"] {
        approved(&server, &ada, &manifest(name, "1.0.0"), "adder").await?;
        let channel = json!({ "name": name });
        let made = ada.send(&server, "POST", "/api/channels", &channel).await?;
        assert_eq!(made.0, 201, "{made:?}");
        let post = json!({ "title": name, "body": name });
        let (_, post) = ada.send(&server, "POST", "/api/posts", &post).await?;
        let id = post["id"].as_str().context("id")?;
        let report = json!({ "target": format!("post:{id}"), "reason": "x" });
        let made = ada.send(&server, "POST", "/api/reports", &report).await?;
        assert_eq!(made.0, 201, "{made:?}");
        let memory = json!({ "content": name, "scope": "agent", "scope_id": admin.id });
        let made = admin.send(&server, "POST", "/api/memory", &memory).await?;
        assert_eq!(made.0, 201, "{made:?}");
        let block = format!("/api/memory/blocks/agent/{}/{name}", admin.id);
        let block = admin
            .request(&server, "PUT", &block)
            .header("if-none-match", "*");
        let made = block.json(&json!({ "content": name })).send().await?;
        assert_eq!(made.status(), 201);
        let wait = json!({ "nodes": { "pause": { "type": "wait", "any": [{ "signal": "go" }] } } });
        let schedule =
            json!({ "type": "send_notification", "to": [admin.id], "title": "x", "body": "x" });
        for (path, new) in [
            (
                "/api/circles",
                json!({ "name": name, "purpose": "x", "mode": "mention" }),
            ),
            (
                "/api/conversations",
                json!({ "with": [ada.id], "title": name }),
            ),
            (
                "/api/personas",
                json!({ "name": name, "description": "x", "instructions": "x" }),
            ),
            (
                "/api/claws",
                json!({ "name": format!("{name}-claw"), "persona": name }),
            ),
            (
                "/api/pipelines",
                json!({ "name": name, "definition": wait }),
            ),
            (&*format!("/api/pipelines/{name}/runs"), json!({})),
            (
                "/api/schedules",
                json!({ "name": name, "every_ms": 3_600_000, "action": schedule }),
            ),
        ] {
            let made = admin.send(&server, "POST", path, &new).await?;
            assert!([201, 202].contains(&made.0), "{path}: {made:?}");
        }
    }
    let told = format!(
        "select inbox.notify(array[id], 'job', 'Told', '', '/jobs', null, 'job:' || n) from identity.account,
             generate_series(1, 2) n where name = 'operator';
         select inbox.ask('turn:' || n, 'May it?', '', 'digest', array['{}'::uuid], now() + interval '1 hour')
         from generate_series(1, 2) n",
        ada.id
    );
    server.database.execute(&told).await?;
    let called = format!(
        "insert into llm.call (account_id, payers, route, status, ended_at)
         select '{}', '{{}}', 'chat', 'failed', now() from generate_series(1, 2)",
        ada.id
    );
    server.database.execute(&called).await?;
    let thought = format!(
        "insert into circles.turn (channel_id, agent_id, cause_seq)
         select channel_id, '{}', 1 from circles.conversation",
        admin.id
    );
    server.database.execute(&thought).await?;
    Ok((server, admin))
}

async fn page(server: &Server, admin: &Person, path: &str, query: &str) -> Result<(u16, Value)> {
    admin.get(server, &format!("{path}?{query}")).await
}

/// The cursor of a list's first page.
async fn cursor(server: &Server, admin: &Person, path: &str) -> Result<String> {
    let (_, first) = page(server, admin, path, "limit=1").await?;
    let next = first["next"].as_str();
    Ok(next.with_context(|| format!("{path}: {first}"))?.to_owned())
}

/// Positions of every kind that no list has.
const WRONG: [&str; 12] = [
    "",
    "null",
    "{}",
    "[]",
    "7",
    "\"\\u0000\"",
    "[\"0000-01-01T00:00:00Z\",\"00000000-0000-7000-8000-000000000000\"]",
    "[\"infinity\",\"00000000-0000-7000-8000-000000000000\"]",
    "[\"2026-01-01T00:00:00Z\",\"x\"]",
    "{\"first\":1e999,\"second\":0,\"id\":\"00000000-0000-7000-8000-000000000000\"}",
    "{\"updated_at\":\"yesterday\",\"account\":\"00000000-0000-7000-8000-000000000000\"}",
    "\"2026-13-01T00:00:00Z",
];

#[tokio::test]
async fn a_list_takes_no_cursor_but_its_own() -> Result<()> {
    let (server, admin) = furnished().await?;
    let mut foreign = Vec::new();
    // Ordered by a name, by an id, by a time and an id, by numbers and an id.
    for path in ["/api/agents", "/api/sessions", "/api/audit", "/api/skills"] {
        foreign.push((path, cursor(&server, &admin, path).await?));
    }
    for list in lists()? {
        let path = list.nowhere();
        let refused = async |cursor: &str| {
            let query = format!("{}after={cursor}", list.query());
            let (status, answer) = page(&server, &admin, &path, &query).await?;
            let code = answer["code"].as_str().unwrap_or_default();
            assert_eq!((status, code), (422, "invalid-cursor"), "{path} {cursor}");
            anyhow::Ok(())
        };
        for (_, cursor) in foreign.iter().filter(|(other, _)| *other != path) {
            refused(cursor).await?;
        }
        for garbage in ["", "!", "x", "AAAA", "%00", "null", &"A".repeat(2000)] {
            refused(garbage).await?;
        }
        for json in WRONG {
            refused(&BASE64_URL_SAFE_NO_PAD.encode(json)).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_cursor_belongs_to_its_filters() -> Result<()> {
    let (server, admin) = furnished().await?;
    let mut checked = 0;
    for list in lists()? {
        // Nothing is sent without a receiver of webhooks. What lies below a channel or a post is found by words, or
        // stands at a place in its history.
        let is_below = [
            "/api/channels/{",
            "/api/claws/{",
            "/api/conversations/{",
            "/api/posts/{",
            "/api/runs/{",
            "/api/schedules/{",
            "/api/vault/secrets/{",
            "/api/webhooks/{",
        ]
        .iter()
        .any(|above| list.path.starts_with(above));
        if list.filters().next().is_none() || is_below {
            continue;
        }
        let path = list.nowhere();
        // What is found by words needs some: `a`, which a filter replaces by others.
        let needed = list.query();
        let (_, first) = page(&server, &admin, &path, &format!("{needed}limit=1")).await?;
        let next = first["next"].as_str();
        let next = next.with_context(|| format!("{path}: {first}"))?;
        let query = format!("{needed}after={next}&limit=50");
        let (status, second) = page(&server, &admin, &path, &query).await?;
        assert_eq!(status, 200, "{path}: {second}");
        for filter in list.filters() {
            let value = match filter.as_str() {
                "actor" => Uuid::nil().to_string(),
                "owner" if ["/api/pipelines", "/api/schedules"].contains(&path.as_str()) => {
                    Uuid::nil().to_string()
                }
                "all" | "allowed" | "joined" | "archived" | "mine" | "paused" => "true".to_owned(),
                "agent" => "me".to_owned(),
                "circle" => "one-skill".to_owned(),
                "pipeline" | "parent" if path == "/api/runs" => Uuid::nil().to_string(),
                "cause" => "call".to_owned(),
                "scope" => "global".to_owned(),
                "scope_id" => format!("{}&scope=agent", Uuid::nil()),
                "kind" if path == "/api/memory" => "fact".to_owned(),
                "source" => "message:a".to_owned(),
                "state" if path == "/api/inbox" => "unread".to_owned(),
                "state" if path == "/api/memory" => "archived".to_owned(),
                "state" if path == "/api/reports" => "open".to_owned(),
                "state" => "pending".to_owned(),
                "as_of" | "since" | "until" => "2026-01-01T00:00:00Z".to_owned(),
                "status" if path == "/api/claws" => "requested".to_owned(),
                "status" if path == "/api/llm/calls" => "failed".to_owned(),
                "status" => "queued".to_owned(),
                "sort" => "new".to_owned(),
                "mode" => "text".to_owned(),
                "type" => "skill".to_owned(),
                _ if list.required.contains(filter) => "b".to_owned(),
                _ => "a".to_owned(),
            };
            let others = match list.required.contains(filter) {
                true => String::new(),
                false => list.query(),
            };
            let query = format!("{others}{filter}={value}");
            assert_eq!(
                page(&server, &admin, &path, &query).await?.0,
                200,
                "{query}"
            );
            let query = format!("{query}&after={next}");
            let (status, answer) = page(&server, &admin, &path, &query).await?;
            assert_eq!(
                (status, &answer["code"]),
                (422, &json!("invalid-cursor")),
                "{path}?{query}"
            );
            checked += 1;
        }
    }
    assert!(checked >= 12, "{checked}");
    // In another order they are the same.
    let filters = ["allowed=true", "since=2026-01-01T00%3A00%3A00Z"];
    let [one, two] = filters;
    let (_, first) = page(
        &server,
        &admin,
        "/api/audit",
        &format!("limit=1&{one}&{two}"),
    )
    .await?;
    let next = first["next"].as_str().with_context(|| first.to_string())?;
    let turned = format!("{two}&after={next}&{one}");
    assert_eq!(page(&server, &admin, "/api/audit", &turned).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_forged_position_is_no_fault_of_ours() -> Result<()> {
    let (server, admin) = furnished().await?;
    for path in ["/api/agents", "/api/sessions", "/api/audit", "/api/skills"] {
        let own = BASE64_URL_SAFE_NO_PAD.decode(cursor(&server, &admin, path).await?)?;
        // The list's name comes before the position.
        let list = &own[..8];
        for json in WRONG {
            let forged = BASE64_URL_SAFE_NO_PAD.encode([list, json.as_bytes()].concat());
            let (status, answer) = page(&server, &admin, path, &format!("after={forged}")).await?;
            assert_eq!(
                (status, &answer["code"]),
                (422, &json!("invalid-cursor")),
                "{path} {json}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn below_what_is_not_there_is_nothing() -> Result<()> {
    let (server, admin) = furnished().await?;
    let mut walked = Vec::new();
    for one in operations()? {
        // What is passed on to another host lies below nothing here.
        let is_passed_on = one.path == "/api/vault/fetch/{target}";
        if one.method != Method::GET || one.in_path.is_empty() || is_passed_on {
            continue;
        }
        let path = format!("{}?{}", one.nowhere(), one.query());
        let response = admin.get(&server, &path).await?;
        assert_eq!(response.0, 404, "{path}");
        if one.in_query.iter().any(|name| name == "after") {
            assert_eq!(
                code(admin.request(&server, "GET", &path).send().await?).await?,
                (404, "not-found".to_owned()),
                "{path}"
            );
            walked.push(one.path);
        }
    }
    walked.sort();
    assert_eq!(
        walked,
        [
            "/api/channels/{channel}/members",
            "/api/channels/{channel}/messages",
            "/api/channels/{channel}/pins",
            "/api/channels/{channel}/search",
            "/api/circles/{circle}/members",
            "/api/circles/{circle}/proposals",
            "/api/claws/{claw}/history",
            "/api/claws/{claw}/logs",
            "/api/claws/{claw}/usage",
            "/api/conversations/{conversation}/messages",
            "/api/conversations/{conversation}/turns",
            "/api/memory/{memory}/history",
            "/api/pipelines/{pipeline}/triggers",
            "/api/pipelines/{pipeline}/versions",
            "/api/posts/{post}/comments",
            "/api/runs/{run}/steps",
            "/api/schedules/{schedule}/firings",
            "/api/skills/{name}/reviews",
            "/api/skills/{name}/versions",
            "/api/skills/{name}/versions/{version}/attestations",
            "/api/teams/{team}/members",
            "/api/triggers/{trigger}/firings",
            "/api/turns/{turn}/steps",
            "/api/vault/secrets/{secret}/grants",
            "/api/vault/secrets/{secret}/uses",
            "/api/webhooks/{webhook}/deliveries",
        ]
    );
    // What is there and has none is another thing.
    let reviews = server.get("/api/skills/one-skill/reviews").await?;
    assert_eq!(
        reviews.json::<Value>().await?,
        json!({ "items": [], "next": null })
    );
    Ok(())
}

#[tokio::test]
async fn who_gives_a_malformed_identifier_is_told_so() -> Result<()> {
    let (server, admin) = furnished().await?;
    let mut walked = 0;
    for one in operations()? {
        if !one.in_path.iter().any(|(_, schema)| is_id(schema)) {
            continue;
        }
        for bad in [
            "none",
            "123",
            "%E2%98%83",
            "00000000-0000-0000-0000-00000000000g",
        ] {
            let path = one.filled(|schema| match is_id(schema) {
                true => bad.to_owned(),
                false => "not-there".to_owned(),
            });
            let (status, answer) = admin
                .send(&server, one.method.as_str(), &path, &json!({}))
                .await?;
            let detail = answer["detail"].as_str().unwrap_or_default();
            assert!(
                status == 404 && detail.contains("must be a UUID"),
                "{} {path}: {status} {answer}",
                one.method
            );
        }
        walked += 1;
    }
    assert!(walked >= 15, "{walked}");
    let (_, answer) = admin.get(&server, "/api/agents/%FF").await?;
    assert!(
        answer["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("UTF-8")),
        "{answer}"
    );
    Ok(())
}
