//! Branches, failures, waits, approvals and restarts of runs.

use super::world::{World, transform};
use anyhow::{Context, Result};
use e2e::{agents::Agent, client::refusal};
use serde_json::json;
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

#[tokio::test]
async fn an_untaken_branch_is_skipped_and_data_is_never_an_expression() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({
        "nodes": {
            "check": {"type": "condition", "cases": [{"name": "long", "when": "size(input.text) > 100"}], "else": "short"},
            "cut": transform("input.numbers[9]"), "cut2": transform("nodes.cut.output"),
            "keep": {"type": "transform", "value": {"text": {"$": "input.text"}, "plain": "${input}"}},
            "some": {"type": "filter", "items": "input.numbers", "where": "item > 1 && index < 2"},
            "deep": transform(&vec!["1"; 100].join("+")),
            "off": {"type": "transform", "value": 1, "when": "false"},
            "out": {"type": "merge"},
        },
        "edges": [
            {"from": "check", "to": "cut", "on": "long"}, {"from": "cut", "to": "cut2"}, {"from": "cut2", "to": "out"},
            {"from": "check", "to": "keep", "on": "short"}, {"from": "keep", "to": "out"},
        ],
        "result": {"out": {"$": "nodes.out.output"}, "some": {"$": "nodes.some.output"}, "cut": {"$": "nodes.cut.output"}},
    });
    let input = json!({"text": "{{1+1}} {\"$\": \"run.id\"}", "numbers": [1, 2, 3]});
    // There is no tenth number: only the branch that is not taken asks for it.
    let run = world.start("branches", definition, input.clone()).await?;
    let run_ended = world.ended(&run).await?;
    assert_eq!(run_ended["status"], "succeeded", "{run_ended}");
    let expected = json!({"out": {"keep": {"text": input["text"], "plain": "${input}"}},
        "some": {"kept": [2], "dropped": [1, 3]}, "cut": null});
    assert_eq!(run_ended["result"], expected);
    let statuses = json!({"check": "succeeded", "cut": "skipped", "cut2": "skipped", "deep": "succeeded", "keep": "succeeded",
        "off": "skipped", "out": "succeeded", "some": "succeeded"});
    assert_eq!(world.statuses(&run).await?, statuses);
    Ok(())
}

#[tokio::test]
async fn a_failure_fails_the_run_unless_something_leads_on() -> Result<()> {
    let world = World::new().await?;
    for (name, extra, edges, status, code) in [
        (
            "fails",
            json!({}),
            json!([{"from": "a", "to": "b"}]),
            "failed",
            json!("expression-failed"),
        ),
        (
            "goes-on",
            json!({"on_error": "continue"}),
            json!([{"from": "a", "to": "b"}]),
            "succeeded",
            json!(null),
        ),
        (
            "handles",
            json!({}),
            json!([{"from": "a", "to": "b", "on": "error"}]),
            "succeeded",
            json!(null),
        ),
        (
            "invalid",
            json!({"value": {"$": "'\\u0000'"}}),
            json!([]),
            "failed",
            json!("output-invalid"),
        ),
        (
            "large",
            json!({"value": {"$": "input.x + input.x"}}),
            json!([]),
            "failed",
            json!("output-too-large"),
        ),
    ] {
        let mut node = json!({"type": "transform", "value": {"$": "1 / 0"}});
        for (field, value) in extra.as_object().context("fields")? {
            node[field] = value.clone();
        }
        let definition = json!({"nodes": {"a": node, "b": transform("'done'")}, "edges": edges});
        let run = world
            .start(name, definition, json!({"x": "x".repeat(600_000)}))
            .await?;
        let run = world.ended(&run).await?;
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&json!(status), &code),
            "{name}: {}",
            run["error"]
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_waiting_run_holds_no_job_and_a_signal_counts_once() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({
        "nodes": {
            "first": {"type": "wait", "any": [{"signal": "go"}]},
            "second": {"type": "wait", "any": [{"for_ms": 86_400_000}, {"signal": "go"}]},
            "third": {"type": "wait", "any": [{"for_ms": 1}]},
        },
        "edges": [{"from": "first", "to": "second"}, {"from": "second", "to": "third"}],
        "result": [{"$": "nodes.first.output"}, {"$": "nodes.second.output"}, {"$": "nodes.third.output"}],
    });
    let run = world.start("waits", definition, json!(null)).await?;
    world.waits(&run, "first").await?;
    assert_eq!(
        world
            .number("select count(*) from pipelines.run where job_id is not null")
            .await?,
        0
    );
    let signal = json!({"id": "1", "data": {"n": 1}});
    for _ in 0..2 {
        let sent = world
            .call("POST", &format!("{run}/signals/go"), signal.clone())
            .await?;
        assert_eq!(sent.0, 202, "{sent:?}");
    }
    world.waits(&run, "second").await?;
    world
        .call(
            "POST",
            &format!("{run}/signals/go"),
            json!({"id": "2", "data": 2}),
        )
        .await?;
    let ended = world.ended(&run).await?;
    let expected = json!([{"which": 0, "data": {"n": 1}}, {"which": 1, "data": 2}, {"which": 0, "data": null}]);
    assert_eq!(
        (&ended["status"], &ended["result"]),
        (&json!("succeeded"), &expected)
    );
    let timers = "select count(*) from jobs.job where kind = 'pipeline-run' and finished_at is null and run_at > now() + interval '1 hour'";
    assert_eq!(world.number(timers).await?, 0, "no timer is left");
    let refused = world
        .call("POST", &format!("{run}/signals/go"), json!({}))
        .await?;
    assert_eq!(refusal(&refused), (409, "run-finished"));
    Ok(())
}

