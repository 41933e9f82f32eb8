//! Turns that wait, and turns that are lost: none of them holds others up for ever.

use anyhow::{Context, Result};
use e2e::agents::Agent;
use serde_json::{Value, json};

use super::world::{World, ask, calls, plain, results, says, text, with};

/// The answer of a statement, which is told texts.
async fn sql(world: &World, statement: &str, values: &[&str]) -> Result<Value> {
    let statement = format!("select to_jsonb(x) from ({statement}) s (x)");
    let mut query = sqlx::query_scalar(sqlx::AssertSqlSafe(statement));
    for value in values {
        query = query.bind(*value);
    }
    let mut database = world.server.database.connect().await?;
    let found: Option<Value> = query.fetch_one(&mut database).await?;
    Ok(found.unwrap_or_default())
}

/// The job of a turn.
async fn job(world: &World, turn: &str) -> Result<Value> {
    Ok(world.get(&format!("/api/turns/{turn}")).await?["job"].clone())
}

/// Lets the job of a turn end as one does whose attempts are all lost.
async fn lose(world: &World, turn: &str) -> Result<()> {
    let mut database = world.server.database.connect().await?;
    sqlx::query(
        "update jobs.job j set status = 'dead', finished_at = now(), queue_id = null
         from circles.turn t where t.id = $1::uuid and j.id = t.job_id",
    )
    .bind(turn)
    .execute(&mut database)
    .await?;
    Ok(())
}

/// Who has not ended its turn in a conversation, with the turns' ids.
async fn unfinished(world: &World, talk: &str) -> Result<Vec<(String, String)>> {
    let page = world
        .get(&format!("/api/conversations/{talk}/turns"))
        .await?;
    let turns = page["items"].as_array().context("items")?.iter().rev();
    turns
        .filter(|turn| turn["finished_at"].is_null())
        .map(|turn| Ok((text(&turn["agent"]["name"])?, text(&turn["id"])?)))
        .collect()
}

#[tokio::test]
async fn what_went_on_while_it_was_paused_goes_on_when_it_is_open() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[(
            "create_post",
            "{\"title\": \"News\", \"body\": \"Something happened.\"}",
        )]),
        _ => says("Done."),
    })
    .await?;
    Agent::sign_in(&world.server, "bob", 2).await?;
    let mut persona = with(&["api:create_post"], &json!({}));
    persona["tools"][0]["approval"] = json!("always");
    let new = json!({"name": "table", "rules": {"turn_ms": 1000}, "members": [{"account": "bob"}]});
    let circle = world.circle(&new, &persona, &["bot"]).await?;
    let talk = world.conversation(&json!({"circle": circle})).await?;
    let path = format!("/api/conversations/{talk}");
    let turn = world.say(&talk, "@bot, post it.").await?;
    world
        .until(&turn, |turn| turn["waiting_for"] == "approval")
        .await?;
    world
        .ask("PATCH", &path, &json!({"status": "paused"}), 200)
        .await?;
    let id = text(&world.steps(&turn).await?[1]["approval"])?;
    let asked = world.get(&format!("/api/approvals/{id}")).await?;
    let yes = json!({"decision": "approve", "digest": asked["digest"]});
    world
        .ask("POST", &format!("/api/approvals/{id}/decision"), &yes, 200)
        .await?;
    let own = world.say(&talk, "@bob, and you?").await?;
    for (turn, status) in [(&turn, "running"), (&own, "waiting")] {
        let waits = world.get(&format!("/api/turns/{turn}")).await?;
        assert_eq!(
            (&waits["status"], &waits["job"]),
            (&json!(status), &Value::Null)
        );
    }
    world
        .ask("PATCH", &path, &json!({"status": "open"}), 200)
        .await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    let own = world.ended(&own).await?;
    assert_eq!(
        (&own["status"], &own["reason"]),
        (&json!("limited"), &json!("time"))
    );
    Ok(())
}

