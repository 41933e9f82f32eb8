//! Approvals: who may see and decide them, once and in time.

use super::questions::{Question, World, approve, decide, deny, listed, refused, see, told};
use anyhow::{Context, Result};
use e2e::agents::Agent;
use serde_json::json;
use uuid::Uuid;

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

    assert_eq!(
        (&seen["asked_by_name"], &seen["decisions"]),
        (&json!("ada"), &json!([]))
    );
    let (status, decided) = decide(&server, &bob, asked[4].as_str(), approve()).await?;
    assert_eq!(
        (status, &decided["decisions"][0]["by_name"]),
        (200, &json!("bob"))
    );

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
        (403, "approver-required", "")
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
async fn an_agent_does_not_decide_for_its_owner_who_asked() -> Result<()> {
    let World {
        server,
        ada,
        bob,
        eve,
    } = World::new().await?;
    let database = &server.database;
    let mut admin = database.connect().await?;
    sqlx::query("update identity.agent set owner_id = $1 where account_id = $2")
        .bind(ada.id)
        .bind(bob.id)
        .execute(&mut admin)
        .await?;
    let who = [bob.id, eve.id];
    let question = Question {
        by: Some(ada.id),
        ..Question::of(&who)
    };
    let approval = question.ask(database).await?;
    assert_eq!(
        refused(&decide(&server, &bob, &approval, approve()).await?),
        (403, "self-approval", "")
    );
    // Nobody is asked in vain.
    let vain = Question {
        need: 2,
        by: Some(ada.id),
        ..Question::of(&who)
    };
    let refusal = vain.ask(database).await.err().context("one is not two")?;
    let refusal = refusal.as_database_error();
    assert_eq!(
        refusal.and_then(|error| error.constraint()),
        Some("approval_need_met")
    );
    let (status, decided) = decide(&server, &eve, &approval, approve()).await?;
    assert_eq!((status, &decided["state"]), (200, &json!("approved")));
    let own = Question {
        own: true,
        ..question
    };
    let approval = own.ask(database).await?;
    assert_eq!(
        decide(&server, &bob, &approval, approve()).await?.0,
        200,
        "with `self` it can"
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
        (403, "self-approval", "")
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
