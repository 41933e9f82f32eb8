//! Approvals: who may see and decide them, once and in time.

use anyhow::{Context, Result};
use e2e::{Database, Server, agents::Agent};
use futures::future::join;
use serde_json::{Value, json};
use uuid::Uuid;

/// What is asked: by default by the platform, about a turn, for an hour, of one.
struct Question<'a> {
    who: &'a [Uuid],
    by: Option<Uuid>,
    need: i32,
    own: bool,
    expires_ms: i32,
    subject: &'a str,
}

impl<'a> Question<'a> {
    fn of(who: &'a [Uuid]) -> Self {
        Self {
            who,
            by: None,
            need: 1,
            own: false,
            expires_ms: 3_600_000,
            subject: "turn:1",
        }
    }

    async fn ask(&self, database: &Database) -> Result<String, sqlx::Error> {
        let mut admin = database
            .connect()
            .await
            .map_err(|error| sqlx::Error::Configuration(error.into()))?;
        let id: Uuid = sqlx::query_scalar(
            "select inbox.ask($1, 'May it be done?', 'canary of the detail', 'sha256:1', $2,
                 clock_timestamp() + $3 * interval '1 millisecond', $4, $5, null, $6)",
        )
        .bind(self.subject)
        .bind(self.who)
        .bind(self.expires_ms)
        .bind(self.by)
        .bind(self.need)
        .bind(self.own)
        .fetch_one(&mut admin)
        .await?;
        Ok(id.to_string())
    }
}

async fn decide(server: &Server, who: &Agent, approval: &str, body: Value) -> Result<(u16, Value)> {
    let path = format!("/api/approvals/{approval}/decision");
    who.send(server, "POST", &path, &body).await
}

fn approve() -> Value {
    json!({ "decision": "approve", "digest": "sha256:1" })
}

fn deny() -> Value {
    json!({ "decision": "deny", "digest": "sha256:1", "reason": "not now" })
}

async fn see(server: &Server, who: &Agent, approval: &str) -> Result<(u16, Value)> {
    who.get(server, &format!("/api/approvals/{approval}")).await
}

/// The code and state of a refusal.
fn refused(answer: &(u16, Value)) -> (u16, &str, &str) {
    let text = |name: &str| answer.1[name].as_str().unwrap_or_default();
    (answer.0, text("code"), text("state"))
}

async fn listed(server: &Server, who: &Agent, query: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let (status, page) = who
            .get(server, &format!("/api/approvals?limit=2{query}{after}"))
            .await?;
        assert_eq!(status, 200, "{page}");
        for item in page["items"].as_array().context("items")? {
            all.push(item["id"].as_str().context("id")?.to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(all),
        }
    }
}

/// The types of events about an approval on a topic.
async fn told(database: &Database, topic: &str, approval: &str) -> Result<Vec<String>> {
    let types = sqlx::query_scalar(
        "select type from events.event where topic = $1 and type like 'approval.%' and data ->> 'id' = $2 order by number",
    );
    Ok(types
        .bind(topic)
        .bind(approval)
        .fetch_all(&mut database.connect().await?)
        .await?)
}

struct World {
    server: Server,
    ada: Agent,
    bob: Agent,
    eve: Agent,
}

impl World {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        let eve = Agent::sign_in(&server, "eve", 3).await?;
        Ok(Self {
            server,
            ada,
            bob,
            eve,
        })
    }
}

