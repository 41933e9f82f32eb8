//! The gateway: sockets and streams that are told what happens.

use anyhow::{Context, Result, bail};
use e2e::{
    Server,
    agents::Agent,
    people::Person,
    sockets::{Client, WAIT, emit, numbers},
};
use futures::SinkExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message, http::StatusCode};

#[tokio::test]
async fn a_subscriber_is_told_what_happens_and_resumes_without_a_gap() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let topic = format!("account:{}", ada.id);
    let mut client = Client::signed_in(&server.url, &ada).await?;
    let subscribed = client.subscribe("account:me", None).await?;
    let subscribed = subscribed.last().context("subscribed")?;
    assert_eq!(subscribed["topic"], topic.as_str());
    let start = subscribed["position"]
        .as_str()
        .context("position")?
        .to_owned();
    for number in 1..=5 {
        server.database.execute(&emit(&topic, number)).await?;
    }
    let mut frames = Vec::new();
    assert_eq!(client.told(&mut frames, 5).await?, [1, 2, 3, 4, 5]);
    let second = frames.iter().find(|frame| frame["data"]["n"] == 2);
    let second = second.context("the second")?;
    assert!(second["id"].is_string() && second["created_at"].is_string());
    let position = second["position"].as_str().context("position")?.to_owned();
    drop(client);

    // While nobody listens; one of them commits only after the client is back.
    let late = server.database.hold(&emit(&topic, 6)).await?;
    server.database.execute(&emit(&topic, 7)).await?;
    let mut again = Client::signed_in(&server.url, &ada).await?;
    // What came just before it is replayed, or told after `subscribed` where the gateway had not read it yet.
    let mut frames = again.subscribe("account:me", Some(&position)).await?;
    assert_eq!(again.told(&mut frames, 4).await?, [3, 4, 5, 7]);
    late.commit().await?;
    assert_eq!(again.told(&mut frames, 5).await?, [3, 4, 5, 7, 6]);
    // Each once: nothing comes again before what happens next.
    server.database.execute(&emit(&topic, 8)).await?;
    assert_eq!(again.told(&mut frames, 6).await?, [3, 4, 5, 7, 6, 8]);
    // The position of `subscribed` resumes, too, though no event had come then.
    let mut all = Client::signed_in(&server.url, &ada).await?;
    let mut frames = all.subscribe("account:me", Some(&start)).await?;
    let mut told = all.told(&mut frames, 8).await?;
    told.sort_unstable();
    assert_eq!(told, (1..=8).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn who_may_not_read_is_denied_and_rights_that_end_end_the_subscription() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let mut client = Client::signed_in(&server.url, &bob).await?;
    for topic in [
        format!("account:{}", ada.id),
        "channel:x".into(),
        "all:all".into(),
        "x".into(),
        "channel:\0".into(),
    ] {
        client
            .send(&json!({ "type": "subscribe", "topics": [topic] }))
            .await?;
        assert_eq!(
            client.frame().await?,
            json!({ "type": "denied", "topic": topic })
        );
    }
    let database = &server.database;
    database
        .execute(
            "create table public.allowed (yes boolean);
             insert into public.allowed values (true);
             create function public.may_read(account uuid, id text) returns boolean language sql stable
             as $$ select yes from public.allowed $$;
             insert into events.topic_kind (kind, reader) values ('test', 'public.may_read')",
        )
        .await?;
    client.subscribe("test:1", None).await?;
    database.execute(&emit("test:1", 1)).await?;
    assert_eq!(numbers(&[client.frame().await?]), [1]);
    let end = "update public.allowed set yes = false;
         select events.emit(array['test:1'], 'access.changed', '{}')";
    database.execute(end).await?;
    assert_eq!(
        client.frame().await?,
        json!({ "type": "denied", "topic": "test:1" })
    );
    // What comes later on a topic that may be read would come after it.
    client.subscribe("account:me", None).await?;
    database.execute(&emit("test:1", 2)).await?;
    let own = emit(&format!("account:{}", bob.id), 3);
    database.execute(&own).await?;
    let mut frames = Vec::new();
    assert_eq!(client.told(&mut frames, 1).await?, [3]);
    client.send(&json!({ "type": "ping" })).await?;
    let frames = client.until("pong").await?;
    assert_eq!(numbers(&frames), [0; 0]);
    Ok(())
}

