//! What arrives in an inbox: by its settings, from whom it may, and of jobs and reviews.

use super::notes::{Note, events, items, mention, notify, texts, unread};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, errands::quick};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn settings_say_what_arrives() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    server
        .database
        .execute("insert into inbox.kind (name) values ('harvest')")
        .await?;
    let path = "/api/inbox/settings";
    let (_, all) = ada.get(&server, path).await?;
    let kinds = [
        "approval",
        "claw",
        "direct",
        "harvest",
        "invitation",
        "job",
        "mention",
        "message",
        "moderation",
        "reply",
        "review",
        "run",
        "schedule",
        "subscription",
        "webhook",
    ];
    let names: Vec<&String> = all.as_object().context("kinds")?.keys().collect();
    assert_eq!(names, kinds);
    let off = json!({ "mention": { "inbox": false }, "harvest": { "inbox": false } });
    let (status, set) = ada.send(&server, "PUT", path, &off).await?;
    assert_eq!(
        (status, &set["mention"], &set["reply"]),
        (200, &json!({ "inbox": false }), &json!({ "inbox": true }))
    );
    let both = [&ada, &bob];
    notify(&server, &both, mention("m")).await?;
    notify(
        &server,
        &both,
        Note {
            kind: "harvest",
            ..mention("h")
        },
    )
    .await?;
    notify(
        &server,
        &both,
        Note {
            kind: "reply",
            ..mention("r")
        },
    )
    .await?;
    assert_eq!(texts(&server, &ada, "").await?, ["r"]);
    assert_eq!(texts(&server, &bob, "").await?, ["r", "h", "m"]);
    assert_eq!(events(&server, &ada).await?.len(), 1);
    // What is left out is as it was before any setting.
    let (_, set) = ada
        .send(
            &server,
            "PUT",
            path,
            &json!({ "reply": { "inbox": false } }),
        )
        .await?;
    assert_eq!(
        (&set["mention"], &set["reply"]),
        (&json!({ "inbox": true }), &json!({ "inbox": false }))
    );
    let (status, problem) = ada
        .send(
            &server,
            "PUT",
            path,
            &json!({ "nothing": { "inbox": true } }),
        )
        .await?;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid-input")));
    let (_, kept) = ada.get(&server, path).await?;
    assert_eq!(kept, set);
    Ok(())
}

#[tokio::test]
async fn nobody_is_told_by_those_they_blocked_or_what_they_may_not_read() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let eve = Agent::sign_in(&server, "eve", 3).await?;
    let database = &server.database;
    database
        .execute(&format!(
            "create table public.guest (account uuid);
             insert into public.guest values ('{1}'), ('{0}');
             create function public.may_read_party(account uuid, id text) returns boolean language sql security definer
             as $$ select exists (select from public.guest g where g.account = $1) $$;
             insert into events.topic_kind (kind, reader) values ('party', 'public.may_read_party')",
            ada.id, eve.id
        ))
        .await?;
    let block = json!({});
    let made = ada.send(&server, "PUT", "/api/blocks/eve", &block).await?;
    assert_eq!(made.0, 200);
    let by_eve = Note {
        by: Some(eve.id),
        ..mention("of eve")
    };
    notify(&server, &[&ada, &bob], by_eve).await?;
    assert_eq!(texts(&server, &ada, "").await?, [""; 0]);
    assert_eq!(texts(&server, &bob, "").await?, ["of eve"]);
    assert!(events(&server, &ada).await?.is_empty());

    // Of a place that only ada and eve may enter.
    for (subject, text) in [("message:1", "one"), ("message:2", "two")] {
        let note = Note {
            subject: Some(subject),
            topic: Some("party:1"),
            ..mention(text)
        };
        notify(&server, &[&ada, &bob, &eve], note).await?;
    }
    assert_eq!(texts(&server, &bob, "").await?, ["of eve"]);
    assert_eq!(texts(&server, &ada, "").await?, ["two", "one"]);
    // Ada is thrown out: what she was told of it goes, also from what was said live.
    database
        .execute(&format!(
            "delete from public.guest where account = '{0}';
             select events.emit(array['party:1'], 'access.changed', jsonb_build_object('account', '{0}'))",
            ada.id
        ))
        .await?;
    assert_eq!(unread(&server, &ada).await?, 0);
    assert_eq!(unread(&server, &eve).await?, 2);
    let told = events(&server, &ada).await?;
    assert_eq!(told.last().context("an event")?.0, "inbox.deleted");
    assert!(!serde_json::to_string(&told)?.contains("one"), "{told:?}");
    assert!(serde_json::to_string(&events(&server, &eve).await?)?.contains("one"));
    // A mention that was edited out is gone for those whom it does not concern any more.
    let back = format!(
        "select inbox.take_back(array['{}'::uuid], 'mention', 'message:2')",
        eve.id
    );
    database.execute(&back).await?;
    assert_eq!(texts(&server, &eve, "").await?, ["one"]);
    assert_eq!(texts(&server, &bob, "").await?, ["of eve"]);

    let suspend = format!(
        "update identity.account set status = 'suspended' where id = '{}'",
        bob.id
    );
    database.execute(&suspend).await?;
    notify(&server, &[&bob], mention("unheard")).await?;
    let count: i64 = sqlx::query_scalar("select count(*) from inbox.item where text = 'unheard'")
        .fetch_one(&mut database.connect().await?)
        .await?;
    assert_eq!(count, 0);
    Ok(())
}

