//! Memories whose meanings are near: their vectors find them, a page at a time, and their words decide. Each is compared with
//! all others of its scope once, when it is new or has changed, so each pair is looked at by the later of the two.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ::meaning::MODEL;
use guest::{Db, Failure, Job, args};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::paraphrase::agree;
use crate::{Arguments, Consolidation, MAX_LISTED, Memory, merge, sort_by_worth};

/// The number of memories that are compared with all others by one statement.
const PAGE: i32 = 20;
/// The time after which the rest is left for the next consolidation.
const WITHIN: Duration = Duration::from_secs(300);

/// A memory that was not compared yet, with those that are near.
#[derive(Debug, Deserialize)]
struct Fresh {
    memory: Memory,
    others: Vec<Near>,
}

/// A memory that is near another one.
#[derive(Debug, Clone, Deserialize)]
struct Near {
    #[serde(flatten)]
    memory: Memory,
    nearness: f64,
}

/// Merges memories that say the same in other words. Those in `merged` were merged already, and are left for the next time.
///
/// # Errors
/// The database failed. What was merged before stays merged.
pub async fn merge_near(
    db: &Db,
    space: Uuid,
    job: &Job<Arguments>,
    mut merged: BTreeSet<Uuid>,
    result: &mut Consolidation,
) -> Result<(), Failure> {
    let started = Instant::now();
    let mut after: Option<Uuid> = None;
    loop {
        let page: Vec<Fresh> = db
            .many(
                "select memory, others from alike($1, $2, $3, $4)",
                args![space, MODEL, after, PAGE],
            )
            .await?;
        let is_last = page.len() < PAGE as usize;
        after = page.last().map(|fresh| fresh.memory.id);
        let mut compared = Vec::new();
        for fresh in page {
            if merged.contains(&fresh.memory.id) {
                continue;
            }
            let this = json!({"id": fresh.memory.id, "version": fresh.memory.version});
            let Some((group, reason)) = group(fresh, &merged) else {
                compared.push(this);
                continue;
            };
            merged.extend(group.iter().map(|memory| memory.id));
            merge(db, group, reason, result).await?;
        }
        if !result.dry_run {
            let compared = json!(compared);
            db.execute("select note_compared($1)", args![compared])
                .await?;
        }
        let is_full = result.merged.len() >= MAX_LISTED || started.elapsed() > WITHIN;
        if is_last || is_full || job.is_cancelled() {
            return Ok(());
        }
    }
}

/// A memory with those that say the same, the one to keep first, and the reason; `None` if there are none.
fn group(fresh: Fresh, merged: &BTreeSet<Uuid>) -> Option<(Vec<Memory>, String)> {
    let same: Vec<Near> = fresh
        .others
        .into_iter()
        .filter(|other| !merged.contains(&other.memory.id))
        .filter(|other| agree(&fresh.memory.content, &other.memory.content))
        .collect();
    let nearness = same.iter().map(|other| other.nearness).reduce(f64::min)?;
    let mut group = vec![fresh.memory];
    group.extend(same.into_iter().map(|other| other.memory));
    sort_by_worth(&mut group);
    let reason = format!(
        "The meaning is the same (nearness {nearness:.2}), with the same numbers, names and negations; only words that mean the \
         same or the order of phrases differ."
    );
    Some((group, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(id: u128, content: &str) -> Memory {
        let value = json!({"id": Uuid::from_u128(id), "version": 1, "content": content, "kind": "fact", "trust": "own",
            "key": null, "importance": 0.5, "uses": id, "valid_from": "2026-01-02T03:04:05.678+00:00"});
        serde_json::from_value(value).expect("a memory")
    }

    #[test]
    fn words_decide_among_those_that_are_near() {
        let near = |id, content, nearness| Near {
            memory: memory(id, content),
            nearness,
        };
        let fresh = |others| Fresh {
            memory: memory(1, "Ada has a car."),
            others,
        };
        let others = vec![
            near(2, "Ada has an automobile.", 0.9),
            near(3, "Ada has no car.", 0.99),
            near(4, "Ada has a car", 0.99),
        ];
        let (group, reason) =
            super::group(fresh(others), &BTreeSet::from([Uuid::from_u128(4)])).expect("a group");
        let ids: Vec<_> = group.iter().map(|memory| memory.id.as_u128()).collect();
        assert_eq!(ids, [2, 1]);
        assert!(reason.contains("0.90"), "{reason}");
        assert!(super::group(fresh(Vec::new()), &BTreeSet::new()).is_none());
    }
}
