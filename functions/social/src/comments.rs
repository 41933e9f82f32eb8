//! Comments, as they are read: a thread from its beginning, both ways, and around a comment.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::posts::{Account, ModerationState};

/// A comment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Comment {
    pub id: Uuid,
    pub post: Uuid,
    /// The comment that this one answers; null: the post itself.
    parent_id: Option<Uuid>,
    /// Where it stands: paths in the order of their characters are the thread, and an answer's path begins with that of
    /// what it answers.
    path: String,
    /// How many comments stand between it and the post.
    depth: i32,
    /// Null where the comment was deleted, or is hidden from the caller; so are `body` and `html`.
    author: Option<Account>,
    /// Markdown, as written.
    body: Option<String>,
    /// Sanitised HTML of the body.
    html: Option<String>,
    /// The sum of the votes.
    score: i64,
    /// The caller's own vote: -1, 0 or 1.
    #[serde(default)]
    vote: i16,
    /// Grows with every change.
    version: i32,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    edited_at: Option<OffsetDateTime>,
    deleted: bool,
    /// A moderator has hidden it: only they and its author see more than its place.
    hidden: bool,
    /// A moderator has locked it: it can be neither changed nor answered.
    locked: bool,
    /// A moderator has marked it as worth reading.
    pinned: bool,
    /// Whether it mentions the caller.
    #[serde(default)]
    mentioned: bool,
    /// What a moderator did, for those who see the comment nevertheless.
    #[serde(default)]
    moderation: Option<ModerationState>,
}

/// A part of a thread.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommentPage {
    /// The comments, each before those that answer it; answers to the same in the order of writing.
    items: Vec<Comment>,
    /// Give this as `after` for what follows; null: nothing does.
    next: Option<String>,
    /// Give this as `before` for what precedes; null: nothing does, or it is what was read before.
    previous: Option<String>,
}

/// Where in the thread. Without any: its beginning.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Window {
    /// How many at most.
    #[garde(inner(range(min = 1, max = 100)))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// The `next` of another page.
    #[garde(skip)]
    after: Option<String>,
    /// The `previous` of another page.
    #[garde(skip)]
    before: Option<String>,
    /// The id of a comment to be in the middle.
    #[garde(skip)]
    around: Option<Uuid>,
}

/// A place in a thread, with the direction in which to read on.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    Start,
    After(String),
    Before(String),
    Around(String),
}

#[derive(Debug, Deserialize)]
struct Row {
    comment: Comment,
}