#[tokio::test]
async fn a_socket_signs_in_by_frame_and_ends_with_its_session() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let mut client = Client::connect(&server.url, "/ws", &[]).await?;
    client
        .send(&json!({ "type": "authenticate", "token": ada.token }))
        .await?;
    assert_eq!(client.frame().await?["type"], "authenticated");
    let renewed = Agent::token(&server, 1).await?;
    client
        .send(&json!({ "type": "renew", "token": renewed }))
        .await?;
    assert_eq!(client.frame().await?, json!({ "type": "renewed" }));
    let url = format!("{}/api/sessions/current", server.url);
    let out = server.http.delete(url).bearer_auth(&renewed).send().await?;
    assert!(out.status().is_success());
    assert_eq!(client.closed().await?.1, 4401);

    let mut silent = Client::connect(&server.url, "/ws", &[]).await?;
    silent
        .send(&json!({ "type": "authenticate", "token": "nonsense" }))
        .await?;
    assert_eq!(silent.closed().await?.1, 4401);
    let refused =
        Client::connect(&server.url, "/ws", &[("authorization", "Bearer nonsense")]).await;
    let Err(Error::Http(answer)) = refused else {
        bail!("a bad token must be refused at the door");
    };
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let cookie = "__Host-gather-session=gs_x";
    let elsewhere = [("cookie", cookie), ("origin", "https://elsewhere.example")];
    let Err(Error::Http(answer)) = Client::connect(&server.url, "/ws", &elsewhere).await else {
        bail!("another origin's page must not use the cookie");
    };
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn sockets_have_bounds() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let mut large = Client::signed_in(&server.url, &ada).await?;
    large
        .send(&json!({ "type": "ping", "x": "x".repeat(70_000) }))
        .await?;
    assert_eq!(large.closed().await?.1, 4413);
    drop(large);
    let mut client = Client::signed_in(&server.url, &ada).await?;
    client.0.send(Message::text("[]")).await?;
    assert_eq!(client.frame().await?["code"], "invalid-frame");
    let many: Vec<String> = (0..201).map(|n| format!("tag:{n}")).collect();
    client
        .send(&json!({ "type": "subscribe", "topics": many }))
        .await?;
    assert_eq!(client.frame().await?["code"], "too-many-topics");
    let mut others = Vec::new();
    for _ in 1..20 {
        others.push(Client::signed_in(&server.url, &ada).await?);
    }
    let bearer = format!("Bearer {}", ada.token);
    let mut last = Client::connect(&server.url, "/ws", &[("authorization", &bearer)]).await?;
    assert_eq!(last.closed().await?.1, 4409);
    Ok(())
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_closed_and_slows_nobody() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let topic = format!("account:{}", ada.id);
    let mut deaf = Client::signed_in(&server.url, &ada).await?;
    deaf.subscribe("account:me", None).await?;
    let mut quick = Client::signed_in(&server.url, &ada).await?;
    quick.subscribe("account:me", None).await?;
    // A portion is less than a queue holds, so whoever reads is never too slow. What the other one leaves unread fills
    // the kernel's buffers first, whose size is the machine's.
    let portion = format!(
        "select events.emit(array['{topic}'], 'test.number',
             jsonb_build_object('n', n, 'text', repeat('x', 20000))) from generate_series(1, 40) n"
    );
    for _ in 0..250 {
        server.database.execute(&portion).await?;
        let mut frames = Vec::new();
        let told = quick.told(&mut frames, 40).await?;
        assert_eq!(told, (1..=40).collect::<Vec<_>>());
        let metrics = server.text("/metrics").await?;
        if metrics.contains("gather_realtime_slow_total 1") {
            return Ok(());
        }
    }
    bail!("it is never found too slow");
}

#[tokio::test]
async fn the_same_comes_over_an_event_stream() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let topic = format!("account:{}", ada.id);
    let url = format!(
        "{}/api/events/stream?topics=account:me&types=test.*",
        server.url
    );
    let open = server.http.get(&url).bearer_auth(&ada.token).send().await?;
    assert_eq!(open.headers()["content-type"], "text/event-stream");
    let mut lines = Lines {
        stream: open,
        text: String::new(),
    };
    let subscribed = lines.event().await?.1;
    assert_eq!(subscribed["type"], "subscribed");
    for number in 1..=3 {
        server.database.execute(&emit(&topic, number)).await?;
    }
    let (id, first) = lines.event().await?;
    assert_eq!(numbers(&[first]), [1]);
    drop(lines);
    let again = server
        .http
        .get(&url)
        .bearer_auth(&ada.token)
        .header("last-event-id", id)
        .send()
        .await?;
    let mut lines = Lines {
        stream: again,
        text: String::new(),
    };
    let mut frames = Vec::new();
    while numbers(&frames).len() < 2 {
        frames.push(lines.event().await?.1);
    }
    assert_eq!(numbers(&frames), [2, 3]);
    let unsigned = server.get("/api/events/stream?topics=account:me").await?;
    assert_eq!(unsigned.status(), 401);
    Ok(())
}

