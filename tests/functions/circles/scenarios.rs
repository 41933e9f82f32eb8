//! Circles that are made with their members: from scenarios, and from lists.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::jobs::agent_turn::world::{World, says, speaker, text};

/// The members of a circle: their names and roles.
async fn members(world: &World, circle: &str) -> Result<Vec<(String, String)>> {
    let page = world.get(&format!("/api/circles/{circle}/members")).await?;
    let items = page["items"].as_array().context("items")?;
    let one = |member: &Value| Ok((text(&member["account"]["name"])?, text(&member["role"])?));
    items.iter().map(one).collect()
}

#[tokio::test]
async fn a_scenario_makes_a_circle_that_can_talk() -> Result<()> {
    let world = World::new(|asked, _| says(&format!("I am {}.", speaker(asked)))).await?;
    let scenarios = world.get("/api/scenarios").await?;
    let names: Vec<_> = scenarios["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "gamemaster",
            "worldbuilding",
            "problem-solving",
            "storytelling"
        ]
    );
    assert_eq!(scenarios["next"], Value::Null);
    let first = world.get("/api/scenarios?limit=3").await?;
    let next = text(&first["next"])?;
    let rest = world
        .get(&format!("/api/scenarios?limit=3&after={next}"))
        .await?;
    assert_eq!(rest["items"][0]["name"], "storytelling");
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    let scenario = world.get("/api/scenarios/problem-solving").await?;
    assert_eq!(scenario, scenarios["items"][2]);
    for (seat, persona) in scenario["seats"]
        .as_array()
        .into_iter()
        .flatten()
        .zip(scenario["personas"].as_array().context("personas")?)
    {
        assert_eq!(
            (&seat["name"], &seat["persona"]["instructions"]),
            (&persona["name"], &persona["instructions"])
        );
    }
    let new = json!({"name": "riddle", "scenario": "problem-solving"});
    let circle = world.ask("POST", "/api/circles", &new, 201).await?;
    assert_eq!(
        (&circle["mode"], &circle["purpose"]),
        (&scenario["mode"], &scenario["purpose"]),
        "{circle:#}"
    );
    let made = members(&world, "riddle").await?;
    assert!(
        made.contains(&("riddle-foreman".to_owned(), "moderator".to_owned())),
        "{made:?}"
    );
    let talk = world.conversation(&json!({"circle": "riddle"})).await?;
    world
        .post(&talk, &json!({"body": "What has keys and opens nothing?"}))
        .await?;
    world.rested(&talk).await?;
    let said = world.messages(&talk).await?;
    let last = said.last().map(|(who, _)| who.as_str());
    assert_eq!((said.len(), last), (4, Some("riddle-foreman")), "{said:?}");
    // The same name again makes nothing.
    let again = world.ask("POST", "/api/circles", &new, 409).await?;
    assert_eq!(again["code"], "name-taken");
    let unknown = json!({"name": "other", "scenario": "nothing"});
    let refused = world.ask("POST", "/api/circles", &unknown, 422).await?;
    assert_eq!(refused["errors"][0]["field"], "scenario", "{refused:#}");
    assert_eq!(
        world
            .ask("GET", "/api/scenarios/nothing", &json!({}), 404)
            .await?["code"],
        "not-found"
    );
    Ok(())
}

#[tokio::test]
async fn a_circle_is_made_with_its_members_or_not_at_all() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    let bad =
        json!({"name": "table", "members": [{"persona": "critic"}, {"account": "nobody-here"}]});
    let refused = world.ask("POST", "/api/circles", &bad, 422).await?;
    assert_eq!(refused["errors"][0]["field"], "members", "{refused:#}");
    let moderated =
        json!({"name": "table", "mode": "moderated", "members": [{"persona": "critic"}]});
    let refused = world.ask("POST", "/api/circles", &moderated, 422).await?;
    assert_eq!(refused["code"], "mode-needs-moderator");
    let good = json!({"name": "table", "mode": "moderated", "members": [
        {"persona": "critic", "name": "mean"}, {"persona": "moderator", "name": "chair", "role": "moderator"}]});
    world.ask("POST", "/api/circles", &good, 201).await?;
    let made = members(&world, "table").await?;
    let expected = [("ada", "owner"), ("mean", "member"), ("chair", "moderator")];
    assert_eq!(
        made,
        expected.map(|(name, role)| (name.to_owned(), role.to_owned()))
    );
    Ok(())
}
