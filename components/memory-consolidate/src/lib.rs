//! Consolidates the memories of a scope: those that say the same are merged into one, and those that have faded are
//! archived. Nothing is deleted, and whatever changes meanwhile is left alone. Without a scope, each night, it has all of
//! them consolidated, one job each.
//!
//! No model decides: a wrong merge loses what somebody knew, while two memories of one meaning cost only a line.

mod near;
mod paraphrase;
mod wording;

use std::collections::{BTreeMap, BTreeSet};

use guest::{Db, Failure, Job, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use wording::Wording;

/// The number of memories that are read at a time.
const PAGE: i32 = 1_000;
/// The largest number of memories of a scope that are compared.
const MAX_MEMORIES: usize = 50_000;
/// The largest number of entries in each list of the result.
const MAX_LISTED: usize = 1_000;

/// The arguments: a space, or none for all of them.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    space: Option<Uuid>,
    #[serde(default)]
    dry_run: bool,
}

/// The result of a consolidation.
#[derive(Debug, Default, Serialize)]
pub struct Consolidation {
    /// Whether nothing was done, and the lists tell only what would be.
    dry_run: bool,
    merged: Vec<Merge>,
    archived: Vec<Archival>,
    /// The memories that have changed or gone meanwhile, and were left alone.
    refused: Vec<Refusal>,
    /// The number of scopes that are consolidated by jobs of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<u32>,
}

/// Memories that became one.
#[derive(Debug, Serialize)]
struct Merge {
    kept: Uuid,
    merged: Vec<Uuid>,
    reason: String,
}

/// A memory that was archived.
#[derive(Debug, Serialize)]
struct Archival {
    id: Uuid,
    reason: String,
}

/// Memories that were left alone.
#[derive(Debug, Serialize)]
struct Refusal {
    ids: Vec<Uuid>,
    reason: &'static str,
}

/// An active memory.
#[derive(Debug, Clone, Deserialize)]
struct Memory {
    id: Uuid,
    version: i32,
    content: String,
    kind: String,
    trust: String,
    key: Option<String>,
    importance: f64,
    uses: i64,
    #[serde(with = "time::serde::rfc3339")]
    valid_from: OffsetDateTime,
}

/// What memories have to agree in to be one, beside their wording: a key names one thing, and two events are two. What a
/// stranger taught stays apart from what is known otherwise, so that it neither gains trust nor takes any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness {
    wording: Wording,
    kind: String,
    trust: String,
    key: Option<String>,
    day: Option<time::Date>,
}

impl Memory {
    fn likeness(&self) -> Likeness {
        Likeness {
            wording: Wording::of(&self.content),
            kind: self.kind.clone(),
            trust: self.trust.clone(),
            key: self.key.clone(),
            day: (self.kind == "event").then(|| self.valid_from.date()),
        }
    }
}

/// Consolidates one space, or has all of them consolidated.
///
/// # Errors
/// The database failed. What was merged before stays merged, and another attempt goes on.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Consolidation, Failure> {
    let Some(space) = job.payload.space else {
        #[derive(Deserialize)]
        struct Row {
            enqueued: u32,
        }
        let row: Row = db
            .one("select enqueued from consolidate_all($1)", args![job.id])
            .await?;
        return Ok(Consolidation {
            scopes: Some(row.enqueued),
            ..Consolidation::default()
        });
    };
    let mut result = Consolidation {
        dry_run: job.payload.dry_run,
        ..Consolidation::default()
    };
    let memories = read(&db, space, &job).await?;
    job.progress(20, "merging");
    let mut merged = BTreeSet::new();
    for group in groups(memories) {
        if job.is_cancelled() || result.merged.len() >= MAX_LISTED {
            break;
        }
        merged.extend(group.iter().map(|memory| memory.id));
        let reason = reason(&group);
        merge(&db, group, reason, &mut result).await?;
    }
    job.progress(40, "comparing meanings");
    near::merge_near(&db, space, &job, merged, &mut result).await?;
    job.progress(80, "archiving");
    archive(&db, space, &mut result).await?;
    if !result.dry_run {
        let count = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
        db.execute(
            "select end_consolidation($1, $2, $3)",
            args![
                space,
                count(result.merged.len()),
                count(result.archived.len())
            ],
        )
        .await?;
    }
    Ok(result)
}

/// Reads the active memories of a space.
async fn read(db: &Db, space: Uuid, job: &Job<Arguments>) -> Result<Vec<Memory>, Failure> {
    let mut memories: Vec<Memory> = Vec::new();
    loop {
        let after = memories.last().map(|memory| memory.id);
        let page: Vec<Memory> = db
            .many(
                "select id, version, content, kind, trust, key, importance, uses, valid_from from active_in($1, $2, $3)",
                args![space, after, PAGE],
            )
            .await?;
        let is_last = page.len() < PAGE as usize;
        memories.extend(page);
        if is_last || memories.len() >= MAX_MEMORIES || job.is_cancelled() {
            return Ok(memories);
        }
    }
}

