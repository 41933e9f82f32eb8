//! The history of a channel: read from either end and around a message, and searched.

use super::world::{World, text};
use crate::functions::channels::actions::each;
use anyhow::Result;
use serde_json::{Value, json};

#[tokio::test]
async fn history_is_read_both_ways_and_around_while_others_post() -> Result<()> {
    let world = World::new().await?;
    let mut ids = Vec::new();
    for n in 1..=25 {
        ids.push(text(&world.post(&world.ada, &format!("m{n}")).await?.1, "id")?.to_owned());
    }
    let seqs = |page: &Value| -> Vec<i64> {
        each(page, "seq")
            .iter()
            .filter_map(|seq| seq.as_i64())
            .collect()
    };
    let page = world.get(&world.bob, "/messages").await?;
    assert_eq!(seqs(&page), (6..=25).rev().collect::<Vec<_>>());
    // What is posted while somebody pages back moves nothing.
    world.post(&world.bob, "m26").await?;
    let next = text(&page, "next")?;
    for field in ["after", "before"] {
        let page = world
            .get(&world.bob, &format!("/messages?{field}={next}"))
            .await?;
        assert_eq!(seqs(&page), (1..=5).rev().collect::<Vec<_>>());
        assert_eq!(page["next"], Value::Null);
    }
    let mut path = format!("/messages?limit=10&after={}", ids[0]);
    let mut read = Vec::new();
    loop {
        let page = world.get(&world.eve, &path).await?;
        read.extend(seqs(&page));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        world.post(&world.bob, "more").await?;
        path = format!("/messages?limit=10&after={next}");
    }
    assert_eq!(read, (2..=28).collect::<Vec<_>>());
    let before = world.get(&world.bob, "/messages?limit=3&before=10").await?;
    assert_eq!(seqs(&before), [9, 8, 7]);
    for (around, limit, expected) in [
        (13, 5, vec![11, 12, 13, 14, 15]),
        (1, 5, vec![1, 2, 3, 4, 5]),
        (13, 1, vec![13]),
        (13, 2, vec![13, 14]),
    ] {
        let page = world
            .get(
                &world.bob,
                &format!("/messages?limit={limit}&around={around}"),
            )
            .await?;
        assert_eq!(seqs(&page), expected, "{around} {limit}");
        let next = text(&page, "next")?;
        let after = world
            .get(&world.bob, &format!("/messages?limit=1&after={next}"))
            .await?;
        assert_eq!(seqs(&after), [expected[expected.len() - 1] + 1]);
        if expected[0] > 1 {
            let previous = text(&page, "previous")?;
            let before = world
                .get(&world.bob, &format!("/messages?limit=1&before={previous}"))
                .await?;
            assert_eq!(seqs(&before), [expected[0] - 1]);
        }
    }
    let by_id = world
        .get(&world.bob, &format!("/messages?limit=3&around={}", ids[12]))
        .await?;
    assert_eq!(seqs(&by_id), [12, 13, 14]);
    for (query, status) in [
        ("before=x", 422),
        ("limit=0", 422),
        ("limit=101", 422),
        ("before=3&after=1", 422),
        ("around=01890000-0000-7000-8000-000000000000", 404),
    ] {
        let path = format!("{}/messages?{query}", world.path);
        assert_eq!(
            world.bob.get(&world.server, &path).await?.0,
            status,
            "{query}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn words_of_any_language_are_found() -> Result<()> {
    let world = World::new().await?;
    for body in [
        "我们明天开会讨论预算",
        "今日は会議があります",
        "Завтра СОВЕЩАНИЕ",
        "cafe\u{301} 100% sure",
        "**bo**ld",
    ] {
        world.post(&world.ada, body).await?;
    }
    for (query, seq) in [
        ("开会", 1),
        ("会議", 2),
        ("совещание", 3),
        ("CAFÉ", 4),
        ("100%", 4),
        ("sure 100", 4),
        ("bold", 5),
    ] {
        let request = world
            .bob
            .request(&world.server, "GET", &format!("{}/search", world.path));
        let found: Value = request
            .query(&[("query", query)])
            .send()
            .await?
            .json()
            .await?;
        assert_eq!(each(&found, "seq"), [seq], "{query}");
    }
    let request = world
        .bob
        .request(&world.server, "GET", &format!("{}/search", world.path));
    assert_eq!(
        request
            .query(&[("query", "10_")])
            .send()
            .await?
            .json::<Value>()
            .await?["items"],
        json!([])
    );
    let first = world.get(&world.bob, "/search?query=o&limit=1").await?;
    let next = text(&first, "next");
    assert!(next.is_err() && each(&first, "seq") == [5], "{first:#}");
    Ok(())
}
