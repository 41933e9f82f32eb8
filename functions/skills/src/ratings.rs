//! Ratings: the opinions of accounts about a skill.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, Input, Items, Moment, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::catalogue::Account;
use crate::is_reviewer;

/// A rating to give.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = NewRating)]
pub struct NewRating {
    /// The rating from 1 to 5; 5 is best.
    #[garde(range(min = 1, max = 5))]
    #[schema(minimum = 1, maximum = 5)]
    rating: i32,
    /// The opinion in words.
    #[garde(length(chars, max = 4000))]
    #[serde(default)]
    text: String,
}

/// An account's opinion of a skill.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Rating {
    /// The account that rated the skill.
    account: Account,
    /// The rating from 1 to 5; 5 is best.
    rating: u8,
    /// The opinion in words.
    text: String,
    /// The time at which the account first rated the skill.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the last change.
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// The cursor of a page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
    updated_at: Moment,
    account: Uuid,
}

/// What a statement found and did.
#[derive(Debug, Deserialize)]
struct Met {
    is_own: bool,
    rating: Option<Rating>,
}

/// Rates a skill, replacing the caller's earlier rating. Owners and publishers of a skill can't rate it.
///
/// Only ratings by accounts that have called the skill count in the ranking.
#[utoipa::path(
    put, path = "/api/skills/{name}/reviews", tag = "skills",
    params(("name" = String, Path, description = "The skill's name.")),
    request_body = NewRating,
    responses(
        (status = 200, body = Rating),
        (status = 403, description = "`own-skill`"),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["skills:rate"]))
)]
pub async fn rate(
    db: Db,
    caller: Caller,
    Path(name): Path<String>,
    Input(new): Input<NewRating>,
) -> Result<Json<Rating>> {
    let met: Option<Met> = db
        .optional(
            "with target as (
                 select s.id, s.owner_id = $2 or exists (
                     select from version v where v.skill_id = s.id and v.published_by = $2) as is_own
                 from skill s where s.name = $1 and s.latest_id is not null
             ), rated as (
                 insert into rating as r (skill_id, account_id, rating, text)
                 select t.id, $2, $3::integer, $4 from target t where not t.is_own
                 on conflict (skill_id, account_id) do update
                 set rating = excluded.rating, text = excluded.text, updated_at = now()
                 returning r.*
             )
             select t.is_own, (
                 select jsonb_build_object('account', jsonb_build_object('id', o.id, 'name', o.name), 'rating', r.rating,
                     'text', r.text, 'created_at', r.created_at, 'updated_at', r.updated_at)
                 from rated r join identity.account_name o on o.id = r.account_id
             ) as rating
             from target t",
            args![name, caller.id, new.rating, new.text],
        )
        .await?;
    let met = met.ok_or_else(|| Problem::not_found("skill"))?;
    match met.rating {
        Some(rating) => Ok(Json(rating)),
        None if met.is_own => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "own-skill",
            "Accounts that own or have published a skill can't rate it.",
        )),
        None => Err(Problem::not_found("skill")),
    }
}

/// Takes the caller's rating back.
#[utoipa::path(
    delete, path = "/api/skills/{name}/reviews", tag = "skills",
    params(("name" = String, Path, description = "The skill's name.")),
    responses((status = 204, description = "The caller's rating does not exist any more.")),
    security(("token" = ["skills:rate"]))
)]
pub async fn withdraw(db: Db, caller: Caller, Path(name): Path<String>) -> Result<StatusCode> {
    db.execute(
        "delete from rating r using skill s where s.name = $1 and r.skill_id = s.id and r.account_id = $2",
        args![name, caller.id],
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the ratings of a skill, the most recently changed first.
#[utoipa::path(
    get, path = "/api/skills/{name}/reviews", tag = "skills", operation_id = "list_reviews",
    params(("name" = String, Path, description = "The skill's name."), guest::PageParams),
    responses((status = 200, body = Items<Rating>), (status = 401, description = "`unauthenticated`: the token is not valid"), (status = 404, description = "`not-found`"), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security((), ("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Option<Caller>,
    page: Page<Cursor>,
    Path(name): Path<String>,
) -> Result<Json<Items<Rating>>> {
    let after = page.after.as_ref();
    let rows: Vec<Rating> = db
        .many(
            "select jsonb_build_object('id', o.id, 'name', o.name) as account, r.rating, r.text, r.created_at, r.updated_at
             from skill s join rating r on r.skill_id = s.id join identity.account_name o on o.id = r.account_id
             where s.name = $1
             and ($2::text is null or (r.updated_at, r.account_id) < ($2::text::timestamptz, $3::uuid))
             order by r.updated_at desc, r.account_id desc limit $4",
            args![
                &name,
                after.map(|cursor| cursor.updated_at),
                after.map(|cursor| cursor.account),
                page.fetch()
            ],
        )
        .await?;
    if rows.is_empty() && page.after.is_none() {
        require_visible(&db, &name, caller.as_ref()).await?;
    }
    let answer = page.answer(rows, |rating| Cursor {
        updated_at: Moment(rating.updated_at),
        account: rating.account.id,
    });
    Ok(Json(answer))
}

/// Answers 404 unless the caller may see the skill, which may have no ratings.
async fn require_visible(db: &Db, name: &str, caller: Option<&Caller>) -> Result<()> {
    let found: Option<serde_json::Value> = db
        .optional(
            "select s.id from skill s
             where s.name = $1 and (s.owner_id = $2 or $3
                 or exists (select from version_view w where w.skill_id = s.id and w.is_public))",
            args![name, caller.map(|caller| caller.id), is_reviewer(caller)],
        )
        .await?;
    found.map(|_| ()).ok_or_else(|| Problem::not_found("skill"))
}
