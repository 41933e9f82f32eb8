//! Lists: `?limit=` and `?after=` in, `{"items", "next"}` out.

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::query;
use crate::{Problem, Result};

const DEFAULT_LIMIT: i64 = 20;
const MAX_LIMIT: i64 = 100;

/// The page that the client asks for. `C` is the place after which it starts: what the list is
/// ordered by, made opaque on the way out and back.
///
/// A list is one statement: `… where ($1::text is null or name > $1) order by name limit $2` with
/// [`Page::after`] and [`Page::fetch`], then [`Page::answer`].
#[derive(Debug)]
pub struct Page<C> {
    /// Where the last page ended; `None` on the first.
    pub after: Option<C>,
    limit: i64,
}

/// The parameters as they stand in the query, and in the OpenAPI document.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Items<T> {
    /// The page itself.
    pub items: Vec<T>,
    /// Give this as `after` for the next page; null on the last.
    pub next: Option<String>,
}

impl<C> Page<C> {
    /// How many rows to select: one more than the page has, to see whether there is a next one.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// The answer from the rows of a statement that was limited to [`Page::fetch`]; `place` says
    /// what a row is ordered by.
    pub fn answer<T>(&self, mut rows: Vec<T>, place: impl FnOnce(&T) -> C) -> Items<T>
    where
        C: Serialize,
    {
        let limit = self.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = match rows.last() {
            Some(last) if more => Some(encode(&place(last))),
            _ => None,
        };
        Items { items: rows, next }
    }
}

impl<C: DeserializeOwned, S: Sync> FromRequestParts<S> for Page<C> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::from_params(query(parts)?)
    }
}

impl<C: DeserializeOwned> Page<C> {
    fn from_params(params: PageParams) -> Result<Self> {
        let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::invalid("limit", "must be between 1 and 100"));
        }
        let after = params.after.as_deref().map(decode).transpose()?;
        Ok(Self { after, limit })
    }
}

fn encode<C: Serialize>(place: &C) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

fn decode<C: DeserializeOwned>(cursor: &str) -> Result<C> {
    let place = URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok());
    place.ok_or_else(|| Problem::invalid("after", "is not the `next` of a page of this list"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(limit: i64) -> Page<u32> {
        Page { after: None, limit }
    }

    #[test]
    fn the_last_page_has_no_next() {
        assert_eq!(page(2).answer(vec![1, 2], |row| *row).next, None);
        let first = page(2).answer(vec![1, 2, 3], |row| *row);
        assert_eq!(first.items, [1, 2]);
        assert_eq!(
            decode::<u32>(&first.next.expect("a next page")).ok(),
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
                Page::<u32>::from_params(params).is_ok(),
                accepted,
                "{limit}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back(name in ".*", number in any::<i64>()) {
            let place = (name, number);
            prop_assert_eq!(decode::<(String, i64)>(&encode(&place)).expect("decodes"), place);
        }

        #[test]
        fn any_text_is_a_cursor_or_a_problem(text in ".*") {
            if let Err(problem) = decode::<(String, i64)>(&text) {
                prop_assert_eq!(problem.code(), "invalid-input");
            }
        }
    }
}
