//! Pipelines: definitions, their versions, and who may see them.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, client::refusal};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn greeting(text: &str) -> Value {
    json!({
        "input": {"type": "object", "required": ["name"]},
        "nodes": {"greet": {"type": "transform", "value": {"$": format!("'{text}, ' + input.name")}}},
        "result": {"$": "nodes.greet.output"},
    })
}

async fn create(server: &Server, who: &Agent, name: &str, definition: &Value) -> Result<Value> {
    let new = json!({"name": name, "definition": definition});
    let (status, made) = who.send(server, "POST", "/api/pipelines", &new).await?;
    assert_eq!(status, 201, "{made}");
    Ok(made)
}

#[tokio::test]
async fn versions_are_numbered_and_never_change() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let made = create(&server, &ada, "greeting", &greeting("Hello")).await?;
    assert_eq!(made["active_version"], 1);
    let path = "/api/pipelines/greeting/versions";
    let same = json!({"definition": greeting("Hello")});
    let (status, again) = ada.send(&server, "POST", path, &same).await?;
    assert_eq!((status, &again["number"]), (200, &json!(1)));

    let other = json!({"definition": greeting("Good day"), "note": "Politer", "activate": true});
    let (status, second) = ada.send(&server, "POST", path, &other).await?;
    assert_eq!((status, &second["number"]), (201, &json!(2)), "{second}");
    assert_ne!(second["digest"], again["digest"]);
    let (_, pipeline) = ada.get(&server, "/api/pipelines/greeting").await?;
    assert_eq!(pipeline["active_version"], 2);
    let (_, first) = ada.get(&server, &format!("{path}/1")).await?;
    assert_eq!(first["definition"], greeting("Hello"));
    let (_, list) = ada.get(&server, path).await?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2));
    let changed = sqlx::query("update pipelines.version set note = 'x'")
        .execute(&mut server.database.connect().await?)
        .await;
    assert!(changed.is_err());

    let back = json!({"active_version": 1, "name": "hello"});
    let (status, changed) = ada
        .send(&server, "PATCH", "/api/pipelines/greeting", &back)
        .await?;
    assert_eq!(
        (status, &changed["active_version"]),
        (200, &json!(1)),
        "{changed}"
    );
    let unknown = json!({"active_version": 9});
    let refused = ada
        .send(&server, "PATCH", "/api/pipelines/hello", &unknown)
        .await?;
    assert_eq!(refusal(&refused), (404, "unknown-version"));
    Ok(())
}

#[tokio::test]
async fn all_problems_of_a_definition_are_named() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let definition = json!({
        "nodes": {
            "a": {"type": "loop", "body": {}},
            "b": {"type": "condition", "cases": [{"name": "x", "when": format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000))}], "else": "y"},
            "c": {"type": "action", "do": "skill", "input": {"skill": "missing", "tool": "t"}},
            "d": {"type": "transform", "value": {"$": "nodes.e.output"}, "when": "now() > 1"},
            "e": {"type": "merge"},
        },
        "edges": [{"from": "b", "to": "f", "on": "z"}, {"from": "d", "to": "e"}, {"from": "e", "to": "d"}],
    });
    let (status, seen) = ada
        .send(
            &server,
            "POST",
            "/api/pipelines/validate",
            &json!({"definition": definition}),
        )
        .await?;
    assert_eq!((status, &seen["valid"]), (200, &json!(false)));
    let found = |answer: &Value| -> BTreeSet<String> {
        let problems = answer["problems"].as_array().into_iter().flatten();
        problems
            .filter_map(|problem| {
                Some(format!(
                    "{} {}",
                    problem["path"].as_str()?,
                    problem["code"].as_str()?
                ))
            })
            .collect()
    };
    let expected = [
        "edges[0].on unknown-case",
        "edges[0].to unknown-node",
        "nodes.a.type part-missing",
        "nodes.b.cases[0].when bad-expression",
        "nodes.c.do permission",
        "nodes.c.input.skill unknown-skill",
        "nodes.d cycle",
        "nodes.d.when bad-expression",
        "nodes.e cycle",
    ];
    assert_eq!(found(&seen), expected.map(str::to_owned).into(), "{seen}");
    let new = json!({"name": "broken", "definition": definition});
    let refused = ada.send(&server, "POST", "/api/pipelines", &new).await?;
    assert_eq!(refusal(&refused), (422, "invalid-definition"));
    assert_eq!(found(&refused.1), found(&seen));
    Ok(())
}

/// An expression that nests as deep as it may: a choice, brackets, a comparison, and operators on top of each other.
fn deep(first: &str, operator: &str) -> String {
    let chain = vec![first; 98].join(operator);
    format!("{}{chain}{} == 0 ? 0 : 1", "(".repeat(32), ")".repeat(32))
}

