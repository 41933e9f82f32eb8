//! Pipelines: their names, and which of their versions is active.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{definition, rights};

/// A pipeline: a graph of steps, in numbered versions.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Pipeline {
    /// The pipeline's id.
    pub id: Uuid,
    /// The name, which is the owner's own.
    #[schema(example = "nightly-report")]
    pub name: String,
    /// The account that owns the pipeline.
    pub owner: Uuid,
    /// The team whose members may read the pipeline, if its visibility says so.
    pub team: Option<Uuid>,
    /// The accounts that may read the pipeline and its versions.
    pub visibility: Visibility,
    /// The version that runs start with unless they name another.
    pub active_version: u32,
    /// Whether no run can be started.
    pub paused: bool,
    /// Whether the pipeline is archived.
    pub archived: bool,
    /// The numbers of its runs by status, for those that there are. Each is counted up to 1,000. Only its owner sees them.
    pub runs: BTreeMap<String, u64>,
    /// The time at which the pipeline was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// The accounts that may read a pipeline and its versions. A run is for the account alone that it acts for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PipelineVisibility)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its owner alone.
    #[default]
    Private,
    /// The members of its team, too.
    Team,
    /// Everybody who is signed in.
    Public,
}

impl Visibility {
    fn text(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Team => "team",
            Self::Public => "public",
        }
    }
}

/// A new pipeline.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPipeline {
    /// The name: 1 to 60 lower-case letters, digits and hyphens.
    #[garde(custom(pipeline_name))]
    #[schema(example = "nightly-report", max_length = 60)]
    name: String,
    /// The definition of the first version.
    #[garde(skip)]
    #[schema(value_type = Object)]
    definition: Value,
    /// A team that the caller is a member of.
    #[garde(skip)]
    team: Option<Uuid>,
    /// The accounts that may read the pipeline.
    #[garde(skip)]
    #[serde(default)]
    visibility: Visibility,
}

/// A change of a pipeline. Absent fields stay as they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineChange {
    /// The new name.
    #[garde(inner(custom(pipeline_name)))]
    #[schema(max_length = 60)]
    name: Option<String>,
    /// The version that runs start with from now on.
    #[garde(inner(range(min = 1)))]
    active_version: Option<i32>,
    /// Whether no run can be started.
    #[garde(skip)]
    paused: Option<bool>,
    /// The accounts that may read the pipeline.
    #[garde(skip)]
    visibility: Option<Visibility>,
}

/// The filter of a list of pipelines.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists archived pipelines, too.
    #[garde(skip)]
    #[serde(default)]
    archived: bool,
    /// Lists the pipelines of this account that the caller may read, instead of the caller's own.
    #[garde(skip)]
    owner: Option<Uuid>,
    /// Lists only pipelines whose names have this in them.
    #[garde(inner(length(max = 60)))]
    query: Option<String>,
}

/// Whether unfinished runs are cancelled.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Archiving {
    /// Cancels runs that have not ended, instead of refusing. They may still take the time that a cancelled run has.
    #[garde(skip)]
    #[serde(default)]
    cancel: bool,
}

#[derive(Deserialize)]
struct Found {
    id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

fn pipeline_name(name: &str, (): &()) -> garde::Result {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_taken = name == "validate" || name.parse::<Uuid>().is_ok();
    if (1..=60).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with('-')
        && !is_taken
    {
        return Ok(());
    }
    Err(garde::Error::new(
        "must have 1 to 60 lower-case letters, digits and hyphens, and be neither an id nor `validate`",
    ))
}

fn taken() -> Problem {
    Problem::conflict("name-taken", "You have a pipeline of this name already.")
}

fn no_team() -> Problem {
    Problem::invalid(
        "team",
        "must be a team that you are a member of, if others of it may read the pipeline",
    )
}

/// The problem for a pipeline that is archived.
pub fn archived() -> Problem {
    Problem::conflict("pipeline-archived", "The pipeline is archived.")
}

/// The problem for a version that does not exist.
pub fn unknown_version() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown-version",
        "The pipeline does not have a version of this number.",
    )
}

