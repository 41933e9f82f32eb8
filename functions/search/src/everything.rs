//! Search for words in everything, in any language, and for the meaning of what is written.

use axum::Json;
use garde::Validate;
use guest::{Acting, Caller, Db, Items, Moment, Page, Problem, Query, Result, args};
use markdown::folded;
use meaning::{MODEL, of_query};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

guest::problems! {
    "meaning-unavailable" => "The embedding model does not answer at the moment, so nothing can be found by meaning. Try again after `Retry-After` seconds, or search with `mode=text`.",
}

/// The exchange of tokens, with the name by which it knows this component.
const ACTING: Acting = Acting("search");

/// A result of a search.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// The type of result: `post`, `comment`, `message`, `channel`, `account`, `skill` or `memory`, or another
    /// type that a function registers.
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
    /// The quality of the match, by which results are ordered. By words: at least 3 if the query is the name, at least 2 if
    /// all words occur, and less for similar words. By meaning: the nearness, from 0 to 1. By both: the nearness and a
    /// third of the rank by words, and 1 more if the query is the name.
    rank: f64,
    /// The time at which the result was created.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The way of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SearchMode)]
pub enum Mode {
    /// By words and by meaning.
    Hybrid,
    /// By meaning alone, which posts, messages and memories have.
    Semantic,
    /// By words alone.
    Text,
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
    /// The way in which the search was made: `text` where the meaning of the query could not be found out.
    mode: Mode,
    /// Whether words had to do, because the caller is not signed in, or the embedding model does not answer.
    degraded: bool,
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
    /// The way of the search; `text` if absent.
    #[garde(skip)]
    #[param(inline)]
    mode: Option<Mode>,
}

/// The cursor of a page: the values that the results are ordered by.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cursor {
    rank: f64,
    at: Moment,
    kind: String,
    id: String,
    /// The way of the search that this is a page of.
    mode: Mode,
}

/// Finds everything that the caller may read: posts, comments, messages, channels, accounts, skills and memories.
///
/// The pages contain the 200 best results. Without a token, only public results are found, and only by words. Memories need
/// the scope `memory:read`.
#[utoipa::path(
    get, path = "/api/search", tag = "search", params(SearchQuery, guest::PageParams),
    responses(
        (status = 200, body = SearchResults),
        (status = 401, description = "`unauthenticated`: the token is not valid, or there is none and `mode` is `semantic`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
        (status = 503, description = "`meaning-unavailable`"),
    ),
    security((), ("token" = []))
)]
pub async fn search_everything(
    db: Db,
    caller: Option<Caller>,
    page: Page<Cursor>,
    Query(SearchQuery { query, types, mode }): Query<SearchQuery>,
) -> Result<Json<SearchResults>> {
    let folded = folded(query.trim());
    if folded.trim().is_empty() {
        return Err(Problem::invalid("query", "must have a word in it"));
    }
    let kinds: Option<Vec<_>> = types.map(|types| types.split(',').map(singular).collect());
    let after = page.after.as_ref();
    let asked = mode.unwrap_or(Mode::Text);
    let meaning = meaning_for(caller.as_ref(), asked, after, &query).await?;
    let degraded = asked != Mode::Text && meaning.is_none();
    let mode = if degraded { Mode::Text } else { asked };
    #[derive(Deserialize)]
    struct Row {
        known: bool,
        items: Vec<SearchHit>,
        missing: Vec<String>,
    }
    let row: Row = db
        .one(
            "select known, items, missing
             from find($1, $2, $3, $4, $5::text::timestamptz, $6, $7, $8, $9, $10, $11, $12)",
            args![
                caller.as_ref().map(|caller| caller.id),
                folded,
                kinds,
                after.map(|cursor| cursor.rank),
                after.map(|cursor| cursor.at),
                after.map(|cursor| cursor.kind.clone()),
                after.map(|cursor| cursor.id.clone()),
                page.fetch(),
                way(mode, degraded),
                MODEL,
                meaning,
                caller.as_ref().map_or_else(Vec::new, scopes),
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
        mode,
    });
    Ok(Json(SearchResults {
        items,
        next,
        missing: row.missing,
        mode,
        degraded,
    }))
}

/// The vector of the query; `None` if words have to do. The pages of one search are all made in the way of the first, since
/// ranks of two ways can't be compared.
async fn meaning_for(
    caller: Option<&Caller>,
    asked: Mode,
    after: Option<&Cursor>,
    query: &str,
) -> Result<Option<String>> {
    let began = after.map(|cursor| cursor.mode);
    if asked == Mode::Text || began == Some(Mode::Text) {
        return Ok(None);
    }
    let Some(caller) = caller else {
        return match asked == Mode::Semantic || began.is_some() {
            true => Err(Problem::unauthenticated()),
            false => Ok(None),
        };
    };
    let meaning = of_query(ACTING, caller.id, "search", query).await;
    if meaning.is_none() && (asked == Mode::Semantic || began.is_some()) {
        return Err(Problem::unavailable(
            "meaning-unavailable",
            "The meaning of the query can't be found out at the moment. Search with `mode=text`, or try again.",
            5,
        ));
    }
    Ok(meaning)
}

/// The way of a search, as the database counts it.
fn way(mode: Mode, degraded: bool) -> &'static str {
    match mode {
        Mode::Hybrid => "hybrid",
        Mode::Semantic => "semantic",
        Mode::Text if degraded => "text-alone",
        Mode::Text => "text",
    }
}

/// The scopes of a caller.
fn scopes(caller: &Caller) -> Vec<String> {
    caller.scope.split(' ').map(str::to_owned).collect()
}

/// The singular of a type's name: `posts` means `post`, and `memories` means `memory`.
fn singular(name: &str) -> String {
    let name = name.trim();
    if let Some(stem) = name.strip_suffix("ies") {
        return format!("{stem}y");
    }
    name.strip_suffix('s').unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_may_be_named_in_the_plural() {
        for (given, name) in [
            ("post", "post"),
            ("posts", "post"),
            (" skills ", "skill"),
            ("memories", "memory"),
        ] {
            assert_eq!(singular(given), name);
        }
    }
}
