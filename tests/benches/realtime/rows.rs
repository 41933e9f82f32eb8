//! Whether feed and history take longer the more there is.

use crate::{World, median};
use anyhow::{Context, Result};
use e2e::sockets::{Client, emit};
use std::time::Instant;
use uuid::Uuid;

/// The last one if `GATHER_BENCH_ROWS` says no other.
const SIZES: [i64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const REQUESTS: usize = 200;

/// Posts with what lists them; the triggers that would do so one by one are off.
const POSTS: &str = "with new as (
        insert into social.post (author_id, title, body, html, plain, words, score)
        select $1, 'title ' || n, 'text', '<p>text</p>', 'text', 'title ' || n || E'\\n\\ntext', n % 1000
        from generate_series($2::bigint, $3) n
        returning id, created_at, score
    )
    insert into social.listed (list, post_id, score, hot)
    select 'all', id, score, social.hot(created_at, score) from new";
const MESSAGES: &str =
    "insert into channels.message (channel_id, seq, author_id, body, html, plain, words)
    select $1, n, $2, 'text', '<p>text</p>', 'text', 'text' from generate_series($3::bigint, $4) n";
const EVENTS: &str = "insert into events.event (topic, type, data)
    select $1, 'test.number', jsonb_build_object('n', n) from generate_series($2::bigint, $3) n";

/// Fills the tables further and further, and prints the median time of each request.
pub async fn rows(world: &World) -> Result<()> {
    let most = std::env::var("GATHER_BENCH_ROWS").map_or(Ok(i64::MAX), |most| most.parse())?;
    let channel = world.channel("rows").await?;
    let id: Uuid = channel.parse()?;
    let topic = format!("channel:{channel}");
    let mut admin = world.server.database.connect().await?;
    let quick = "set session_replication_role = replica; set synchronous_commit = off";
    sqlx::raw_sql(quick).execute(&mut admin).await?;
    let mut have = 0;
    let mut table: Vec<(&str, Vec<f64>)> = Vec::new();
    let sizes = SIZES.into_iter().filter(|size| *size <= most);
    for size in sizes.clone() {
        let posts = sqlx::query(POSTS).bind(world.ada.id);
        posts.bind(have + 1).bind(size).execute(&mut admin).await?;
        let messages = sqlx::query(MESSAGES).bind(id).bind(world.ada.id);
        messages
            .bind(have + 1)
            .bind(size)
            .execute(&mut admin)
            .await?;
        let last = "update channels.channel set last_seq = $2 where id = $1";
        sqlx::query(last)
            .bind(id)
            .bind(size)
            .execute(&mut admin)
            .await?;
        let events = sqlx::query(EVENTS).bind(&topic);
        events.bind(have + 1).bind(size).execute(&mut admin).await?;
        let analyze = "vacuum analyze social.post, social.listed, channels.message, events.event";
        sqlx::raw_sql(analyze).execute(&mut admin).await?;
        have = size;
        for (name, path) in requests(world, &channel, size).await? {
            let time = time(world, &path).await?;
            match table.iter_mut().find(|(known, _)| *known == name) {
                Some((_, times)) => times.push(time),
                None => table.push((name, vec![time])),
            }
        }
    }
    println!(
        "median of a GET, in ms, over {} rows:",
        sizes
            .map(|size| size.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    );
    for (name, times) in table {
        let shown: Vec<_> = times.iter().map(|time| format!("{time:.2}")).collect();
        let ratio = times.last().context("a size")? / times[0];
        println!(
            "  {name}: {}; the last to the first {ratio:.2}",
            shown.join(", ")
        );
    }
    Ok(())
}

/// What is asked for, by name.
async fn requests(world: &World, channel: &str, size: i64) -> Result<Vec<(&'static str, String)>> {
    let topic = format!("channel:{channel}");
    let mut client = Client::signed_in(&world.gateway.url, &world.ada).await?;
    let begun = client.subscribe(&topic, None).await?.pop();
    let position = begun.context("a frame")?["position"].clone();
    let position = position.as_str().context("a position")?.to_owned();
    for number in 0..50 {
        world.server.database.execute(&emit(&topic, number)).await?;
    }
    let messages = format!("/api/channels/{channel}/messages?limit=50");
    Ok(vec![
        ("feed, hot", "/api/posts?limit=20".to_owned()),
        ("feed, new", "/api/posts?limit=20&sort=new".to_owned()),
        ("feed, top", "/api/posts?limit=20&sort=top".to_owned()),
        ("messages, newest", messages.clone()),
        (
            "messages, around the middle",
            format!("{messages}&around={}", size / 2),
        ),
        (
            "events, the last 50",
            format!("/api/events?topic={topic}&since={position}"),
        ),
        (
            "events, from the oldest",
            format!("/api/events?topic={topic}&limit=50"),
        ),
    ])
}

async fn time(world: &World, path: &str) -> Result<f64> {
    let mut times = Vec::new();
    for number in 0..REQUESTS + 20 {
        let begun = Instant::now();
        let (status, answer) = world.ada.get(&world.server, path).await?;
        anyhow::ensure!(status == 200, "{path}: {answer}");
        // The first ones warm up. One that takes long is not asked for so often.
        if number >= 20 || begun.elapsed().as_millis() > 100 {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        if times.iter().sum::<f64>() > 2e3 {
            break;
        }
    }
    Ok(median(&mut times))
}