/// The id of the caller's pipeline with an id or a name.
///
/// # Errors
/// 404 `not-found`.
pub async fn find(db: &Db, caller: &Caller, reference: &str) -> Result<Uuid> {
    let found: Found = db
        .one(
            "select find_pipeline($1, $2) as id",
            args![caller.id, reference],
        )
        .await?;
    found.id.ok_or_else(|| Problem::not_found("pipeline"))
}

/// The id of a pipeline that the caller may read, with an id or, of the caller's own, a name.
///
/// # Errors
/// 404 `not-found`.
pub async fn readable(db: &Db, caller: &Caller, reference: &str) -> Result<Uuid> {
    let found: Found = db
        .one("select readable($1, $2) as id", args![caller.id, reference])
        .await?;
    found.id.ok_or_else(|| Problem::not_found("pipeline"))
}

async fn one(db: &Db, caller: &Caller, id: Uuid) -> Result<Pipeline> {
    let found = db
        .optional(
            "select p.id, p.name, p.owner_id as owner, p.team_id as team, p.visibility, p.active_version, p.paused, p.archived_at is not null as archived,
                 p.created_at, case when p.owner_id = $1 then run_counts(p.id) else '{}' end as runs
             from pipeline p where p.id = $2 and sees($1, p)",
            args![caller.id, id],
        )
        .await?;
    found.ok_or_else(|| Problem::not_found("pipeline"))
}

