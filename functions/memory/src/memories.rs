//! Memories: noted, listed, read, changed, forgotten.

use axum::Json;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::{
    Caller, Client, Db, IfMatch, Input, Items, Moment, Page, Path, Problem, Query, Result, args,
    given,
};
use markdown::folded;
use memory_text::terms;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::{
    GLOBAL, Kind, Scope, Source, State, Trust, check_content, check_scope, check_tags,
    refuse_secrets, require_write, scopes, word,
};
use crate::problems::Refused;

/// Something that was noted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Memory {
    /// The memory's id.
    pub id: Uuid,
    /// The kind of scope that the memory belongs to.
    pub scope: Scope,
    /// The team, account or channel that the memory belongs to; null for `global`.
    pub scope_id: Option<Uuid>,
    /// The text of the memory.
    pub content: String,
    /// The kind of memory.
    pub kind: Kind,
    /// The importance from 0 to 1. What is more important is kept longer.
    pub importance: f64,
    /// The trust of the memory: the lowest one of its sources.
    pub trust: Trust,
    /// The state of the memory.
    pub state: State,
    /// The key, which no other memory of the scope has; null for none.
    pub key: Option<String>,
    /// The time since which it is so.
    #[serde(with = "time::serde::rfc3339")]
    pub valid_from: OffsetDateTime,
    /// The time until which it was so; null if it still is.
    #[serde(with = "time::serde::rfc3339::option")]
    pub valid_to: Option<OffsetDateTime>,
    /// The memory that took its place; null for none.
    pub superseded_by: Option<Uuid>,
    /// The sources, as far as the caller may read them.
    pub sources: Vec<Source>,
    /// The tags of the memory.
    pub tags: Vec<String>,
    /// The account that noted it first.
    pub author: Uuid,
    /// The version, which grows with each change. `ETag` has it, too.
    pub version: u32,
    /// The number of times that it was recalled.
    pub uses: u32,
    /// The time at which it was last recalled; null if it never was.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// The time from which it is archived; null for none.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// The time at which it was noted.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Something to note.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMemory {
    /// The text, of 1 byte to 16 KiB.
    #[garde(skip)]
    #[schema(
        example = "Ada prefers tea in the afternoon.",
        min_length = 1,
        max_length = 16384
    )]
    content: String,
    /// The kind of scope that the memory shall belong to.
    #[garde(skip)]
    scope: Scope,
    /// The team, account or channel that it shall belong to; absent for `global`.
    #[garde(skip)]
    scope_id: Option<Uuid>,
    /// The kind of memory; `fact` if absent.
    #[garde(skip)]
    kind: Option<Kind>,
    /// The importance from 0 to 1; 0.5 if absent.
    #[garde(inner(range(min = 0.0, max = 1.0)))]
    #[schema(minimum = 0, maximum = 1)]
    importance: Option<f64>,
    /// A lower trust than its sources give it; `own` without sources, if absent.
    #[garde(skip)]
    trust: Option<Trust>,
    /// The time since which it is so; now if absent.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_from: Option<Moment>,
    /// The time from which it is archived.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Moment>,
    /// The sources that it was made from, 100 at most. Its trust is the lowest of theirs.
    #[garde(length(max = 100))]
    #[serde(default)]
    #[schema(max_items = 100)]
    sources: Vec<Source>,
    /// The tags, 50 at most, each of 1 to 100 characters.
    #[garde(skip)]
    #[serde(default)]
    #[schema(max_items = 50)]
    tags: Vec<String>,
    /// A key of 1 to 200 characters. A memory of the scope that has it is superseded by this one.
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[schema(min_length = 1, max_length = 200)]
    key: Option<String>,
}

/// A change of a memory. Absent fields stay as they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryChange {
    /// The new text, of 1 byte to 16 KiB.
    #[garde(skip)]
    #[schema(min_length = 1, max_length = 16384)]
    content: Option<String>,
    /// The new kind.
    #[garde(skip)]
    kind: Option<Kind>,
    /// The new importance from 0 to 1.
    #[garde(inner(range(min = 0.0, max = 1.0)))]
    #[schema(minimum = 0, maximum = 1)]
    importance: Option<f64>,
    /// A lower trust.
    #[garde(skip)]
    trust: Option<Trust>,
    /// `active` or `archived`.
    #[garde(skip)]
    state: Option<State>,
    /// The new tags, 50 at most, each of 1 to 100 characters.
    #[garde(skip)]
    #[schema(max_items = 50)]
    tags: Option<Vec<String>>,
    /// The new time since which it is so.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_from: Option<Moment>,
    /// The new time from which it is archived; null for none.
    #[garde(skip)]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<Moment>>,
}

/// A row with one memory.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub memory: Option<Memory>,
}

/// A memory with its `ETag`.
pub type Tagged = ([(HeaderName, String); 1], Json<Memory>);

