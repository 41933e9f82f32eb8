//! The life of an instance, in the containers of a real runtime.

use crate::provisioner::world::World;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn an_instance_goes_through_all_its_states() -> Result<()> {
    let Some(world) = World::start().await? else {
        return Ok(());
    };
    let (client, id) = (&world.client, Uuid::now_v7());
    let script =
        "echo begun; echo wrong >&2; trap 'echo ends; exit 0' TERM; while :; do sleep 0.1; done";
    let wanted = world.specification(id, 1, script);
    for time in ["first", "again"] {
        let (status, instance) = client.post("/provision", &wanted).await?;
        ensure!(status == 200, "{time}: {instance:#}");
        assert_eq!(instance["state"], "running", "{time}");
        assert_eq!(instance["generation"], 1);
    }
    assert_eq!(world.engine.containers()?.len(), 1);
    client.lines_until(id, "wrong").await?;
    let (_, errors) = client
        .get(&format!("/instances/{id}/logs?stream=stderr"))
        .await?;
    let lines = errors["lines"].as_array().context("lines")?;
    assert_eq!(lines.len(), 1, "{errors:#}");
    assert_eq!(
        (&lines[0]["stream"], &lines[0]["text"]),
        (&json!("stderr"), &json!("wrong"))
    );
    for (change, state) in [
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "running"),
        ("resume", "running"),
        ("stop", "exited"),
        ("stop", "exited"),
        ("start", "running"),
        ("pause", "paused"),
        ("stop", "exited"),
        ("start", "running"),
    ] {
        let path = format!("/instances/{id}/{change}");
        let (status, instance) = client.post(&path, &json!({"generation": 1})).await?;
        ensure!(status == 200, "{change}: {instance:#}");
        assert_eq!(instance["state"], state, "{change}");
    }
    client.lines_until(id, "ends").await?;
    let (_, list) = client.get("/instances").await?;
    assert_eq!(list["instances"][0]["id"], json!(id), "{list:#}");
    let gone = json!({"id": id, "generation": 1});
    for time in ["first", "again"] {
        let (status, answer) = client.post("/deprovision", &gone).await?;
        ensure!(status == 204, "{time}: {answer:#}");
    }
    assert_eq!(client.get(&format!("/instances/{id}")).await?.0, 404);
    assert_eq!(world.engine.containers()?, Vec::<String>::new());
    // A late attempt to make what was removed.
    let (status, late) = client.post("/provision", &wanted).await?;
    assert_eq!((status, &late["code"]), (409, &json!("stale-generation")));
    Ok(())
}

#[tokio::test]
async fn the_newest_generation_wins_and_has_the_same_disk() -> Result<()> {
    let Some(world) = World::start().await? else {
        return Ok(());
    };
    let (client, id) = (&world.client, Uuid::now_v7());
    let script = "cat /var/lib/claw/note || echo empty; echo kept > /var/lib/claw/note && echo written; sleep 1000";
    let wanted = |generation| {
        let mut wanted = world.specification(id, generation, script);
        wanted["volume"] = json!(true);
        wanted
    };
    for (generation, note) in [(1, "empty"), (2, "kept")] {
        let (status, instance) = client.post("/provision", &wanted(generation)).await?;
        ensure!(status == 200, "{instance:#}");
        assert_eq!(instance["volume"], true);
        let lines = client.lines_until(id, "written").await?;
        assert!(lines.iter().any(|line| line == note), "{lines:?}");
    }
    assert_eq!(world.engine.containers()?.len(), 1);
    let stale = |answer: (u16, Value)| {
        assert_eq!(
            (answer.0, &answer.1["code"]),
            (409, &json!("stale-generation"))
        );
    };
    stale(client.post("/provision", &wanted(1)).await?);
    stale(
        client
            .post("/deprovision", &json!({"id": id, "generation": 1}))
            .await?,
    );
    let pause = format!("/instances/{id}/pause");
    stale(client.post(&pause, &json!({"generation": 1})).await?);
    let (_, found) = client.get(&format!("/instances/{id}")).await?;
    assert_eq!(
        (&found["generation"], &found["state"]),
        (&json!(2), &json!("running"))
    );
    let (status, answer) = client
        .post("/deprovision", &json!({"id": id, "generation": 2}))
        .await?;
    ensure!(status == 204, "{answer:#}");
    let (status, answer) = client.post("/provision", &wanted(3)).await?;
    ensure!(status == 200, "{answer:#}");
    client.lines_until(id, "empty").await?;
    // Whoever wants a newer one not to run, which was never made, wants none to run.
    for (change, state) in [
        ("resume", "running"),
        ("pause", "exited"),
        ("stop", "exited"),
    ] {
        let path = format!("/instances/{id}/{change}");
        let (status, answer) = client.post(&path, &json!({"generation": 4})).await?;
        assert_eq!((status, &answer["code"]), (404, &json!("not-found")));
        let (_, found) = client.get(&format!("/instances/{id}")).await?;
        assert_eq!(found["state"], state, "{change}: {found:#}");
    }
    Ok(())
}

