//! The inbox, as those see it who are told something: reading,
//! edits and deletions, and accounts that leave.

use super::notes::{Note, events, id, items, mention, notify, texts, unread};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};
use sqlx::Connection;
use uuid::Uuid;

#[tokio::test]
async fn items_are_listed_newest_first_read_and_archived() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    for number in 0..20 {
        let text = number.to_string();
        let kind = if number % 2 == 0 { "mention" } else { "reply" };
        let note = Note {
            kind,
            by: Some(bob.id),
            ..mention(&text)
        };
        notify(&server, &[&ada, &bob], note).await?;
    }
    // Never whoever did it.
    assert_eq!(unread(&server, &bob).await?, 0);
    assert_eq!(unread(&server, &ada).await?, 20);
    let newest: Vec<String> = (0..20).rev().map(|number| number.to_string()).collect();
    assert_eq!(texts(&server, &ada, "").await?, newest);
    let even = texts(&server, &ada, "&kind=mention").await?;
    assert_eq!(
        even,
        newest
            .iter()
            .skip(1)
            .step_by(2)
            .cloned()
            .collect::<Vec<_>>()
    );
    let all = items(&server, &ada, "").await?;
    assert_eq!(all[0]["by"], json!(bob.id));
    assert_eq!(
        (&all[0]["link"], &all[0]["title"], &all[0]["state"]),
        (
            &json!("/somewhere"),
            &json!("Something happened"),
            &json!("unread")
        )
    );

    let mark = async |who: &Agent, what: &str, body: Value| {
        who.send(&server, "POST", &format!("/api/inbox/{what}"), &body)
            .await
    };
    // Foreign items are not there, and stay as they are.
    let (status, marked) = mark(&bob, "read", json!({ "ids": [id(&all[0])] })).await?;
    assert_eq!(
        (status, marked),
        (200, json!({ "changed": 0, "unread": 0 }))
    );
    mark(&bob, "archive", json!({ "until": id(&all[0]) })).await?;
    assert_eq!(unread(&server, &ada).await?, 20);

    let (_, marked) = mark(&ada, "read", json!({ "until": id(&all[15]) })).await?;
    assert_eq!(marked, json!({ "changed": 5, "unread": 15 }));
    let (_, marked) = mark(
        &ada,
        "read",
        json!({ "ids": [id(&all[0]), id(&all[19]), Uuid::now_v7()] }),
    )
    .await?;
    assert_eq!(marked, json!({ "changed": 1, "unread": 14 }));
    assert_eq!(
        texts(&server, &ada, "&state=read").await?,
        ["19", "4", "3", "2", "1", "0"]
    );
    assert_eq!(
        texts(&server, &ada, "&state=read&kind=reply").await?,
        ["19", "3", "1"]
    );
    let (_, marked) = mark(
        &ada,
        "read",
        json!({ "ids": [id(&all[19])], "unread": true }),
    )
    .await?;
    assert_eq!(marked, json!({ "changed": 1, "unread": 15 }));
    let (_, marked) = mark(&ada, "archive", json!({ "until": id(&all[10]) })).await?;
    assert_eq!(marked, json!({ "changed": 10, "unread": 9 }));
    assert_eq!(unread(&server, &ada).await?, 9);
    assert_eq!(items(&server, &ada, "").await?.len(), 10);
    assert_eq!(items(&server, &ada, "&state=archived").await?.len(), 10);
    // What is archived is not brought back by marking it unread, only by taking it out of the archive.
    let (_, marked) = mark(
        &ada,
        "read",
        json!({ "ids": [id(&all[19])], "unread": true }),
    )
    .await?;
    assert_eq!(marked["changed"], 0);
    let (_, marked) = mark(
        &ada,
        "archive",
        json!({ "ids": [id(&all[19])], "unread": true }),
    )
    .await?;
    assert_eq!(marked, json!({ "changed": 1, "unread": 10 }));
    let (_, marked) = mark(&ada, "read", json!({ "until": id(&all[0]) })).await?;
    assert_eq!(marked["unread"], 0);
    assert_eq!(unread(&server, &ada).await?, 0);
    let told = events(&server, &ada).await?;
    let (kind, data) = told.last().context("an event")?;
    assert_eq!((kind.as_str(), &data["unread"]), ("inbox.read", &json!(0)));

    for body in [
        json!({}),
        json!({ "ids": [], }),
        json!({ "ids": ["x"] }),
        json!({ "ids": [id(&all[0])], "until": id(&all[0]) }),
    ] {
        let (status, problem) = mark(&ada, "read", body.clone()).await?;
        assert_eq!(
            (status, &problem["code"]),
            (422, &json!("invalid-input")),
            "{body}"
        );
    }
    assert_eq!(ada.get(&server, "/api/inbox?state=new").await?.0, 422);
    assert_eq!(server.get("/api/inbox").await?.status(), 401);
    Ok(())
}