/// Adds the `ETag` of a memory.
fn tagged(memory: Memory) -> Tagged {
    ([(ETAG, format!("\"{}\"", memory.version))], Json(memory))
}

/// Notes something. The same text in the same scope is noted once: then the answer is 200 and the memory that is there.
#[utoipa::path(
    post, path = "/api/memory", tag = "memory", operation_id = "add_memory", request_body = NewMemory,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key of the client. A repeated request with it takes effect once.")),
    responses(
        (status = 200, body = Memory, description = "The memory with this text, which was there already."),
        (status = 201, body = Memory, headers(("Location" = String))),
        (status = 403, description = "`forbidden`: the caller may only read in this scope"),
        (status = 404, description = "`not-found`: the scope"),
        (status = 409, description = "`idempotency-mismatch`"),
        (status = 413, description = "`body-too-large`"),
        (status = 422, description = "`invalid-input`, `contains-secret`"),
    ),
    security(("token" = ["memory:write"]))
)]
pub async fn add(db: Db, caller: Caller, Input(new): Input<NewMemory>) -> Result<Response> {
    check_scope(new.scope, new.scope_id)?;
    require_write(&caller, new.scope)?;
    check_content(&new.content)?;
    check_tags(&new.tags)?;
    for (at, source) in new.sources.iter().enumerate() {
        source.check(&format!("sources[{at}]"))?;
    }
    let key = new.key.as_deref();
    if key.is_some_and(|key| key.contains(char::is_control)) {
        return Err(Problem::invalid(
            "key",
            "must not contain control characters",
        ));
    }
    let texts = || texts(&new.content, &new.tags, key);
    refuse_secrets(texts())?;
    #[derive(Deserialize)]
    struct Added {
        memory: Memory,
        is_new: bool,
    }
    let note = json!({
        "content": new.content, "words": folded(&new.content), "scope": new.scope, "scope_id": new.scope_id,
        "kind": new.kind, "importance": new.importance, "trust": new.trust, "valid_from": new.valid_from, "expires_at": new.expires_at,
        "sources": new.sources, "tags": new.tags, "key": key,
    });
    let added: Added = db
        .one(
            "select memory, is_new from memory.add($1, $2, $3)",
            args![caller.id, note, terms::of(texts())],
        )
        .await
        .refused()?;
    let location = format!("/api/memory/{}", added.memory.id);
    let status = if added.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, [(LOCATION, location)], tagged(added.memory)).into_response())
}

/// The texts by which a memory is found.
fn texts<'a>(
    content: &'a str,
    tags: &'a [String],
    key: Option<&'a str>,
) -> impl Iterator<Item = &'a str> {
    let tags = tags.iter().map(String::as_str);
    std::iter::once(content).chain(tags).chain(key)
}

/// The filters of a list of memories.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    /// Lists only memories of this kind of scope. All scopes that the caller belongs to if absent.
    #[param(inline)]
    scope: Option<Scope>,
    /// The team, account or channel of the scope.
    scope_id: Option<Uuid>,
    /// Lists only memories of this kind.
    #[param(inline)]
    kind: Option<Kind>,
    /// Lists only memories with this tag.
    tag: Option<String>,
    /// Lists only memories in this state. Those that hold if absent.
    #[param(inline)]
    state: Option<State>,
    /// Lists what held at this time, with the texts that were known then.
    #[param(value_type = Option<String>, format = DateTime)]
    as_of: Option<Moment>,
    /// Lists only memories made from this source: a type and an id, such as `message:<id>`.
    source: Option<String>,
}

/// Lists memories that the caller may read, the newest first.
#[utoipa::path(
    get, path = "/api/memory", tag = "memory", operation_id = "list_memories", params(guest::PageParams, Filter),
    responses((status = 200, body = Items<Memory>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["memory:read"]))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Memory>>> {
    let source = filter.source.as_deref().map(Source::parse).transpose()?;
    #[derive(Deserialize)]
    struct Listed {
        memory: Memory,
    }
    let rows: Vec<Listed> = db
        .many(
            "select memory from memory.listed($1, $2, $3, $4, $5, $6::text::timestamptz, $7, $8, $9, $10) memory",
            args![
                caller.id,
                scopes(filter.scope, filter.scope_id)?,
                filter.kind.map(word),
                filter.tag,
                filter.state.map(word),
                filter.as_of,
                source.as_ref().map(Source::kind),
                source.as_ref().map(|source| source.id().to_owned()),
                page.after,
                page.fetch(),
            ],
        )
        .await?;
    let memories = rows.into_iter().map(|row| row.memory).collect();
    Ok(Json(page.answer(memories, |memory: &Memory| memory.id)))
}

