//! What the gateway tells to whom, and how many it lets in.

use anyhow::{Context, Result, bail};
use e2e::{
    Server,
    agents::Agent,
    sockets::{Client, WAIT, emit, numbers},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Error, http::StatusCode};
use uuid::Uuid;

/// Lets everybody read channels, which need not be there.
const OPEN: &str =
    "create function public.everybody(account uuid, id text) returns boolean language sql immutable
     as $$ select true $$;
     update events.topic_kind set reader = 'public.everybody' where kind = 'channel'";

/// A statement that tells a number as an account's words, or else as its doing.
fn by(topic: &str, number: u64, field: &str, account: Uuid) -> String {
    let name = if field == "author" {
        format!("{{\"id\": \"{account}\"}}")
    } else {
        format!("\"{account}\"")
    };
    format!(
        "select events.emit(array['{topic}'], 'test.number', '{{\"n\": {number}, \"{field}\": {name}}}', \
         actor => '{account}')"
    )
}

#[tokio::test]
async fn nothing_is_told_of_those_whom_the_reader_has_blocked() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let database = &server.database;
    database.execute(OPEN).await?;
    let channel = Uuid::now_v7();
    let topic = format!("channel:{channel}");
    let mut client = Client::signed_in(&server.url, &ada).await?;
    let start = client.subscribe(&topic, None).await?;
    let start = start.last().context("subscribed")?["position"].clone();
    let start = start.as_str().context("position")?;
    database.execute(&by(&topic, 1, "author", bob.id)).await?;
    let mut frames = Vec::new();
    assert_eq!(client.told(&mut frames, 1).await?, [1]);

    // It does not read its own topic, where this is told; what comes after it is judged by it.
    let changed = |what: &str| {
        format!(
            "{what}; select events.emit(array['account:{0}'], 'access.changed', '{{\"account\": \"{0}\"}}')",
            ada.id
        )
    };
    let block = format!(
        "insert into social.block (blocker, blocked) values ('{}', '{}')",
        ada.id, bob.id
    );
    database.execute(&changed(&block)).await?;
    database.execute(&by(&topic, 2, "author", bob.id)).await?;
    database.execute(&by(&topic, 3, "account", bob.id)).await?;
    // What somebody takes away names nobody, and is told.
    let gone = emit(&topic, 4).replace("}')", &format!("}}', actor => '{}')", bob.id));
    database.execute(&gone).await?;
    database.execute(&by(&topic, 5, "author", ada.id)).await?;
    let mut frames = Vec::new();
    assert_eq!(client.told(&mut frames, 2).await?, [4, 5]);
    let mut again = Client::signed_in(&server.url, &ada).await?;
    let mut frames = again.subscribe(&topic, Some(start)).await?;
    assert_eq!(again.told(&mut frames, 2).await?, [4, 5]);
    let (_, history) = ada
        .get(&server, &format!("/api/events?topic={topic}&limit=100"))
        .await?;
    let items = history["items"].as_array().context("items")?;
    assert_eq!(numbers(items), [4, 5]);

    // Nor whether they are there.
    let mut writer = Client::signed_in(&server.url, &bob).await?;
    writer.subscribe(&topic, None).await?;
    let mut other = Client::signed_in(&server.url, &bob).await?;
    other.subscribe(&topic, None).await?;
    loop {
        writer
            .send(&json!({ "type": "presence", "state": "online" }))
            .await?;
        if let Ok(told) = timeout(Duration::from_secs(3), other.until("presence")).await {
            told?;
            break;
        }
    }
    let path = format!("/api/channels/{channel}/presence");
    assert_eq!(ada.get(&server, &path).await?.1, json!([]));
    let (_, present) = bob.get(&server, &path).await?;
    assert_eq!(present[0]["account"], json!(bob.id));

    let unblock = changed("delete from social.block");
    database.execute(&unblock).await?;
    database.execute(&by(&topic, 6, "author", bob.id)).await?;
    let mut frames = Vec::new();
    assert_eq!(client.told(&mut frames, 1).await?, [6]);
    assert!(frames.iter().all(|frame| frame["type"] != "presence"));
    Ok(())
}

