//! The inbox, as those see it who are told something: items, settings, edits and deletions, results of jobs and reviews.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, errands::quick};
use serde_json::{Value, json};
use sqlx::Connection;
use std::time::Duration;
use uuid::Uuid;

/// What is told, by default by nobody and of nothing.
#[derive(Clone, Default)]
struct Note<'a> {
    kind: &'a str,
    text: &'a str,
    by: Option<Uuid>,
    subject: Option<&'a str>,
    topic: Option<&'a str>,
}

async fn notify(server: &Server, accounts: &[&Agent], note: Note<'_>) -> Result<()> {
    let accounts: Vec<Uuid> = accounts.iter().map(|account| account.id).collect();
    let query = match note.topic {
        None => sqlx::query(
            "select inbox.notify($1, $2, 'Something happened', $3, '/somewhere', $4, $5)",
        ),
        Some(_) => sqlx::query(
            "select inbox.notify_readers($6, $1, $2, 'Something happened', $3, '/somewhere', $4, $5)",
        ),
    };
    let query = query
        .bind(accounts)
        .bind(note.kind)
        .bind(note.text)
        .bind(note.by)
        .bind(note.subject);
    let query = match note.topic {
        None => query,
        Some(topic) => query.bind(topic),
    };
    query.execute(&mut server.database.connect().await?).await?;
    Ok(())
}

fn mention(text: &str) -> Note<'_> {
    Note {
        kind: "mention",
        text,
        ..Note::default()
    }
}

/// All items of a list, page by page.
async fn items(server: &Server, who: &Agent, query: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/inbox?limit=7{query}{after}");
        let (status, page) = who.get(server, &path).await?;
        assert_eq!(status, 200, "{page}");
        all.extend(page["items"].as_array().context("items")?.clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(all),
        }
    }
}

async fn texts(server: &Server, who: &Agent, query: &str) -> Result<Vec<String>> {
    let items = items(server, who, query).await?;
    let texts = items.iter().filter_map(|item| item["text"].as_str());
    Ok(texts.map(str::to_owned).collect())
}

/// How many are unread, which must be what a recount finds.
async fn unread(server: &Server, who: &Agent) -> Result<u64> {
    let (status, count) = who.get(server, "/api/inbox/count").await?;
    assert_eq!(status, 200, "{count}");
    let unread = count["unread"].as_u64().context("unread")?;
    let listed = items(server, who, "&state=unread").await?.len() as u64;
    let kinds = count["kinds"].as_object().context("kinds")?.values();
    let of_kinds: u64 = kinds.filter_map(Value::as_u64).sum();
    assert_eq!((unread, unread), (listed, of_kinds));
    Ok(unread)
}

/// What an account's topic has told of the inbox: types and data.
async fn events(server: &Server, who: &Agent) -> Result<Vec<(String, Value)>> {
    let path = "/api/events?topic=account:me&limit=1000";
    let (status, page) = who.get(server, path).await?;
    assert_eq!(status, 200, "{page}");
    let events = page["items"].as_array().context("items")?.iter();
    let events = events.map(|event| {
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        (kind, event["data"].clone())
    });
    Ok(events
        .filter(|(kind, _)| kind.starts_with("inbox."))
        .collect())
}

fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap_or_default()
}

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
        "direct",
        "harvest",
        "invitation",
        "job",
        "mention",
        "moderation",
        "reply",
        "review",
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