/// Reads a memory.
#[utoipa::path(
    get, path = "/api/memory/{memory}", tag = "memory", operation_id = "get_memory",
    params(("memory" = Uuid, Path, description = "The memory's id.")),
    responses(
        (status = 200, body = Memory, headers(("ETag" = String, description = "The version of the memory, for `If-Match`"))),
        (status = 404, description = "`not-found`"),
        (status = 410, description = "`forgotten`"),
    ),
    security(("token" = ["memory:read"]))
)]
pub async fn get(db: Db, caller: Caller, Path(memory): Path<Uuid>) -> Result<Tagged> {
    let found: Row = db
        .one(
            "select memory.found($1, $2) as memory",
            args![caller.id, memory],
        )
        .await
        .refused()?;
    found
        .memory
        .map(tagged)
        .ok_or_else(|| Problem::not_found("memory"))
}

/// Changes a memory, as a new version under the same id.
#[utoipa::path(
    patch, path = "/api/memory/{memory}", tag = "memory", operation_id = "change_memory",
    params(
        ("memory" = Uuid, Path, description = "The memory's id."),
        ("If-Match" = String, Header, description = "The `ETag` of the memory that is changed."),
    ),
    request_body = MemoryChange,
    responses(
        (status = 200, body = Memory, headers(("ETag" = String, description = "The version of the memory, for `If-Match`"))),
        (status = 403, description = "`forbidden`: the caller may only read in this scope"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`memory-superseded`, `memory-exists`"),
        (status = 410, description = "`forgotten`"),
        (status = 412, description = "`version-mismatch`"),
        (status = 413, description = "`body-too-large`"),
        (status = 422, description = "`invalid-input`, `contains-secret`"),
        (status = 428, description = "`precondition-required`"),
    ),
    security(("token" = ["memory:write"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(memory): Path<Uuid>,
    expected: IfMatch,
    Input(change): Input<MemoryChange>,
) -> Result<Tagged> {
    if let Some(content) = &change.content {
        check_content(content)?;
    }
    check_tags(change.tags.as_deref().unwrap_or_default())?;
    if change.state == Some(State::Superseded) {
        return Err(Problem::invalid("state", "must be `active` or `archived`"));
    }
    let former: Row = db
        .one(
            "select memory.found($1, $2) as memory",
            args![caller.id, memory],
        )
        .await
        .refused()?;
    let former = former.memory.ok_or_else(|| Problem::not_found("memory"))?;
    require_write(&caller, former.scope)?;
    let content = change.content.as_deref();
    let tags = change.tags.as_deref();
    refuse_secrets(texts(
        content.unwrap_or_default(),
        tags.unwrap_or_default(),
        None,
    ))?;
    // The words of what stays are those of the version that was read; the change is refused if there is another one.
    let found_by = texts(
        content.unwrap_or(&former.content),
        tags.unwrap_or(&former.tags),
        former.key.as_deref(),
    );
    let changed: Row = db
        .one(
            "select memory.change($1, $2, $3, $4, $5, $6) as memory",
            args![
                caller.id,
                memory,
                expected.versions(),
                i32::try_from(former.version).unwrap_or(i32::MAX),
                changes(&change),
                terms::of(found_by)
            ],
        )
        .await
        .refused()?;
    changed
        .memory
        .map(tagged)
        .ok_or_else(|| Problem::not_found("memory"))
}

/// The fields that change.
fn changes(change: &MemoryChange) -> Value {
    let mut changes = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            changes.insert(name.to_owned(), value);
        }
    };
    put("content", change.content.as_ref().map(|value| json!(value)));
    put(
        "words",
        change.content.as_deref().map(|value| json!(folded(value))),
    );
    put("kind", change.kind.map(|value| json!(value)));
    put("importance", change.importance.map(|value| json!(value)));
    put("trust", change.trust.map(|value| json!(value)));
    put("state", change.state.map(|value| json!(value)));
    put("tags", change.tags.as_ref().map(|value| json!(value)));
    put("valid_from", change.valid_from.map(|value| json!(value)));
    put("expires_at", change.expires_at.map(|value| json!(value)));
    Value::Object(changes)
}

/// Forgets a memory and all that came of it: former versions, memories that were made from it, vectors, kept answers.
#[utoipa::path(
    delete, path = "/api/memory/{memory}", tag = "memory", operation_id = "forget_memory",
    params(
        ("memory" = Uuid, Path, description = "The memory's id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the memory that is forgotten; any version if absent."),
    ),
    responses(
        (status = 204, description = "The memory was forgotten."),
        (status = 403, description = "`forbidden`: somebody else noted it, and the caller does not manage the scope"),
        (status = 404, description = "`not-found`"),
        (status = 410, description = "`forgotten`"),
        (status = 412, description = "`version-mismatch`"),
    ),
    security(("token" = ["memory:write"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    client: Client,
    expected: Option<IfMatch>,
    Path(memory): Path<Uuid>,
) -> Result<StatusCode> {
    db.execute(
        "select memory.forget_one($1, $2, $3, $4, $5)",
        args![
            caller.id,
            caller.allows(GLOBAL),
            memory,
            expected.and_then(|expected| expected.versions()),
            json!(client)
        ],
    )
    .await
    .refused()?;
    Ok(StatusCode::NO_CONTENT)
}