#[tokio::test]
async fn the_largest_expressions_that_are_accepted_overflow_nothing() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    for (text, valid) in [
        (deep("1", "+"), true),
        (deep("a", "."), false),
        (format!("!{}", deep("1", "!")), false),
        (vec!["input"; 680].join("+"), true),
        (vec!["input.a == 1"; 250].join(" && "), true),
        (format!("input{}", "[0]".repeat(99)), true),
        (format!("input{}", ".map(x, x)".repeat(49)), true),
        (
            format!("{}input{}", "size([".repeat(16), "])".repeat(16)),
            true,
        ),
        (vec!["input ? 1"; 60].join(" : ") + " : 2", true),
        (vec!["input"; 682].join("*"), false),
        (
            format!("{}1{}", "(".repeat(2_000), ")".repeat(2_000)),
            false,
        ),
        (format!("{}1", "!-".repeat(2_000)), false),
    ] {
        let node = json!({"type": "transform", "value": {"$": text}});
        let candidate = json!({"definition": {"nodes": {"a": node}}});
        let path = "/api/pipelines/validate";
        let (status, seen) = ada.send(&server, "POST", path, &candidate).await?;
        assert_eq!(
            (status, &seen["valid"]),
            (200, &json!(valid)),
            "{text}: {seen}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn nobody_else_sees_a_pipeline_or_its_runs() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let made = create(&server, &ada, "greeting", &greeting("Hello")).await?;
    // Names are the owner's own.
    create(&server, &bob, "greeting", &greeting("Hi")).await?;
    let refused = ada
        .send(
            &server,
            "POST",
            "/api/pipelines",
            &json!({"name": "greeting", "definition": greeting("Hello")}),
        )
        .await?;
    assert_eq!(refusal(&refused), (409, "name-taken"));

    let pipeline = format!("/api/pipelines/{}", made["id"].as_str().context("id")?);
    let start = json!({"input": {"name": "Eve"}});
    let (status, run) = ada
        .send(&server, "POST", &format!("{pipeline}/runs"), &start)
        .await?;
    assert_eq!((status, &run["status"]), (202, &json!("queued")), "{run}");
    let run = format!("/api/runs/{}", run["id"].as_str().context("id")?);
    for (method, path) in [
        ("GET", pipeline.clone()),
        ("PATCH", pipeline.clone()),
        ("DELETE", pipeline.clone()),
        ("GET", format!("{pipeline}/versions")),
        ("GET", format!("{pipeline}/versions/1")),
        ("POST", format!("{pipeline}/runs")),
        ("GET", run.clone()),
        ("GET", format!("{run}/steps")),
        ("GET", format!("{run}/steps/greet")),
        ("POST", format!("{run}/cancel")),
        ("POST", format!("{run}/signals/x")),
    ] {
        let body = if method == "GET" || method == "DELETE" {
            Value::Null
        } else {
            json!({})
        };
        let refused = bob.send(&server, method, &path, &body).await?;
        assert_eq!(refusal(&refused), (404, "not-found"), "{method} {path}");
    }
    let (_, list) = bob.get(&server, "/api/runs").await?;
    assert_eq!(list["items"], json!([]));
    let (_, list) = bob.get(&server, "/api/pipelines").await?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn input_is_held_against_the_schema_and_paused_or_archived_pipelines_do_not_start()
-> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    create(&server, &ada, "greeting", &greeting("Hello")).await?;
    let runs = "/api/pipelines/greeting/runs";
    for input in [json!({}), json!(1), json!({"name": "a\u{0}"})] {
        let refused = ada
            .send(&server, "POST", runs, &json!({"input": input}))
            .await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"));
    }
    let start = json!({"input": {"name": "Eve"}, "key": "once"});
    let (status, first) = ada.send(&server, "POST", runs, &start).await?;
    assert_eq!(status, 202, "{first}");
    let (status, again) = ada.send(&server, "POST", runs, &start).await?;
    assert_eq!((status, &again["id"]), (200, &first["id"]));

    let path = "/api/pipelines/greeting";
    ada.send(&server, "PATCH", path, &json!({"paused": true}))
        .await?;
    let other = json!({"input": {"name": "Eve"}});
    let refused = ada.send(&server, "POST", runs, &other).await?;
    assert_eq!(refusal(&refused), (409, "pipeline-paused"));
    let refused = ada.send(&server, "DELETE", path, &Value::Null).await?;
    assert_eq!(refusal(&refused), (409, "runs-unfinished"));
    let archived = ada
        .send(
            &server,
            "DELETE",
            &format!("{path}?cancel=true"),
            &Value::Null,
        )
        .await?;
    assert_eq!(archived.0, 204);
    let (_, run) = ada
        .get(
            &server,
            &format!("/api/runs/{}", first["id"].as_str().context("id")?),
        )
        .await?;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    assert_eq!(ada.get(&server, path).await?.0, 404, "its name is free");
    Ok(())
}

#[tokio::test]
async fn who_leaves_takes_pipelines_and_runs_along() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    create(&server, &ada, "greeting", &greeting("Hello")).await?;
    let start = json!({"input": {"name": "Eve"}});
    let started = ada
        .send(&server, "POST", "/api/pipelines/greeting/runs", &start)
        .await?;
    assert_eq!(started.0, 202, "{started:?}");
    let mut admin = server.database.connect().await?;
    let export: Value = sqlx::query_scalar("select identity.export($1)")
        .bind(ada.id)
        .fetch_one(&mut admin)
        .await?;
    assert_eq!(export["pipelines"]["pipelines"][0]["name"], "greeting");
    assert_eq!(export["pipelines"]["runs"][0]["input"], start["input"]);
    sqlx::query("select identity.leave($1, '{}')")
        .bind(ada.id)
        .execute(&mut admin)
        .await?;
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from pipelines.pipeline) + (select count(*) from pipelines.run)",
    )
    .fetch_one(&mut admin)
    .await?;
    assert_eq!(left, 0);
    Ok(())
}

