//! Versions of skills: their tools, permissions, review findings and attestations.

use axum::Json;
use guest::{Caller, Db, Items, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{catalogue::Tool, is_reviewer};

/// The status of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = VersionStatus)]
pub enum Status {
    /// Neither the review nor a person has decided yet.
    InReview,
    /// Anybody may call it.
    Approved,
    /// Nobody may call it.
    Rejected,
    /// Taken back by its owner: only calls that name the version still reach it.
    Yanked,
}

/// A version as lists show it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct VersionSummary {
    /// The semantic version.
    pub version: String,
    /// The version's status.
    pub status: Status,
    /// Whether the review left the decision to a person.
    pub held: bool,
    /// The component's digest.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub digest: String,
    /// The component's size in bytes.
    pub size_bytes: u64,
    /// The time at which the version was published.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The time of the decision; null until then.
    #[serde(with = "time::serde::rfc3339::option")]
    pub decided_at: Option<OffsetDateTime>,
}

/// A version of a skill.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// The version's id.
    pub id: Uuid,
    /// The skill's name.
    pub skill: String,
    #[serde(flatten)]
    pub summary: VersionSummary,
    /// What the skill does, in the words of its author.
    pub description: String,
    /// The licence, as an SPDX expression.
    pub license: Option<String>,
    /// The version's tags.
    pub tags: Vec<String>,
    /// The readme, as Markdown.
    pub readme: Option<String>,
    /// The tools that the version offers.
    pub tools: Vec<Tool>,
    /// The permissions beyond computing: `http`, `kv`, `clock`, `random`.
    #[schema(value_type = Object)]
    pub permissions: Value,
    /// The limits of a call: `memory_bytes`, `fuel`, `deadline_ms`.
    #[schema(value_type = Object)]
    pub limits: Value,
    /// Example calls with their results, as published by the author.
    #[schema(value_type = Vec<Object>)]
    pub examples: Value,
    /// Facts about the component, such as its imports and exports.
    #[schema(value_type = Object)]
    pub facts: Value,
    /// The findings of the review and the reasons for its decision; null until it has ended.
    #[schema(value_type = Object, nullable)]
    pub review: Value,
    /// The quality from 0 to 1 that the review measured.
    pub quality: Option<f64>,
    /// The id of the job that reviews the version.
    pub job_id: Option<Uuid>,
    /// The account that published the version.
    pub published_by: Uuid,
    /// The time at which the version was taken back; null if it was not.
    #[serde(with = "time::serde::rfc3339::option")]
    pub yanked_at: Option<OffsetDateTime>,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(flatten)]
    version: VersionSummary,
    precedence: String,
}

