//! Vectors of memories: made by a job, missed by nobody while the model is gone, and never mixed up.

use crate::functions::memory::world::{change, contents, done, note, path, search};
use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    errands::quick,
    meanings::{Meanings, vector},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A platform whose model `local` is a stand-in that can be silenced.
struct World {
    server: Server,
    ada: Agent,
    meanings: Meanings,
}

impl World {
    async fn new() -> Result<Self> {
        let (server, meanings) = Meanings::serve().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        Ok(Self {
            server,
            ada,
            meanings,
        })
    }

    /// Waits until no text lacks its vectors.
    async fn embedded(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let left: i64 = sqlx::query_scalar(
                "select count(*) from memory.version where not embedded and replaced_at is null",
            )
            .fetch_one(&mut self.server.database.connect().await?)
            .await?;
            if left == 0 {
                return Ok(());
            }
            ensure!(
                began.elapsed() < Duration::from_secs(120),
                "{left} texts have no vectors"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Searches until the model is asked again, as it is a few seconds after it was gone.
    async fn by_meaning(&self, query: &str, mode: &str) -> Result<Value> {
        let began = Instant::now();
        loop {
            let found = search(&self.server, &self.ada, query, &[("mode", mode)]).await?;
            if found["degraded"] == false {
                return Ok(found);
            }
            ensure!(began.elapsed() < Duration::from_secs(60), "{found:#}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
async fn memories_are_found_by_meaning_and_the_halves_are_added() -> Result<()> {
    let world = World::new().await?;
    let _worker = world.server.worker(quick()).await?;
    let (server, ada) = (&world.server, &world.ada);
    for content in [
        "Ada has an automobile.",
        "Ada met a physician.",
        "The car park is closed.",
        "Nothing of the kind.",
    ] {
        note(server, ada, content, json!({})).await?;
    }
    world.embedded().await?;
    let found = world.by_meaning("vehicle", "semantic").await?;
    let mut both = contents(&found);
    both.sort_unstable();
    assert_eq!(both, ["Ada has an automobile.", "The car park is closed."]);
    assert_eq!(
        found["items"][0]["parts"],
        json!({"text": null, "semantic": 1.0})
    );
    let hybrid = world.by_meaning("car", "hybrid").await?;
    assert_eq!(
        contents(&hybrid),
        ["The car park is closed.", "Ada has an automobile."]
    );
    assert_eq!(
        (&hybrid["items"][0]["score"], &hybrid["items"][1]["score"]),
        (&json!(2.0), &json!(1.0))
    );
    let text = search(server, ada, "car", &[("mode", "text")]).await?;
    assert_eq!(
        (contents(&text), &text["mode"]),
        (vec!["The car park is closed."], &json!("text"))
    );
    let one = search(server, ada, "car", &[("limit", "1")]).await?;
    assert_eq!(one["items"][0]["score"], hybrid["items"][0]["score"]);

    // A change takes the old meaning away, and a change of tags keeps it.
    let (_, list) = ada.get(server, "/api/memory").await?;
    let car = list["items"]
        .as_array()
        .context("items")?
        .iter()
        .find(|item| item["content"] == "The car park is closed.");
    let path = path(car.context("the car park")?)?;
    assert_eq!(
        change(server, ada, &path, "1", &json!({"tags": ["city"]}))
            .await?
            .0,
        200
    );
    assert_eq!(
        world.by_meaning("vehicle", "semantic").await?["items"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    assert_eq!(
        change(
            server,
            ada,
            &path,
            "2",
            &json!({"content": "The tea shop is closed."})
        )
        .await?
        .0,
        200
    );
    world.embedded().await?;
    assert_eq!(
        contents(&world.by_meaning("vehicle", "semantic").await?),
        ["Ada has an automobile."]
    );
    assert_eq!(
        contents(&world.by_meaning("beverage", "semantic").await?),
        ["The tea shop is closed."]
    );
    Ok(())
}

#[tokio::test]
async fn words_go_on_while_the_model_is_gone_and_vectors_catch_up() -> Result<()> {
    let world = World::new().await?;
    world.meanings.silence(true);
    let (server, ada) = (&world.server, &world.ada);
    let _worker = server.worker(quick()).await?;
    note(server, ada, "Ada has an automobile.", json!({})).await?;
    let found = search(server, ada, "automobile", &[]).await?;
    assert_eq!(
        (contents(&found), &found["mode"], &found["degraded"]),
        (vec!["Ada has an automobile."], &json!("text"), &json!(true))
    );
    assert_eq!(
        found["items"][0]["score"], 1.0,
        "a missing half takes nothing away: {found:#}"
    );
    let found = search(server, ada, "automobile", &[("mode", "semantic")]).await?;
    assert_eq!(
        (contents(&found).len(), &found["degraded"]),
        (1, &json!(true))
    );
    world.meanings.silence(false);
    // The gateway would leave the model alone for a while. Another attempt of the job finds it, or the job that looks for
    // what was left.
    server
        .database
        .execute("delete from llm.breaker; select jobs.enqueue('memory-embed')")
        .await?;
    world.embedded().await?;
    assert_eq!(
        contents(&world.by_meaning("vehicle", "semantic").await?),
        ["Ada has an automobile."]
    );
    Ok(())
}

#[tokio::test]
async fn a_long_text_is_found_by_its_last_sentence_and_the_same_passage_is_asked_once() -> Result<()>
{
    let world = World::new().await?;
    let (server, ada) = (&world.server, &world.ada);
    let _worker = server.worker(quick()).await?;
    let filler = "Nothing to see in this sentence at all. ".repeat(400);
    let long = format!("{}The physician came.", &filler[..16_000]);
    note(server, ada, &long, json!({})).await?;
    note(server, ada, "Glad tidings.", json!({})).await?;
    note(server, ada, "Glad tidings.", json!({"key": "news"})).await?;
    world.embedded().await?;
    let found = world.by_meaning("medicine", "semantic").await?;
    assert_eq!(contents(&found), [long.as_str()]);
    let asked: Vec<String> = world
        .meanings
        .models
        .asked()
        .iter()
        .map(|asked| String::from_utf8_lossy(&asked.body).into_owned())
        .collect();
    assert_eq!(
        asked
            .iter()
            .filter(|body| body.contains("Glad tidings."))
            .count(),
        1
    );
    assert!(
        asked.iter().all(|body| !body.contains(&filler[..2_000])),
        "a passage is longer than the model reads"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_forgotten_takes_its_vectors_along_and_gets_no_more() -> Result<()> {
    let world = World::new().await?;
    let (server, ada) = (&world.server, &world.ada);
    let _worker = server.worker(quick()).await?;
    let first = note(server, ada, "Ada sails a vessel.", json!({})).await?;
    note(server, ada, "Ada is glad.", json!({})).await?;
    world.embedded().await?;
    let count = async |table: &str| -> Result<i64> {
        let sql = format!("select count(*) from memory.{table}");
        let mut database = server.database.connect().await?;
        Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&mut database)
            .await?)
    };
    assert_eq!(
        (count("vector").await?, count("embedding_cache").await?),
        (2, 2)
    );
    let gone = done(
        server,
        ada,
        "/api/memory/forget",
        &json!({"ids": [first["id"]]}),
    )
    .await?;
    assert_eq!(gone["counts"]["vectors"], 1, "{gone}");
    assert_eq!(
        (count("vector").await?, count("embedding_cache").await?),
        (1, 1)
    );
    // A job that had read the text stores nothing.
    let stored: bool = sqlx::query_scalar("select memory.put_vectors('local', $1::uuid, 1, $2)")
        .bind(uuid::Uuid::parse_str(first["id"].as_str().context("id")?)?)
        .bind(json!([{"digest": "00", "embedding": vector("vessel")}]))
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    assert!(!stored);
    assert_eq!(
        (count("vector").await?, count("embedding_cache").await?),
        (1, 1)
    );
    Ok(())
}
