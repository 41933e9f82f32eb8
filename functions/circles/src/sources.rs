//! Sources of tools: servers of strangers, whose tools the caller's agents may use. What a model is told of a tool is what
//! the source's owner has accepted.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, Egress, Input, Items, Page, Path, Problem, Result, args};
use mcp_client::{Definition, Fault, Server, digest_of_all};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::line;
use crate::outcome::Outcome;

/// The client of the way out, with the name by which it knows this function.
const EGRESS: Egress = Egress("circles");
/// What a header that names a secret begins with.
const SECRET: &str = "vault:";

/// A server of tools.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ToolSource {
    /// The source's name.
    #[schema(example = "files")]
    name: String,
    /// The kind of source: `mcp`.
    kind: String,
    /// The address of the server.
    url: String,
    /// The headers of each request. Secrets are shown by their names.
    headers: BTreeMap<String, String>,
    /// The revision of the protocol that the server speaks.
    revision: String,
    /// The tools, as they were accepted.
    tools: Vec<SourceTool>,
    /// The digest of all tools that were accepted.
    digest: String,
    /// The time at which the server was first found to have changed a tool; null if it was not. Calls of changed tools are
    /// refused until they are accepted.
    #[serde(with = "time::serde::rfc3339::option")]
    changed_at: Option<OffsetDateTime>,
    /// The time at which the source was added.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A tool of a source.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct SourceTool {
    /// The tool's name.
    name: String,
    /// What the server says of it.
    description: String,
    /// The JSON Schema of its arguments.
    #[schema(value_type = Object)]
    input_schema: Value,
    /// Whether the server says that a repeated call does no harm.
    is_repeatable: bool,
    /// The digest of its name, its description and its schema.
    digest: String,
}

/// A source to add.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToolSource {
    /// The source's name: 1 to 40 characters out of a-z, 0-9 and `-`, the first not `-`.
    #[garde(custom(source_name))]
    #[schema(example = "files", pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
    name: String,
    /// The kind of source.
    #[garde(skip)]
    kind: SourceKind,
    /// The address of the server's endpoint.
    #[garde(length(bytes, max = 2000), custom(address))]
    #[schema(example = "https://tools.example.org/mcp", max_length = 2000)]
    url: String,
    /// The headers of each request, 20 at most. One of them may be `vault:<name>`: the secret of this name of the caller is
    /// put in where its own `use` says.
    #[garde(length(max = 20), custom(free_headers))]
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// The kind of a source.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolSourceKind)]
#[serde(rename_all = "lowercase")]
enum SourceKind {
    /// A server of the Model Context Protocol.
    Mcp,
}

#[derive(Debug, Deserialize)]
struct Row {
    source: ToolSource,
}

/// The address of a server, with its headers and its secret.
#[derive(Debug, Deserialize)]
struct Access {
    url: String,
    headers: BTreeMap<String, String>,
    names_secret: bool,
    secret: Option<Uuid>,
}

#[derive(Debug, Deserialize)]
struct AccessRow {
    access: Access,
}

#[derive(Debug, Deserialize)]
struct SecretRow {
    secret: Option<Uuid>,
}

fn source_name(text: &str, _: &()) -> garde::Result {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=40).contains(&text.len()) || !text.bytes().all(allowed) || text.starts_with('-') {
        return Err(garde::Error::new(
            "must be 1 to 40 of a-z, 0-9 and `-`, and not begin with `-`",
        ));
    }
    Ok(())
}

fn address(text: &str, context: &()) -> garde::Result {
    line(text, context)?;
    let uri = text.parse::<http::Uri>().ok();
    let is_plain = |uri: &http::Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
    };
    if !uri.is_some_and(|uri| is_plain(&uri)) {
        return Err(garde::Error::new("must be an address of the web"));
    }
    Ok(())
}

