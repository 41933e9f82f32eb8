//! What agents remember: by a tool, and when a turn begins.

use anyhow::Result;
use serde_json::{Value, json};

use super::world::{World, body, calls, results, says};

/// A persona that notes what it is told to, and recalls it.
fn mindful() -> Value {
    json!({"name": "mindful", "tools": [{"use": "memory"}], "memory": {"recall_tokens": 1000}})
}

#[tokio::test]
async fn what_was_noted_is_known_in_another_conversation() -> Result<()> {
    let world = World::new(|asked, number| match (results(asked), number) {
        (0, 0) => calls(&[("remember", "{\"content\": \"Ada prefers green tea.\"}")]),
        _ => says("Noted."),
    })
    .await?;
    let talk = world.talk(&mindful()).await?;
    let turn = world.say(&talk, "I prefer green tea. Remember it.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(world.steps(&turn).await?[1]["status"], "succeeded");
    let other = world.conversation(&json!({"circle": "circle"})).await?;
    let turn = world.say(&other, "Which tea does Ada prefer?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(
        (&ended["status"], &ended["tainted"]),
        (&json!("completed"), &json!(false)),
        "{ended:#}"
    );
    let asked = world.models.asked();
    let told = body(&asked[asked.len() - 1]);
    let system = told["messages"][0]["content"].as_str().unwrap_or_default();
    assert!(system.contains("Ada prefers green tea."), "{system}");
    // Who recalls nothing is told nothing.
    assert!(!body(&asked[0]).to_string().contains("What you remember"));
    Ok(())
}

#[tokio::test]
async fn an_agent_looks_up_what_it_noted() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[(
            "remember",
            "{\"content\": \"The door code is on the fridge.\"}",
        )]),
        1 => calls(&[("look_up", "{\"query\": \"door code\"}")]),
        _ => says("On the fridge."),
    })
    .await?;
    let talk = world
        .talk(&json!({"name": "forgetful", "tools": [{"use": "memory"}]}))
        .await?;
    let turn = world.say(&talk, "Where is the door code?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let steps = world.steps(&turn).await?;
    let found = steps[3]["result"].as_str().unwrap_or_default();
    assert!(found.contains("on the fridge"), "{steps:#?}");
    assert_eq!(ended["tainted"], false, "it is the owner's own word");
    Ok(())
}
