//! Search for words in everything, in any language.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Moment, Page, Problem, Query, Result, args};
use markdown::folded;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// A result of a search.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// The type of result: `post`, `comment`, `message`, `channel`, `account` or `skill`, or another type that a
    /// function registers.
    #[serde(rename = "type")]
    #[schema(example = "message")]
    kind: String,
    /// The result's id.
    id: String,
    /// The name or title of the result; for a message, the channel's name.
    #[schema(example = "#general")]
    title: String,
    /// The part of the text around the words.
    snippet: String,
    /// The path of the result on this site.
    #[schema(example = "/channels/01890000-0000-7000-8000-000000000000")]
    url: String,
    /// The quality of the match: at least 3 if the query is the name, at least 2 if all words occur, and less for
    /// similar words.
    rank: f64,
    /// The time at which the result was created.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A page of results, the best first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchResults {
    /// The results on this page.
    items: Vec<SearchHit>,
    /// The cursor of the next page, to be sent as `after`; null on the last page.
    next: Option<String>,
    /// The types whose search failed or took too long this time. Try again later.
    missing: Vec<String>,
}

/// The words to search for.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words, or parts of words, that a result must all contain, or words similar to them. Neither case nor the
    /// composition of letters matters.
    #[garde(length(chars, min = 1, max = 200))]
    query: String,
    /// Lists only results of this type, or of several types, separated by commas.
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[serde(rename = "type")]
    #[param(example = "message,channel")]
    types: Option<String>,
}

/// The cursor of a page: the values that the results are ordered by.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
    rank: f64,
    at: Moment,
    kind: String,
    id: String,
}

/// Finds everything that the caller may read: posts, comments, messages, channels, accounts and skills.
///
/// The pages contain the 200 best results. Without a token, only public results are found.
#[utoipa::path(
    get, path = "/api/search", tag = "search", params(SearchQuery, guest::PageParams),
    responses(
        (status = 200, body = SearchResults),
        (status = 401, description = "`unauthenticated`: the token is not valid"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security((), ("token" = []))
)]
pub async fn search_everything(
    db: Db,
    caller: Option<Caller>,
    page: Page<Cursor>,
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
                after.map(|cursor| cursor.rank),
                after.map(|cursor| cursor.at),
                after.map(|cursor| cursor.kind.clone()),
                after.map(|cursor| cursor.id.clone()),
                page.fetch(),
            ],
        )
        .await?;
    if !row.known {
        return Err(Problem::invalid("type", "must name types that exist"));
    }
    if !row.missing.is_empty() {
        guest::warn!("search without some types", types = row.missing.join(","));
    }
    let Items { items, next } = page.answer(row.items, |hit| Cursor {
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

/// The singular of a type's name: `posts` means `post`.
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
