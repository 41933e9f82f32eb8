//! The accounts and sessions of which a topic was told lately that they have ended, or that their rights have changed.
//!
//! A socket that opens meanwhile is not there yet when the topic hears of it. So who opens one compares the time at which
//! the origin was asked with these. They are in the storage, since a topic may sleep while the origin is asked.

use std::cell::Cell;

use serde::Deserialize;
use worker::{Result, SqlStorage, SqlStorageValue};

use crate::clock::now_ms;

/// The time within which the functions of the origin learn what has ended. Rights they ask the database for.
const LEARNED_WITHIN_MS: u64 = 2_000;
/// The time for which one is remembered, longer than all questions to the origin take.
const REMEMBERED_MS: u64 = 60_000;
/// The name that stands for all accounts.
const ANYBODY: &str = "*";

const SCHEMA: &str = "
create table if not exists ended (at_ms integer primary key, known_at_ms integer not null, ids text not null);
";

/// What has ended, with the times at which the topic heard of it and the origin's functions know it.
pub struct Ended {
    sql: SqlStorage,
    last_ms: Cell<u64>,
}

#[derive(Deserialize)]
struct Latest {
    known_at_ms: Option<f64>,
}

impl Ended {
    /// Opens the storage, whose table is made if it is missing.
    pub fn open(sql: SqlStorage) -> Self {
        if let Err(error) = sql.exec(SCHEMA, None) {
            worker::console_error!("the storage of a topic can't be opened: {error}");
        }
        Self {
            sql,
            last_ms: Cell::new(0),
        }
    }

    /// The present time of this topic, later than the last one that was told.
    pub fn now_ms(&self) -> u64 {
        let now = now_ms().max(self.last_ms.get() + 1);
        self.last_ms.set(now);
        now
    }

    /// Notes sessions and accounts that have ended.
    pub fn note(&self, ids: &[String]) -> Result<()> {
        match ids {
            [] => Ok(()),
            ids => self.keep(&serde_json::to_string(ids)?, LEARNED_WITHIN_MS),
        }
    }

    /// Notes that the rights of an account may have changed; `None` stands for all accounts.
    pub fn note_rights(&self, account: Option<&str>) -> Result<()> {
        let ids = [account.unwrap_or(ANYBODY)];
        self.keep(&serde_json::to_string(&ids)?, 0)
    }

    fn keep(&self, ids: &str, learned_within_ms: u64) -> Result<()> {
        let now = self.now_ms();
        let old = vec![number(now.saturating_sub(REMEMBERED_MS))?];
        self.sql.exec("delete from ended where at_ms < ?", old)?;
        let statement = "insert into ended (at_ms, known_at_ms, ids) values (?, ?, ?)";
        let ids = SqlStorageValue::String(ids.to_owned());
        let values = vec![number(now)?, number(now + learned_within_ms)?, ids];
        self.sql.exec(statement, values)?;
        Ok(())
    }

    /// The milliseconds after a time, at which the origin was asked about an account and a session, after which it is to
    /// be asked again; `None` if its answer holds.
    pub fn wait_ms(&self, account: &str, sid: &str, asked_at_ms: u64) -> Result<Option<u64>> {
        let statement =
            "select max(e.known_at_ms) as known_at_ms from ended e, json_each(e.ids) one
                         where e.known_at_ms > ? and one.value in (?, ?, ?)";
        let mut values = vec![number(asked_at_ms)?];
        let ids = [account, sid, ANYBODY];
        values.extend(ids.map(|id| SqlStorageValue::String(id.to_owned())));
        let latest: Latest = self.sql.exec(statement, values)?.one()?;
        let known_at_ms = latest.known_at_ms.map(|at| at as u64);
        Ok(known_at_ms.map(|at| at.saturating_sub(asked_at_ms)))
    }
}

fn number(value: u64) -> Result<SqlStorageValue> {
    SqlStorageValue::try_from_i64(i64::try_from(value).unwrap_or(i64::MAX))
}