/// Groups memories that are alike, each with the one to keep first.
fn groups(memories: Vec<Memory>) -> Vec<Vec<Memory>> {
    let mut groups: BTreeMap<Likeness, Vec<Memory>> = BTreeMap::new();
    for memory in memories {
        groups.entry(memory.likeness()).or_default().push(memory);
    }
    let mut groups: Vec<_> = groups
        .into_values()
        .filter(|group| group.len() > 1)
        .collect();
    for group in &mut groups {
        sort_by_worth(group);
    }
    groups.sort_by_key(|group| group[0].id);
    groups
}

/// Puts the memory to keep first: the most important, the most used, the oldest.
fn sort_by_worth(group: &mut [Memory]) {
    group.sort_by(|a, b| {
        let worth = b
            .importance
            .total_cmp(&a.importance)
            .then(b.uses.cmp(&a.uses));
        worth.then(a.id.cmp(&b.id))
    });
}

/// The reason for which a group of the same wording is merged.
fn reason(group: &[Memory]) -> String {
    let is_same = group.iter().all(|one| one.content == group[0].content);
    let reason = if is_same {
        "The text is the same."
    } else {
        "The words are the same, with the same numbers, names and negations; only articles, case or punctuation differ."
    };
    reason.to_owned()
}

/// Merges a group into its first memory, unless one of them has changed since it was read; returns whether it did.
async fn merge(
    db: &Db,
    group: Vec<Memory>,
    reason: String,
    result: &mut Consolidation,
) -> Result<bool, Failure> {
    let Some((kept, others)) = group.split_first() else {
        return Ok(false);
    };
    #[derive(Deserialize)]
    struct Row {
        done: bool,
    }
    let merged: Vec<_> = others
        .iter()
        .map(|memory| json!({"id": memory.id, "version": memory.version}))
        .collect();
    let done = result.dry_run || {
        let row: Row = db
            .one(
                "select memory.merge($1, $2, $3) as done",
                args![kept.id, kept.version, json!(merged)],
            )
            .await?;
        row.done
    };
    let ids = others.iter().map(|memory| memory.id);
    if done {
        result.merged.push(Merge {
            kept: kept.id,
            merged: ids.collect(),
            reason,
        });
    } else {
        result.refused.push(Refusal {
            ids: std::iter::once(kept.id).chain(ids).collect(),
            reason: "One of them has changed meanwhile.",
        });
    }
    Ok(done)
}

async fn archive(db: &Db, space: Uuid, result: &mut Consolidation) -> Result<(), Failure> {
    #[derive(Debug, Deserialize, Serialize)]
    struct Faded {
        id: Uuid,
        version: i32,
        reason: String,
    }
    #[derive(Deserialize)]
    struct Row {
        id: Uuid,
    }
    let faded: Vec<Faded> = db
        .many(
            "select id, version, reason from fading($1, $2)",
            args![space, MAX_LISTED as i32],
        )
        .await?;
    let mut done: Vec<Uuid> = faded.iter().map(|faded| faded.id).collect();
    if !result.dry_run {
        let rows: Vec<Row> = db
            .many("select id from archive($1) id", args![json!(faded)])
            .await?;
        done = rows.into_iter().map(|row| row.id).collect();
    }
    for Faded { id, reason, .. } in faded {
        if done.contains(&id) {
            result.archived.push(Archival { id, reason });
        } else {
            result.refused.push(Refusal {
                ids: vec![id],
                reason: "It has changed meanwhile.",
            });
        }
    }
    Ok(())
}

guest::export_job!(super::run);

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(id: u128, content: &str, trust: &str, importance: f64) -> Memory {
        Memory {
            id: Uuid::from_u128(id),
            version: 1,
            content: content.to_owned(),
            kind: "fact".to_owned(),
            trust: trust.to_owned(),
            key: None,
            importance,
            uses: 0,
            valid_from: OffsetDateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_most_important_is_kept_and_no_trust_is_mixed() {
        let groups = groups(vec![
            memory(1, "The door is green", "own", 0.2),
            memory(2, "the door is green.", "own", 0.9),
            memory(3, "the door is green", "stranger", 1.0),
            memory(4, "the door is not green", "own", 1.0),
        ]);
        let ids: Vec<Vec<u128>> = groups
            .iter()
            .map(|group| group.iter().map(|memory| memory.id.as_u128()).collect())
            .collect();
        assert_eq!(ids, [[2, 1]]);
    }
}
