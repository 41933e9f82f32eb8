//! The catalogue: skills that have an approved version, found by words, tag or author.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{is_reviewer, versions::VersionSummary};

/// A skill as lists show it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SkillSummary {
    pub id: Uuid,
    #[schema(example = "word-count")]
    pub name: String,
    pub description: String,
    pub tags: Vec<String>,
    pub owner: Account,
    /// The version that callers get who name none; null while none is approved.
    pub latest_version: Option<String>,
    /// 0 to 1: review, use, ratings and freshness, computed every ten minutes.
    pub rank: f64,
    /// Calls within 30 days.
    pub uses_30d: u64,
    /// Accounts that called it within 30 days.
    pub users_30d: u64,
    /// The mean of its ratings; null without any.
    pub rating: Option<f64>,
    pub ratings: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// Whose it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AccountName)]
pub struct Account {
    pub id: Uuid,
    pub name: String,
}

/// A skill with its versions and its tools.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SkillDetail {
    #[serde(flatten)]
    pub skill: SkillSummary,
    /// The newest 20 that the caller may see.
    pub versions: Vec<VersionSummary>,
    /// Those of the latest version.
    pub tools: Vec<Tool>,
}

/// A function that agents can call.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// JSON Schema 2020-12 of the arguments: an object by parameter name.
    #[schema(value_type = Object)]
    pub input_schema: Value,
    /// JSON Schema of the result.
    #[schema(value_type = Object)]
    pub output_schema: Value,
    /// JSON Schema of the skill's own error, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, nullable = false)]
    pub error_schema: Option<Value>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// The best first.
    #[default]
    Rank,
    /// The newest first.
    New,
    /// The most used first.
    Used,
}

/// Which skills to list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Words in any form, perhaps misspelt; those that fit best come first, whatever `sort` says: the name, then the
    /// words as they are written or in another form, then with two letters swapped, then what looks alike. What stands
    /// in quotes is found as it is written, and `-word` excludes a word.
    #[garde(inner(length(chars, max = 200)))]
    query: Option<String>,
    /// Only those with this tag.
    #[garde(inner(length(max = 30)))]
    tag: Option<String>,
    /// Only those of this account: a name or an id.
    #[garde(inner(length(max = 60)))]
    author: Option<String>,
    #[garde(skip)]
    #[param(inline)]
    sort: Option<Sort>,
}

/// Where a page ends: what it is ordered by, then the id.
#[derive(Debug, Serialize, Deserialize)]
pub struct Place {
    first: f64,
    second: f64,
    id: Uuid,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(flatten)]
    skill: SkillSummary,
    first: f64,
    second: f64,
}

/// Lists the skills that have an approved version.
#[utoipa::path(
    get, path = "/api/skills", tag = "skills", params(guest::PageParams, Filter),
    responses((status = 200, body = Items<SkillSummary>), (status = 422, description = "`invalid-input`, `invalid-cursor`"))
)]
pub async fn list(
    db: Db,
    page: Page<Place>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<SkillSummary>>> {
    let query = filter.query.filter(|query| !query.trim().is_empty());
    let has_query = query.is_some();
    let author_id = filter
        .author
        .as_deref()
        .and_then(|it| it.parse::<Uuid>().ok());
    let arguments = args![
        query,
        filter.tag,
        filter.author,
        page.after.as_ref().map(|place| place.first),
        page.after.as_ref().map(|place| place.second),
        page.after.as_ref().map(|place| place.id),
        page.fetch(),
        author_id,
    ];
    // A statement for each order, so that each has its index.
    let sql = match filter.sort.unwrap_or_default() {
        _ if has_query => {
            "select s.*, m.relevance as first, s.rank as second
             from matching($1) m join skill_summary s on s.id = m.id
             where ($2::text is null or s.tags @> array[$2])
             and ($3::text is null or s.owner_id = (
                 select a.id from identity.account_name a where a.name = $3 or a.id = $8::uuid))
             and ($4::double precision is null or (m.relevance, s.rank, s.id) < ($4, $5, $6))
             order by m.relevance desc, s.rank desc, s.id desc limit $7"
        }
        Sort::Rank => {
            "select s.*, s.rank as first, 0::double precision as second
             from skill_summary s
             where s.latest_id is not null and $1::text is null
             and ($2::text is null or s.tags @> array[$2])
             and ($3::text is null or s.owner_id = (
                 select a.id from identity.account_name a where a.name = $3 or a.id = $8::uuid))
             and ($4::double precision is null or (s.rank, 0::double precision, s.id) < ($4, $5, $6))
             order by s.rank desc, s.id desc limit $7"
        }
        Sort::New => {
            "select s.*, 0::double precision as first, 0::double precision as second
             from skill_summary s
             where s.latest_id is not null and $1::text is null
             and ($2::text is null or s.tags @> array[$2])
             and ($3::text is null or s.owner_id = (
                 select a.id from identity.account_name a where a.name = $3 or a.id = $8::uuid))
             and ($4::double precision is null or (0::double precision, 0::double precision, s.id) < ($4, $5, $6))
             order by s.id desc limit $7"
        }
        Sort::Used => {
            "select s.*, s.uses_30d::double precision as first, 0::double precision as second
             from skill_summary s
             where s.latest_id is not null and $1::text is null
             and ($2::text is null or s.tags @> array[$2])
             and ($3::text is null or s.owner_id = (
                 select a.id from identity.account_name a where a.name = $3 or a.id = $8::uuid))
             and ($4::double precision is null or (s.uses_30d::double precision, 0::double precision, s.id) < ($4, $5, $6))
             order by s.uses_30d desc, s.id desc limit $7"
        }
    };
    let rows: Vec<Row> = db.many(sql, arguments).await?;
    let answer = page.answer(rows, |row| Place {
        first: row.first,
        second: row.second,
        id: row.skill.id,
    });
    let items = answer.items.into_iter().map(|row| row.skill).collect();
    Ok(Json(Items {
        items,
        next: answer.next,
    }))
}

/// One skill, with its versions and the tools of the latest one.
///
/// A skill without an approved version is there for its owner and for reviewers only.
#[utoipa::path(
    get, path = "/api/skills/{name}", tag = "skills",
    params(("name" = String, Path, description = "Name")),
    responses((status = 200, body = SkillDetail), (status = 401, description = "`unauthenticated`: a token that is not valid"), (status = 404, description = "`not-found`")),
    security((), ("token" = []))
)]
pub async fn get(
    db: Db,
    caller: Option<Caller>,
    Path(name): Path<String>,
) -> Result<Json<SkillDetail>> {
    let skill: Option<SkillDetail> = db
        .optional(
            "select s.*, coalesce((select v.tools from version v where v.id = s.latest_id), '[]') as tools, (
                 select coalesce(jsonb_agg(to_jsonb(n) order by n.precedence desc), '[]') from (
                     select * from version_view w
                     where w.skill_id = s.id and (w.is_public or s.owner_id = $2 or $3)
                     order by w.precedence desc limit 20) n
             ) as versions
             from skill_summary s
             where s.name = $1 and (s.owner_id = $2 or $3
                 or exists (select from version_view w where w.skill_id = s.id and w.is_public))",
            args![
                name,
                caller.as_ref().map(|caller| caller.id),
                is_reviewer(caller.as_ref())
            ],
        )
        .await?;
    skill.map(Json).ok_or_else(|| Problem::not_found("skill"))
}
