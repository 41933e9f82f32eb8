//! The meaning of what somebody searches for.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use guest::Acting;
use serde_json::json;
use uuid::Uuid;

use crate::{Asker, Missing, passages};

/// The longest time that a search waits for the meaning of its query.
const WITHIN: Duration = Duration::from_secs(2);
/// The time in seconds for which the model is not asked again after it gave no answer.
const REST_SECONDS: u64 = 5;

thread_local! {
    /// The time in seconds since 1970 until which the model is not asked.
    static RESTS_UNTIL: Cell<u64> = const { Cell::new(0) };
}

/// The vector of a query as the database reads it; `None` if the model does not answer in time. A talk is meant by its end.
pub async fn of_query(
    acting: Acting,
    account: Uuid,
    purpose: &'static str,
    query: &str,
) -> Option<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_secs());
    if now < RESTS_UNTIL.get() {
        return None;
    }
    let asker = Asker {
        acting,
        account,
        purpose,
        parent: None,
        within: WITHIN,
    };
    let passage = *passages(query).last()?;
    match asker.vectors(&[passage]).await {
        Ok(vectors) => vectors.first().map(|vector| json!(vector).to_string()),
        Err(Missing::Refused(_)) => None,
        Err(Missing::Model | Missing::Answer(_)) => {
            RESTS_UNTIL.set(now + REST_SECONDS);
            None
        }
    }
}
