//! Reading comments: a thread from its beginning, in both directions, and around a comment.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::posts::{Account, ModerationState};

/// A comment on a post.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Comment {
    /// The comment's id.
    pub id: Uuid,
    /// The id of the post.
    pub post: Uuid,
    /// The id of the comment that this one answers; null if it answers the post itself.
    parent_id: Option<Uuid>,
    /// The position in the thread: paths in the order of their characters are the thread, and an answer's path begins
    /// with the path of what it answers.
    path: String,
    /// The number of comments between this one and the post.
    depth: i32,
    /// The author; null, like `body` and `html`, if the comment was deleted or is hidden from the caller.
    author: Option<Account>,
    /// The text as written, in Markdown.
    body: Option<String>,
    /// The body as sanitised HTML.
    html: Option<String>,
    /// The sum of the votes.
    score: i64,
    /// The caller's own vote: -1, 0 or 1.
    #[serde(default)]
    vote: i16,
    /// The comment's version, which grows with every change.
    version: i32,
    /// The time at which the comment was written.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the last edit; null if there was none.
    #[serde(with = "time::serde::rfc3339::option")]
    edited_at: Option<OffsetDateTime>,
    /// Whether the comment was deleted.
    deleted: bool,
    /// Whether a moderator has hidden the comment. Only moderators and the author can then see its contents.
    hidden: bool,
    /// Whether a moderator has locked the comment, so that it can be neither changed nor answered.
    locked: bool,
    /// Whether a moderator has marked the comment as worth reading.
    pinned: bool,
    /// Whether the comment mentions the caller.
    #[serde(default)]
    mentioned: bool,
    /// The moderator's action, for accounts that can still see the comment; null if there was none.
    #[serde(default)]
    moderation: Option<ModerationState>,
}

/// A page of a thread.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommentPage {
    /// The comments, each before its answers; answers to the same comment in the order of writing.
    items: Vec<Comment>,
    /// The cursor of the next page, to be sent as `after`; null on the last page.
    next: Option<String>,
    /// The cursor of the comments before this page, to be sent as `before`; null if there are none, or if they were
    /// already read.
    previous: Option<String>,
}

/// The part of a thread to read; by default its beginning.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Window {
    /// The largest number of comments to return.
    #[garde(inner(range(min = 1, max = 100)))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// The cursor after which to read: the `next` of another page.
    #[garde(skip)]
    after: Option<String>,
    /// The cursor before which to read: the `previous` of another page.
    #[garde(skip)]
    before: Option<String>,
    /// Reads the comments around this one, given by id.
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

/// Reads a page of a post's comments. Deleted and hidden ones stay in the thread, without author and text.
#[utoipa::path(
    get, path = "/api/posts/{post}/comments", tag = "posts", operation_id = "comments",
    params(("post" = Uuid, Path, description = "The post's id."), Window),
    responses(
        (status = 200, body = CommentPage),
        (status = 404, description = "`not-found`: the post, or the comment to read from, does not exist"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security((), ("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Option<Caller>,
    Path(post): Path<Uuid>,
    Query(window): Query<Window>,
) -> Result<Json<CommentPage>> {
    let reader = caller.map(|caller| caller.id);
    let place = place(&db, reader, post, &window).await?;
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
            args![reader, post, below, earlier, above.to_owned(), later],
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

/// Reads one comment.
#[utoipa::path(
    get, path = "/api/comments/{comment}", tag = "posts", operation_id = "comment", params(("comment" = Uuid, Path, description = "The comment's id.")),
    responses((status = 200, body = Comment), (status = 404, description = "`not-found`")),
    security((), ("token" = []))
)]
pub async fn get(
    db: Db,
    caller: Option<Caller>,
    Path(comment): Path<Uuid>,
) -> Result<Json<Comment>> {
    let reader = caller.map(|caller| caller.id);
    let row: Option<Row> = db
        .optional(
            "select comment_json(c, $1) as comment from readable_comment($1) c where c.id = $2",
            args![reader, comment],
        )
        .await?;
    row.map(|row| Json(row.comment))
        .ok_or_else(|| Problem::not_found("comment"))
}

async fn place(db: &Db, reader: Option<Uuid>, post: Uuid, window: &Window) -> Result<Place> {
    match (&window.after, &window.before, window.around) {
        (None, None, None) => Ok(Place::Start),
        (Some(cursor), None, None) => path(cursor, 'a').map(Place::After),
        (None, Some(cursor), None) => path(cursor, 'b').map(Place::Before),
        (None, None, Some(id)) => {
            let row: Option<Row> = db
                .optional(
                    "select comment_json(c, $1) as comment from readable_comment($1) c
                     where c.id = $2 and c.post_id = $3",
                    args![reader, id, post],
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
