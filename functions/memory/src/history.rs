//! The past of a memory: its versions, what it was made from, and what was made from it.

use axum::Json;
use guest::{Caller, Db, Items, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{Kind, Source, Trust};
use crate::memories::Memory;
use crate::problems::Refused;

/// A version of a memory.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MemoryVersion {
    /// The version's number.
    version: u32,
    /// The text of this version.
    content: String,
    /// The kind of memory.
    kind: Kind,
    /// The importance from 0 to 1.
    importance: f64,
    /// The trust that the text had.
    trust: Trust,
    /// The tags of this version.
    tags: Vec<String>,
    /// The time since which it was so.
    #[serde(with = "time::serde::rfc3339")]
    valid_from: OffsetDateTime,
    /// The time from which it is archived; null for none.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// The account that wrote this version; null if the platform merged it from others.
    author: Option<Uuid>,
    /// The time at which this version was written.
    #[serde(with = "time::serde::rfc3339")]
    recorded_at: OffsetDateTime,
    /// The time at which another version took its place; null for the present one.
    #[serde(with = "time::serde::rfc3339::option")]
    replaced_at: Option<OffsetDateTime>,
}

/// Lists the versions of a memory, the newest first.
#[utoipa::path(
    get, path = "/api/memory/{memory}/history", tag = "memory", operation_id = "list_memory_versions",
    params(("memory" = Uuid, Path, description = "The memory's id."), guest::PageParams),
    responses(
        (status = 200, body = Items<MemoryVersion>),
        (status = 404, description = "`not-found`"),
        (status = 410, description = "`forgotten`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = ["memory:read"]))
)]
pub async fn versions(
    db: Db,
    caller: Caller,
    Path(memory): Path<Uuid>,
    page: Page<i32>,
) -> Result<Json<Items<MemoryVersion>>> {
    known(&db, &caller, memory).await?;
    let rows: Vec<MemoryVersion> = db
        .many(
            "select v.number as version, v.content, v.kind, round(v.importance::numeric, 4) as importance, v.trust, v.tags,
                 v.valid_from, v.expires_at, v.author, v.recorded_at, v.replaced_at
             from version v
             where v.memory_id = $1 and ($2::integer is null or v.number < $2) order by v.number desc limit $3",
            args![memory, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(rows, |version| {
        i32::try_from(version.version).unwrap_or(i32::MAX)
    })))
}

/// The neighbours of a memory along the edges of its making.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MemoryEdges {
    /// The sources that the memory was made from, as far as the caller may read them.
    made_from: Vec<Source>,
    /// The memories that were made from it, as far as the caller may read them, 100 at most.
    made_into: Vec<Uuid>,
    /// The memories that it superseded, 100 at most.
    superseded: Vec<Uuid>,
}

/// Reads what a memory was made from, and what was made from it, as far as the caller may read.
#[utoipa::path(
    get, path = "/api/memory/{memory}/sources", tag = "memory", operation_id = "get_memory_sources",
    params(("memory" = Uuid, Path, description = "The memory's id.")),
    responses(
        (status = 200, body = MemoryEdges),
        (status = 404, description = "`not-found`"),
        (status = 410, description = "`forgotten`"),
    ),
    security(("token" = ["memory:read"]))
)]
pub async fn sources(
    db: Db,
    caller: Caller,
    Path(memory): Path<Uuid>,
) -> Result<Json<MemoryEdges>> {
    known(&db, &caller, memory).await?;
    let edges = db
        .one(
            "select memory.sources_json($1, $2) as made_from,
                 (select coalesce(jsonb_agg(n.memory_id order by n.memory_id), '[]') from (
                     select o.memory_id from source o join memory.memory m on m.id = o.memory_id
                     where o.type = 'memory' and o.id = $2::uuid::text and memory.level_in($1, m.space_id) is not null
                     order by o.memory_id limit 100) n) as made_into,
                 (select coalesce(jsonb_agg(n.id order by n.id), '[]') from (
                     select m.id from memory.memory m where m.superseded_by = $2 order by m.id limit 100) n) as superseded",
            args![caller.id, memory],
        )
        .await?;
    Ok(Json(edges))
}

/// Checks that the caller may read a memory.
async fn known(db: &Db, caller: &Caller, memory: Uuid) -> Result<()> {
    #[derive(Deserialize)]
    struct Row {
        memory: Option<Memory>,
    }
    let row: Row = db
        .one(
            "select memory.found($1, $2) as memory",
            args![caller.id, memory],
        )
        .await
        .refused()?;
    let found = row.memory.map(|_| ());
    found.ok_or_else(|| Problem::not_found("memory"))
}
