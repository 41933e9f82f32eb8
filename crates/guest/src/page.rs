//! Paged lists: requests have `?limit=` and `?after=`, answers `{"items", "next"}`.

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{StatusCode, Uri};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};
use utoipa::{IntoParams, ToSchema};

use crate::db::{Argument, IntoArgument};
use crate::extract::query;
use crate::{Problem, Result};

const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 100;

/// The page that the client asks for. `C` is the position after which it starts: the values that the list is ordered
/// by. In a cursor the position is opaque, together with the list and its filters.
///
/// A list is one statement: `… where ($1::text is null or name > $1) order by name limit $2` with [`Page::after`] and
/// [`Page::fetch`], then [`Page::answer`]. Clients can forge a position, so the types in `C` must fit the statement: a
/// [`Moment`] for a time, and text only where the statement expects text.
#[derive(Debug)]
pub struct Page<C> {
    /// The position where the last page ended; `None` on the first page.
    pub after: Option<C>,
    limit: i64,
    list: ListName,
}

/// Identifies a list with its filters in a few bytes, which are derived from the path and the query without the
/// parameters of the page. It comes before the position in a cursor.
type ListName = [u8; 8];

/// The parameters of a page, as in the query and in the OpenAPI document.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// The largest number of items on a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// The cursor after which the page begins: the `next` of the previous page of this list, with the same filters.
    after: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Items<T> {
    /// The items on this page.
    pub items: Vec<T>,
    /// The cursor of the next page, to be sent as `after`; null on the last page.
    pub next: Option<String>,
}

/// A time in a cursor, limited to years that the database can represent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Moment(#[serde(with = "time::serde::rfc3339")] pub OffsetDateTime);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let time = time::serde::rfc3339::deserialize(deserializer)?;
        let utc = time.checked_to_offset(UtcOffset::UTC);
        utc.filter(|utc| (1..=9998).contains(&utc.year()))
            .map(Self)
            .ok_or_else(|| D::Error::custom("a time out of range"))
    }
}

impl IntoArgument for Moment {
    fn into_argument(self) -> Argument {
        self.0.into_argument()
    }
}

impl<C> Page<C> {
    /// The number of rows to select: one more than fits on the page, to see whether another page follows.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Makes the answer from the rows of a statement that was limited to [`Page::fetch`]; `position` returns the values
    /// that a row is ordered by.
    pub fn answer<T>(&self, mut rows: Vec<T>, position: impl FnOnce(&T) -> C) -> Items<T>
    where
        C: Serialize,
    {
        let limit = self.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last() {
            Some(last) if more => Some(encode(self.list, &position(last))),
            _ => None,
        };
        Items { items: rows, next }
    }
}

impl<C: DeserializeOwned, S: Sync> FromRequestParts<S> for Page<C> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::of(query(parts)?, &parts.uri)
    }
}

impl<C: DeserializeOwned> Page<C> {
    fn of(params: PageParams, uri: &Uri) -> Result<Self> {
        let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::invalid("limit", "must be between 1 and 100"));
        }
        let list = name_of(uri);
        let after = params.after.map(|cursor| decode(list, &cursor));
        Ok(Self {
            after: after.transpose()?,
            limit,
            list,
        })
    }
}

/// Identifies the list that a request asks for. The order of its filters does not matter.
fn name_of(uri: &Uri) -> ListName {
    let query = uri.query().unwrap_or_default().as_bytes();
    let mut filters: Vec<_> = form_urlencoded::parse(query)
        .filter(|(name, _)| name != "limit" && name != "after")
        .collect();
    filters.sort();
    let mut text =
        form_urlencoded::Serializer::for_suffix(uri.path().to_owned() + "?", uri.path().len() + 1);
    let digest = Sha256::digest(text.extend_pairs(filters).finish());
    std::array::from_fn(|at| digest[at])
}

fn encode<C: Serialize>(list: ListName, position: &C) -> String {
    let mut cursor = list.to_vec();
    cursor.extend(serde_json::to_vec(position).unwrap_or_default());
    URL_SAFE_NO_PAD.encode(cursor)
}