#[tokio::test]
async fn those_see_it_who_have_a_part_in_it() -> Result<()> {
    let World {
        server,
        ada,
        bob,
        eve,
    } = World::new().await?;
    let database = &server.database;
    let who = [bob.id];
    let question = Question {
        by: Some(ada.id),
        ..Question::of(&who)
    };
    let mut asked = Vec::new();
    for _ in 0..5 {
        asked.insert(0, question.ask(database).await?);
    }
    let approval = asked[0].as_str();
    for one in [&ada, &bob] {
        let (status, seen) = see(&server, one, approval).await?;
        assert_eq!(
            (status, &seen["detail"]),
            (200, &json!("canary of the detail"))
        );
        assert_eq!(listed(&server, one, "").await?, asked);
    }
    let (_, seen) = see(&server, &bob, approval).await?;
    assert_eq!(
        (
            &seen["who"],
            &seen["state"],
            &seen["need"],
            &seen["asked_by"]
        ),
        (
            &json!({ "accounts": [bob.id], "teams": [] }),
            &json!("pending"),
            &json!(1),
            &json!(ada.id)
        )
    );
    assert_eq!(listed(&server, &ada, "&mine=true").await?, asked);
    assert_eq!(listed(&server, &ada, "&mine=false").await?.len(), 0);
    assert_eq!(listed(&server, &bob, "&mine=false").await?, asked);
    assert_eq!(listed(&server, &bob, "&mine=true").await?.len(), 0);

    // To others it is not there, also where they know it.
    assert_eq!(listed(&server, &eve, "").await?.len(), 0);
    for id in [approval, &Uuid::now_v7().to_string()] {
        assert_eq!(
            refused(&see(&server, &eve, id).await?),
            (404, "not-found", "")
        );
        assert_eq!(
            refused(&decide(&server, &eve, id, approve()).await?),
            (404, "not-found", "")
        );
    }
    // Administrators see it, and are not asked.
    let admin = eve.with_scope(database, "admin:all").await?;
    assert_eq!(see(&server, &admin, approval).await?.0, 200);
    assert_eq!(listed(&server, &admin, "").await?, asked);
    assert_eq!(listed(&server, &admin, "&mine=false").await?.len(), 0);
    assert_eq!(
        refused(&decide(&server, &admin, approval, approve()).await?),
        (403, "forbidden", "")
    );
    // Deciding needs its scope.
    let weak = bob.with_scope(database, "chat:create").await?;
    assert_eq!(
        refused(&decide(&server, &weak, approval, approve()).await?),
        (403, "forbidden", "")
    );
    assert_eq!(see(&server, &bob, approval).await?.1["state"], "pending");

    // Those who are asked have it in their inbox; the topic that more may read says nothing of what is asked.
    let (_, inbox) = bob.get(&server, "/api/inbox?kind=approval").await?;
    assert_eq!(inbox["items"][0]["link"], format!("/approvals/{approval}"));
    assert_eq!(
        told(database, &format!("account:{}", bob.id), approval).await?,
        ["approval.requested"]
    );
    let shown: i64 = sqlx::query_scalar(
        "select count(*) from events.event where topic = 'turn:1' and data::text like '%canary%'",
    )
    .fetch_one(&mut database.connect().await?)
    .await?;
    assert_eq!(shown, 0);
    assert_eq!(
        told(database, "turn:1", approval).await?,
        ["approval.requested"]
    );
    Ok(())
}

