//! Search by words and by meaning, within what the caller may read.

use axum::Json;
use garde::Validate;
use guest::{Acting, Caller, Db, Moment, Query, Result, args};
use meaning::{MODEL, of_query};
use memory_text::terms;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::{Kind, Scope, Trust, check_text, scopes, word};
use crate::memories::Memory;

/// The exchange of tokens, with the name by which it knows this component.
const ACTING: Acting = Acting("memory");
/// A memory that a search found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FoundMemory {
    /// The memory that was found.
    #[serde(flatten)]
    pub memory: Memory,
    /// The sum of the parts: from 0 to 2. It depends on the query and the memory alone.
    pub score: f64,
    /// The parts of the score.
    pub parts: Parts,
}

/// The parts of a score.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = MemoryScoreParts)]
pub struct Parts {
    /// The share of the query's words that the memory has, from 0 to 1; null if it has none, or was not asked by words.
    text: Option<f64>,
    /// The nearness of the meanings, from 0 to 1; null if they are not near, or are not known yet.
    semantic: Option<f64>,
}

/// The way of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MemorySearchMode)]
pub enum Mode {
    /// By words and by meaning.
    Hybrid,
    /// By meaning alone.
    Semantic,
    /// By words alone.
    Text,
}

/// The results of a search.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FoundMemories {
    /// The memories, the best first.
    pub items: Vec<FoundMemory>,
    /// The way in which the search was made: `text` where the meaning of the query could not be found out.
    pub mode: Mode,
    /// Whether words had to do, because the meaning of the query could not be found out at the moment.
    pub degraded: bool,
}

/// The parameters of a search.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MemoryQuery {
    /// Words, or a question: 1 to 2,000 characters.
    #[garde(length(chars, min = 1, max = 2000))]
    #[param(min_length = 1, max_length = 2000)]
    query: String,
    /// Searches only this kind of scope. All scopes that the caller belongs to if absent.
    #[garde(skip)]
    #[param(inline)]
    scope: Option<Scope>,
    /// The team, account or channel of the scope.
    #[garde(skip)]
    scope_id: Option<Uuid>,
    /// The way of the search; `hybrid` if absent.
    #[garde(skip)]
    #[param(inline)]
    mode: Option<Mode>,
    /// Finds only memories of this kind.
    #[garde(skip)]
    #[param(inline)]
    kind: Option<Kind>,
    /// Finds only memories that are trusted at least so far.
    #[garde(skip)]
    #[param(inline)]
    min_trust: Option<Trust>,
    /// Finds what held at this time, by the texts that were known then.
    #[garde(skip)]
    #[param(value_type = Option<String>, format = DateTime)]
    as_of: Option<Moment>,
    /// The largest number of memories.
    #[garde(inner(range(min = 1, max = 200)))]
    #[param(minimum = 1, maximum = 200, default = 20)]
    limit: Option<i32>,
}

/// What to search for, checked.
pub struct Wish {
    pub query: String,
    pub scopes: Option<Value>,
    pub mode: Mode,
    pub kind: Option<Kind>,
    pub min_trust: Option<Trust>,
    pub as_of: Option<Moment>,
    pub limit: i32,
}

/// Finds memories by words and by meaning, the best first.
#[utoipa::path(
    get, path = "/api/memory/search", tag = "memory", operation_id = "search_memories", params(MemoryQuery),
    responses((status = 200, body = FoundMemories), (status = 422, description = "`invalid-input`")),
    security(("token" = ["memory:read"]))
)]
pub async fn search(
    db: Db,
    caller: Caller,
    Query(asked): Query<MemoryQuery>,
) -> Result<Json<FoundMemories>> {
    check_text("query", &asked.query)?;
    let wish = Wish {
        scopes: scopes(asked.scope, asked.scope_id)?,
        query: asked.query,
        mode: asked.mode.unwrap_or(Mode::Hybrid),
        kind: asked.kind,
        min_trust: asked.min_trust,
        as_of: asked.as_of,
        limit: asked.limit.unwrap_or(20),
    };
    find(&db, &caller, wish).await.map(Json)
}

/// Finds memories, and counts the search by the same statement.
pub async fn find(db: &Db, caller: &Caller, wish: Wish) -> Result<FoundMemories> {
    let meaning = match wish.mode {
        Mode::Text => None,
        Mode::Hybrid | Mode::Semantic => {
            of_query(ACTING, caller.id, "memory-search", &wish.query).await
        }
    };
    let degraded = wish.mode != Mode::Text && meaning.is_none();
    let mode = if degraded { Mode::Text } else { wish.mode };
    let words = match mode {
        Mode::Semantic => Vec::new(),
        Mode::Hybrid | Mode::Text => terms::of_query(&wish.query),
    };
    #[derive(Deserialize)]
    struct Row {
        memory: Memory,
        score: f64,
        text: Option<f64>,
        semantic: Option<f64>,
    }
    let counted = match degraded {
        true => "text-alone".to_owned(),
        false => word(mode),
    };
    let rows: Vec<Row> = db
        .many(
            "with counted as (insert into search_count (mode, count) values ($10, 1))
             select f.memory, f.score, f.text, f.semantic
             from memory.search($1, $2, $3, $4, $5, $6, $7, $8::text::timestamptz, $9) f",
            args![
                caller.id,
                wish.scopes,
                json!(words),
                MODEL,
                meaning,
                wish.kind.map(word),
                wish.min_trust.map(word),
                wish.as_of,
                wish.limit,
                counted,
            ],
        )
        .await?;
    let items = rows.into_iter().map(|row| FoundMemory {
        memory: row.memory,
        score: row.score,
        parts: Parts {
            text: row.text,
            semantic: row.semantic,
        },
    });
    Ok(FoundMemories {
        items: items.collect(),
        mode,
        degraded,
    })
}