fn decode<C: DeserializeOwned>(list: ListName, cursor: &str) -> Result<C> {
    let position = || {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let json = bytes.strip_prefix(&list)?;
        // PostgreSQL does not store texts with a zero character.
        let has_zero = json.windows(6).any(|part| part == br"\u0000");
        (!has_zero).then(|| serde_json::from_slice(json).ok())?
    };
    position().ok_or_else(|| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-cursor",
            "`after` is not the `next` of a page of this list with the same filters. Begin again without it.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: ListName = *b"a list's";

    fn page(limit: i64) -> Page<u32> {
        Page {
            after: None,
            limit,
            list: LIST,
        }
    }

    fn name(uri: &'static str) -> ListName {
        name_of(&Uri::from_static(uri))
    }

    #[test]
    fn the_last_page_has_no_next() {
        assert_eq!(page(2).answer(vec![1, 2], |row| *row).next, None);
        let first = page(2).answer(vec![1, 2, 3], |row| *row);
        assert_eq!(first.items, [1, 2]);
        assert_eq!(
            decode::<u32>(LIST, &first.next.expect("a next page")).ok(),
            Some(2)
        );
    }

    #[test]
    fn limits_are_kept() {
        for (limit, accepted) in [
            (0, false),
            (1, true),
            (100, true),
            (101, false),
            (-1, false),
        ] {
            let params = PageParams {
                limit: Some(limit),
                after: None,
            };
            assert_eq!(
                Page::<u32>::of(params, &Uri::from_static("/")).is_ok(),
                accepted,
                "{limit}"
            );
        }
    }

    #[test]
    fn a_list_is_its_path_and_its_filters() {
        let list = name("/api/jobs?kind=a%20b&status=dead");
        assert_eq!(list, name("/api/jobs?status=dead&limit=7&kind=a+b&after=x"));
        for other in [
            "/api/jobs",
            "/api/jobs?kind=a%20b",
            "/api/jobs?kind=a%20b&status=queued",
            "/api/jobs?kind=a%20b%26status=dead",
            "/api/job?kind=a%20b&status=dead",
        ] {
            assert_ne!(list, name(other), "{other}");
        }
    }

    #[test]
    fn a_position_that_the_database_can_not_take_is_refused() {
        fn check<C: DeserializeOwned>(json: &str, accepted: bool) {
            let cursor = URL_SAFE_NO_PAD.encode([LIST.as_slice(), json.as_bytes()].concat());
            let decoded = decode::<C>(LIST, &cursor);
            assert_eq!(decoded.is_ok(), accepted, "{json}");
        }
        check::<String>(r#""agent-1""#, true);
        check::<String>(r#""a\u0000b""#, false);
        check::<Moment>(r#""2026-01-01T00:00:00.123456Z""#, true);
        check::<Moment>(r#""0000-01-01T00:00:00Z""#, false);
        check::<Moment>(r#""9999-12-31T23:59:59-15:00""#, false);
        check::<Moment>(r#""infinity""#, false);
        check::<Moment>("1", false);
        check::<f64>("1e999", false);
        check::<u32>("7 7", false);
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let cursor = encode(LIST, &7_u32);
        assert!(decode::<u32>(LIST, &cursor).is_ok());
        let refused = decode::<u32>(*b"another!", &cursor).expect_err("another list's");
        assert_eq!(
            (refused.status().as_u16(), refused.code()),
            (422, "invalid-cursor")
        );
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back(name in "[^\0]*", number in any::<i64>()) {
            let position = (name, number);
            let cursor = encode(LIST, &position);
            prop_assert_eq!(decode::<(String, i64)>(LIST, &cursor).expect("decodes"), position);
        }

        #[test]
        fn any_text_is_a_cursor_or_a_problem(text in ".*") {
            if let Err(problem) = decode::<(String, i64)>(LIST, &text) {
                prop_assert_eq!(problem.code(), "invalid-cursor");
            }
        }
    }
}
