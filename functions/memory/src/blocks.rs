//! Blocks: short texts that every recall of a scope begins with.

use axum::Json;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::{
    Caller, Db, IfMatch, Input, Items, Page, Path, Precondition, Problem, Query, Result, args,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::{
    Scope, Trust, check_text, refuse_secrets, require_write, scopes, too_large, word,
};
use crate::problems::Refused;

/// The longest content of a block in bytes.
const MAX_BLOCK_BYTES: usize = 8 << 10;
/// The id in the path of a scope that has none.
const NO_ID: &str = "global";

/// A text that every recall of its scope begins with.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MemoryBlock)]
pub struct Block {
    /// The kind of scope that the block belongs to.
    pub scope: Scope,
    /// The team, account or channel that the block belongs to; null for `global`.
    pub scope_id: Option<Uuid>,
    /// The label, which no other block of the scope has.
    #[schema(example = "persona")]
    pub label: String,
    /// The text of the block.
    pub content: String,
    /// The purpose of the block, for whoever writes it.
    pub description: String,
    /// The longest content in bytes.
    limit_bytes: u32,
    /// Whether only those who manage the scope may change it.
    read_only: bool,
    /// The trust of the block. One below `own` is not recalled.
    pub trust: Trust,
    /// The account that wrote it last.
    author: Uuid,
    /// The version, which grows with each change. `ETag` has it, too.
    version: u64,
    /// The time at which the block was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the last change.
    #[serde(with = "time::serde::rfc3339")]
    changed_at: OffsetDateTime,
}

/// The content of a block. Absent fields stay as they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockContent {
    /// The text, up to 8 KiB.
    #[garde(skip)]
    #[schema(max_length = 8192)]
    content: String,
    /// The purpose of the block, up to 1,000 characters.
    #[garde(inner(length(chars, max = 1000)))]
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// The longest content in bytes; 8,192 if it was never given.
    #[garde(inner(range(min = 1, max = 8192)))]
    #[schema(minimum = 1, maximum = 8192)]
    limit_bytes: Option<u32>,
    /// Whether only those who manage the scope may change it.
    #[garde(skip)]
    read_only: Option<bool>,
}

type Tagged = ([(HeaderName, String); 1], Json<Block>);

fn tagged(block: Block) -> Tagged {
    ([(ETAG, format!("\"{}\"", block.version))], Json(block))
}

/// The parts of a block's path.
type Parts = (Scope, String, String);

/// Reads the scope's id in a path.
fn id_of(scope: Scope, text: &str) -> Result<Option<Uuid>> {
    if scope == Scope::Global && text == NO_ID {
        return Ok(None);
    }
    let id = text.parse().ok().filter(|_| scope != Scope::Global);
    id.map(Some).ok_or_else(|| Problem::not_found("scope"))
}

/// Checks a label.
fn check_label(label: &str) -> Result<()> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let begins = label.bytes().next().is_some_and(is_word);
    let all = label
        .bytes()
        .all(|byte| is_word(byte) || b"._-".contains(&byte));
    if !begins || !all || label.len() > 64 {
        return Err(Problem::invalid(
            "label",
            "must be 1 to 64 of a-z, 0-9, `.`, `_` and `-`, and begin with a letter or a digit",
        ));
    }
    Ok(())
}

/// The filters of a list of blocks.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct BlockFilter {
    /// Lists only blocks of this kind of scope. All scopes that the caller belongs to if absent.
    #[param(inline)]
    scope: Option<Scope>,
    /// The team, account or channel of the scope.
    scope_id: Option<Uuid>,
}

/// The cursor of a list of blocks.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
    scope: String,
    scope_id: Option<Uuid>,
    label: String,
}

/// Lists the blocks that the caller may read, by scope and label.
#[utoipa::path(
    get, path = "/api/memory/blocks", tag = "memory", operation_id = "list_memory_blocks",
    params(guest::PageParams, BlockFilter),
    responses((status = 200, body = Items<Block>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["memory:read"]))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Cursor>,
    Query(filter): Query<BlockFilter>,
) -> Result<Json<Items<Block>>> {
    #[derive(Deserialize)]
    struct Row {
        block: Block,
    }
    let after = page.after.as_ref();
    let nil = |id: Option<Uuid>| id.unwrap_or_default();
    let rows: Vec<Row> = db
        .many(
            "select b.block from (
                 select o as block, o ->> 'scope' as scope,
                     coalesce((o ->> 'scope_id')::uuid, '00000000-0000-0000-0000-000000000000') as scope_id, o ->> 'label' as label
                 from memory.blocks_of($1, $2) o) b
             where $3::text is null
             or (b.scope collate \"C\", b.scope_id, b.label collate \"C\") > ($3, $4, $5)
             order by b.scope collate \"C\", b.scope_id, b.label collate \"C\" limit $6",
            args![
                caller.id,
                scopes(filter.scope, filter.scope_id)?,
                after.map(|cursor| cursor.scope.clone()),
                after.map(|cursor| nil(cursor.scope_id)),
                after.map(|cursor| cursor.label.clone()),
                page.fetch()
            ],
        )
        .await?;
    let blocks = rows.into_iter().map(|row| row.block).collect();
    Ok(Json(page.answer(blocks, |block: &Block| Cursor {
        scope: word(block.scope),
        scope_id: block.scope_id,
        label: block.label.clone(),
    })))
}