#[tokio::test]
async fn each_decides_once_about_what_it_saw() -> Result<()> {
    let World {
        server,
        ada,
        bob,
        eve,
    } = World::new().await?;
    let database = &server.database;
    let who = [ada.id, bob.id, eve.id];
    let two = Question {
        by: Some(ada.id),
        need: 2,
        ..Question::of(&who)
    };
    let approval = two.ask(database).await?;
    // Whoever asks can't decide, also when it is among those who are asked.
    assert_eq!(
        refused(&decide(&server, &ada, &approval, approve()).await?),
        (403, "forbidden", "")
    );
    let other = json!({ "decision": "approve", "digest": "sha256:2" });
    let changed = decide(&server, &bob, &approval, other).await?;
    assert_eq!(refused(&changed), (409, "approval-changed", "pending"));
    for body in [
        json!({ "decision": "maybe", "digest": "sha256:1" }),
        json!({ "decision": "approve" }),
        json!({ "decision": "approve", "digest": "" }),
        json!({ "decision": "approve", "digest": "sha256:1", "form": [1] }),
        json!({ "decision": "approve", "digest": "sha256:1", "form": { "x": "x".repeat(20_000) } }),
        json!({ "decision": "approve", "digest": "sha256:1", "reason": "x".repeat(2001) }),
    ] {
        assert_eq!(
            refused(&decide(&server, &bob, &approval, body).await?),
            (422, "invalid-input", "")
        );
    }
    let filled = json!({ "decision": "approve", "digest": "sha256:1", "form": { "days": 3 }, "reason": "fine" });
    let (status, seen) = decide(&server, &bob, &approval, filled).await?;
    assert_eq!((status, &seen["state"]), (200, &json!("pending")));
    let decision = &seen["decisions"][0];
    assert_eq!(
        (
            &decision["by"],
            &decision["decision"],
            &decision["reason"],
            &decision["form"]
        ),
        (
            &json!(bob.id),
            &json!("approve"),
            &json!("fine"),
            &json!({ "days": 3 })
        )
    );
    assert_eq!(
        refused(&decide(&server, &bob, &approval, deny()).await?),
        (409, "approval-decided", "pending")
    );
    let (status, seen) = decide(&server, &eve, &approval, approve()).await?;
    assert_eq!((status, &seen["state"]), (200, &json!("approved")));
    assert_eq!(
        refused(&decide(&server, &eve, &approval, approve()).await?),
        (409, "approval-decided", "approved")
    );
    assert_eq!(
        told(database, "turn:1", &approval).await?,
        ["approval.requested", "approval.decided"]
    );
    // Whoever asked hears of it, and nobody is asked any more.
    let (_, inbox) = ada.get(&server, "/api/inbox").await?;
    assert_eq!(inbox["items"][0]["title"], "Approved: May it be done?");
    for who in [&bob, &eve] {
        assert_eq!(who.get(&server, "/api/inbox/count").await?.1["unread"], 0);
    }

    // One who denies ends it, however many it needs.
    let approval = two.ask(database).await?;
    let (_, seen) = decide(&server, &eve, &approval, deny()).await?;
    assert_eq!(seen["state"], "denied");
    assert_eq!(
        refused(&decide(&server, &bob, &approval, approve()).await?),
        (409, "approval-decided", "denied")
    );
    assert_eq!(listed(&server, &bob, "&state=denied").await?, [approval]);

    // Where it says so, whoever asks may decide.
    let own = Question {
        own: true,
        ..Question {
            by: Some(ada.id),
            ..Question::of(&who)
        }
    };
    let approval = own.ask(database).await?;
    assert_eq!(
        decide(&server, &ada, &approval, approve()).await?.1["state"],
        "approved"
    );

    // What is taken back can't be decided.
    let approval = Question::of(&who).ask(database).await?;
    database
        .execute(&format!(
            "select inbox.void('{approval}'), inbox.void('{approval}')"
        ))
        .await?;
    assert_eq!(
        refused(&decide(&server, &bob, &approval, approve()).await?),
        (409, "approval-decided", "void")
    );
    assert_eq!(
        told(database, "turn:1", &approval).await?,
        ["approval.requested", "approval.void"]
    );
    Ok(())
}

#[tokio::test]
async fn of_many_at_once_one_decision_counts() -> Result<()> {
    let World {
        server,
        ada,
        bob,
        eve,
    } = World::new().await?;
    let database = &server.database;
    database
        .execute(
            "create table public.woken (id uuid);
             create function public.wake(approval uuid) returns void language sql
             as $$ insert into public.woken values ($1) $$;
             insert into inbox.on_decided (kind, function) values ('turn', 'public.wake')",
        )
        .await?;
    let who = [bob.id, eve.id];
    let question = Question {
        by: Some(ada.id),
        ..Question::of(&who)
    };
    let mut outcomes = std::collections::BTreeMap::new();
    for round in 0..100 {
        let approval = question.ask(database).await?;
        // Two who disagree; every other time, one who clicks twice.
        let first = decide(&server, &bob, &approval, approve());
        let second = if round % 2 == 0 {
            decide(&server, &eve, &approval, deny())
        } else {
            decide(&server, &bob, &approval, approve())
        };
        let (first, second) = join(first, second).await;
        let (mut first, mut second) = (first?, second?);
        if first.0 != 200 {
            std::mem::swap(&mut first, &mut second);
        }
        assert_eq!(first.0, 200, "{first:?} {second:?}");
        let state = first.1["state"].as_str().context("state")?.to_owned();
        assert_eq!(
            refused(&second),
            (409, "approval-decided", state.as_str()),
            "{second:?}"
        );
        let (_, seen) = see(&server, &ada, &approval).await?;
        assert_eq!(
            (&seen["state"], seen["decisions"].as_array().map(Vec::len)),
            (&json!(state), Some(1))
        );
        let decided = told(database, &format!("account:{}", ada.id), &approval).await?;
        assert_eq!(decided, ["approval.requested", "approval.decided"]);
        *outcomes.entry(state).or_insert(0) += 1;
    }
    // A decision and the end of the time, which a sweep finds out at the same moment.
    for round in 0..50 {
        let approval = question.ask(database).await?;
        let end = format!(
            "update inbox.approval set expires_at = clock_timestamp() + {round} * interval '200 microseconds'
             where id = '{approval}'"
        );
        database.execute(&end).await?;
        let sweep = database.execute("select inbox.expire(10)");
        let (decided, swept) = join(decide(&server, &bob, &approval, approve()), sweep).await;
        swept?;
        let decided = decided?;
        let state = if decided.0 == 200 {
            "approved"
        } else {
            assert_eq!(refused(&decided), (409, "approval-expired", "expired"));
            "expired"
        };
        let (_, seen) = see(&server, &ada, &approval).await?;
        assert_eq!(seen["state"], state);
        *outcomes.entry(state.to_owned()).or_insert(0) += 1;
    }
    let woken: (i64, i64) = sqlx::query_as("select count(*), count(distinct id) from public.woken")
        .fetch_one(&mut database.connect().await?)
        .await?;
    assert_eq!(woken, (150, 150), "{outcomes:?}");
    Ok(())
}