#[tokio::test]
async fn what_ends_early_or_can_not_begin_tells_its_cause() -> Result<()> {
    let Some(world) = World::start().await? else {
        return Ok(());
    };
    let client = &world.client;
    let id = Uuid::now_v7();
    let wanted = world.specification(id, 1, "echo no configuration >&2; exit 3");
    let (status, answer) = client.post("/provision", &wanted).await?;
    ensure!(status == 200, "{answer:#}");
    let ended = client.ended_saying(id, "no configuration").await?;
    assert_eq!(
        (&ended["reason"], &ended["exit_code"]),
        (&json!("exited"), &json!(3))
    );

    let id = Uuid::now_v7();
    let wanted = world.specification(id, 1, "echo hungry; exec tail /dev/zero");
    let (status, answer) = client.post("/provision", &wanted).await?;
    ensure!(status == 200, "{answer:#}");
    let ended = client.ended_saying(id, "hungry").await?;
    // Podman does not always hear of the want of memory.
    let is_killed = ended["reason"] == "killed" && ended["exit_code"] == 137;
    assert!(is_killed || ended["reason"] == "out-of-memory", "{ended:#}");

    let id = Uuid::now_v7();
    let good = world.specification(id, 1, "sleep 1000");
    for (field, value, expected) in [
        (
            "image",
            json!(format!("localhost/claw@sha256:{}", "0".repeat(64))),
            (422, "image-missing"),
        ),
        (
            "image",
            json!("localhost/claw:1"),
            (422, "image-not-pinned"),
        ),
        ("command", json!(["/bin/nothing"]), (502, "start-failed")),
        ("memory_bytes", json!(1), (422, "invalid-input")),
        ("privileged", json!(true), (422, "invalid-input")),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let (status, answer) = client.post("/provision", &bad).await?;
        assert_eq!(
            (status, answer["code"].as_str()),
            (expected.0, Some(expected.1)),
            "{answer:#}"
        );
        assert_eq!(
            client.get(&format!("/instances/{id}")).await?.0,
            404,
            "{field}"
        );
    }
    assert_eq!(
        world.engine.containers()?.len(),
        2,
        "nothing stays of what did not begin"
    );
    Ok(())
}

#[tokio::test]
async fn a_new_provisioner_takes_over_what_runs_with_its_way_out() -> Result<()> {
    let Some(mut world) = World::start().await? else {
        return Ok(());
    };
    let id = Uuid::now_v7();
    let script = "n=0; while :; do n=$((n+1)); wget -q -O - $GATHER_URL/try-$n; sleep 0.2; done";
    let wanted = world.specification(id, 1, script);
    let (status, answer) = world.client.post("/provision", &wanted).await?;
    ensure!(status == 200, "{answer:#}");
    let answer = "platform: GET /try-";
    world.client.lines_until(id, answer).await?;
    world.start_again().await?;
    let (_, found) = world.client.get(&format!("/instances/{id}")).await?;
    assert_eq!(found["state"], "running", "{found:#}");
    // Its program never stopped, and is answered again.
    let lines = world.client.lines_until(id, answer).await?;
    let before = lines.iter().filter(|line| line.contains(answer)).count();
    world.client.lines_with(id, answer, before + 2).await?;
    assert_eq!(world.engine.containers()?.len(), 1);
    Ok(())
}