#[tokio::test]
async fn what_is_told_again_is_one_item_new_and_unread() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let subject = Some("message:1");
    let told = |text| Note {
        subject,
        ..mention(text)
    };
    notify(&server, &[&ada, &bob], told("first")).await?;
    notify(&server, &[&ada], mention("other")).await?;
    let before = items(&server, &ada, "").await?;
    let up_to = json!({ "until": id(&before[0]) });
    ada.send(&server, "POST", "/api/inbox/archive", &up_to)
        .await?;
    notify(&server, &[&ada], told("second")).await?;
    // Of another kind it is another item.
    notify(
        &server,
        &[&ada],
        Note {
            kind: "direct",
            ..told("second")
        },
    )
    .await?;
    assert_eq!(texts(&server, &ada, "").await?, ["second", "second"]);
    assert_eq!(unread(&server, &ada).await?, 2);
    // A client that had seen the first only does not mark the second.
    ada.send(&server, "POST", "/api/inbox/read", &up_to).await?;
    let old = json!({ "ids": [id(&before[1])] });
    ada.send(&server, "POST", "/api/inbox/read", &old).await?;
    assert_eq!(unread(&server, &ada).await?, 2);
    assert_eq!(texts(&server, &bob, "").await?, ["first"]);

    // At the same moment, too.
    let both = [&ada, &bob];
    let many = (0..20).map(|_| notify(&server, &both, told("again")));
    for done in futures::future::join_all(many).await {
        done?;
    }
    assert_eq!(texts(&server, &bob, "").await?, ["again"]);
    Ok(())
}

#[tokio::test]
async fn edits_and_deletions_reach_previews() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let told = |subject, text| Note {
        subject: Some(subject),
        ..mention(text)
    };
    for (subject, text) in [("message:1", "canary one"), ("message:2", "canary two")] {
        notify(&server, &[&ada, &bob], told(subject, text)).await?;
    }
    notify(&server, &[&ada], told("message:1", "canary again")).await?;
    let revise = "select inbox.revise('message:1', 'edited')";
    server.database.execute(revise).await?;
    assert_eq!(texts(&server, &ada, "").await?, ["edited", "canary two"]);
    assert_eq!(texts(&server, &bob, "").await?, ["canary two", "edited"]);
    let seen = serde_json::to_string(&events(&server, &ada).await?)?;
    assert!(
        !seen.contains("canary one") && !seen.contains("again") && seen.contains("canary two"),
        "{seen}"
    );
    // An edit tells nobody anew.
    let (first, before) = (
        items(&server, &bob, "").await?,
        unread(&server, &bob).await?,
    );
    bob.send(
        &server,
        "POST",
        "/api/inbox/read",
        &json!({ "until": id(&first[0]) }),
    )
    .await?;
    server.database.execute(revise).await?;
    assert_eq!((before, unread(&server, &bob).await?), (2, 0));

    server
        .database
        .execute("select inbox.erase('message:2')")
        .await?;
    assert_eq!(texts(&server, &ada, "").await?, ["edited"]);
    assert_eq!(unread(&server, &ada).await?, 1);
    for who in [&ada, &bob] {
        let told = events(&server, who).await?;
        assert!(
            !serde_json::to_string(&told)?.contains("canary two"),
            "{told:?}"
        );
        assert_eq!(told.last().context("an event")?.0, "inbox.deleted");
    }
    Ok(())
}

#[tokio::test]
async fn a_leaver_takes_its_items_along() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    notify(
        &server,
        &[&ada],
        Note {
            by: Some(bob.id),
            ..mention("canary of bob")
        },
    )
    .await?;
    notify(
        &server,
        &[&bob],
        Note {
            by: Some(ada.id),
            subject: Some("message:1"),
            ..mention("canary of ada")
        },
    )
    .await?;
    let off = json!({ "reply": { "inbox": false } });
    ada.send(&server, "PUT", "/api/inbox/settings", &off)
        .await?;
    let mut admin = server.database.connect().await?;
    let export: Value = sqlx::query_scalar("select inbox.export_account($1)")
        .bind(ada.id)
        .fetch_one(&mut admin)
        .await?;
    assert_eq!(export["items"][0]["text"], "canary of bob");
    assert_eq!(export["settings"], off);
    sqlx::query("select inbox.forget_account($1)")
        .bind(ada.id)
        .execute(&mut admin)
        .await?;
    assert_eq!(items(&server, &ada, "").await?.len(), 0);
    assert_eq!(items(&server, &bob, "").await?.len(), 0);
    for who in [&ada, &bob] {
        let told = serde_json::to_string(&events(&server, who).await?)?;
        assert!(!told.contains("canary"), "{told}");
    }
    let (_, settings) = ada.get(&server, "/api/inbox/settings").await?;
    assert_eq!(settings["reply"]["inbox"], true);
    Ok(())
}

#[tokio::test]
async fn the_role_reaches_items_by_its_functions_only() -> Result<()> {
    let server = Server::start().await?;
    let mut role = sqlx::PgConnection::connect(&server.database.url_of("inbox")?).await?;
    for sql in [
        "update item set text = 'x'",
        "delete from item",
        "insert into asked (who, approval_id, is_team) values (gen_random_uuid(), gen_random_uuid(), false)",
        "update approval set state = 'approved'",
        "insert into on_decided (kind, function) values ('x', 'x.y')",
        "select inbox.finish(gen_random_uuid(), 'approved', null)",
        "select inbox.notify('{}', 'mention', 'x', 'x', '/x')",
    ] {
        let refused = sqlx::query(sql).execute(&mut role).await;
        let refused = refused.err().with_context(|| format!("it may: {sql}"))?;
        let code = refused.as_database_error().and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {refused}");
    }
    Ok(())
}