fn free_headers(headers: &BTreeMap<String, String>, _: &()) -> garde::Result {
    for (name, value) in headers {
        let is_own = [
            "content-",
            "accept",
            "host",
            "mcp-",
            "gather-",
            "connection",
            "transfer-",
        ]
        .iter()
        .any(|prefix| name.to_ascii_lowercase().starts_with(prefix));
        if is_own || http::HeaderName::try_from(name).is_err() {
            return Err(garde::Error::new(
                "must have names of headers that are free to choose",
            ));
        }
        if value.len() > 2000 || http::HeaderValue::try_from(value).is_err() {
            return Err(garde::Error::new(
                "must have values of at most 2,000 printable characters",
            ));
        }
    }
    if headers
        .values()
        .filter(|value| value.starts_with(SECRET))
        .count()
        > 1
    {
        return Err(garde::Error::new("may name one secret"));
    }
    Ok(())
}

/// Lists the caller's sources of tools, by name.
#[utoipa::path(
    get, path = "/api/tool-sources", tag = "tool-sources", operation_id = "list_tool_sources", params(guest::PageParams),
    responses((status = 200, body = Items<ToolSource>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(db: Db, caller: Caller, page: Page<String>) -> Result<Json<Items<ToolSource>>> {
    let rows: Vec<Row> = db
        .many(
            "select source_json(s) as source from tool_source s
             where s.owner_id = $1 and ($2::text is null or s.name > $2) order by s.name limit $3",
            args![caller.id, page.after.clone(), page.fetch()],
        )
        .await?;
    let sources = rows.into_iter().map(|row| row.source).collect();
    Ok(Json(
        page.answer(sources, |one: &ToolSource| one.name.clone()),
    ))
}

/// Adds a server of tools. It is asked for its tools, which the caller thereby accepts.
///
/// The caller's agents may use them if their personas say `mcp:<source>` or `mcp:<source>/<tool>`. Requests leave through
/// the way out, which puts the secret in that a header names, and masks it in the answers.
#[utoipa::path(
    post, path = "/api/tool-sources", tag = "tool-sources", operation_id = "add_tool_source",
    request_body = NewToolSource,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 201, body = ToolSource, headers(("Location" = String))),
        (status = 403, description = "`forbidden`: a header that names a secret needs `vault:use`; `secret-not-granted`; `scopes-exceed-owner`: agents that have its tools may do more than the token"),
        (status = 409, description = "`name-taken`, `too-many-sources`, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`, `origin-refused`"),
        (status = 502, description = "`fetch-failed`: the server can't be reached or does not speak the protocol"),
        (status = 503, description = "`egress-unavailable`"),
    ),
    security(("token" = ["personas:create"]))
)]
pub async fn add(
    db: Db,
    caller: Caller,
    Input(new): Input<NewToolSource>,
) -> Result<Created<ToolSource>> {
    let named = new
        .headers
        .values()
        .find_map(|value| value.strip_prefix(SECRET));
    if named.is_some() && !caller.allows("vault:use") {
        return Err(Problem::insufficient_scope("vault:use"));
    }
    let row: SecretRow = db
        .one(
            "select secret_for($1, $2) as secret",
            args![caller.id, named],
        )
        .await?;
    let plain = new
        .headers
        .iter()
        .filter(|(_, value)| !value.starts_with(SECRET));
    let access = Access {
        url: new.url.clone(),
        headers: plain
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        names_secret: named.is_some(),
        secret: row.secret,
    };
    let found = discover(&caller, access, StatusCode::UNPROCESSABLE_ENTITY).await?;
    let mut source = json!({"name": new.name, "kind": new.kind, "url": new.url, "headers": new.headers,
        "held": caller.scopes()});
    merge(&mut source, found);
    let made: Outcome<ToolSource> = db
        .one(
            "select put_source($1, $2) as outcome",
            args![caller.id, source],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint(
            "tool_source_key",
            Problem::conflict("name-taken", "You have a source of this name."),
        )
        .on_constraint(
            "tool_source_size",
            Problem::invalid("url", "has definitions of tools of more than 1 MiB"),
        )?;
    let source = made.value()?;
    Ok(Created::at(
        format!("/api/tool-sources/{}", source.name),
        source,
    ))
}

/// Reads a source of tools.
#[utoipa::path(
    get, path = "/api/tool-sources/{source}", tag = "tool-sources", operation_id = "read_tool_source",
    params(("source" = String, Path, description = "The source's name.")),
    responses((status = 200, body = ToolSource), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(source): Path<String>) -> Result<Json<ToolSource>> {
    let row: Option<Row> = db
        .optional(
            "select source_json(s) as source from tool_source s where s.owner_id = $1 and s.name = $2",
            args![caller.id, source],
        )
        .await?;
    row.map(|row| Json(row.source))
        .ok_or_else(|| Problem::not_found("source"))
}

/// Removes a source of tools. Agents can't use its tools any more.
#[utoipa::path(
    delete, path = "/api/tool-sources/{source}", tag = "tool-sources", operation_id = "remove_tool_source",
    params(("source" = String, Path, description = "The source's name.")),
    responses((status = 204, description = "The source was removed."), (status = 404, description = "`not-found`")),
    security(("token" = ["personas:create"]))
)]
pub async fn remove(db: Db, caller: Caller, Path(source): Path<String>) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select remove_source($1, $2) as outcome",
            args![caller.id, source],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accepts the tools that a source has now.