#[tokio::test]
async fn what_is_lost_or_cut_off_holds_nobody_up() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    let persona = world.persona(&plain()).await?;
    let new = json!({"name": "table", "mode": "parallel", "members": [
        {"persona": persona, "name": "one"}, {"persona": persona, "name": "two"},
        {"persona": "moderator", "name": "boss", "role": "moderator"}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    a_round_goes_on(&world).await?;
    a_pause_holds_what_has_not_begun(&world).await?;
    a_call_that_is_cut_off_is_no_progress(&world).await?;
    a_prompt_says_what_it_leaves_out(&world).await?;
    a_claw_that_is_about_to_rest_wakes(&world, &persona).await?;
    programs_do_not_talk_for_ever(&world, &persona).await
}

/// A new conversation of the circle in a mode.
async fn begin(world: &World, mode: &str) -> Result<String> {
    world
        .ask("PATCH", "/api/circles/table", &json!({"mode": mode}), 200)
        .await?;
    world.conversation(&json!({"circle": "table"})).await
}

async fn a_round_goes_on(world: &World) -> Result<()> {
    let talk = begin(world, "parallel").await?;
    world.post(&talk, &json!({"body": "All of you."})).await?;
    let turns = unfinished(world, &talk).await?;
    assert_eq!(turns.len(), 2, "{turns:?}");
    let cancel = format!("/api/turns/{}/cancel", turns[0].1);
    world.ask("POST", &cancel, &json!({}), 200).await?;
    lose(world, &turns[1].1).await?;
    let lost = world.get(&format!("/api/turns/{}", turns[1].1)).await?;
    assert_eq!(
        (&lost["status"], &lost["reason"]),
        (&json!("failed"), &json!("stuck"))
    );
    assert_eq!(unfinished(world, &talk).await?[0].0, "boss", "it sums up");

    let talk = begin(world, "round_robin").await?;
    let turn = world.say(&talk, "One after another.").await?;
    lose(world, &turn).await?;
    let next = unfinished(world, &talk).await?;
    assert_eq!(next[0].0, "two");
    let mut database = world.server.database.connect().await?;
    sqlx::query("update circles.turn set idle_attempts = 3 where id = $1::uuid")
        .bind(&next[0].1)
        .execute(&mut database)
        .await?;
    resume(world, &next[0].1, 4).await?;
    assert_eq!(unfinished(world, &talk).await?[0].0, "boss");

    let talk = begin(world, "moderated").await?;
    let turn = world.say(&talk, "Who is next?").await?;
    lose(world, &turn).await?;
    let path = format!("/api/conversations/{talk}/next");
    let turn = world
        .ask("POST", &path, &json!({"speaker": "one"}), 202)
        .await?;
    lose(world, &text(&turn["turn"]["id"])?).await?;
    assert_eq!(unfinished(world, &talk).await?[0].0, "boss");
    Ok(())
}

/// Begins an attempt at a turn, as a worker does. Null: there is nothing to do.
async fn resume(world: &World, turn: &str, attempt: i32) -> Result<Value> {
    let statement = format!(
        "select circles.resume_turn(t.id, t.job_id, {attempt}) from circles.turn t where t.id = $1::uuid"
    );
    sql(world, &statement, &[turn]).await
}

async fn a_pause_holds_what_has_not_begun(world: &World) -> Result<()> {
    let talk = begin(world, "round_robin").await?;
    let path = format!("/api/conversations/{talk}");
    let turn = world.say(&talk, "Wait.").await?;
    let before = job(world, &turn).await?;
    assert!(before.is_string());
    world
        .ask("PATCH", &path, &json!({"status": "paused"}), 200)
        .await?;
    assert_eq!(job(world, &turn).await?, Value::Null);
    world
        .ask("PATCH", &path, &json!({"status": "open"}), 200)
        .await?;
    assert_ne!(job(world, &turn).await?, before);
    // A job that begins at the same moment as the pause.
    let mut database = world.server.database.connect().await?;
    for (change, back) in [
        (
            "update circles.conversation set status = 'paused'",
            "update circles.conversation set status = 'open'",
        ),
        (
            "update circles.seat set state = 'paused'",
            "update circles.seat set state = 'awake'",
        ),
    ] {
        sqlx::query(change).execute(&mut database).await?;
        assert_eq!(resume(world, &turn, 1).await?, Value::Null, "{change}");
        let waits = world.get(&format!("/api/turns/{turn}")).await?;
        assert_eq!(
            (&waits["status"], &waits["job"]),
            (&json!("queued"), &Value::Null),
            "{change}"
        );
        sqlx::query(back).execute(&mut database).await?;
        world
            .ask("PATCH", &path, &json!({"status": "open"}), 200)
            .await?;
    }
    sqlx::query("update circles.seat set state = 'stopped'")
        .execute(&mut database)
        .await?;
    assert_eq!(resume(world, &turn, 1).await?, Value::Null);
    let over = world.get(&format!("/api/turns/{turn}")).await?;
    assert_eq!(
        (&over["status"], &over["reason"]),
        (&json!("cancelled"), &json!("stopped"))
    );
    sqlx::query("update circles.seat set state = 'awake'")
        .execute(&mut database)
        .await?;
    Ok(())
}

async fn a_call_that_is_cut_off_is_no_progress(world: &World) -> Result<()> {
    let talk = begin(world, "round_robin").await?;
    let turn = world.say(&talk, "Work.").await?;
    let call = async |attempt: i32| {
        let statement = format!(
            r#"select circles.begin_tool_step(t.id, t.job_id || '/{attempt}',
                '{{"of_step": 1, "call": 0, "name": "look", "arguments": {{}}}}', null)
             from circles.turn t where t.id = $1::uuid"#
        );
        sql(world, &statement, &[&turn]).await
    };
    assert!(resume(world, &turn, 1).await?.is_object());
    let model =
        "select circles.begin_model_step(t.id, t.holder) from circles.turn t where t.id = $1::uuid";
    assert_eq!(sql(world, model, &[&turn]).await?["number"], 1);
    let ended = r#"select circles.end_step(t.id, t.holder, 1, '{"status": "succeeded", "text": ""}')
        from circles.turn t where t.id = $1::uuid"#;
    sql(world, ended, &[&turn]).await?;
    assert_eq!(call(1).await?["number"], 2);
    for attempt in 2..=4 {
        assert!(
            resume(world, &turn, attempt).await?.is_object(),
            "{attempt}"
        );
        assert_eq!(call(attempt).await?["number"], 2);
    }
    let late =
        "update circles.turn set deadline_at = now() - interval '1 second' where id = $1::uuid";
    let mut database = world.server.database.connect().await?;
    sqlx::query(late).bind(&turn).execute(&mut database).await?;
    assert_eq!(call(4).await?["stop"], "time");
    assert_eq!(resume(world, &turn, 5).await?, Value::Null);
    let over = world.get(&format!("/api/turns/{turn}")).await?;
    assert_eq!(
        (&over["status"], &over["reason"]),
        (&json!("failed"), &json!("stuck"))
    );
    Ok(())
}

async fn a_prompt_says_what_it_leaves_out(world: &World) -> Result<()> {
    let talk = begin(world, "mention").await?;
    let statement = "select circles.start_turn($1::uuid, a.id, null, 0, 0, null, repeat($2, 25000))
        from identity.account a where a.name = 'one'";
    for letter in ["a", "b", "c", "d"] {
        sql(world, statement, &[&talk, letter]).await?;
    }
    let prompt = sql(
        world,
        "select t.prompt from circles.turn t where t.channel_id = $1::uuid",
        &[&talk],
    )
    .await?;
    let prompt = text(&prompt)?;
    assert!(prompt.contains("bbb") && !prompt.contains("ccc") && !prompt.contains("ddd"));
    assert_eq!(prompt.matches("More has happened").count(), 1);
    Ok(())
}

/// A turn that began while its claw was paused for having nothing to do.
async fn a_claw_that_is_about_to_rest_wakes(world: &World, persona: &str) -> Result<()> {
    let claw = json!({"name": "sleepy", "persona": persona});
    world.ask("POST", "/api/claws", &claw, 202).await?;
    let message = json!({"body": "Are you there?"});
    world
        .ask("POST", "/api/claws/sleepy/messages", &message, 201)
        .await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query("update claws.claw set desired = 'paused', reason = 'idle'")
        .execute(&mut database)
        .await?;
    sqlx::query("select claws.sweep()")
        .execute(&mut database)
        .await?;
    assert_eq!(world.get("/api/claws/sleepy").await?["desired"], "running");
    Ok(())
}

/// Two programs of their own that answer each other's agents are stopped, and nobody else is.
async fn programs_do_not_talk_for_ever(world: &World, persona: &str) -> Result<()> {
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let new = json!({"name": "bots", "rules": {"hops": 1}, "members": [
        {"account": "bob"}, {"persona": persona, "name": "three"}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    let talk = world.conversation(&json!({"circle": "bots"})).await?;
    let path = format!("/api/conversations/{talk}/messages");
    let message = json!({"body": "And then, @three?"});
    let say = async |who: &Agent| -> Result<Value> {
        let posted = ask(&world.server, who, "POST", &path, &message, 201).await?;
        let turn = posted["turns"][0]["id"].clone();
        let made = world.get(&format!("/api/turns/{}", text(&turn)?)).await?;
        let mut database = world.server.database.connect().await?;
        sqlx::query("select circles.stop_turn($1::uuid)")
            .bind(text(&turn)?)
            .execute(&mut database)
            .await?;
        Ok(json!([made["status"], made["reason"]]))
    };
    let goes_on = json!(["queued", null]);
    for _ in 0..5 {
        assert_eq!(say(&bob).await?, goes_on);
    }
    assert_eq!(say(&bob).await?, json!(["limited", "hops"]));
    // The agent's owner may speak as often as it likes, and somebody is there again.
    for _ in 0..7 {
        assert_eq!(say(&world.ada).await?, goes_on);
    }
    assert_eq!(say(&bob).await?, goes_on);
    Ok(())
}