#[tokio::test]
async fn a_change_for_everybody_is_one_question_for_all_sockets() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let database = &server.database;
    // Accounts that changed lately are looked at for that, too; these have not.
    database
        .execute(&format!(
            "set session_replication_role = replica;
             update identity.account set changed_at = now() - interval '1 hour';
             create sequence public.question;
             create table public.closed (yes boolean);
             create function public.may_read(account uuid, id text) returns boolean
             language plpgsql security definer as $$
             begin
                 perform nextval('public.question');
                 return account = '{}' or not exists (select from public.closed);
             end $$;
             insert into events.topic_kind (kind, reader) values ('test', 'public.may_read')",
            ada.id
        ))
        .await?;
    let mut clients = Vec::new();
    for who in [&ada, &bob] {
        for _ in 0..8 {
            let mut client = Client::signed_in(&server.url, who).await?;
            client.subscribe("test:1", None).await?;
            clients.push((client, who.id == ada.id));
        }
    }
    let mut admin = database.connect().await?;
    let questions = "select last_value from public.question";
    let before: i64 = sqlx::query_scalar(questions).fetch_one(&mut admin).await?;
    database
        .execute(
            "insert into public.closed values (true);
             select events.emit(array['test:1'], 'access.changed', '{\"account\": null}')",
        )
        .await?;
    database.execute(&emit("test:1", 1)).await?;
    for (client, stays) in &mut clients {
        let frame = client.frame().await?;
        if *stays {
            assert_eq!(numbers(&[frame]), [1]);
        } else {
            assert_eq!(frame, json!({ "type": "denied", "topic": "test:1" }));
        }
    }
    let after: i64 = sqlx::query_scalar(questions).fetch_one(&mut admin).await?;
    assert_eq!(
        after - before,
        2,
        "once for each account, not for each socket"
    );
    Ok(())
}