#[tokio::test]
async fn it_is_never_decided_late() -> Result<()> {
    let World {
        server, ada, bob, ..
    } = World::new().await?;
    let database = &server.database;
    let who = [bob.id];
    let soon = |expires_ms| Question {
        by: Some(ada.id),
        expires_ms,
        ..Question::of(&who)
    };
    // Nobody sweeps: it is expired for whoever looks or decides.
    let approval = soon(3_600_000).ask(database).await?;
    assert_eq!(see(&server, &bob, &approval).await?.1["state"], "pending");
    end_now(database, &approval).await?;
    assert_eq!(see(&server, &bob, &approval).await?.1["state"], "expired");
    assert_eq!(
        listed(&server, &bob, "&state=expired").await?,
        std::slice::from_ref(&approval)
    );
    assert_eq!(listed(&server, &bob, "&state=pending").await?.len(), 0);
    for _ in 0..2 {
        let late = decide(&server, &bob, &approval, approve()).await?;
        assert_eq!(refused(&late), (409, "approval-expired", "expired"));
    }
    assert_eq!(
        told(database, "turn:1", &approval).await?,
        ["approval.requested", "approval.expired"]
    );

    // Sent in time, it waits for the row until it is too late.
    let approval = soon(2000).ask(database).await?;
    let row = format!("select from inbox.approval where id = '{approval}' for update");
    let held = database.hold(&row).await?;
    let waits = decide(&server, &bob, &approval, approve());
    let release = async {
        until_late(database, &approval).await?;
        held.release().await
    };
    let (late, released) = join(waits, release).await;
    released?;
    assert_eq!(refused(&late?), (409, "approval-expired", "expired"));

    // Who waits hears of it without anybody's decision.
    let approval = soon(3_600_000).ask(database).await?;
    end_now(database, &approval).await?;
    let ended: i32 = sqlx::query_scalar("select inbox.expire(10)")
        .fetch_one(&mut database.connect().await?)
        .await?;
    assert_eq!(ended, 1);
    assert_eq!(
        told(database, "turn:1", &approval).await?,
        ["approval.requested", "approval.expired"]
    );
    Ok(())
}

/// Brings an approval's end forward, to the millisecond that has just passed.
async fn end_now(database: &Database, approval: &str) -> Result<()> {
    let end = format!(
        "update inbox.approval set expires_at = clock_timestamp() - interval '1 millisecond' where id = '{approval}'"
    );
    database.execute(&end).await
}

/// Returns in the millisecond after an approval's end.
async fn until_late(database: &Database, approval: &str) -> Result<()> {
    let sleep = format!(
        "select pg_sleep(greatest(extract(epoch from expires_at - clock_timestamp()), 0) + 0.001)
         from inbox.approval where id = '{approval}'"
    );
    database.execute(&sleep).await
}