/// Lists the versions of a skill that the caller may see, the highest first.
#[utoipa::path(
    get, path = "/api/skills/{name}/versions", tag = "skills", operation_id = "list_versions",
    params(("name" = String, Path, description = "The skill's name."), guest::PageParams),
    responses((status = 200, body = Items<VersionSummary>), (status = 401, description = "`unauthenticated`: the token is not valid"), (status = 404, description = "`not-found`"), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security((), ("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Option<Caller>,
    page: Page<String>,
    Path(name): Path<String>,
) -> Result<Json<Items<VersionSummary>>> {
    let rows: Vec<Row> = db
        .many(
            "select w.* from skill s join version_view w on w.skill_id = s.id
             where s.name = $1 and (w.is_public or s.owner_id = $2 or $3)
             and ($4::text is null or w.precedence < $4)
             order by w.precedence desc limit $5",
            args![
                name,
                caller.as_ref().map(|caller| caller.id),
                is_reviewer(caller.as_ref()),
                page.after.clone(),
                page.fetch(),
            ],
        )
        .await?;
    // A skill has at least one version, so a caller that sees no version does not see the skill either.
    if rows.is_empty() && page.after.is_none() {
        return Err(Problem::not_found("skill"));
    }
    let answer = page.answer(rows, |row| row.precedence.clone());
    let items = answer.items.into_iter().map(|row| row.version).collect();
    Ok(Json(Items {
        items,
        next: answer.next,
    }))
}

/// Reads one version: its tools with their schemas, its permissions, and the findings of its review.
#[utoipa::path(
    get, path = "/api/skills/{name}/versions/{version}", tag = "skills", operation_id = "get_version",
    params(
        ("name" = String, Path, description = "The skill's name."),
        ("version" = String, Path, description = "The semantic version, such as `1.2.0`."),
    ),
    responses((status = 200, body = Version), (status = 401, description = "`unauthenticated`: the token is not valid"), (status = 404, description = "`not-found`")),
    security((), ("token" = []))
)]
pub async fn get(
    db: Db,
    caller: Option<Caller>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Version>> {
    let version: Option<Version> = db
        .optional(
            "select w.*, s.name as skill, v.manifest ->> 'description' as description, v.manifest ->> 'license' as license,
                    coalesce(v.manifest -> 'tags', '[]') as tags, v.manifest ->> 'readme' as readme, v.tools,
                    v.manifest -> 'permissions' as permissions, v.manifest -> 'limits' as limits,
                    coalesce(v.manifest -> 'examples', '[]') as examples, v.facts, v.review, v.quality, v.job_id,
                    v.published_by, v.yanked_at
             from skill s join version_view w on w.skill_id = s.id join version v on v.id = w.id
             where s.name = $1 and w.version = $2 and (w.is_public or s.owner_id = $3 or $4)",
            args![name, version, caller.as_ref().map(|caller| caller.id), is_reviewer(caller.as_ref())],
        )
        .await?;
    version
        .map(Json)
        .ok_or_else(|| Problem::not_found("version"))
}

/// A signed statement, as a DSSE envelope.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The media type of the payload, always `application/vnd.in-toto+json`.
    payload_type: String,
    /// The in-toto statement, encoded as base64.
    payload: String,
    /// The signatures, each with the id of its key.
    #[schema(value_type = Vec<Object>)]
    signatures: Value,
}

#[derive(Debug, Deserialize)]
struct Signed {
    /// `None` if the version has no statement.
    id: Option<Uuid>,
    envelope: Option<Envelope>,
}

/// Lists the signed statements about a version, the oldest first.
///
/// The keys of `/.well-known/jwks.json` verify the signatures.
#[utoipa::path(
    get, path = "/api/skills/{name}/versions/{version}/attestations", tag = "skills",
    params(
        ("name" = String, Path, description = "The skill's name."),
        ("version" = String, Path, description = "The semantic version, such as `1.2.0`."),
        guest::PageParams,
    ),
    responses((status = 200, body = Items<Envelope>), (status = 401, description = "`unauthenticated`: the token is not valid"), (status = 404, description = "`not-found`"), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security((), ("token" = []))
)]
pub async fn attestations(
    db: Db,
    caller: Option<Caller>,
    page: Page<Uuid>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Items<Envelope>>> {
    let rows: Vec<Signed> = db
        .many(
            "select a.id, a.envelope
             from skill s join version_view w on w.skill_id = s.id
             left join attestation a on a.version_id = w.id and ($5::uuid is null or a.id > $5)
             where s.name = $1 and w.version = $2 and (w.is_public or s.owner_id = $3 or $4)
             order by a.id limit $6",
            args![
                name,
                version,
                caller.as_ref().map(|caller| caller.id),
                is_reviewer(caller.as_ref()),
                page.after,
                page.fetch(),
            ],
        )
        .await?;
    if rows.is_empty() {
        return Err(Problem::not_found("version"));
    }
    let rows: Vec<(Uuid, Envelope)> = rows
        .into_iter()
        .filter_map(|row| Some((row.id?, row.envelope?)))
        .collect();
    let answer = page.answer(rows, |(id, _)| *id);
    let items = answer
        .items
        .into_iter()
        .map(|(_, envelope)| envelope)
        .collect();
    Ok(Json(Items {
        items,
        next: answer.next,
    }))
}