#[tokio::test]
async fn results_of_jobs_and_reviews_arrive() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let worker = server.worker(quick()).await?;
    server
        .database
        .execute(&format!(
            "update jobs.kind set max_attempts = 1 where name = 'mail-delivery';
             select jobs.enqueue('account-purge', '{{}}', '{0}');
             select jobs.enqueue('mail-delivery', '{{}}', '{0}');
             select jobs.enqueue('account-purge');",
            ada.id
        ))
        .await?;
    let mut told = Vec::new();
    for _ in 0..400 {
        told = items(&server, &ada, "&kind=job").await?;
        if told.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut titles: Vec<&str> = told
        .iter()
        .filter_map(|item| item["title"].as_str())
        .collect();
    titles.sort_unstable();
    assert_eq!(
        titles,
        [
            "account-purge has succeeded",
            "mail-delivery has failed for good"
        ]
    );
    drop(worker);

    // A version that is held is not decided yet.
    server
        .database
        .execute(&format!(
            "insert into skills.component (digest, size_bytes) values ('sha256:' || repeat('0', 64), 1);
             insert into skills.skill (id, name, owner_id) values ('{1}', 'adder', '{0}');
             insert into skills.version (id, skill_id, version, precedence, is_prerelease, digest, manifest, tools, facts,
                 published_by)
             values ('{1}', '{1}', '1.0.0', '1', false, 'sha256:' || repeat('0', 64), '{{}}', '[]', '{{}}', '{0}');
             select skills.decide('{1}', 'hold', '{{\"reasons\": [\"Odd.\"]}}', 0.5, null, null)",
            ada.id,
            Uuid::nil()
        ))
        .await?;
    assert_eq!(items(&server, &ada, "&kind=review").await?.len(), 0);
    let decide = format!(
        "select skills.decide('{}', 'reject', '{{\"reasons\": [\"It asks for much.\", \"Twice.\"]}}', 0.5, null, '{}')",
        Uuid::nil(),
        bob.id
    );
    server.database.execute(&decide).await?;
    let told = items(&server, &ada, "&kind=review").await?;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["title"], &told[0]["text"], &told[0]["link"]),
        (
            &json!("adder 1.0.0 was rejected"),
            &json!("It asks for much. Twice."),
            &json!("/skills/adder")
        )
    );
    assert_eq!(items(&server, &bob, "").await?.len(), 0);
    Ok(())
}