#[tokio::test]
async fn rights_are_asked_for_once_and_one_that_ends_meanwhile_is_over() -> Result<()> {
    let server = Server::start().await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let database = &server.database;
    database
        .execute(
            "set session_replication_role = replica;
             update identity.account set changed_at = now() - interval '1 hour';
             create sequence public.question;
             create table public.closed (topic text);
             create function public.may_read(account uuid, id text) returns boolean
             language plpgsql stable security definer as $$
             begin
                 perform nextval('public.question'), pg_advisory_xact_lock_shared(7);
                 return not exists (select from public.closed where topic = id);
             end $$;
             insert into events.topic_kind (kind, reader) values ('test', 'public.may_read')",
        )
        .await?;
    let mut gate = database.connect().await?;
    for round in 0.. {
        let topic = |name| format!("test:{name}-{round}");
        let asked = "select case when is_called then last_value else 0 end from public.question";
        let before: i64 = sqlx::query_scalar(asked).fetch_one(&mut gate).await?;
        let mut client = Client::signed_in(&server.url, &bob).await?;
        let shut = "select from pg_advisory_lock(7)";
        sqlx::query(shut).execute(&mut gate).await?;
        let topics = [topic("a"), topic("b"), topic("c")];
        client
            .send(&json!({ "type": "subscribe", "topics": topics }))
            .await?;
        let waits =
            "select exists (select from pg_locks where locktype = 'advisory' and not granted)";
        while !sqlx::query_scalar(waits).fetch_one(&mut gate).await? {
            sleep(Duration::from_millis(5)).await;
        }
        // The question does not see this any more.
        let end = format!(
            "insert into public.closed values ('b-{round}');
             select events.emit(array['{b}'], 'access.changed', '{{}}'); {}; {}",
            emit(&topic("b"), 1),
            emit(&topic("a"), 2),
            b = topic("b"),
        );
        database.execute(&end).await?;
        let open = "select pg_advisory_unlock(7)";
        sqlx::query(open).execute(&mut gate).await?;
        let mut frames = vec![client.frame().await?];
        if frames[0]["code"] == "database-unavailable" {
            continue; // The machine is so busy that the question took too long.
        }
        assert_eq!(client.told(&mut frames, 1).await?, [2]);
        let of = |kind: &str| {
            let found = frames.iter().filter(|frame| frame["type"] == kind);
            found
                .map(|frame| frame["topic"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("subscribed"), topics);
        assert_eq!(of("denied"), [topic("b")]);
        let after: i64 = sqlx::query_scalar(asked).fetch_one(&mut gate).await?;
        assert_eq!(after - before, 4, "once for each topic, and for the end");
        return Ok(());
    }
    bail!("unreachable: the rounds have no end");
}

#[tokio::test]
async fn a_topic_whose_history_can_not_be_told_is_not_subscribed() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let database = &server.database;
    let mut client = Client::signed_in(&server.url, &ada).await?;
    let start = client.subscribe("account:me", None).await?;
    let start = start.last().context("subscribed")?["position"].clone();
    database
        .execute("revoke execute on function events.history from gather_realtime")
        .await?;
    let again = json!({ "type": "subscribe", "topics": ["account:me"], "since": start });
    client.send(&again).await?;
    client.send(&json!({ "type": "ping" })).await?;
    let frames = client.until("pong").await?;
    let kinds: Vec<_> = frames.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(kinds, ["error", "pong"]);
    assert_eq!(frames[0]["code"], "database-unavailable");
    database
        .execute("grant execute on function events.history to gather_realtime")
        .await?;
    client.send(&again).await?;
    client.until("subscribed").await?;
    Ok(())
}

#[tokio::test]
async fn strangers_are_counted_by_the_address_that_a_trusted_proxy_tells() -> Result<()> {
    let server = Server::start().await?;
    let (gateway, url) = server
        .gateway(&server.database.admin, |start| {
            start.limits.unsigned = 2;
            start.limits.sign_in = WAIT * 10;
        })
        .await?;
    let open = async |url: &str, forwarded: &'static str| {
        Client::connect(url, "/ws", &[("x-forwarded-for", forwarded)]).await
    };
    let refused = |opened: Result<Client, Error>| match opened {
        Err(Error::Http(answer)) => answer.status() == StatusCode::TOO_MANY_REQUESTS,
        _ => false,
    };
    // What the client wrote itself stands before what the proxy appended.
    let _first = open(&url, "203.0.113.1").await?;
    let _second = open(&url, "198.51.100.7, 203.0.113.1").await?;
    assert!(refused(open(&url, "203.0.113.1").await));
    let _other = open(&url, "203.0.113.1, 203.0.113.2").await?;
    // Of IPv6 a network counts.
    let _first = open(&url, "2001:db8:1:2::1").await?;
    let _second = open(&url, "2001:db8:1:2:ffff::9").await?;
    assert!(refused(open(&url, "2001:db8:1:2::3").await));
    gateway.stop().await;

    let (gateway, url) = server
        .gateway(&server.database.admin, |start| {
            start.limits.unsigned = 2;
            start.limits.sign_in = WAIT * 10;
            start.trusted_proxies = String::new();
        })
        .await?;
    let _first = open(&url, "203.0.113.1").await?;
    let second = open(&url, "203.0.113.2").await?;
    assert!(refused(open(&url, "203.0.113.3").await));
    // One that has ended is not counted.
    drop(second);
    for _ in 0..600 {
        if !refused(open(&url, "203.0.113.3").await) {
            gateway.stop().await;
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("it is counted for ever");
}

#[tokio::test]
async fn clients_of_a_gateway_that_stops_come_back_one_after_another() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let (gateway, url) = server.gateway(&server.database.admin, |_| {}).await?;
    let bearer = format!("Bearer {}", ada.token);
    let mut clients = Vec::new();
    let mut waits = BTreeSet::new();
    for _ in 0..12 {
        let mut client = Client::connect(&url, "/ws", &[("authorization", &bearer)]).await?;
        let first = client.frame().await?;
        waits.insert(first["retry_after_ms"].as_u64().context("a wait")?);
        clients.push(client);
    }
    let path = format!("{url}/api/events/stream?topics=account:me");
    let stream = server.http.get(path).bearer_auth(&ada.token).send().await?;
    let told = timeout(WAIT, async {
        let (closed, ()) = tokio::join!(
            futures::future::join_all(clients.iter_mut().map(Client::closed)),
            gateway.stop()
        );
        closed
    });
    for closed in told.await? {
        let (frames, code) = closed?;
        assert_eq!(code, 1001);
        let closing = frames.last().context("a last word")?;
        assert_eq!(closing["type"], "closing");
        waits.insert(closing["retry_after_ms"].as_u64().context("a wait")?);
    }
    let text = timeout(WAIT, stream.text()).await??;
    let retry = text.lines().find_map(|line| line.strip_prefix("retry: "));
    waits.insert(retry.context("retry")?.parse()?);
    assert!(waits.len() > 10, "they would come at once: {waits:?}");
    assert!(
        waits.iter().all(|wait| (500..10_000).contains(wait)),
        "{waits:?}"
    );
    Ok(())
}

/// The value of a metric.
pub fn metric(text: &str, name: &str) -> Result<f64> {
    let prefix = format!("gather_realtime_{name} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    Ok(line
        .with_context(|| format!("no {name} in {text}"))?
        .parse()?)
}

#[tokio::test]
async fn metrics_count_and_name_nobody() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let (gateway, url) = server.gateway(&server.database.admin, |_| {}).await?;
    let topic = format!("account:{}", ada.id);
    let mut client = Client::signed_in(&url, &ada).await?;
    client.subscribe("account:me", None).await?;
    let path = format!("{url}/api/events/stream?topics=account:me");
    let stream = server.http.get(path).bearer_auth(&ada.token).send().await?;
    server.database.execute(&emit(&topic, 1)).await?;
    assert_eq!(client.told(&mut Vec::new(), 1).await?, [1]);
    let metrics = async || {
        anyhow::Ok(
            server
                .http
                .get(format!("{url}/metrics"))
                .send()
                .await?
                .text()
                .await?,
        )
    };
    let mut text = metrics().await?;
    for _ in 0..600 {
        if metric(&text, "subscriptions")? == 2.0 && metric(&text, "outbox_lag_seconds")? < 2.0 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
        text = metrics().await?;
    }
    for (name, value) in [("sockets", 1.0), ("streams", 1.0), ("subscriptions", 2.0)] {
        assert_eq!(metric(&text, name)?, value, "{name}");
    }
    for (name, least) in [
        ("delivered_total", 1.0),
        ("delivery_seconds_count", 1.0),
        ("slow_total", 0.0),
        ("outbox_failures_total", 0.0),
        ("outbox_lag_seconds", 0.0),
    ] {
        assert!(metric(&text, name)? >= least, "{name}");
    }
    assert!(!text.contains(&ada.id.to_string()), "{text}");
    let leave = json!({ "type": "unsubscribe", "topics": ["account:me"] });
    client.send(&leave).await?;
    while metric(&metrics().await?, "subscriptions")? > 1.0 {
        sleep(Duration::from_millis(50)).await;
    }
    drop((client, stream));
    for _ in 0..600 {
        let text = metrics().await?;
        let open = ["sockets", "streams", "subscriptions"].map(|name| metric(&text, name));
        if open
            .into_iter()
            .all(|open| open.is_ok_and(|open| open == 0.0))
        {
            gateway.stop().await;
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("what has ended is counted for ever");
}

#[tokio::test]
async fn a_stream_of_several_topics_resumes_all_of_them() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    server.database.execute(OPEN).await?;
    let topics = [Uuid::now_v7(), Uuid::now_v7()].map(|id| format!("channel:{id}"));
    let url = format!(
        "{}/api/events/stream?types=test.*&topics={}",
        server.url,
        topics.join(",")
    );
    let (mut id, mut told, mut number) = (None, BTreeSet::new(), 0);
    // It leaves when it has begun, then twice in the middle of what it missed, and in the end it has all.
    for round in 0..4 {
        let mut request = server.http.get(&url).bearer_auth(&ada.token);
        if let Some(id) = &id {
            request = request.header("last-event-id", id);
        }
        let mut stream = request.send().await?;
        let (mut text, known) = (String::new(), told.len());
        loop {
            let chunk = timeout(WAIT, stream.chunk()).await??;
            text += std::str::from_utf8(&chunk.context("the stream ended")?)?;
            let mut begun = 0;
            for event in text.split_inclusive("\n\n") {
                let field = |name| event.lines().find_map(|line| line.strip_prefix(name));
                if !event.ends_with("\n\n") {
                    break;
                }
                id = field("id: ").map(str::to_owned).or(id);
                if let Some(data) = field("data: ") {
                    let frame: Value = serde_json::from_str(data)?;
                    begun += usize::from(frame["type"] == "subscribed");
                    told.extend(numbers(&[frame]));
                }
            }
            let leaves = match round {
                0 => begun == 2,
                3 => told.len() == number as usize,
                _ => told.len() > known,
            };
            if leaves {
                break;
            }
        }
        drop(stream);
        if round < 3 {
            // The one whose history comes last has the older event.
            for topic in topics.iter().rev() {
                number += 1;
                server.database.execute(&emit(topic, number)).await?;
            }
        }
    }
    assert_eq!(told, (1..=number).collect());
    Ok(())
}
