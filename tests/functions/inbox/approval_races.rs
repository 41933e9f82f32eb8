//! Approvals that many decide at once, or nobody in time.

use super::questions::{Question, World, approve, decide, deny, listed, refused, see, told};
use anyhow::{Context, Result};
use e2e::Database;
use futures::future::join;
use serde_json::json;

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
             update inbox.on_decided set function = 'public.wake' where kind = 'turn'",
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
async fn a_decision_and_what_follows_from_it_are_one() -> Result<()> {
    let World {
        server, ada, bob, ..
    } = World::new().await?;
    let database = &server.database;
    database
        .execute(
            "create function public.fail(approval uuid) returns void language plpgsql
             as $$ begin raise exception 'not yet'; end $$;
             update inbox.on_decided set function = 'public.fail' where kind = 'turn'",
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
