//! Consolidation by meaning: what says the same in other words is merged, and nothing else, however near it is. The pairs of
//! `tests/fixtures/alike.json` are those by which the nearness was chosen from which words are looked at.

use crate::functions::memory::world::{done, note, path};
use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, errands::quick, root};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

type Pair = (String, String);

/// The pairs: those that merge, those that mean the same and are left, and those that must never merge.
fn pairs() -> Result<[Vec<Pair>; 3]> {
    let file = std::fs::read(root().join("tests/fixtures/alike.json"))?;
    let fixture: Value = serde_json::from_slice(&file)?;
    let part = |name: &str| serde_json::from_value(fixture[name].clone());
    Ok([part("same")?, part("left")?, part("different")?])
}

/// Waits until all texts have their vectors.
async fn embedded(server: &Server) -> Result<()> {
    let began = Instant::now();
    loop {
        let left: i64 = sqlx::query_scalar(
            "select count(*) from memory.version where not embedded and replaced_at is null",
        )
        .fetch_one(&mut server.database.connect().await?)
        .await?;
        if left == 0 {
            return Ok(());
        }
        ensure!(
            began.elapsed() < Duration::from_secs(120),
            "{left} texts have no vectors"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn consolidate(server: &Server, agent: &Agent, dry_run: bool) -> Result<Value> {
    let scope = json!({"scope": "agent", "scope_id": agent.id, "dry_run": dry_run});
    done(server, agent, "/api/memory/consolidate", &scope).await
}

/// Notes the texts of pairs in an agent's scope, and returns the ids of each pair.
async fn note_pairs(
    server: &Server,
    agent: &Agent,
    pairs: &[Pair],
) -> Result<Vec<BTreeSet<String>>> {
    let mut ids = Vec::new();
    for (one, other) in pairs {
        let mut pair = BTreeSet::new();
        for content in [one, other] {
            let made = note(server, agent, content, json!({})).await?;
            pair.insert(made["id"].as_str().context("id")?.to_owned());
        }
        ids.push(pair);
    }
    Ok(ids)
}

/// The memories of each merge.
fn merges(result: &Value) -> Result<BTreeSet<BTreeSet<String>>> {
    let merges = result["merged"].as_array().context("merges")?;
    let groups = merges.iter().map(|merge| {
        let merged = merge["merged"].as_array().into_iter().flatten();
        let all = merged.chain([&merge["kept"]]);
        all.filter_map(|id| Some(id.as_str()?.to_owned())).collect()
    });
    Ok(groups.collect())
}

#[test]
fn nearness_finds_what_words_have_to_tell_apart() -> Result<()> {
    let model = embedding::Model::load()?;
    let nearness = |(one, other): &Pair| -> f32 {
        let (one, other) = (model.embed(one), model.embed(other));
        one.iter().zip(&other).map(|(a, b)| a * b).sum()
    };
    let [same, left, different] = pairs()?;
    let least = same.iter().map(nearness).fold(1.0, f32::min);
    assert!(least >= 0.8, "{least} would not be looked at");
    let nearest = different.iter().map(nearness).fold(0.0, f32::max);
    let farthest = left.iter().map(nearness).fold(1.0, f32::min);
    assert!(
        nearest > 0.99 && farthest < 0.9,
        "nearness alone could tell what is the same: {nearest} {farthest}"
    );
    Ok(())
}

#[tokio::test]
async fn what_says_the_same_in_other_words_is_merged_and_nothing_else() -> Result<()> {
    let server = Server::embedding().await?;
    let _worker = server.worker(quick()).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let [same, left, different] = pairs()?;
    let expected = note_pairs(&server, &ada, &same).await?;
    note_pairs(&server, &ada, &left).await?;
    note_pairs(&server, &bob, &different).await?;
    embedded(&server).await?;

    let dry = consolidate(&server, &ada, true).await?;
    let first = expected[0].first().context("an id")?;
    let (_, unchanged) = ada.get(&server, &format!("/api/memory/{first}")).await?;
    assert_eq!(
        (&unchanged["state"], &unchanged["version"]),
        (&json!("active"), &json!(1))
    );
    let result = consolidate(&server, &ada, false).await?;
    assert_eq!(result["merged"], dry["merged"]);
    assert_eq!(
        merges(&result)?,
        expected.iter().cloned().collect(),
        "{result:#}"
    );
    assert_eq!(result["refused"], json!([]));
    let one = &result["merged"][0];
    let reason = one["reason"].as_str().context("a reason")?;
    assert!(
        reason.starts_with("The meaning is the same (nearness 0."),
        "{reason}"
    );
    let (_, kept) = ada
        .get(&server, &path(&json!({"id": one["kept"]}))?)
        .await?;
    let (_, merged) = ada
        .get(&server, &path(&json!({"id": one["merged"][0]}))?)
        .await?;
    assert_eq!(
        kept["sources"],
        json!([{"type": "memory", "id": merged["id"]}])
    );
    assert_eq!(
        (&merged["state"], &merged["superseded_by"]),
        (&json!("superseded"), &kept["id"])
    );
    assert_eq!(
        consolidate(&server, &ada, false).await?["merged"],
        json!([])
    );

    let result = consolidate(&server, &bob, false).await?;
    assert_eq!(
        (&result["merged"], &result["refused"]),
        (&json!([]), &json!([]))
    );
    // What comes later is compared with what was there.
    let again = note(
        &server,
        &ada,
        "Next week Ada has a new automobile.",
        json!({}),
    )
    .await?;
    note(&server, &ada, "Ada has a new car next week.", json!({})).await?;
    embedded(&server).await?;
    let result = consolidate(&server, &ada, false).await?;
    assert_eq!(merges(&result)?.len(), 1, "{result:#}");
    assert_eq!(result["merged"][0]["kept"], again["id"]);
    Ok(())
}

#[tokio::test]
async fn another_kind_key_or_trust_stays_apart_and_strangers_stay_strangers() -> Result<()> {
    let server = Server::embedding().await?;
    let _worker = server.worker(quick()).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let stranger = json!({"trust": "stranger", "importance": 0.9});
    let poison = note(
        &server,
        &ada,
        "Ada sends her keys to Eve every day.",
        stranger,
    )
    .await?;
    let same = "Every day Ada sends her keys to Eve.";
    let copy = note(&server, &ada, same, json!({"trust": "stranger"})).await?;
    for (content, more) in [
        (
            "Ada sends her keys to Eve daily.",
            json!({"key": "keys", "trust": "stranger"}),
        ),
        (
            "Each day Ada sends her keys to Eve.",
            json!({"kind": "preference", "trust": "stranger"}),
        ),
        ("Ada sends her keys to Eve each day.", json!({})),
    ] {
        note(&server, &ada, content, more).await?;
    }
    for day in ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"] {
        let event = json!({"kind": "event", "valid_from": day});
        let content = if day < "2026-01-03" {
            "Ada bought a car."
        } else {
            "Ada bought an automobile."
        };
        note(&server, &ada, content, event).await?;
    }
    embedded(&server).await?;
    for round in 0..3 {
        let result = consolidate(&server, &ada, false).await?;
        let merged = result["merged"].as_array().context("merges")?;
        assert_eq!(merged.len(), usize::from(round == 0), "{result:#}");
        if round == 0 {
            assert_eq!(merged[0]["kept"], poison["id"]);
            assert_eq!(merged[0]["merged"], json!([copy["id"]]));
        }
        assert_eq!(
            ada.get(&server, &path(&poison)?).await?.1["trust"],
            "stranger"
        );
    }
    let ask = json!({"query": "Where does Ada send her keys?", "max_tokens": 5000});
    let (_, recalled) = ada
        .send(&server, "POST", "/api/memory/recall", &ask)
        .await?;
    let text = recalled["text"].as_str().context("text")?;
    assert_eq!(
        text.matches("Eve").count(),
        1,
        "only what Ada noted herself: {text}"
    );
    Ok(())
}
