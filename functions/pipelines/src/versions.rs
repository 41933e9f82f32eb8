//! The versions of a pipeline, which never change.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{definition, pipelines, rights};

/// A version of a pipeline, which never changes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PipelineVersion)]
pub struct Version {
    /// The number, beginning with 1.
    pub number: u32,
    /// The SHA-256 of the canonical definition (RFC 8785).
    #[schema(example = "sha256:…")]
    pub digest: String,
    /// The definition. Absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, nullable = false)]
    pub definition: Option<Value>,
    /// The publisher's note about the version.
    pub note: String,
    /// The time at which the version was published.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A new version.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVersion {
    /// The definition of the version.
    #[garde(skip)]
    #[schema(value_type = Object)]
    definition: Value,
    /// A note about the version.
    #[garde(length(chars, max = 1000))]
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: String,
    /// Whether runs start with this version from now on.
    #[garde(skip)]
    #[serde(default)]
    activate: bool,
}

#[derive(Deserialize)]
struct Published {
    published: Option<Number>,
}

#[derive(Deserialize)]
struct Number {
    number: i32,
    is_new: bool,
}

async fn one(db: &Db, pipeline: Uuid, number: i32) -> Result<Version> {
    let found = db
        .optional(
            "select number, digest, definition, note, created_at from version where pipeline_id = $1 and number = $2",
            args![pipeline, number],
        )
        .await?;
    found.ok_or_else(pipelines::unknown_version)
}

/// Publishes a version. The definition of the active version again is that version, with status 200.
#[utoipa::path(
    post, path = "/api/pipelines/{pipeline}/versions", tag = "pipelines", operation_id = "publish_pipeline_version",
    params(
        ("pipeline" = String, Path, description = "The pipeline's id, or its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = NewVersion,
    responses(
        (status = 200, body = Version, description = "The active version, which has this definition already"),
        (status = 201, body = Version, headers(("Location" = String))),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`pipeline-archived`"),
        (status = 422, description = "`invalid-input`, `invalid-definition`"),
    ),
    security(("token" = ["pipelines:write"]))
)]
pub async fn publish(
    db: Db,
    caller: Caller,
    Path(pipeline): Path<String>,
    Input(new): Input<NewVersion>,
) -> Result<Response> {
    let id = pipelines::find(&db, &caller, &pipeline).await?;
    rights::check(&caller, &new.definition)?;
    let checked = definition::checked(&db, &caller, &new.definition).await?;
    let published: Published = db
        .one(
            "select publish($1, $2, $3, $4, $5, $6, $7) as published",
            args![
                caller.id,
                id,
                new.definition,
                checked.digest,
                checked.skills,
                new.note,
                new.activate
            ],
        )
        .await
        .on_constraint("pipeline_archived", pipelines::archived())?;
    let published = published
        .published
        .ok_or_else(|| Problem::not_found("pipeline"))?;
    let version = one(&db, id, published.number).await?;
    if !published.is_new {
        return Ok((StatusCode::OK, Json(version)).into_response());
    }
    let location = format!("/api/pipelines/{id}/versions/{}", published.number);
    Ok(Created::at(location, version).into_response())
}

/// Lists the versions of a pipeline, the newest first, without their definitions.
#[utoipa::path(
    get, path = "/api/pipelines/{pipeline}/versions", tag = "pipelines", operation_id = "list_pipeline_versions",
    params(("pipeline" = String, Path, description = "The pipeline's id, or its name."), guest::PageParams),
    responses(
        (status = 200, body = Items<Version>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(pipeline): Path<String>,
    page: Page<i32>,
) -> Result<Json<Items<Version>>> {
    let id = pipelines::readable(&db, &caller, &pipeline).await?;
    let versions: Vec<Version> = db
        .many(
            "select number, digest, note, created_at from version
             where pipeline_id = $1 and ($2::integer is null or number < $2) order by number desc limit $3",
            args![id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(versions, |version| {
        i32::try_from(version.number).unwrap_or(i32::MAX)
    })))
}

/// Reads one version of a pipeline.
#[utoipa::path(
    get, path = "/api/pipelines/{pipeline}/versions/{number}", tag = "pipelines", operation_id = "get_pipeline_version",
    params(
        ("pipeline" = String, Path, description = "The pipeline's id, or its name."),
        ("number" = i32, Path, description = "The version's number."),
    ),
    responses((status = 200, body = Version), (status = 404, description = "`not-found`, `unknown-version`")),
    security(("token" = []))
)]
pub async fn get(
    db: Db,
    caller: Caller,
    Path((pipeline, number)): Path<(String, i32)>,
) -> Result<Json<Version>> {
    let id = pipelines::readable(&db, &caller, &pipeline).await?;
    one(&db, id, number).await.map(Json)
}
