//! What the programs of claws in containers may do, and for how long.

use anyhow::{Result, ensure};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};
use std::time::Instant;

use super::{
    containers::{Contained, LIMIT, beat, enrolled},
    life::{command, until},
};
use crate::jobs::agent_turn::world::{World, ask, text};

const SELF: &str = "/api/agents/me";

/// Waits until a credential of a claw is refused: functions hear of that within seconds.
async fn ended(server: &Server, claw: &Agent) -> Result<()> {
    let begin = Instant::now();
    loop {
        let (status, answer) = claw.get(server, SELF).await?;
        if status == 401 {
            return Ok(());
        }
        ensure!(begin.elapsed() < LIMIT, "{status} {answer:#}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn what_a_narrow_token_makes_is_narrow(world: &World) -> Result<()> {
    let held = ["chat:create", "circles:create", "claws:create"];
    let (server, ada) = (&world.server, &world.ada);
    let narrow = ada.with_scope(&server.database, &held.join(" ")).await?;
    let mut new = json!({"name": "narrow", "persona": "plain"});
    let made = ask(server, &narrow, "POST", "/api/claws", &new, 202).await?;
    assert_eq!(made["claw"]["scopes"], json!(held));
    new["scopes"] = json!(["social:write"]);
    new["name"] = json!("wide");
    let refused = ask(server, &narrow, "POST", "/api/claws", &new, 403).await?;
    assert_eq!(refused["code"], "scopes-exceed-owner", "{refused:#}");
    let path = "/api/claws/narrow";
    for (who, expected) in [(&narrow, json!(held)), (ada, Value::Null)] {
        let all = json!({"scopes": null});
        let changed = ask(server, who, "PATCH", path, &all, 202).await?;
        assert_eq!(changed["claw"]["scopes"], expected);
    }

    let seat = |name: &str| json!({"persona": "plain", "name": name});
    let circle = json!({"name": "table", "members": [seat("first")]});
    ask(server, &narrow, "POST", "/api/circles", &circle, 201).await?;
    let members = "/api/circles/table/members";
    ask(server, &narrow, "POST", members, &seat("second"), 201).await?;
    ask(server, ada, "POST", members, &seat("third"), 201).await?;
    let seats: Vec<(String, Option<Vec<String>>)> = sqlx::query_as(
        "select a.name, s.scopes from circles.seat s join identity.account a on a.id = s.account_id
         where a.name in ('first', 'second', 'third') order by a.created_at",
    )
    .fetch_all(&mut server.database.connect().await?)
    .await?;
    let narrow = Some(held.map(str::to_owned).to_vec());
    let expected = [
        ("first", narrow.clone()),
        ("second", narrow),
        ("third", None),
    ];
    assert_eq!(
        seats,
        expected.map(|(name, scopes)| (name.to_owned(), scopes))
    );
    Ok(())
}

#[tokio::test]
async fn a_program_has_the_scopes_of_its_claw_and_ends_with_it() -> Result<()> {
    let mut contained = Contained::new().await?;
    let (world, containers) = (&contained.world, contained.containers.clone());
    let server = &world.server;
    let new = json!({"name": "helper", "persona": "plain", "template": "shell", "scopes": ["social:write"]});
    let made = world.ask("POST", "/api/claws", &new, 202).await?;
    let mut helper = enrolled(world, &containers, &made["claw"], 1, 77).await?;
    beat(world, &helper).await?;
    let post = json!({"title": "Hello", "body": "Hello, everybody."});
    let another = json!({"name": "another", "persona": "plain"});
    let persona = json!({"name": "own", "instructions": "Answer in one sentence."});
    ask(server, &helper, "POST", "/api/posts", &post, 201).await?;
    ask(server, &helper, "POST", "/api/personas", &persona, 403).await?;

    // What it may do changes at once, and it keeps no claws of its own.
    let all = json!({"scopes": null});
    world.ask("PATCH", "/api/claws/helper", &all, 202).await?;
    ended(server, &helper).await?;
    helper.token = Agent::token(server, 77).await?;
    ask(server, &helper, "POST", "/api/personas", &persona, 201).await?;
    ask(server, &helper, "POST", "/api/claws", &another, 403).await?;
    let new = json!({"name": "kept", "scopes": ["chat:create"]});
    let made_key = ask(server, &helper, "POST", "/api/keys", &new, 201).await?;
    let api_key = Agent {
        id: helper.id,
        token: text(&made_key["key"])?,
    };
    ask(server, &api_key, "GET", SELF, &Value::Null, 200).await?;
    // It has no more than its owner.
    let narrowed = "insert into identity.account_role (account_id, role) select id, 'guest' from identity.account where name = 'ada'";
    server.database.execute(narrowed).await?;
    let narrow = Agent::token(server, 77).await?;
    let narrow = Agent {
        id: helper.id,
        token: narrow,
    };
    ask(server, &narrow, "POST", "/api/posts", &post, 403).await?;
    let wide = "delete from identity.account_role where role = 'guest'";
    server.database.execute(wide).await?;

    what_a_narrow_token_makes_is_narrow(world).await?;

    // It ends when its owner wants that, whether or not its container does.
    let address = contained.end_provisioner();
    let world = &contained.world;
    let server = &world.server;
    command(world, "helper", "stop", 202).await?;
    ended(server, &api_key).await?;
    ended(server, &helper).await?;
    let refused = Agent::token(server, 77).await;
    ensure!(refused.is_err(), "it has signed in");
    contained.start_provisioner(&address).await?;
    let world = &contained.world;
    until(world, "helper", "stopped").await?;
    command(world, "helper", "start", 202).await?;
    let again = enrolled(world, &containers, &made["claw"], 3, 78).await?;
    beat(world, &again).await?;
    ask(&world.server, &api_key, "GET", SELF, &Value::Null, 401).await?;
    Ok(())
}
