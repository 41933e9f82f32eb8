//! Secrets that are handed to the program of a claw in a container, and to nobody else.

use anyhow::{Result, ensure};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};
use service_token::{EGRESS, OnBehalf};

use super::{
    containers::{Contained, beat, enrolled},
    life::{command, until},
};
use crate::jobs::agent_turn::world::{World, ask, text};

const SECRETS: &str = "/api/claws/me/secrets";
/// A value that nothing else contains.
const CANARY: &str = "sk-Canary/42+Wing%Tail";

/// Stores a secret of an account, and returns its id.
async fn store(server: &Server, owner: &Agent, name: &str, more: &Value) -> Result<String> {
    let mut new = json!({"name": name, "kind": "token", "value": format!("{CANARY}-{name}"),
        "use": {"origins": ["https://api.example.org"], "place": {"handed": true}}});
    for (field, value) in more.as_object().into_iter().flatten() {
        new[field] = value.clone();
    }
    let made = ask(server, owner, "POST", "/api/vault/secrets", &new, 201).await?;
    text(&made["id"])
}

/// What a claw is handed.
async fn handed(world: &World, claw: &Agent) -> Result<(Value, Value)> {
    let answer = ask(&world.server, claw, "GET", SECRETS, &json!({}), 200).await?;
    Ok((answer["secrets"].clone(), answer["refused"].clone()))
}

#[tokio::test]
async fn its_own_program_reads_what_it_was_given_and_nobody_else_does() -> Result<()> {
    let contained = Contained::new().await?;
    let (world, containers) = (&contained.world, &contained.containers);
    let server = &world.server;
    let bob = Agent::sign_in(server, "bob", 2).await?;

    let weather = store(server, &world.ada, "weather", &json!({})).await?;
    let put =
        json!({"use": {"origins": ["https://api.example.org"], "place": {"header": "x-key"}}});
    store(server, &world.ada, "put", &put).await?;
    store(server, &bob, "bobs", &json!({})).await?;
    let new = json!({"name": "helper", "persona": "plain", "template": "shell",
        "secrets": {"WEATHER": "vault:weather", "PUT": "vault:put"}});
    let narrow = world
        .ada
        .with_scope(&server.database, "claws:create")
        .await?;
    ask(server, &narrow, "POST", "/api/claws", &new, 403).await?;
    let made = world.ask("POST", "/api/claws", &new, 202).await?;
    let helper = enrolled(world, containers, &made["claw"], 1, 77).await?;
    beat(world, &helper).await?;
    until(world, "helper", "running").await?;

    // The environment of its container has names of the platform alone.
    let environment = json!(
        containers
            .all()
            .remove(&helper.id.to_string())
            .map(|one| one.env)
    );
    ensure!(!environment.to_string().contains("Canary"), "{environment}");
    let answer = helper.request(server, "GET", SECRETS).send().await?;
    assert_eq!(answer.status(), 200);
    let cached = answer.headers()["cache-control"].to_str()?.to_owned();
    assert!(cached.contains("no-store"), "{cached}");
    let read: Value = answer.json().await?;
    let value = format!("{CANARY}-weather");
    assert_eq!(read, json!({"secrets": {"WEATHER": value}, "refused": {}}));

    // Its owner sees the grant and each reading, with who read.
    let path = "/api/vault/secrets/weather";
    let grants = world.get(&format!("{path}/grants")).await?;
    let subject = format!("claw:{}", helper.id);
    assert_eq!(grants["items"][0]["subject"], json!(subject), "{grants:#}");
    let uses = world.get(&format!("{path}/uses")).await?;
    let used = &uses["items"][0];
    assert_eq!(
        (
            &used["by"],
            &used["on_behalf_of"],
            &used["component"],
            &used["path"]
        ),
        (
            &json!(helper.id),
            &json!(subject),
            &json!("claws"),
            &json!(SECRETS)
        ),
        "{uses:#}"
    );
    assert_eq!(uses["items"].as_array().map(Vec::len), Some(1));

    // Neither its owner nor another gets it, nor the claw by way of a request, nor a component with another key.
    ask(server, &world.ada, "GET", SECRETS, &json!({}), 404).await?;
    ask(server, &bob, "GET", SECRETS, &json!({}), 404).await?;
    let fetch = format!("/api/vault/fetch/api.example.org/x?{weather}");
    let fetched = helper
        .request(server, "GET", &fetch)
        .header("gather-secret", &weather);
    let status = fetched.send().await?.status().as_u16();
    ensure!([403, 404].contains(&status), "{status}");
    for component in ["vault", "circles", "llm"] {
        let key = gather::secrets::service_key(&e2e::master_key(), "egress", component);
        let on_behalf = OnBehalf {
            account: Some(world.ada.id),
            subjects: vec![subject.clone()],
        };
        let token = service_token::make(&key, component, EGRESS, &on_behalf)?;
        let asked = server
            .http
            .post(format!("{}/hand", server.variables["egress_url"]));
        let asked = asked
            .bearer_auth(token)
            .json(&json!({"secrets": [weather]}));
        assert_eq!(asked.send().await?.status(), 401, "{component}");
    }
    // A component that acts for the claw is not its program.
    let acting = json!({"act": {"sub": "schedule-dispatch"}});
    let acting = helper.with_claims(&server.database, &acting).await?;
    ask(server, &acting, "GET", SECRETS, &json!({}), 403).await?;

    // What is told of the claw has the names alone.
    let mut database = server.database.connect().await?;
    let kept: String = sqlx::query_scalar(
        "select concat((select string_agg(to_jsonb(e)::text, '') from events.event e),
            (select string_agg(to_jsonb(a)::text, '') from audit.entry a),
            (select string_agg(to_jsonb(u)::text, '') from vault.use u),
            (select string_agg(to_jsonb(c)::text, '') from claws.claw c),
            (select string_agg(to_jsonb(h)::text, '') from claws.change h),
            (select string_agg(to_jsonb(j)::text, '') from jobs.job j))",
    )
    .fetch_one(&mut database)
    .await?;
    ensure!(
        kept.contains("WEATHER") && !kept.contains("Canary"),
        "{kept}"
    );
    let export = world.get("/api/accounts/me/export").await?;
    ensure!(!export.to_string().contains("Canary"), "{export}");
    Ok(())
}

