//! The catalogue: skills with an approved version, found by words, tag or author.

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
    /// The skill's id.
    pub id: Uuid,
    /// The skill's name, by which it is called.
    #[schema(example = "word-count")]
    pub name: String,
    /// What the skill does, in the words of its author.
    pub description: String,
    /// The skill's tags.
    pub tags: Vec<String>,
    /// The account that owns the skill.
    pub owner: Account,
    /// The version that a call without a version uses; null while none is approved.
    pub latest_version: Option<String>,
    /// The rank from 0 to 1, computed from review, use, ratings and freshness every ten minutes.
    pub rank: f64,
    /// The number of calls within the last 30 days.
    pub uses_30d: u64,
    /// The number of accounts that called the skill within the last 30 days.
    pub users_30d: u64,
    /// The mean of the skill's ratings; null if it has none.
    pub rating: Option<f64>,
    /// The number of ratings.
    pub ratings: u64,
    /// The time at which the skill's first version was published.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The time of the skill's last change.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// An account, by id and name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AccountName)]
pub struct Account {
    /// The account's id.
    pub id: Uuid,
    /// The account's name.
    pub name: String,
}

/// A skill with its versions and its tools.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SkillDetail {
    #[serde(flatten)]
    pub skill: SkillSummary,
    /// The newest 20 versions that the caller may see.
    pub versions: Vec<VersionSummary>,
    /// The tools of the latest version.
    pub tools: Vec<Tool>,
}

/// A function that agents can call.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Tool {
    /// The tool's name.
    pub name: String,
    /// What the tool does, in the words of its author.
    pub description: String,
    /// The JSON Schema (2020-12) of the arguments, an object with a member for each parameter.
    #[schema(value_type = Object)]
    pub input_schema: Value,
    /// The JSON Schema of the result.
    #[schema(value_type = Object)]
    pub output_schema: Value,
    /// The JSON Schema of the error that the tool may return; absent if it returns none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, nullable = false)]
    pub error_schema: Option<Value>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// By rank, the highest first.
    #[default]
    Rank,
    /// The newest first.
    New,
    /// By calls within 30 days, the most first.
    Used,
}

/// The filters of a list of skills.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Words to search for, in any form, possibly misspelt. The best matches come first, whatever `sort` says: matches
    /// of the name, then of the words as written or in another form, then with two letters swapped, then of similar
    /// words. A phrase in quotes is matched as written, and `-word` excludes a word.
    #[garde(inner(length(chars, max = 200)))]
    query: Option<String>,
    /// Lists only skills with this tag.
    #[garde(inner(length(max = 30)))]
    tag: Option<String>,
    /// Lists only skills of this account, given by name or id.
    #[garde(inner(length(max = 60)))]
    author: Option<String>,
    /// The order of the list; `rank` by default.
    #[garde(skip)]
    #[param(inline)]
    sort: Option<Sort>,
}

/// The cursor of a page: the values that the list is ordered by, then the id.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
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
    page: Page<Cursor>,
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
        page.after.as_ref().map(|cursor| cursor.first),
        page.after.as_ref().map(|cursor| cursor.second),
        page.after.as_ref().map(|cursor| cursor.id),
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
    let answer = page.answer(rows, |row| Cursor {
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

/// Reads one skill, with its versions and the tools of the latest version.
///
/// A skill without an approved version is visible only to its owner and to reviewers.
#[utoipa::path(
    get, path = "/api/skills/{name}", tag = "skills",
    params(("name" = String, Path, description = "The skill's name.")),
    responses((status = 200, body = SkillDetail), (status = 401, description = "`unauthenticated`: the token is not valid"), (status = 404, description = "`not-found`")),
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
