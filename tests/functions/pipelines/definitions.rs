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
            "d": {"type": "transform", "value": {"$": "nodes.e.output"}},
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
    assert_eq!(
        found(&seen),
        BTreeSet::from(["nodes.a.type part-missing".to_owned()]),
        "{seen}"
    );

    // Without what can't be read at all, everything else is named.
    let mut definition = definition;
    definition["nodes"]["a"] = json!({"type": "merge"});
    definition["permissions"] = json!({"scopes": ["skills:call"]});
    let (status, seen) = ada
        .send(
            &server,
            "POST",
            "/api/pipelines/validate",
            &json!({"definition": definition}),
        )
        .await?;
    assert_eq!(status, 200);
    let expected = [
        "edges[0].on unknown-case",
        "edges[0].to unknown-node",
        "nodes.b.cases[0].when bad-expression",
        "nodes.c.input.skill unknown-skill",
        "nodes.d cycle",
        "nodes.e cycle",
    ];
    assert_eq!(found(&seen), expected.map(str::to_owned).into(), "{seen}");
    // The largest that is accepted does not overflow anything.
    let sum = format!(
        "{}{}{}",
        "(".repeat(32),
        vec!["1"; 100].join("+"),
        ")".repeat(32)
    );
    let large = json!({"nodes": {"a": {"type": "transform", "value": {"$": sum}}}});
    let large = json!({"definition": large});
    let (status, valid) = ada
        .send(&server, "POST", "/api/pipelines/validate", &large)
        .await?;
    assert_eq!((status, &valid["valid"]), (200, &json!(true)), "{valid}");
    let new = json!({"name": "broken", "definition": definition});
    let refused = ada.send(&server, "POST", "/api/pipelines", &new).await?;
    assert_eq!(refusal(&refused), (422, "invalid-definition"));
    assert_eq!(found(&refused.1), found(&seen));
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
