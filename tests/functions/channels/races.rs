//! Channels, where many do things at the same moment.

use crate::functions::channels::actions::{channel, each, grow_up, post};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use futures::future::{join_all, try_join_all};
use serde_json::{Value, json};
use std::collections::BTreeSet;

struct Crowd {
    server: Server,
    agents: Vec<Agent>,
    id: String,
    path: String,
}

/// A channel with so many members, the first of whom owns it.
async fn crowd(count: u8) -> Result<Crowd> {
    let server = Server::start().await?;
    let mut agents = Vec::new();
    for n in 1..=count {
        agents.push(Agent::sign_in(&server, &format!("agent-{n}"), n).await?);
    }
    grow_up(&server).await?;
    let id = channel(&server, &agents[0], "crowd", false).await?;
    let path = format!("/api/channels/{id}");
    for agent in &agents[1..] {
        assert_eq!(
            agent
                .send(&server, "POST", &format!("{path}/join"), &json!({}))
                .await?
                .0,
            200
        );
    }
    Ok(Crowd {
        server,
        agents,
        id,
        path,
    })
}

#[tokio::test]
async fn fifty_who_open_a_direct_channel_get_one() -> Result<()> {
    let Crowd { server, agents, .. } = crowd(3).await?;
    let (server, agents) = (&server, &agents);
    let opened = try_join_all((0..50).map(|n| async move {
        let by = n % 3;
        let mut to: Vec<_> = (0..3)
            .filter(|other| *other != by)
            .map(|other| format!("agent-{}", other + 1))
            .collect();
        if n % 2 == 0 {
            to.reverse();
        }
        agents[by]
            .send(server, "POST", "/api/dms", &json!({ "to": to }))
            .await
    }))
    .await?;
    assert!(
        opened.iter().all(|(status, _)| [200, 201].contains(status)),
        "{opened:#?}"
    );
    assert_eq!(
        opened.iter().filter(|(status, _)| *status == 201).count(),
        1
    );
    let ids: BTreeSet<_> = opened
        .iter()
        .map(|(_, channel)| channel["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
    Ok(())
}

#[tokio::test]
async fn messages_have_one_order_and_a_client_id_makes_one() -> Result<()> {
    let Crowd {
        server,
        agents,
        id,
        path,
    } = crowd(4).await?;
    let (server, agents, path) = (&server, &agents, &path);
    let posted = try_join_all((0..80).map(|n| async move {
        let new = json!({ "body": format!("m{n}"), "client_id": format!("c{}", n / 8) });
        agents[n % 4]
            .send(server, "POST", &format!("{path}/messages"), &new)
            .await
    }))
    .await?;
    assert!(
        posted.iter().all(|(status, _)| [200, 201].contains(status)),
        "{posted:#?}"
    );
    // Each of four authors has used each of ten names twice.
    assert_eq!(
        posted.iter().filter(|(status, _)| *status == 201).count(),
        40
    );
    let (_, page) = agents[0]
        .get(server, &format!("{path}/messages?limit=100&after=0"))
        .await?;
    let seqs: Vec<_> = each(&page, "seq")
        .iter()
        .filter_map(|seq| seq.as_i64())
        .collect();
    assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
    let (_, events) = agents[0]
        .get(
            server,
            &format!("/api/events?topic=channel:{id}&limit=1000"),
        )
        .await?;
    let told: BTreeSet<_> = events["items"]
        .as_array()
        .context("items")?
        .iter()
        .filter(|event| event["type"] == "message.created")
        .map(|event| event["data"]["seq"].as_i64())
        .collect();
    assert_eq!(told.len(), 40);
    Ok(())
}

#[tokio::test]
async fn owners_who_leave_at_once_leave_one() -> Result<()> {
    let Crowd {
        server,
        agents,
        path,
        ..
    } = crowd(4).await?;
    for agent in &agents[1..3] {
        let member = format!("{path}/members/{}", agent.id);
        let role = json!({ "role": "owner" });
        assert_eq!(agents[0].send(&server, "PUT", &member, &role).await?.0, 200);
    }
    let (leave, nothing) = (format!("{path}/leave"), json!({}));
    let left = agents[..3]
        .iter()
        .map(|agent| agent.send(&server, "POST", &leave, &nothing));
    let left = join_all(left).await;
    let mut statuses: Vec<_> = left
        .into_iter()
        .map(|left| left.map(|(status, _)| status))
        .collect::<Result<_>>()?;
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 204, 409]);
    let (_, members) = agents[3].get(&server, &format!("{path}/members")).await?;
    let mut roles = each(&members, "role");
    roles.sort_by_key(|role| role.to_string());
    assert_eq!(roles, ["member", "owner"]);
    Ok(())
}

