//! A circle of the scenario `gamemaster`: dice that nobody chooses, which the receipt of the turn proves.

use anyhow::{Context, Result};
use e2e::publishing::{fixture, manifest, upload};
use serde_json::{Value, json};

use super::receipts::verify;
use super::world::{World, body, calls, results, says, text};

/// A world with the skills that come along, and a game. The model rolls twice and then tells of it. Returns the conversation.
async fn game() -> Result<(World, String)> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[
            ("gather-dice__roll", "{\"dice\": \"2d6\"}"),
            ("gather-dice__roll", "{\"dice\": \"100d1000\"}"),
        ]),
        _ => says("The door opens."),
    })
    .await?;
    gather::shipped::run(&world.server.database.admin).await?;
    // Once more changes nothing.
    gather::shipped::run(&world.server.database.admin).await?;
    let new = json!({"name": "game", "scenario": "gamemaster"});
    world.ask("POST", "/api/circles", &new, 201).await?;
    let talk = world.conversation(&json!({"circle": "game"})).await?;
    Ok((world, talk))
}

#[tokio::test]
async fn a_gamemaster_rolls_dice_that_a_receipt_proves() -> Result<()> {
    let (world, talk) = game().await?;
    let turn = world
        .say(&talk, "@game-gamemaster, does the door open?")
        .await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let steps = world.steps(&turn).await?;
    let mut seeds = Vec::new();
    for (step, dice, sides) in [(&steps[1], "2d6", 6), (&steps[2], "100d1000", 1000)] {
        assert_eq!(step["status"], "succeeded", "{step:#}");
        assert!(step["receipt"].is_object(), "{step:#}");
        let rolled: Value = serde_json::from_str(&text(&step["result"])?)?;
        let rolls = rolled["rolls"].as_array().context("rolls")?;
        let shown: Vec<i64> = rolls.iter().filter_map(Value::as_i64).collect();
        assert!(
            shown.iter().all(|one| (1..=sides).contains(one)),
            "{rolled}"
        );
        assert_eq!(rolled["total"], json!(shown.iter().sum::<i64>()));
        // Whoever doubts it repeats it.
        let call = json!({"tool": "repeat", "arguments": {"dice": dice, "seed": rolled["seed"]}});
        let again = world
            .ask("POST", "/api/skills/gather-dice/invoke", &call, 200)
            .await?;
        assert_eq!(again["result"], rolled);
        seeds.push(text(&rolled["seed"])?);
    }
    assert_ne!(seeds[0], seeds[1]);

    let receipt = world.get(&format!("/api/turns/{turn}/receipt")).await?;
    let keys = world.get("/.well-known/jwks.json").await?;
    let folder = tempfile::tempdir()?;
    let (holds, said) = verify(folder.path(), &receipt, &keys).await?;
    assert!(holds && said.contains("gather-dice__roll"), "{said}");
    let skill = world.get("/api/skills/gather-dice").await?;
    assert_eq!(
        (&skill["owner"]["name"], &skill["latest_version"]),
        (&json!("gather"), &json!("1.0.0")),
        "{skill:#}"
    );
    Ok(())
}

#[tokio::test]
async fn nobody_takes_the_place_of_the_platforms_dice() -> Result<()> {
    let (world, talk) = game().await?;
    for name in ["gather-dice", "gather-cards"] {
        let (status, refused) = upload(
            &world.server,
            &world.ada,
            &manifest(name, "2.0.0"),
            fixture("adder")?,
        )
        .await?;
        assert_eq!(
            (status, &refused["code"]),
            (409, &json!("name-taken")),
            "{refused:#}"
        );
    }
    // Whoever had such a name before is not taken for the platform.
    world
        .server
        .database
        .execute("update skills.skill set owner_id = (select id from identity.account where name = 'ada')")
        .await?;
    let turn = world
        .say(&talk, "@game-gamemaster, does the door open?")
        .await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    assert_eq!(world.steps(&turn).await?[1]["status"], "failed");
    let asked = world.models.asked();
    let offered = body(&asked[asked.len() - 1])["tools"].to_string();
    assert!(!offered.contains("gather-dice"), "{offered}");
    Ok(())
}
