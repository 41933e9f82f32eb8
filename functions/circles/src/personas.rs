//! Personas: what an agent is told to be. Each change makes a version, and versions never change.

use agent_parts::Account;
use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::definition::{Definition, Visibility};
use crate::outcome::Outcome;

/// A version of a persona.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Persona {
    /// The persona's id.
    id: Uuid,
    /// The persona's name, which none of its owner's other personas has.
    #[schema(example = "researcher")]
    name: String,
    /// The accounts that may use it: `private`, `team` or `public`.
    visibility: Visibility,
    /// The account that made it; null if the platform brings it along.
    owner: Option<Account>,
    /// The version's number.
    version: i32,
    /// The digest of the version's definition.
    digest: String,
    /// The time at which the version was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// What the persona is, in the properties in which it was given.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    definition: serde_json::Map<String, Value>,
}

/// The filters of a list of personas.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only personas with this text in their name or in their description.
    #[garde(inner(length(chars, max = 200)))]
    #[param(max_length = 200)]
    query: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    persona: Option<Persona>,
}

fn name_taken() -> Problem {
    Problem::conflict("name-taken", "Another of your personas has this name.")
}

/// Lists the personas that the caller may use, by name.
#[utoipa::path(
    get, path = "/api/personas", tag = "personas", operation_id = "list_personas", params(Filter, guest::PageParams),
    responses((status = 200, body = Items<Persona>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<(String, Uuid)>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Persona>>> {
    let wanted = filter.query.unwrap_or_default().to_lowercase();
    let (name, id) = page.after.clone().unzip();
    let rows: Vec<Row> = db
        .many(
            "select persona from list_personas($1, $2, $3, $4, $5) as persona",
            args![caller.id, wanted, name, id, page.fetch()],
        )
        .await?;
    let personas = rows.into_iter().filter_map(|row| row.persona).collect();
    Ok(Json(page.answer(personas, |one: &Persona| {
        (one.name.clone(), one.id)
    })))
}

/// Makes a persona of the caller.
///
/// A tool that this platform does not have is refused, and `detail` names it.
#[utoipa::path(
    post, path = "/api/personas", tag = "personas", operation_id = "create_persona", request_body = Definition,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 201, body = Persona, headers(("Location" = String))),
        (status = 403, description = "`forbidden`: a tool that names a secret needs `vault:use`"),
        (status = 409, description = "`name-taken`, `too-many-personas`, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`, `persona-invalid`"),
    ),
    security(("token" = ["personas:create"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Input(new): Input<Definition>,
) -> Result<Created<Persona>> {
    let Some(name) = &new.name else {
        return Err(Problem::invalid("name", "is missing"));
    };
    new.check(&caller)?;
    let made: Outcome<Persona> = db
        .one(
            "select create_persona($1, $2) as outcome",
            args![
                caller.id,
                json!({
                    "name": name, "visibility": new.visibility.unwrap_or(Visibility::Private),
                    "definition": new, "greeting": new.greeting()?,
                })
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("persona_name_key", name_taken())?;
    let persona = made.value()?;
    Ok(Created::at(
        format!("/api/personas/{}", persona.id),
        persona,
    ))
}

/// Reads the newest version of a persona.
#[utoipa::path(
    get, path = "/api/personas/{persona}", tag = "personas", operation_id = "read_persona",
    params(("persona" = Uuid, Path, description = "The persona's id.")),
    responses((status = 200, body = Persona), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(persona): Path<Uuid>) -> Result<Json<Persona>> {
    read(&db, &caller, persona, None).await
}

/// Reads a version of a persona.
#[utoipa::path(
    get, path = "/api/personas/{persona}/versions/{version}", tag = "personas", operation_id = "read_persona_version",
    params(
        ("persona" = Uuid, Path, description = "The persona's id."),
        ("version" = i32, Path, description = "The version's number."),
    ),
    responses((status = 200, body = Persona), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn version(
    db: Db,
    caller: Caller,
    Path((persona, version)): Path<(Uuid, i32)>,
) -> Result<Json<Persona>> {
    read(&db, &caller, persona, Some(version)).await
}

async fn read(
    db: &Db,
    caller: &Caller,
    persona: Uuid,
    version: Option<i32>,
) -> Result<Json<Persona>> {
    let row: Option<Row> = db
        .optional(
            "select persona_json(p.id, $3) as persona from persona p where p.id = $1 and may_use_persona($2, p)",
            args![persona, caller.id, version],
        )
        .await?;
    let found = row.and_then(|row| row.persona);
    found.map(Json).ok_or_else(|| Problem::not_found("persona"))
}

/// Changes a persona of the caller. A change of what it is makes a version.
#[utoipa::path(
    patch, path = "/api/personas/{persona}", tag = "personas", operation_id = "change_persona",
    params(("persona" = Uuid, Path, description = "The persona's id.")), request_body = Definition,
    responses(
        (status = 200, body = Persona),
        (status = 403, description = "`forbidden`: the persona is somebody else's; `scopes-exceed-owner`: agents that have it may do more than the token"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`name-taken`"),
        (status = 422, description = "`invalid-input`, `persona-invalid`"),
    ),
    security(("token" = ["personas:create"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(persona): Path<Uuid>,
    Input(change): Input<Definition>,
) -> Result<Json<Persona>> {
    change.check(&caller)?;
    let changed: Outcome<Persona> = db
        .one(
            "select change_persona($1, $2, $3) as outcome",
            args![
                caller.id,
                persona,
                json!({
                    "name": change.name, "visibility": change.visibility, "definition": change,
                    "greeting": change.greeting()?, "held": caller.scopes(),
                })
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("persona_name_key", name_taken())?;
    changed.value().map(Json)
}

/// Deletes a persona of the caller. Agents that have it keep it.
#[utoipa::path(
    delete, path = "/api/personas/{persona}", tag = "personas", operation_id = "delete_persona",
    params(("persona" = Uuid, Path, description = "The persona's id.")),
    responses(
        (status = 204, description = "The persona was deleted."),
        (status = 403, description = "`forbidden`: the persona is somebody else's"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["personas:create"]))
)]
pub async fn delete(db: Db, caller: Caller, Path(persona): Path<Uuid>) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select delete_persona($1, $2) as outcome",
            args![caller.id, persona],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}