#[tokio::test]
async fn an_approval_is_decided_by_somebody_else() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let ask = json!({"type": "approval", "who": [bob.id], "question": {"$": "'Publish ' + input.name + '?'"}});
    let mut never = ask.clone();
    never["when"] = json!("false");
    let definition = json!({
        "nodes": {"ask": ask, "never": never, "behind": transform("1")},
        "edges": [{"from": "never", "to": "behind"}],
        "result": {"$": "nodes.ask.output.decision"},
    });
    let run = world
        .start("review", definition, json!({"name": "it"}))
        .await?;
    world.waits(&run, "ask").await?;
    let (_, open) = bob
        .get(&world.server, "/api/approvals?state=pending")
        .await?;
    assert_eq!(
        open["items"].as_array().map(Vec::len),
        Some(1),
        "the skipped one asks nobody: {open}"
    );
    let approval = &open["items"][0];
    assert_eq!(approval["question"], "Publish it?");
    let path = format!(
        "/api/approvals/{}/decision",
        approval["id"].as_str().context("id")?
    );
    let decision = json!({"decision": "approve", "digest": approval["digest"]});
    let refused = world.call("POST", &path, decision.clone()).await?;
    assert_eq!(refused.0, 403, "{refused:?}");
    let decided = bob.send(&world.server, "POST", &path, &decision).await?;
    assert_eq!(decided.0, 200, "{decided:?}");
    let ended = world.ended(&run).await?;
    assert_eq!(
        (&ended["status"], &ended["result"]),
        (&json!("succeeded"), &json!("approved"))
    );
    let statuses = json!({"ask": "succeeded", "never": "skipped", "behind": "skipped"});
    assert_eq!(world.statuses(&run).await?, statuses);
    Ok(())
}

#[tokio::test]
async fn cancelled_is_final_and_a_run_restarts_from_a_step() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({
        "nodes": {"a": transform("input.n"), "hold": {"type": "wait", "any": [{"signal": "go"}]}, "b": transform("nodes.a.output + 1")},
        "edges": [{"from": "a", "to": "hold"}, {"from": "hold", "to": "b"}],
        "result": {"$": "nodes.b.output"},
    });
    let run = world.start("restart", definition, json!({"n": 1})).await?;
    world.waits(&run, "hold").await?;
    let cancelled = world
        .call(
            "POST",
            &format!("{run}/cancel"),
            json!({"reason": "a mistake"}),
        )
        .await?;
    assert_eq!(
        (cancelled.0, &cancelled.1["status"]),
        (202, &json!("cancelled"))
    );
    let again = world
        .call("POST", &format!("{run}/cancel"), json!({}))
        .await?;
    assert_eq!(again.0, 202, "harmless to repeat");
    assert_eq!(world.statuses(&run).await?["hold"], "cancelled");

    let from = json!({"from": "hold", "outputs": {"a": 41}});
    let (status, other) = world.call("POST", &format!("{run}/restart"), from).await?;
    assert_eq!(
        (status, &other["cause"]),
        (202, &json!("restart")),
        "{other}"
    );
    let other = format!("/api/runs/{}", other["id"].as_str().context("id")?);
    world.waits(&other, "hold").await?;
    world
        .call("POST", &format!("{other}/signals/go"), json!({}))
        .await?;
    let ended = world.ended(&other).await?;
    assert_eq!(
        (&ended["status"], &ended["result"]),
        (&json!("succeeded"), &json!(42))
    );
    for from in ["nowhere", "a[1].b"] {
        let unknown = world
            .call("POST", &format!("{run}/restart"), json!({"from": from}))
            .await?;
        assert_eq!(refusal(&unknown), (404, "unknown-step"), "{from}");
    }
    Ok(())
}