#[tokio::test]
async fn what_is_taken_back_and_older_containers_end_it() -> Result<()> {
    let contained = Contained::new().await?;
    let (world, containers) = (&contained.world, &contained.containers);
    let server = &world.server;
    let team = world
        .ask("POST", "/api/teams", &json!({"name": "crew"}), 201)
        .await?;
    let shared = json!({"team_id": team["id"]});
    for (name, more) in [("one", json!({})), ("two", json!({})), ("crew", shared)] {
        let id = store(server, &world.ada, name, &more).await?;
        if name == "crew" {
            let bob = Agent::sign_in(server, "bob", 2).await?;
            let member = format!("/api/teams/{}/members/{}", text(&team["id"])?, bob.id);
            world
                .ask("PUT", &member, &json!({"role": "member"}), 204)
                .await?;
            let persona = json!({"name": "bobs", "instructions": "Answer in one sentence."});
            ask(server, &bob, "POST", "/api/personas", &persona, 201).await?;
            // A member may name it, and can't grant it.
            let new = json!({"name": "bobs", "persona": "bobs", "template": "shell", "secrets": {"CREW": id}});
            let unfit = ask(server, &bob, "POST", "/api/claws", &new, 422).await?;
            assert_eq!(unfit["errors"][0]["field"], "secrets", "{unfit:#}");
            let mut new = new;
            new["secrets"] = json!({"CREW": format!("vault:{id}")});
            let made = ask(server, &bob, "POST", "/api/claws", &new, 202).await?;
            let claw = enrolled(world, containers, &made["claw"], 1, 78).await?;
            let refused = json!({"CREW": "secret-not-granted"});
            assert_eq!(handed(world, &claw).await?, (json!({}), refused));
            let grant = format!("/api/vault/secrets/{id}/grants/claw:{}", claw.id);
            world.ask("PUT", &grant, &json!({"calls": 1}), 200).await?;
            let value = json!({"CREW": format!("{CANARY}-crew")});
            assert_eq!(handed(world, &claw).await?, (value, json!({})));
            let refused = json!({"CREW": "secret-not-granted"});
            assert_eq!(handed(world, &claw).await?, (json!({}), refused), "once");
        }
    }
    let new = json!({"name": "helper", "persona": "plain", "template": "shell",
        "secrets": {"ONE": "vault:one", "TWO": "vault:two"}});
    let made = world.ask("POST", "/api/claws", &new, 202).await?;
    let first = enrolled(world, containers, &made["claw"], 1, 77).await?;
    beat(world, &first).await?;
    until(world, "helper", "running").await?;
    let values = handed(world, &first).await?.0;
    assert_eq!(values.as_object().map(serde_json::Map::len), Some(2));

    // A grant that is taken back ends it at once, and a change of other things brings it not back.
    let grant = format!("/api/vault/secrets/one/grants/claw:{}", first.id);
    world.ask("DELETE", &grant, &Value::Null, 204).await?;
    world
        .ask("PATCH", "/api/claws/helper", &json!({"env": {}}), 202)
        .await?;
    let (values, refused) = handed(world, &first).await?;
    assert_eq!(values, json!({"TWO": format!("{CANARY}-two")}));
    assert_eq!(refused, json!({"ONE": "secret-not-granted"}));
    world
        .ask("DELETE", "/api/vault/secrets/two", &Value::Null, 204)
        .await?;
    let (values, refused) = handed(world, &first).await?;
    assert_eq!(values, json!({}));
    assert_eq!(refused["TWO"], "not-found", "{refused:#}");
    // To give it again is to grant it again; and what is not given any more is not granted.
    let given = json!({"secrets": {"ONE": "vault:one"}});
    world.ask("PATCH", "/api/claws/helper", &given, 202).await?;
    let (values, refused) = handed(world, &first).await?;
    assert_eq!(
        (&values["ONE"], refused),
        (&json!(format!("{CANARY}-one")), json!({}))
    );

    // The container of an older generation gets nothing, from the moment that there is a newer one.
    command(world, "helper", "restart", 202).await?;
    let generation = 2;
    containers.token(&first.id.to_string(), generation).await?;
    ask(server, &first, "GET", SECRETS, &json!({}), 403).await?;
    let second = enrolled(world, containers, &made["claw"], generation, 79).await?;
    assert_eq!(handed(world, &second).await?.1, json!({}));
    let stale = first.get(server, SECRETS).await?.0;
    ensure!([401, 403].contains(&stale), "{stale}");
    // Nor does whoever has the claw's account by another key.
    let rotated = format!(
        "update identity.agent set public_key = sha256('other') where account_id = '{}'",
        first.id
    );
    server.database.execute(&rotated).await?;
    ask(server, &second, "GET", SECRETS, &json!({}), 403).await?;
    let none = json!({"secrets": {}});
    world.ask("PATCH", "/api/claws/helper", &none, 202).await?;
    let grants = world.get("/api/vault/secrets/one/grants").await?;
    assert_eq!(grants["items"], json!([]));
    Ok(())
}
