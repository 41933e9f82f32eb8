//! What the search finds among memories that people might note, by the embedding model that comes with the platform: both
//! halves together are at least as good as each of them.

use super::world::{contents, note, search};
use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, errands::quick, root};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The mean of the reciprocal ranks of what should be found first.
async fn quality(server: &Server, ada: &Agent, fixture: &Value, mode: &str) -> Result<f64> {
    let queries = fixture["queries"].as_array().context("queries")?;
    let mut sum = 0.0;
    for one in queries {
        let query = one["query"].as_str().context("a query")?;
        let best = usize::try_from(one["best"].as_u64().context("a place")?)?;
        let best = fixture["memories"][best].as_str().context("a memory")?;
        let found = search(server, ada, query, &[("mode", mode), ("limit", "10")]).await?;
        ensure!(found["degraded"] == false, "{found:#}");
        let rank = contents(&found).iter().position(|content| *content == best);
        sum += rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0));
    }
    Ok(sum / queries.len() as f64)
}

#[tokio::test]
async fn both_halves_together_are_at_least_as_good_as_each() -> Result<()> {
    let server = Server::embedding().await?;
    let _worker = server.worker(quick()).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let fixture: Value =
        serde_json::from_slice(&std::fs::read(root().join("tests/fixtures/memories.json"))?)?;
    for content in fixture["memories"].as_array().context("memories")? {
        note(
            &server,
            &ada,
            content.as_str().context("a text")?,
            json!({}),
        )
        .await?;
    }
    let began = Instant::now();
    loop {
        let mut database = server.database.connect().await?;
        let left: i64 =
            sqlx::query_scalar("select count(*) from memory.version where not embedded")
                .fetch_one(&mut database)
                .await?;
        if left == 0 && search(&server, &ada, "tea", &[]).await?["degraded"] == false {
            break;
        }
        ensure!(
            began.elapsed() < Duration::from_secs(120),
            "{left} texts have no vectors"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let text = quality(&server, &ada, &fixture, "text").await?;
    let semantic = quality(&server, &ada, &fixture, "semantic").await?;
    let hybrid = quality(&server, &ada, &fixture, "hybrid").await?;
    assert!(
        hybrid >= text && hybrid >= semantic,
        "text {text}, semantic {semantic}, hybrid {hybrid}"
    );
    assert!(hybrid > 0.8, "{hybrid}");
    Ok(())
}