/// Reads a block.
#[utoipa::path(
    get, path = "/api/memory/blocks/{scope}/{scope_id}/{label}", tag = "memory", operation_id = "get_memory_block",
    params(
        ("scope" = Scope, Path, description = "The kind of scope."),
        ("scope_id" = String, Path, description = "The team, account or channel; `global` for the scope of everybody."),
        ("label" = String, Path, description = "The label of the block, such as `profile`."),
    ),
    responses(
        (status = 200, body = Block, headers(("ETag" = String, description = "The version of the block, for `If-Match`"))),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["memory:read"]))
)]
pub async fn get(db: Db, caller: Caller, Path((scope, id, label)): Path<Parts>) -> Result<Tagged> {
    let id = id_of(scope, &id)?;
    check_label(&label).map_err(|_| Problem::not_found("block"))?;
    #[derive(Deserialize)]
    struct Row {
        block: Block,
    }
    let found: Option<Row> = db
        .optional(
            "select memory.block_json($1, b) as block from space s join block b on b.space_id = s.id and b.label = $4
             where s.scope = $2 and s.place = memory.place($3) and memory.level($1, $2, $3) is not null",
            args![caller.id, word(scope), id, label],
        )
        .await?;
    let found = found.ok_or_else(|| Problem::not_found("block"))?;
    Ok(tagged(found.block))
}

/// Writes a block: a new one with `If-None-Match: *`, in place of another one with `If-Match`.
#[utoipa::path(
    put, path = "/api/memory/blocks/{scope}/{scope_id}/{label}", tag = "memory", operation_id = "put_memory_block",
    params(
        ("scope" = Scope, Path, description = "The kind of scope."),
        ("scope_id" = String, Path, description = "The team, account or channel; `global` for the scope of everybody."),
        ("label" = String, Path, description = "The label: 1 to 64 of a-z, 0-9, `.`, `_` and `-`."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the block that is replaced."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there is no such block yet."),
    ),
    request_body = BlockContent,
    responses(
        (status = 200, body = Block, headers(("ETag" = String, description = "The version of the block, for `If-Match`"))),
        (status = 201, body = Block, headers(("Location" = String))),
        (status = 403, description = "`forbidden`: the caller may only read in this scope, or the block is read-only"),
        (status = 404, description = "`not-found`: the scope"),
        (status = 412, description = "`version-mismatch`"),
        (status = 413, description = "`body-too-large`, `too-many-blocks`"),
        (status = 422, description = "`invalid-input`, `contains-secret`"),
        (status = 428, description = "`precondition-required`"),
    ),
    security(("token" = ["memory:write"]))
)]
pub async fn put(
    db: Db,
    caller: Caller,
    Path((scope, id, label)): Path<Parts>,
    expected: Precondition,
    Input(block): Input<BlockContent>,
) -> Result<Response> {
    let id_text = id.clone();
    let id = id_of(scope, &id)?;
    require_write(&caller, scope)?;
    check_label(&label)?;
    if block.content.len() > MAX_BLOCK_BYTES {
        return Err(too_large("A block may have at most 8 KiB."));
    }
    let description = block.description.as_deref().unwrap_or_default();
    check_text("content", &block.content)?;
    check_text("description", description)?;
    refuse_secrets([block.content.as_str(), description, label.as_str()])?;
    #[derive(Deserialize)]
    struct Written {
        written: Block,
        is_new: bool,
    }
    let location = format!("/api/memory/blocks/{}/{id_text}/{label}", word(scope));
    let written: Written = db
        .one(
            "select written, is_new from memory.put_block($1, $2, $3, $4, $5, $6, $7)",
            args![
                caller.id,
                word(scope),
                id,
                label,
                expected.versions(),
                expected.is_absent(),
                json!({"content": block.content, "description": block.description, "limit_bytes": block.limit_bytes,
                    "read_only": block.read_only})
            ],
        )
        .await
        .refused()?;
    let status = if written.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, [(LOCATION, location)], tagged(written.written)).into_response())
}

/// Deletes a block.
#[utoipa::path(
    delete, path = "/api/memory/blocks/{scope}/{scope_id}/{label}", tag = "memory", operation_id = "delete_memory_block",
    params(
        ("scope" = Scope, Path, description = "The kind of scope."),
        ("scope_id" = String, Path, description = "The team, account or channel; `global` for the scope of everybody."),
        ("label" = String, Path, description = "The label of the block, such as `profile`."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the block that is deleted; any version if absent."),
    ),
    responses(
        (status = 204, description = "The block was deleted."),
        (status = 403, description = "`forbidden`: the caller may only read in this scope, or the block is read-only"),
        (status = 404, description = "`not-found`"),
        (status = 412, description = "`version-mismatch`"),
    ),
    security(("token" = ["memory:write"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    expected: Option<IfMatch>,
    Path((scope, id, label)): Path<Parts>,
) -> Result<StatusCode> {
    let id = id_of(scope, &id)?;
    check_label(&label).map_err(|_| Problem::not_found("block"))?;
    require_write(&caller, scope)?;
    db.execute(
        "select memory.delete_block($1, $2, $3, $4, $5)",
        args![
            caller.id,
            word(scope),
            id,
            label,
            expected.and_then(|expected| expected.versions())
        ],
    )
    .await
    .refused()?;
    Ok(StatusCode::NO_CONTENT)
}
