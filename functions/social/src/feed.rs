//! The feed: posts in one of their orders, of all, of a tag or of an author, and those that have some words.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Query, Result, args};
use markdown::{folded, patterns};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::tag_form;
use crate::posts::Post;

/// The filters and the order of a list of posts.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// The order of the list; `hot` by default.
    #[garde(skip)]
    #[param(inline)]
    sort: Option<Sort>,
    /// Lists only posts with this tag.
    #[garde(inner(custom(tag_form)))]
    tag: Option<String>,
    /// Lists only posts of this account, given by id or name.
    #[garde(inner(length(chars, max = 100)))]
    author: Option<String>,
    /// Words, or parts of words, that title, tags or text of a post must all contain.
    #[garde(inner(length(chars, max = 200)))]
    query: Option<String>,
}

/// An order of posts.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PostSort)]
pub enum Sort {
    /// Score against age; pinned ones first.
    #[default]
    Hot,
    /// The newest first.
    New,
    /// The highest score first.
    Top,
}

/// Where a page ends: what it is ordered by, and the post's id.
#[derive(Debug, Serialize, Deserialize)]
pub struct Place {
    key: i64,
    id: Uuid,
}

#[derive(Debug, Deserialize)]
struct Row {
    post: Post,
    key: i64,
}

/// Lists the posts that the caller may read. Strangers read what is hidden from nobody.
///
/// In `hot` and `top`, a post whose score changes while a client reads pages may occur twice or not at all; in `new`
/// each occurs once.
#[utoipa::path(
    get, path = "/api/posts", tag = "posts", operation_id = "posts", params(Filter, guest::PageParams),
    responses(
        (status = 200, body = Items<Post>),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security((), ("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Option<Caller>,
    page: Page<Place>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Post>>> {
    let reader = caller.map(|caller| caller.id);
    let tag = filter.tag.as_deref().map(folded);
    let sort = filter.sort.unwrap_or_default();
    let after = page.after.as_ref();
    let key = after.map_or(i64::MAX, |place| place.key);
    let id = after.map_or(Uuid::max(), |place| place.id);
    let rows: Vec<Row> = match filter.query.as_deref().and_then(patterns) {
        None => {
            let statement = all(sort);
            let arguments = args![reader, tag, filter.author, key, id, page.fetch()];
            db.many(statement, arguments).await?
        }
        Some(patterns) => {
            let statement = with_words(sort);
            let first = patterns.first().cloned();
            let arguments = args![
                reader,
                tag,
                filter.author,
                key,
                id,
                first,
                patterns,
                page.fetch()
            ];
            db.many(statement, arguments).await?
        }
    };
    let Items { items, next } = page.answer(rows, |row| Place {
        key: row.key,
        id: row.post.id,
    });
    Ok(Json(Items {
        items: items.into_iter().map(|row| row.post).collect(),
        next,
    }))
}

/// Goes along the list's index. With `offset 0`, since the planner must not turn it round: it can't know how few of the
/// posts the reader may not see.
fn all(sort: Sort) -> &'static str {
    match sort {
        Sort::Hot => {
            "select post_json(p, $1) as post, l.hot as key
             from listed l cross join lateral (
                 select r.* from readable_post($1) r where r.id = l.post_id
                 and ($3::text is null or r.author_id = (select account_of($3))) offset 0) p
             where l.list = list_of($2, $3) and (l.hot, l.post_id) < ($4, $5)
             order by l.hot desc, l.post_id desc limit $6"
        }
        Sort::New => {
            "select post_json(p, $1) as post, $4::bigint as key
             from listed l cross join lateral (
                 select r.* from readable_post($1) r where r.id = l.post_id
                 and ($3::text is null or r.author_id = (select account_of($3))) offset 0) p
             where l.list = list_of($2, $3) and l.post_id < $5
             order by l.post_id desc limit $6"
        }
        Sort::Top => {
            "select post_json(p, $1) as post, l.score as key
             from listed l cross join lateral (
                 select r.* from readable_post($1) r where r.id = l.post_id
                 and ($3::text is null or r.author_id = (select account_of($3))) offset 0) p
             where l.list = list_of($2, $3) and (l.score, l.post_id) < ($4, $5)
             order by l.score desc, l.post_id desc limit $6"
        }
    }
}

/// Begins with the index of words, or where these are frequent, with that of the list.
fn with_words(sort: Sort) -> &'static str {
    match sort {
        Sort::Hot => {
            "select post_json(p, $1) as post, l.hot as key
             from post w join listed l on l.post_id = w.id join readable_post($1) p on p.id = w.id
             where w.words like $6 and w.words like all ($7) and l.list = list_of($2, $3)
             and (l.hot, l.post_id) < ($4, $5) and ($3::text is null or w.author_id = (select account_of($3)))
             order by l.hot desc, l.post_id desc limit $8"
        }
        Sort::New => {
            "select post_json(p, $1) as post, $4::bigint as key
             from post w join listed l on l.post_id = w.id join readable_post($1) p on p.id = w.id
             where w.words like $6 and w.words like all ($7) and l.list = list_of($2, $3)
             and l.post_id < $5 and ($3::text is null or w.author_id = (select account_of($3)))
             order by l.post_id desc limit $8"
        }
        Sort::Top => {
            "select post_json(p, $1) as post, l.score as key
             from post w join listed l on l.post_id = w.id join readable_post($1) p on p.id = w.id
             where w.words like $6 and w.words like all ($7) and l.list = list_of($2, $3)
             and (l.score, l.post_id) < ($4, $5) and ($3::text is null or w.author_id = (select account_of($3)))
             order by l.score desc, l.post_id desc limit $8"
        }
    }
}