#[tokio::test]
async fn a_pipeline_is_read_by_those_who_may() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let cyd = Agent::sign_in(&server, "cyd", 3).await?;
    let mut database = server.database.connect().await?;
    let team: String =
        sqlx::query_scalar("insert into identity.team (name) values ('owls') returning id::text")
            .fetch_one(&mut database)
            .await?;
    for member in [&ada, &bob] {
        sqlx::query(
            "insert into identity.team_member (team_id, account_id, role) values ($1::uuid, $2, 'viewer')",
        )
        .bind(&team)
        .bind(member.id)
        .execute(&mut database)
        .await?;
    }
    let mut ids = Vec::new();
    for (name, more) in [
        ("own", json!({})),
        ("shared", json!({"team": team, "visibility": "team"})),
        ("open", json!({"visibility": "public"})),
    ] {
        let mut new = json!({"name": name, "definition": greeting("Hello")});
        for (field, value) in more.as_object().into_iter().flatten() {
            new[field] = value.clone();
        }
        let (status, made) = ada.send(&server, "POST", "/api/pipelines", &new).await?;
        assert_eq!(status, 201, "{made}");
        ids.push(made["id"].as_str().context("id")?.to_owned());
    }
    for (who, seen) in [(&bob, vec![404, 200, 200]), (&cyd, vec![404, 404, 200])] {
        for (id, expected) in ids.iter().zip(seen) {
            for path in ["", "/versions", "/versions/1"] {
                let path = format!("/api/pipelines/{id}{path}");
                assert_eq!(who.get(&server, &path).await?.0, expected, "{path}");
            }
            // Whoever may read it can neither change nor run it.
            let path = format!("/api/pipelines/{id}");
            let change = json!({"paused": true});
            let refused = who.send(&server, "PATCH", &path, &change).await?;
            assert_eq!(refusal(&refused), (404, "not-found"));
            let input = json!({"input": {"name": "x"}});
            let refused = who
                .send(&server, "POST", &format!("{path}/runs"), &input)
                .await?;
            assert_eq!(refusal(&refused), (404, "not-found"));
        }
    }
    let names = async |who: &Agent, query: &str| -> Result<Vec<String>> {
        let path = format!("/api/pipelines?{query}");
        let (_, list) = who.get(&server, &path).await?;
        let items = list["items"].as_array().context("items")?.iter();
        Ok(items
            .filter_map(|item| item["name"].as_str().map(str::to_owned))
            .collect())
    };
    let of_ada = format!("owner={}", ada.id);
    assert_eq!(names(&bob, &of_ada).await?, ["open", "shared"]);
    assert_eq!(names(&cyd, &of_ada).await?, ["open"]);
    assert_eq!(names(&ada, "query=are").await?, ["shared"]);
    assert_eq!(names(&bob, "").await?, Vec::<String>::new());
    let change = json!({"visibility": "private"});
    let path = format!("/api/pipelines/{}", ids[2]);
    assert_eq!(ada.send(&server, "PATCH", &path, &change).await?.0, 200);
    assert_eq!(cyd.get(&server, &path).await?.0, 404);
    for more in [
        json!({"team": team, "visibility": "team"}),
        json!({"visibility": "team"}),
    ] {
        let mut new = json!({"name": "theirs", "definition": greeting("Hello")});
        for (field, value) in more.as_object().into_iter().flatten() {
            new[field] = value.clone();
        }
        let refused = cyd.send(&server, "POST", "/api/pipelines", &new).await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"), "{more}");
    }
    Ok(())
}