#[tokio::test]
async fn outputs_that_are_given_count_though_their_steps_have_never_been() -> Result<()> {
    let world = World::new().await?;
    let signal = json!({"type": "wait", "any": [{"signal": "go"}]});
    let check = json!({"type": "condition", "cases": [{"name": "long", "when": "input.n > 1"}], "else": "short"});
    let definition = json!({
        "nodes": {"check": check, "hold": signal, "next": {"type": "transform", "value": "computed"},
            "yes": transform("'long'"), "no": transform("'short'"), "last": {"type": "merge"}},
        "edges": [{"from": "check", "to": "yes", "on": "long"}, {"from": "check", "to": "no", "on": "short"},
            {"from": "hold", "to": "next"}, {"from": "yes", "to": "last"}, {"from": "no", "to": "last"}],
        "result": {"$": "[nodes.last.output, nodes.next.output]"},
    });
    let run = world.start("given", definition, json!({"n": 2})).await?;
    world.waits(&run, "hold").await?;
    world
        .call("POST", &format!("{run}/cancel"), json!({}))
        .await?;
    let outputs = json!({"hold": 1, "next": "given", "check": {"case": "short"}});
    let from = json!({"from": "no", "outputs": outputs});
    let (status, other) = world.call("POST", &format!("{run}/restart"), from).await?;
    assert_eq!(status, 202, "{other}");
    let other = format!("/api/runs/{}", other["id"].as_str().context("id")?);
    let ended = world.ended(&other).await?;
    assert_eq!(
        (&ended["status"], &ended["result"][1]),
        (&json!("succeeded"), &json!("given")),
        "{ended}"
    );
    assert_eq!(ended["result"][0]["no"], "short", "{ended}");
    Ok(())
}

#[tokio::test]
async fn a_run_does_not_begin_before_its_time_whatever_happens() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({"nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}}});
    let new = json!({"name": "later", "definition": definition});
    assert_eq!(world.call("POST", "/api/pipelines", new).await?.0, 201);
    let at = OffsetDateTime::now_utc() + Duration::from_secs(6);
    let begin = json!({"start_at": at.format(&Rfc3339)?});
    let (status, run) = world
        .call("POST", "/api/pipelines/later/runs", begin)
        .await?;
    assert_eq!((status, &run["status"]), (202, &json!("queued")), "{run}");
    let run = format!("/api/runs/{}", run["id"].as_str().context("id")?);
    for what in ["signals/go", "pause", "resume"] {
        let told = world
            .call("POST", &format!("{run}/{what}"), json!({}))
            .await?;
        assert_eq!(told.0, 202, "{told:?}");
    }
    let mut database = world.server.database.connect().await?;
    sqlx::query("delete from jobs.job where kind = 'pipeline-run'")
        .execute(&mut database)
        .await?;
    sqlx::query("select pipelines.sweep(10)")
        .execute(&mut database)
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, still) = world.ada.get(&world.server, &run).await?;
    assert_eq!(
        (&still["status"], &still["started_at"]),
        (&json!("queued"), &json!(null)),
        "{still}"
    );
    // The signal is kept until then.
    let ended = world.ended(&run).await?;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let started = ended["started_at"].as_str().context("started_at")?;
    assert!(OffsetDateTime::parse(started, &Rfc3339)? >= at, "{ended}");
    Ok(())
}

#[tokio::test]
async fn a_merge_has_the_outputs_of_the_branches_that_were_taken() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({
        "nodes": {
            "check": {"type": "condition", "cases": [{"name": "long", "when": "true"}], "else": "short"},
            "sum": transform("42"), "fails": {"type": "transform", "value": {"$": "1 / 0"}, "on_error": "continue"},
            "out": {"type": "merge"},
        },
        "edges": [{"from": "check", "to": "sum", "on": "long"}, {"from": "check", "to": "out", "on": "short"},
            {"from": "sum", "to": "out"}, {"from": "fails", "to": "out"}],
        "result": {"$": "nodes.out.output"},
    });
    let run = world.start("merges", definition, json!(null)).await?;
    let ended = world.ended(&run).await?;
    assert_eq!(
        ended["result"],
        json!({"sum": 42, "fails": null}),
        "{ended}"
    );
    Ok(())
}