struct Lines {
    stream: reqwest::Response,
    text: String,
}

impl Lines {
    /// The next event: its id, and its data.
    async fn event(&mut self) -> Result<(String, Value)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::to_owned)
                };
                let (id, data) = (field("id: "), field("data: "));
                self.text = rest.to_owned();
                if let Some(data) = data {
                    return Ok((id.unwrap_or_default(), serde_json::from_str(&data)?));
                }
            }
            let chunk = timeout(WAIT, self.stream.chunk())
                .await??
                .context("the stream ended")?;
            self.text += std::str::from_utf8(&chunk)?;
        }
    }
}

#[tokio::test]
async fn an_administrator_resumes_everything_without_a_gap() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let admin = Person::register(&server, "operator").await?;
    let admin = admin.into_admin(&server).await?;
    let mut client = Client::signed_in(&server.url, &admin).await?;
    let begun = client.subscribe("all:all", None).await?.pop();
    let start = begun.context("subscribed")?["position"].clone();
    drop(client);
    let late = server
        .database
        .hold(&emit(&format!("account:{}", ada.id), 1))
        .await?;
    for number in 2..=3 {
        let topic = format!("account:{}", [ada.id, admin.id][number as usize % 2]);
        server.database.execute(&emit(&topic, number)).await?;
    }
    let start = start.as_str().context("a position")?;
    let mut client = Client::signed_in(&server.url, &admin).await?;
    let mut frames = client.subscribe("all:all", Some(start)).await?;
    assert_eq!(client.told(&mut frames, 2).await?, [2, 3]);
    late.commit().await?;
    assert_eq!(client.told(&mut frames, 3).await?, [2, 3, 1]);
    let path = format!("/api/events?topic=all:all&since={start}&limit=1000");
    let (_, history) = admin.get(&server, &path).await?;
    let mut told = numbers(history["items"].as_array().context("items")?);
    told.sort_unstable();
    assert_eq!(told, [1, 2, 3]);
    Ok(())
}

#[tokio::test]
async fn a_database_that_goes_away_costs_no_event() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let topic = format!("account:{}", ada.id);
    let mut client = Client::signed_in(&server.url, &ada).await?;
    client.subscribe("account:me", None).await?;
    for number in 1..=5 {
        server
            .database
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where usename = 'gather_realtime' and datname = current_database()",
            )
            .await?;
        server.database.execute(&emit(&topic, number)).await?;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 5 {
        seen.extend(numbers(&[client.frame().await?]));
    }
    assert_eq!(seen, (1..=5).collect());
    Ok(())
}

#[tokio::test]
async fn a_client_goes_on_at_another_gateway_where_it_stood() -> Result<()> {
    let first = Server::start().await?;
    let second = first.second_host().await?;
    let ada = Agent::sign_in(&first, "ada", 1).await?;
    let topic = format!("account:{}", ada.id);
    // The same platform under its public address, which the token names.
    let mut stays = Client::signed_in(&second.url, &ada).await?;
    stays.subscribe("account:me", None).await?;
    let mut seen = BTreeSet::new();
    let mut position = None;
    let mut number = 0;
    for round in 0..6 {
        let server = [&first, &second][round % 2];
        let mut client = Client::signed_in(&server.url, &ada).await?;
        let replayed = client.subscribe("account:me", position.as_deref()).await?;
        let mut frames = replayed;
        for _ in 0..5 {
            number += 1;
            first.database.execute(&emit(&topic, number)).await?;
        }
        // It leaves in the middle of them.
        client.told(&mut frames, 3).await?;
        let mut told = frames.iter().filter(|frame| frame["type"] == "test.number");
        let last = told.next_back().context("an event")?;
        position = last["position"].as_str().map(str::to_owned);
        seen.extend(numbers(&frames));
    }
    let mut rest = Client::signed_in(&second.url, &ada).await?;
    let mut frames = rest.subscribe("account:me", position.as_deref()).await?;
    while !numbers(&frames).contains(&number) {
        frames.push(rest.frame().await?);
    }
    seen.extend(numbers(&frames));
    assert_eq!(seen, (1..=number).collect());
    // Who stayed was told each once, in their order.
    let told = stays
        .told(&mut Vec::new(), usize::try_from(number)?)
        .await?;
    assert_eq!(told, (1..=number).collect::<Vec<_>>());
    Ok(())
}