#[utoipa::path(
    post, path = "/api/tool-sources/{source}/accept", tag = "tool-sources", operation_id = "accept_tool_source",
    params(("source" = String, Path, description = "The source's name.")),
    responses(
        (status = 200, body = ToolSource),
        (status = 403, description = "`secret-not-granted`, `origin-refused`; `scopes-exceed-owner`: agents that have its tools may do more than the token"),
        (status = 404, description = "`not-found`"),
        (status = 502, description = "`fetch-failed`"),
        (status = 503, description = "`egress-unavailable`"),
    ),
    security(("token" = ["personas:create"]))
)]
pub async fn accept(
    db: Db,
    caller: Caller,
    Path(source): Path<String>,
) -> Result<Json<ToolSource>> {
    let row: Option<AccessRow> = db
        .optional(
            "select source_access(s) as access from tool_source s where s.owner_id = $1 and s.name = $2",
            args![caller.id, &source],
        )
        .await?;
    let access = row.ok_or_else(|| Problem::not_found("source"))?.access;
    let mut found = discover(&caller, access, StatusCode::FORBIDDEN).await?;
    found["held"] = json!(caller.scopes());
    let accepted: Outcome<ToolSource> = db
        .one(
            "select accept_source($1, $2, $3) as outcome",
            args![caller.id, source, found],
        )
        .await?;
    accepted.value().map(Json)
}

/// Asks a server for its tools: `{revision, tools, digest}`. An origin that is refused is told with `refused`.
async fn discover(caller: &Caller, access: Access, refused: StatusCode) -> Result<Value> {
    if access.names_secret && access.secret.is_none() {
        return Err(Problem::invalid("headers", "must name a secret of yours"));
    }
    let server = Server {
        egress: EGRESS,
        url: access.url,
        account: caller.id,
        headers: access.headers.into_iter().collect(),
        secret: access.secret,
    };
    let (revision, tools): (_, Vec<Definition>) = server
        .discover()
        .await
        .map_err(|fault| refusal(fault, refused))?;
    Ok(json!({"revision": revision.name(), "digest": digest_of_all(&tools), "tools": tools}))
}

fn merge(source: &mut Value, found: Value) {
    if let (Value::Object(source), Value::Object(found)) = (source, found) {
        source.extend(found);
    }
}

fn refusal(fault: Fault, refused: StatusCode) -> Problem {
    match fault.refused.as_deref() {
        Some("origin-refused") => Problem::new(refused, "origin-refused", fault.detail),
        Some("secret-not-granted") => {
            Problem::new(StatusCode::FORBIDDEN, "secret-not-granted", fault.detail)
        }
        Some("egress-unavailable") => Problem::unavailable("egress-unavailable", fault.detail, 1),
        _ => Problem::new(StatusCode::BAD_GATEWAY, "fetch-failed", fault.detail),
    }
}
