//! What several accounts, or several turns, want at the same moment.

use anyhow::Result;
use e2e::agents::Agent;
use futures::future::try_join_all;
use serde_json::json;

use super::approving::{asking, posts, question};
use super::world::{World, assert_ended, says};

#[tokio::test]
async fn of_two_who_approve_at_once_one_lets_the_call_happen() -> Result<()> {
    let (world, talk) = asking().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    world
        .server
        .database
        .execute(
            "insert into identity.team (name) values ('crew');
             insert into identity.team_member (team_id, account_id, role)
             select t.id, a.id, 'member' from identity.team t, identity.account a where a.name in ('ada', 'bob');
             update circles.seat set approvers = array(
                 select a.id from identity.account a where a.name in ('ada', 'bob'))",
        )
        .await?;
    for round in 1..=4 {
        let (turn, path, yes) = question(&world, &talk).await?;
        let (one, two) = tokio::join!(
            world.ada.send(&world.server, "POST", &path, &yes),
            bob.send(&world.server, "POST", &path, &yes)
        );
        let (one, two) = (one?, two?);
        let mut statuses = [one.0, two.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{one:?} {two:?}");
        let late = if one.0 == 409 { one.1 } else { two.1 };
        assert_eq!(late["code"], "approval-decided", "{late:#}");
        let ended = world.ended(&turn).await?;
        assert_eq!(ended["status"], "completed", "{ended:#}");
        assert_eq!(posts(&world).await?, round, "each call happens once");
    }
    Ok(())
}

/// The turns that begin at once.
const TURNS: usize = 20;
/// The calls that the budget suffices for.
const PAID: usize = 5;

#[tokio::test]
async fn of_twenty_turns_at_once_five_are_paid_for() -> Result<()> {
    let world = World::new(|_, _| says("Five words are said here.")).await?;
    world.price().await?;
    // A call says 15 tokens, which cost a microdollar each.
    let budget = json!({"limit_microusd": 15 * PAID, "period": "total"});
    let circle = json!({"name": "poor", "mode": "round_robin", "budget": budget});
    let persona = json!({"name": "brief", "limits": {"output_tokens": 15}});
    let circle = world.circle(&circle, &persona, &["bot"]).await?;
    let talk = json!({"circle": circle});
    let talks = try_join_all((0..TURNS).map(|_| world.conversation(&talk))).await?;
    let turns = try_join_all(talks.iter().map(|talk| world.say(talk, "Go on."))).await?;
    let mut completed = 0;
    for turn in &turns {
        let ended = world.ended(turn).await?;
        if ended["status"] == "completed" {
            completed += 1;
        } else {
            assert_ended(&ended, "limited", "budget");
        }
    }
    assert_eq!(completed, PAID);
    assert_eq!(world.models.asked().len(), PAID, "nobody else was asked");
    let circle = world.get(&format!("/api/circles/{circle}")).await?;
    assert_eq!(
        circle["budget"]["spent_microusd"],
        json!(15 * PAID),
        "{circle:#}"
    );
    Ok(())
}
