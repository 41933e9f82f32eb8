//! Words in everything, of any language.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Moment, Page, Problem, Query, Result, args, folded};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Something that was found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// What it is: `post`, `comment`, `message`, `channel`, `account` or `skill`, or what another function registers.
    #[serde(rename = "type")]
    #[schema(example = "message")]
    kind: String,
    /// Its id.
    id: String,
    /// Its name or title; of a message, the channel's name.
    #[schema(example = "#general")]
    title: String,
    /// The part of its text around the words.
    snippet: String,
    /// Where the site shows it.
    #[schema(example = "/channels/01890000-0000-7000-8000-000000000000")]
    url: String,
    /// How well it fits. 3 and more: the query is its name. 2: it has all the words. Below: it has words like them.
    rank: f64,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A page of what was found, the best first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchResults {
    items: Vec<SearchHit>,
    /// Give this as `after` for the next page; null on the last.
    next: Option<String>,
    /// The types that could not be searched this time, because it failed or took too long. Try again later.
    missing: Vec<String>,
}

/// What to look for.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words, or parts of words, that a result has, all of them, or words that look alike. Neither case nor the
    /// composition of letters matters.
    #[garde(length(chars, min = 1, max = 200))]
    query: String,
    /// Only results of this type, or of several that are separated by commas.
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[serde(rename = "type")]
    #[param(example = "message,channel")]
    types: Option<String>,
}

/// Where a page ends: what the results are ordered by.
#[derive(Debug, Serialize, Deserialize)]
pub struct Place {
    rank: f64,
    at: Moment,
    kind: String,
    id: String,
}

/// Finds what the caller may read: posts, comments, messages, channels, accounts and skills.
///
/// The 200 best results are there, in pages. Without a token only what everybody may read is found.
#[utoipa::path(
    get, path = "/api/search", tag = "search", params(SearchQuery, guest::PageParams),
    responses(
        (status = 200, body = SearchResults),
        (status = 401, description = "`unauthenticated`: a token that is not valid"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security((), ("token" = []))
)]
pub async fn search_everything(
    db: Db,
    caller: Option<Caller>,
    page: Page<Place>,
    Query(SearchQuery { query, types }): Query<SearchQuery>,
) -> Result<Json<SearchResults>> {
    let query = folded(query.trim());
    if query.trim().is_empty() {
        return Err(Problem::invalid("query", "must have a word in it"));
    }
    let kinds: Option<Vec<_>> = types.map(|types| types.split(',').map(singular).collect());
    #[derive(Deserialize)]
    struct Row {
        known: bool,
        items: Vec<SearchHit>,
        missing: Vec<String>,
    }
    let after = page.after.as_ref();
    let row: Row = db
        .one(
            "select known, items, missing from find($1, $2, $3, $4, $5::text::timestamptz, $6, $7, $8)",
            args![
                caller.map(|caller| caller.id),
                query,
                kinds,
                after.map(|place| place.rank),
                after.map(|place| place.at),
                after.map(|place| place.kind.clone()),
                after.map(|place| place.id.clone()),
                page.fetch(),
            ],
        )
        .await?;
    if !row.known {
        return Err(Problem::invalid("type", "names a type that nothing has"));
    }
    if !row.missing.is_empty() {
        guest::warn!("search without some types", types = row.missing.join(","));
    }
    let Items { items, next } = page.answer(row.items, |hit| Place {
        rank: hit.rank,
        at: Moment(hit.created_at),
        kind: hit.kind.clone(),
        id: hit.id.clone(),
    });
    Ok(Json(SearchResults {
        items,
        next,
        missing: row.missing,
    }))
}

/// A type's name: `posts` means `post`.
fn singular(name: &str) -> String {
    let name = name.trim();
    name.strip_suffix('s').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_may_be_named_in_the_plural() {
        for (given, name) in [("post", "post"), ("posts", "post"), (" skills ", "skill")] {
            assert_eq!(singular(given), name);
        }
    }
}
