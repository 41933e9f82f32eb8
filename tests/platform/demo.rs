//! `gather demo`: the world that it makes is complete, is made once, and goes without a trace of what is others'.

use anyhow::{Result, ensure};
use e2e::{Server, agents::Agent, command, errands::quick};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::process::Command;

/// Runs the command at home in `home`, with nothing else on its path.
async fn demo(server: &Server, home: &Path, arguments: &[&str]) -> Result<String> {
    let mut gather = Command::new(command()?);
    gather
        .arg("demo")
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("GATHER_SERVER", &server.url)
        .kill_on_drop(true);
    let output = gather.output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "gather demo {arguments:?}: {text}");
    Ok(text)
}

/// A field of each item of a list, as an account sees it.
async fn names(server: &Server, reader: &Agent, path: &str, field: &str) -> Result<Vec<String>> {
    let (_, list) = reader.get(server, path).await?;
    let items = list["items"].as_array().into_iter().flatten();
    let names = items.filter_map(|item| item[field].as_str());
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// The number of rows of each kind of thing that the world consists of.
async fn rows(server: &Server) -> Result<Value> {
    let counts = sqlx::query_scalar(
        "select jsonb_build_object(
             'accounts', (select count(*) from identity.account),
             'channels', (select count(*) from channels.channel),
             'messages', (select count(*) from channels.message),
             'reactions', (select count(*) from channels.reaction),
             'posts', (select count(*) from social.post),
             'comments', (select count(*) from social.comment),
             'votes', (select count(*) from social.post_vote) + (select count(*) from social.comment_vote),
             'skills', (select count(*) from skills.skill),
             'versions', (select count(*) from skills.version),
             'claws', (select count(*) from claws.claw),
             'ratings', (select count(*) from skills.rating),
             'calls', (select coalesce(sum(calls), 0) from skills.usage))",
    )
    .fetch_one(&mut server.database.connect().await?)
    .await?;
    Ok(counts)
}

/// The rows once the sandbox has written down the four calls, which it does every two seconds.
async fn counted(server: &Server) -> Result<Value> {
    let started = Instant::now();
    loop {
        let rows = rows(server).await?;
        if rows["calls"].as_i64() >= Some(4) {
            return Ok(rows);
        }
        ensure!(started.elapsed() < Duration::from_secs(60), "{rows}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn the_demo_world_is_made_once_and_can_be_removed() -> Result<()> {
    let server = Server::start().await?;
    let worker = server.worker(quick()).await?;
    let home = tempfile::tempdir()?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    for (path, body) in [
        ("/api/channels", json!({"name": "general"})),
        ("/api/posts", json!({"title": "Mine", "body": "It stays."})),
    ] {
        assert_eq!(ada.send(&server, "POST", path, &body).await?.0, 201);
    }

    let said = demo(&server, home.path(), &[]).await?;
    assert!(said.contains("--remove"), "{said}");
    let made = counted(&server).await?;
    for (kind, least) in [("messages", 12), ("reactions", 10), ("comments", 6)] {
        assert!(made[kind].as_i64() >= Some(least), "{kind}: {made}");
    }
    let agents = names(&server, &ada, "/api/agents?limit=100", "name").await?;
    let demo_agents = agents.iter().filter(|name| name.starts_with("demo-"));
    assert_eq!(demo_agents.count(), 6, "four, and two claws: {agents:?}");
    assert_eq!(made["claws"], 2, "{made}");
    let (_, profile) = ada.get(&server, "/api/profiles/demo-wren").await?;
    assert!(
        profile["description"]
            .to_string()
            .contains("gather demo --remove"),
        "{profile}"
    );
    let skills = names(&server, &ada, "/api/skills?limit=100", "name").await?;
    assert_eq!(
        skills,
        ["demo-text-case", "demo-unit-convert", "demo-word-count"]
    );
    for skill in &skills {
        let path = format!("/api/skills/{skill}/reviews");
        let (_, ratings) = ada.get(&server, &path).await?;
        assert!(
            ratings["items"]
                .as_array()
                .is_some_and(|all| !all.is_empty()),
            "{skill}: {ratings}"
        );
    }

    demo(&server, home.path(), &[]).await?;
    assert_eq!(rows(&server).await?, made, "it was made twice");

    // Agents that are suspended keep their keys, and the world can be removed when they are back.
    let status = async |of: &str| {
        let sql = format!(
            "update identity.account set status = '{of}' where name in ('demo-wren', 'demo-atlas')"
        );
        server.database.execute(&sql).await
    };
    status("suspended").await?;
    let refused = demo(&server, home.path(), &[]).await.unwrap_err();
    assert!(refused.to_string().contains("suspended"), "{refused}");
    status("active").await?;
    demo(&server, home.path(), &[]).await?;
    assert_eq!(rows(&server).await?, made, "none has another key");
    server
        .database
        .execute("update identity.account set status = 'suspended' where name like 'demo-%'")
        .await?;
    let said = demo(&server, home.path(), &["--remove"]).await?;
    assert!(
        said.contains("does not let") && !said.contains("No demo world"),
        "{said}"
    );
    server
        .database
        .execute("update identity.account set status = 'active' where name like 'demo-%'")
        .await?;

    demo(&server, home.path(), &["--remove"]).await?;
    assert_eq!(
        names(&server, &ada, "/api/agents?limit=100", "name").await?,
        ["ada"]
    );
    assert_eq!(
        names(&server, &ada, "/api/channels?limit=100", "name").await?,
        ["general"]
    );
    assert_eq!(
        names(&server, &ada, "/api/posts?limit=100", "title").await?,
        ["Mine"]
    );
    assert!(
        names(&server, &ada, "/api/skills?limit=100", "name")
            .await?
            .is_empty()
    );
    let said = demo(&server, home.path(), &["--remove"]).await?;
    assert!(said.contains("No demo world"), "{said}");

    // The names of the skills are spent, which hinders nobody.
    demo(&server, home.path(), &[]).await?;
    let skills = names(&server, &ada, "/api/skills?limit=100", "name").await?;
    assert_eq!(skills.len(), 3, "{skills:?}");
    worker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::test]
async fn a_channel_of_others_is_left_alone() -> Result<()> {
    let server = Server::start().await?;
    let home = tempfile::tempdir()?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let channel = json!({"name": "demo-welcome"});
    let made = ada.send(&server, "POST", "/api/channels", &channel).await?;
    assert_eq!(made.0, 201);
    let refused = demo(&server, home.path(), &[]).await.unwrap_err();
    assert!(refused.to_string().contains("somebody else's"), "{refused}");
    let messages: i64 = sqlx::query_scalar("select count(*) from channels.message")
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    assert_eq!(messages, 0);
    Ok(())
}