#[tokio::test]
async fn reactions_at_once_count_as_their_rows() -> Result<()> {
    let Crowd {
        server,
        agents,
        id,
        path,
    } = crowd(5).await?;
    let message = post(&server, &agents[0], &id, "react").await?;
    let message = format!("{path}/messages/{}", message["id"].as_str().context("id")?);
    let thumb = format!("{message}/reactions/%F0%9F%91%8D");
    let (server, agents, thumb) = (&server, &agents, &thumb);
    let done = try_join_all((0..100).map(|n| async move {
        // The last of each five is the one that stays.
        let method = if (n / 5) % 2 == 0 { "DELETE" } else { "PUT" };
        agents[n % 5].send(server, method, thumb, &json!({})).await
    }))
    .await?;
    assert!(done.iter().all(|(status, _)| *status == 200), "{done:#?}");
    for agent in agents {
        assert_eq!(agent.send(server, "PUT", thumb, &json!({})).await?.0, 200);
    }
    let (_, seen) = agents[0].get(server, &message).await?;
    assert_eq!(seen["reactions"][0]["count"], 5);
    let (_, events) = agents[0]
        .get(
            server,
            &format!("/api/events?topic=channel:{id}&limit=1000"),
        )
        .await?;
    let net: i64 = events["items"]
        .as_array()
        .context("items")?
        .iter()
        .filter(|event| event["type"] == "message.reaction")
        .map(|event| {
            if event["data"]["added"] == json!(true) {
                1
            } else {
                -1
            }
        })
        .sum();
    assert_eq!(net, 5, "the events are the rows' history");
    Ok(())
}

#[tokio::test]
async fn who_is_taken_out_posts_nothing_after_it() -> Result<()> {
    let Crowd {
        server,
        agents,
        path,
        ..
    } = crowd(2).await?;
    let (server, agents, path) = (&server, &agents, &path);
    let posts = try_join_all((0..30).map(|n| async move {
        if n == 15 {
            let member = format!("{path}/members/{}", agents[1].id);
            return agents[0].send(server, "DELETE", &member, &json!({})).await;
        }
        agents[1]
            .send(
                server,
                "POST",
                &format!("{path}/messages"),
                &json!({ "body": "x" }),
            )
            .await
    }))
    .await?;
    assert!(
        posts
            .iter()
            .all(|(status, _)| [201, 204, 403].contains(status)),
        "{posts:#?}"
    );
    let late: Value = json!({ "body": "late" });
    assert_eq!(
        agents[1]
            .send(server, "POST", &format!("{path}/messages"), &late)
            .await?
            .0,
        403
    );
    let posted = posts.iter().filter(|(status, _)| *status == 201).count();
    let (_, page) = agents[0]
        .get(server, &format!("{path}/messages?limit=100"))
        .await?;
    assert_eq!(each(&page, "seq").len(), posted);
    Ok(())
}

#[tokio::test]
async fn a_young_account_posts_no_more_in_many_channels_at_once() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let mut channels = Vec::new();
    for number in 0..8 {
        channels.push(channel(&server, &ada, &format!("room-{number}"), false).await?);
    }
    let body = json!({ "body": "hello" });
    let path = |id: &String| format!("/api/channels/{id}/messages");
    for _ in 0..59 {
        let answer = ada
            .send(&server, "POST", &path(&channels[0]), &body)
            .await?;
        assert_eq!(answer.0, 201, "{:#}", answer.1);
    }
    let paths: Vec<_> = channels.iter().map(path).collect();
    let posts = paths
        .iter()
        .map(|path| ada.send(&server, "POST", path, &body));
    let answers = try_join_all(posts).await?;
    let posted = answers.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(posted, 1, "{answers:#?}");
    Ok(())
}