#[tokio::test]
async fn a_team_decides_by_those_who_are_in_it() -> Result<()> {
    let World {
        server,
        ada,
        bob,
        eve,
    } = World::new().await?;
    let database = &server.database;
    let new = json!({ "name": "research", "description": "" });
    let (_, team) = ada.send(&server, "POST", "/api/teams", &new).await?;
    let team: Uuid = team["id"].as_str().context("id")?.parse()?;
    let member = |who: &Agent| format!("/api/teams/{team}/members/{}", who.id);
    let put = json!({ "role": "member" });
    assert_eq!(ada.send(&server, "PUT", &member(&bob), &put).await?.0, 204);
    let who = [team];
    let approval = Question {
        need: 2,
        ..Question::of(&who)
    }
    .ask(database)
    .await?;
    let (_, seen) = see(&server, &bob, &approval).await?;
    assert_eq!(seen["who"], json!({ "accounts": [], "teams": [team] }));
    assert_eq!(refused(&see(&server, &eve, &approval).await?).0, 404);

    // Bob leaves and eve comes.
    assert_eq!(ada.send(&server, "PUT", &member(&eve), &put).await?.0, 204);
    assert_eq!(
        ada.send(&server, "DELETE", &member(&bob), &json!({}))
            .await?
            .0,
        204
    );
    assert_eq!(
        refused(&decide(&server, &bob, &approval, approve()).await?),
        (404, "not-found", "")
    );
    assert_eq!(refused(&see(&server, &bob, &approval).await?).0, 404);
    assert_eq!(listed(&server, &bob, "").await?.len(), 0);
    assert_eq!(
        listed(&server, &eve, "").await?,
        std::slice::from_ref(&approval)
    );
    assert_eq!(
        decide(&server, &eve, &approval, approve()).await?.1["state"],
        "pending"
    );
    assert_eq!(
        decide(&server, &ada, &approval, approve()).await?.1["state"],
        "approved"
    );

    // Addressed in several ways, it is listed once.
    let who = [team, ada.id];
    let approval = Question {
        by: Some(ada.id),
        ..Question::of(&who)
    }
    .ask(database)
    .await?;
    let all = listed(&server, &ada, "").await?;
    assert_eq!(all.iter().filter(|id| **id == approval).count(), 1);
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_decided_is_not_asked() -> Result<()> {
    let World {
        server, ada, bob, ..
    } = World::new().await?;
    let both = [ada.id, bob.id];
    let strangers = [ada.id, Uuid::now_v7()];
    for (question, name) in [
        (
            Question {
                need: 3,
                ..Question::of(&both)
            },
            "approval_need_met",
        ),
        (
            Question {
                by: Some(ada.id),
                need: 2,
                ..Question::of(&both)
            },
            "approval_need_met",
        ),
        (Question::of(&strangers), "approval_who_known"),
        (
            Question {
                expires_ms: 0,
                ..Question::of(&both)
            },
            "approval_not_late",
        ),
        (
            Question {
                need: 0,
                ..Question::of(&both)
            },
            "approval_need_positive",
        ),
        (
            Question {
                subject: "turn",
                ..Question::of(&both)
            },
            "approval_subject_form",
        ),
    ] {
        let refused = question.ask(&server.database).await.err().context(name)?;
        let constraint = refused
            .as_database_error()
            .and_then(|error| error.constraint());
        assert_eq!(constraint, Some(name), "{refused}");
    }
    assert_eq!(bob.get(&server, "/api/inbox/count").await?.1["unread"], 0);
    Ok(())
}

#[tokio::test]
async fn a_decision_and_what_follows_from_it_are_one() -> Result<()> {
    let World {
        server, ada, bob, ..
    } = World::new().await?;
    let database = &server.database;
    database
        .execute(
            "create function public.fail(approval uuid) returns void language plpgsql
             as $$ begin raise exception 'not yet'; end $$;
             insert into inbox.on_decided (kind, function) values ('turn', 'public.fail')",
        )
        .await?;
    let who = [bob.id];
    let approval = Question {
        by: Some(ada.id),
        ..Question::of(&who)
    }
    .ask(database)
    .await?;
    assert_eq!(decide(&server, &bob, &approval, approve()).await?.0, 500);
    let (_, seen) = see(&server, &bob, &approval).await?;
    assert_eq!(
        (&seen["state"], &seen["decisions"]),
        (&json!("pending"), &json!([]))
    );
    assert_eq!(
        told(database, "turn:1", &approval).await?,
        ["approval.requested"]
    );
    database.execute("delete from inbox.on_decided").await?;
    assert_eq!(decide(&server, &bob, &approval, approve()).await?.0, 200);

    // A leaver's open questions are taken back, and its words go.
    let open = Question {
        by: Some(ada.id),
        ..Question::of(&who)
    }
    .ask(database)
    .await?;
    database
        .execute(&format!("select inbox.forget_account('{}')", ada.id))
        .await?;
    let (_, seen) = see(&server, &bob, &open).await?;
    assert_eq!(
        (&seen["state"], &seen["detail"]),
        (&json!("void"), &json!(""))
    );
    database
        .execute(&format!("select inbox.forget_account('{}')", bob.id))
        .await?;
    assert_eq!(see(&server, &bob, &open).await?.0, 404);
    Ok(())
}