/// Reads a post's comments. The places of deleted and hidden ones stay in the thread.
#[utoipa::path(
    get, path = "/api/posts/{post}/comments", tag = "posts", operation_id = "comments",
    params(("post" = Uuid, Path), Window),
    responses(
        (status = 200, body = CommentPage),
        (status = 404, description = "`not-found`: the post, or the comment that is named"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(post): Path<Uuid>,
    Query(window): Query<Window>,
) -> Result<Json<CommentPage>> {
    let place = place(&db, &caller, post, &window).await?;
    let limit = window.limit.unwrap_or(20);
    // Below and above what, and how many: one more than are shown tells that there are more.
    let (below, earlier, above, later) = match &place {
        Place::Start => ("", 0, "", limit + 1),
        Place::After(path) => ("", 0, path.as_str(), limit + 1),
        Place::Before(path) => (path.as_str(), limit + 1, "", 0),
        Place::Around(path) => (path.as_str(), limit + 1, path.as_str(), limit + 1),
    };
    // The one in the middle counts as earlier: after it and before its answers, whose paths go on with another digit.
    let below = match place {
        Place::Around(_) => format!("{below}0"),
        _ => below.to_owned(),
    };
    #[derive(Deserialize)]
    struct Both {
        earlier: Vec<Comment>,
        later: Vec<Comment>,
    }
    let row: Option<Both> = db
        .optional(
            "select
                 coalesce((select jsonb_agg(comment_json(c, $1) order by c.path desc) from (
                     select r.* from readable_comment($1) r where r.post_id = $2 and r.path < $3
                     order by r.path desc limit $4) c), '[]') as earlier,
                 coalesce((select jsonb_agg(comment_json(c, $1) order by c.path) from (
                     select r.* from readable_comment($1) r where r.post_id = $2 and r.path > $5
                     order by r.path limit $6) c), '[]') as later
             from readable_post($1) p where p.id = $2",
            args![caller.id, post, below, earlier, above.to_owned(), later],
        )
        .await?;
    let row = row.ok_or_else(|| Problem::not_found("post"))?;
    Ok(Json(page(&place, limit, row.earlier, row.later)))
}

/// Puts a page together from the comments on both sides of a place, which are one more than it can have.
fn page(
    place: &Place,
    limit: i64,
    mut earlier: Vec<Comment>,
    mut later: Vec<Comment>,
) -> CommentPage {
    let limit = usize::try_from(limit).unwrap_or_default();
    let cut = |comments: &mut Vec<Comment>, most: usize| {
        let more = comments.len() > most;
        comments.truncate(most);
        let last = comments.last().filter(|_| more);
        last.map(|last| last.path.clone())
    };
    let (next, previous) = match place {
        Place::Start | Place::After(_) => (cut(&mut later, limit), None),
        Place::Before(_) => (None, cut(&mut earlier, limit)),
        Place::Around(path) => {
            let half = (limit / 2).min(later.len());
            let previous = cut(&mut earlier, limit - half);
            let has_later = !later.is_empty();
            let next = cut(&mut later, limit - earlier.len());
            // Where the page has no room for later ones, they begin after the middle.
            let next = next.or_else(|| (has_later && later.is_empty()).then(|| path.clone()));
            (next, previous)
        }
    };
    earlier.reverse();
    earlier.append(&mut later);
    CommentPage {
        items: earlier,
        next: next.map(|path| format!("a{path}")),
        previous: previous.map(|path| format!("b{path}")),
    }
}

/// One comment.
#[utoipa::path(
    get, path = "/api/comments/{comment}", tag = "posts", operation_id = "comment", params(("comment" = Uuid, Path)),
    responses((status = 200, body = Comment), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(comment): Path<Uuid>) -> Result<Json<Comment>> {
    let row: Option<Row> = db
        .optional(
            "select comment_json(c, $1) as comment from readable_comment($1) c where c.id = $2",
            args![caller.id, comment],
        )
        .await?;
    row.map(|row| Json(row.comment))
        .ok_or_else(|| Problem::not_found("comment"))
}

async fn place(db: &Db, caller: &Caller, post: Uuid, window: &Window) -> Result<Place> {
    match (&window.after, &window.before, window.around) {
        (None, None, None) => Ok(Place::Start),
        (Some(cursor), None, None) => path(cursor, 'a').map(Place::After),
        (None, Some(cursor), None) => path(cursor, 'b').map(Place::Before),
        (None, None, Some(id)) => {
            let row: Option<Row> = db
                .optional(
                    "select comment_json(c, $1) as comment from readable_comment($1) c
                     where c.id = $2 and c.post_id = $3",
                    args![caller.id, id, post],
                )
                .await?;
            row.map(|row| Place::Around(row.comment.path))
                .ok_or_else(|| Problem::not_found("comment"))
        }
        _ => Err(Problem::invalid(
            "around",
            "can't be given together with `after` or `before`, nor those two together",
        )),
    }
}

/// The path in a cursor of this list.
fn path(cursor: &str, direction: char) -> Result<String> {
    let path = cursor.strip_prefix(direction).filter(|path| is_path(path));
    path.map(str::to_owned).ok_or_else(|| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-cursor",
            "`after` must be the `next`, and `before` the `previous`, of a page of this list.",
        )
    })
}

/// Whether a text is made of numbers in base 36, each behind the count of its digits.
fn is_path(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let Some((count, digits)) = rest.split_first() {
        let count = usize::from(count.wrapping_sub(b'0'));
        let is_digit = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        if !(1..=6).contains(&count)
            || digits.len() < count
            || !digits[..count].iter().all(is_digit)
        {
            return false;
        }
        rest = &digits[count..];
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_other_texts() {
        for good in ["11", "1z", "210", "1121a1z"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "1", "2a", "0", "7abcdefg", "1A", "x", "11!", "1ä"] {
            assert!(!is_path(bad), "{bad}");
        }
        assert!(path("a11", 'a').is_ok());
        assert!(path("b11", 'a').is_err());
    }
}