/// Makes a pipeline. The definition becomes version 1, which is active.
///
/// A definition with problems is refused with all of them in `problems`.
#[utoipa::path(
    post, path = "/api/pipelines", tag = "pipelines", operation_id = "create_pipeline", request_body = NewPipeline,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 201, body = Pipeline, headers(("Location" = String))),
        (status = 409, description = "`name-taken`, `too-many-pipelines`"),
        (status = 422, description = "`invalid-input`, `invalid-definition`"),
    ),
    security(("token" = ["pipelines:write"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Input(new): Input<NewPipeline>,
) -> Result<Created<Pipeline>> {
    rights::check(&caller, &new.definition)?;
    let checked = definition::checked(&db, &caller, &new.definition).await?;
    let many = Problem::conflict(
        "too-many-pipelines",
        "You have 1,000 pipelines. Archive one first.",
    );
    let made: Found = db
        .one(
            "select create_pipeline($1, $2, $3, $4, $5, $6, $7) as id",
            args![
                caller.id,
                new.name,
                new.definition,
                checked.digest,
                checked.skills,
                new.team,
                new.visibility.text()
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("pipeline_name_key", taken())
        .on_constraint("pipeline_team_member", no_team())
        .on_constraint("pipeline_count", many)?;
    let id = made.id.ok_or_else(|| Problem::not_found("pipeline"))?;
    let pipeline = one(&db, &caller, id).await?;
    Ok(Created::at(format!("/api/pipelines/{id}"), pipeline))
}

/// Lists the caller's pipelines, or those of another account that the caller may read, the newest first.
#[utoipa::path(
    get, path = "/api/pipelines", tag = "pipelines", operation_id = "list_pipelines",
    params(guest::PageParams, Filter),
    responses((status = 200, body = Items<Pipeline>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Pipeline>>> {
    let arguments = args![
        filter.owner.unwrap_or(caller.id),
        page.after,
        page.fetch(),
        caller.id,
        filter.query
    ];
    // Each of the two statements has an index of its own.
    let pipelines: Vec<Pipeline> = if filter.archived {
        db.many(
            "select id, name, owner_id as owner, team_id as team, visibility, active_version, paused,
                 archived_at is not null as archived, created_at,
                 case when owner_id = $4 then run_counts(id) else '{}' end as runs
             from pipeline p where owner_id = $1 and ($2::uuid is null or id < $2) and sees($4, p)
             and ($5::text is null or strpos(name, $5) > 0) and (archived_at is null or owner_id = $4)
             order by id desc limit $3",
            arguments,
        )
        .await?
    } else {
        db.many(
            "select id, name, owner_id as owner, team_id as team, visibility, active_version, paused,
                 false as archived, created_at,
                 case when owner_id = $4 then run_counts(id) else '{}' end as runs
             from pipeline p where owner_id = $1 and archived_at is null and ($2::uuid is null or id < $2)
             and sees($4, p) and ($5::text is null or strpos(name, $5) > 0)
             order by id desc limit $3",
            arguments,
        )
        .await?
    };
    Ok(Json(page.answer(pipelines, |pipeline| pipeline.id)))
}

/// Reads a pipeline that the caller may read.
#[utoipa::path(
    get, path = "/api/pipelines/{pipeline}", tag = "pipelines", operation_id = "get_pipeline",
    params(("pipeline" = String, Path, description = "The pipeline's id, or its name.")),
    responses((status = 200, body = Pipeline), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(pipeline): Path<String>) -> Result<Json<Pipeline>> {
    let id = readable(&db, &caller, &pipeline).await?;
    one(&db, &caller, id).await.map(Json)
}

/// Renames a pipeline, pauses it, or activates one of its versions. Runs that have started go on with their version.
#[utoipa::path(
    patch, path = "/api/pipelines/{pipeline}", tag = "pipelines", operation_id = "change_pipeline",
    params(("pipeline" = String, Path, description = "The pipeline's id, or its name.")), request_body = PipelineChange,
    responses(
        (status = 200, body = Pipeline),
        (status = 404, description = "`not-found`, `unknown-version`"),
        (status = 409, description = "`name-taken`, `pipeline-archived`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["pipelines:write"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(pipeline): Path<String>,
    Input(change): Input<PipelineChange>,
) -> Result<Json<Pipeline>> {
    let id = find(&db, &caller, &pipeline).await?;
    let changed: Done = db
        .one(
            "select change_pipeline($1, $2, $3, $4, $5, $6) as done",
            args![
                caller.id,
                id,
                change.name,
                change.active_version,
                change.paused,
                change.visibility.map(Visibility::text)
            ],
        )
        .await
        .on_constraint("pipeline_archived", archived())
        .on_constraint("pipeline_version", unknown_version())
        .on_constraint("pipeline_name_key", taken())
        .on_constraint("pipeline_team_member", no_team())?;
    if !changed.done {
        return Err(Problem::not_found("pipeline"));
    }
    one(&db, &caller, id).await.map(Json)
}

/// Archives a pipeline: nothing starts it any more, and its name is free. Its versions and runs can still be read.
#[utoipa::path(
    delete, path = "/api/pipelines/{pipeline}", tag = "pipelines", operation_id = "archive_pipeline",
    params(("pipeline" = String, Path, description = "The pipeline's id, or its name."), Archiving),
    responses(
        (status = 204, description = "The pipeline is archived"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`runs-unfinished`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["pipelines:write"]))
)]
pub async fn archive(
    db: Db,
    caller: Caller,
    Path(pipeline): Path<String>,
    Query(archiving): Query<Archiving>,
) -> Result<StatusCode> {
    let id = find(&db, &caller, &pipeline).await?;
    let unfinished = Problem::conflict(
        "runs-unfinished",
        "The pipeline has runs that have not ended.",
    );
    let archived: Done = db
        .one(
            "select archive($1, $2, $3) as done",
            args![caller.id, id, archiving.cancel],
        )
        .await
        .on_constraint("runs_unfinished", unfinished)?;
    if !archived.done {
        return Err(Problem::not_found("pipeline"));
    }
    Ok(StatusCode::NO_CONTENT)
}
