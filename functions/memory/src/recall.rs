//! Recall: what is known that bears on a question, as quoted data for a model, within a number of tokens.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Input, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::blocks::Block;
use crate::input::{Kind, Scope, Trust, check_scope, check_text};
use crate::packing::Pack;
use crate::search::{self, FoundMemory, Mode, Wish};

/// The number of memories that are considered.
const CANDIDATES: i32 = 100;
/// The number of characters at the end of a talk that are searched for.
const MAX_TALK: usize = 2000;

/// What to recall for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecallRequest {
    /// The question, up to 16 KiB; absent beside `messages`.
    #[garde(inner(length(bytes, max = 16384)))]
    #[schema(max_length = 16384)]
    query: Option<String>,
    /// The talk so far, 100 messages at most, whose last words count most.
    #[garde(inner(length(max = 100)))]
    #[schema(max_items = 100)]
    messages: Option<Vec<Message>>,
    /// The scopes to recall from, 20 at most. All scopes that the caller belongs to if absent.
    #[garde(inner(length(min = 1, max = 20)))]
    #[schema(min_items = 1, max_items = 20)]
    scopes: Option<Vec<ScopeName>>,
    /// The largest number of tokens of the text.
    #[garde(range(min = 1, max = 100_000))]
    #[schema(minimum = 1, maximum = 100_000)]
    max_tokens: u32,
    /// The least trust; `tool` if absent. Procedures and blocks need `own` in any case.
    #[garde(skip)]
    min_trust: Option<Trust>,
}

/// A message of a talk.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RecallMessage)]
pub struct Message {
    /// The one who speaks: `user`, `assistant` and so on.
    #[schema(max_length = 64)]
    role: String,
    /// The text, up to 64 KiB.
    #[schema(max_length = 65536)]
    content: String,
}

/// The name of a scope.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemoryScopeName)]
pub struct ScopeName {
    /// The kind of scope.
    scope: Scope,
    /// The team, account or channel; absent for `global`.
    scope_id: Option<Uuid>,
}

/// The answer to a recall.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recalled {
    /// The text for a model: quoted data between fences. Empty if nothing is known.
    text: String,
    /// The number of tokens of the text, by an upper estimate.
    tokens: u32,
    /// The items of the text, in its order.
    items: Vec<RecalledItem>,
    /// The lowest trust of the items; null without any.
    trust: Option<Trust>,
    /// Whether words had to do, because the meaning of the question could not be found out at the moment.
    degraded: bool,
}

/// An item of a recalled text.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecalledItem {
    /// The memory's id; null for a block.
    id: Option<Uuid>,
    /// The block's label; null for a memory.
    label: Option<String>,
    /// The kind of scope.
    scope: Scope,
    /// The team, account or channel; null for `global`.
    scope_id: Option<Uuid>,
    /// The trust of the item.
    trust: Trust,
    /// The score of a memory; null for a block.
    score: Option<f64>,
}

/// Recalls what is known: the blocks, then the memories that bear on the question, as text for a model.
#[utoipa::path(
    post, path = "/api/memory/recall", tag = "memory", operation_id = "recall_memories", request_body = RecallRequest,
    responses((status = 200, body = Recalled), (status = 422, description = "`invalid-input`")),
    security(("token" = ["memory:read"]))
)]
pub async fn recall(
    db: Db,
    caller: Caller,
    Input(asked): Input<RecallRequest>,
) -> Result<Json<Recalled>> {
    let query = question(asked.query, asked.messages)?;
    check_text("query", &query)?;
    for name in asked.scopes.iter().flatten() {
        check_scope(name.scope, name.scope_id)?;
    }
    let scopes = asked.scopes.map(|scopes| json!(scopes));
    #[derive(Deserialize)]
    struct Row {
        block: Block,
    }
    let blocks: Vec<Row> = db
        .many(
            "select block from memory.blocks_of($1, $2) block",
            args![caller.id, scopes.clone()],
        )
        .await?;
    let wish = Wish {
        query,
        scopes,
        mode: Mode::Hybrid,
        kind: None,
        min_trust: Some(asked.min_trust.unwrap_or(Trust::Tool)),
        as_of: None,
        limit: CANDIDATES,
    };
    let found = search::find(&db, &caller, wish).await?;
    let mut pack = Pack::new(asked.max_tokens);
    let mut items = Vec::new();
    let trusted = blocks.into_iter().map(|row| row.block);
    for block in trusted.filter(|block| block.trust == Trust::Own) {
        if pack.add(line_of_block(&block)) {
            items.push(item_of_block(block));
        }
    }
    let is_safe = |found: &FoundMemory| {
        found.memory.kind != Kind::Procedure || found.memory.trust == Trust::Own
    };
    for found in found.items.into_iter().filter(is_safe) {
        if pack.add(line_of_memory(&found)) {
            items.push(item_of_memory(&found));
        }
    }
    let used: Vec<_> = items.iter().filter_map(|item| item.id).collect();
    db.execute(
        "select memory.note_uses(array(select jsonb_array_elements_text($1)::uuid))",
        args![json!(used)],
    )
    .await?;
    let (text, tokens) = pack.text();
    Ok(Json(Recalled {
        text,
        tokens,
        trust: items.iter().map(|item| item.trust).min(),
        items,
        degraded: found.degraded,
    }))
}

/// The words to search for: the question, or the end of the talk.
fn question(query: Option<String>, messages: Option<Vec<Message>>) -> Result<String> {
    let text = match (query, messages) {
        (Some(query), None) => query,
        (None, Some(messages)) => {
            let is_long =
                |message: &Message| message.role.len() > 64 || message.content.len() > 65536;
            if let Some(at) = messages.iter().position(is_long) {
                return Err(Problem::invalid(format!("messages[{at}]"), "is too long"));
            }
            let contents: Vec<_> = messages
                .into_iter()
                .map(|message| message.content)
                .collect();
            contents.join("\n")
        }
        _ => {
            return Err(Problem::invalid(
                "query",
                "is needed, or `messages`, and not both",
            ));
        }
    };
    let skipped = text.chars().count().saturating_sub(MAX_TALK);
    Ok(text.chars().skip(skipped).collect())
}

fn line_of_block(block: &Block) -> Map<String, Value> {
    line([
        ("block", json!(block.label)),
        ("description", json!(block.description)),
        ("content", json!(block.content)),
    ])
}

fn line_of_memory(found: &FoundMemory) -> Map<String, Value> {
    let memory = &found.memory;
    line([
        ("memory", json!(memory.id)),
        ("kind", json!(memory.kind)),
        ("trust", json!(memory.trust)),
        ("key", json!(memory.key)),
        ("since", json!(memory.valid_from.date().to_string())),
        ("content", json!(memory.content)),
    ])
}

/// The fields of a line, without those that say nothing.
fn line<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    let fields = fields
        .into_iter()
        .filter(|(_, value)| !value.is_null() && value.as_str() != Some(""));
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn item_of_block(block: Block) -> RecalledItem {
    RecalledItem {
        id: None,
        label: Some(block.label),
        scope: block.scope,
        scope_id: block.scope_id,
        trust: block.trust,
        score: None,
    }
}

fn item_of_memory(found: &FoundMemory) -> RecalledItem {
    RecalledItem {
        id: Some(found.memory.id),
        label: None,
        scope: found.memory.scope,
        scope_id: found.memory.scope_id,
        trust: found.memory.trust,
        score: Some(found.score),
    }
}
