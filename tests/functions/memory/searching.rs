//! Search by words: in all scripts, with scores that depend on the query and the memory alone.

use super::world::{contents, note, search};
use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, errands::quick};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[tokio::test]
async fn words_are_found_in_every_script_and_signs_find_nothing() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    for (content, query) in [
        ("即适者生存", "生存"),
        ("今日は成語しりとりをした", "しりとり"),
        ("저는 서울에서 살아요", "서울"),
        ("ฉันชอบกินข้าวผัด", "ข้าว"),
        ("C盘满了", "c盘"),
        ("İstanbul'da yaşıyor", "istanbul"),
        ("Die Straße ist gesperrt", "STRASSE"),
        ("un cafe\u{301} noir", "café"),
        ("She was deploying the servers", "deployment of a server"),
        ("Invoice INV-20993 is paid", "INV-20993"),
    ] {
        note(&server, &ada, content, json!({})).await?;
        let found = search(&server, &ada, query, &[("mode", "text")]).await?;
        assert_eq!(
            contents(&found).first(),
            Some(&content),
            "{query}: {found:#}"
        );
    }
    for query in ["?!", "—", "%", "_", "the", "xylophone"] {
        let found = search(&server, &ada, query, &[("mode", "text")]).await?;
        assert_eq!(found["items"], json!([]), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn a_score_depends_on_the_query_and_the_memory_alone() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let score = async |limit: &str| -> Result<(String, f64)> {
        let found = search(
            &server,
            &ada,
            "invoice INV-20993 of March",
            &[("limit", limit)],
        )
        .await?;
        let best = &found["items"][0];
        let content = best["content"].as_str().context("a memory")?.to_owned();
        Ok((content, best["score"].as_f64().context("a score")?))
    };
    // The best of a bad list is not a good one.
    note(&server, &ada, "March was cold.", json!({})).await?;
    let (_, alone) = score("50").await?;
    assert!(alone < 0.5, "{alone}");
    note(
        &server,
        &ada,
        "The invoice INV-20993 came in March.",
        json!({}),
    )
    .await?;
    for number in 20900..20930 {
        note(
            &server,
            &ada,
            &format!("The invoice INV-{number} came in March."),
            json!({}),
        )
        .await?;
    }
    let (first, of_one) = score("1").await?;
    let (also_first, of_many) = score("50").await?;
    assert_eq!(
        (first.as_str(), also_first.as_str()),
        ("The invoice INV-20993 came in March.", first.as_str())
    );
    assert!(
        (of_one - of_many).abs() < 1e-9 && of_one > 0.9,
        "{of_one} {of_many}"
    );
    let found = search(&server, &ada, "invoice", &[("limit", "200")]).await?;
    assert_eq!(contents(&found).len(), 31);
    Ok(())
}

#[tokio::test]
async fn filters_never_make_a_page_shorter() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    for number in 0..30 {
        let kind = if number % 10 == 0 { "event" } else { "fact" };
        let trust = if number % 15 == 0 { "stranger" } else { "own" };
        note(
            &server,
            &ada,
            &format!("Tea number {number}"),
            json!({"kind": kind, "trust": trust}),
        )
        .await?;
    }
    for (filter, count) in [
        (&[("limit", "3"), ("kind", "event")][..], 3),
        (
            &[("limit", "2"), ("kind", "event"), ("min_trust", "tool")][..],
            2,
        ),
        (&[("limit", "200"), ("min_trust", "own")][..], 28),
        (&[("limit", "200"), ("min_trust", "stranger")][..], 30),
    ] {
        let found = search(&server, &ada, "tea", filter).await?;
        assert_eq!(contents(&found).len(), count, "{filter:?}");
    }
    for (name, value) in [
        ("limit", "0"),
        ("limit", "201"),
        ("mode", "magic"),
        ("min_trust", "high"),
        ("as_of", "now"),
        ("scope", "agent"),
    ] {
        let request = ada
            .request(&server, "GET", "/api/memory/search")
            .query(&[("query", "tea"), (name, value)]);
        assert_eq!(request.send().await?.status(), 422, "{name}={value}");
    }
    Ok(())
}

/// The numbers of memory in the text of `GET /metrics`, by their names and labels.
fn measured(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    lines
        .filter(|(name, _)| name.starts_with("gather_memory"))
        .collect()
}

#[tokio::test]
async fn searches_are_counted_by_the_mode_that_answered() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    note(&server, &ada, "Ada likes tea.", json!({})).await?;
    for mode in ["text", "text", "hybrid", "semantic", "text"] {
        let found = search(&server, &ada, "tea", &[("mode", mode)]).await?;
        assert_eq!(contents(&found), ["Ada likes tea."]);
    }
    let worker = server.worker(quick()).await?;
    let searches = |mode: &str| format!("gather_memory_searches_total{{mode=\"{mode}\"}}");
    let expected = [
        (searches("hybrid"), "0"),
        (searches("semantic"), "0"),
        (searches("text"), "3"),
        (searches("text-alone"), "2"),
        ("gather_memory_without_vectors".to_owned(), "1"),
    ];
    let began = Instant::now();
    loop {
        let text = String::from_utf8(worker.metrics().render())?;
        let measured = measured(&text);
        let is_there =
            |(name, number): &(String, &str)| measured.get(name.as_str()) == Some(number);
        if expected.iter().all(is_there) {
            return Ok(());
        }
        ensure!(began.elapsed() < Duration::from_secs(60), "{measured:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
