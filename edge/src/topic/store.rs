//! What a topic knows while it sleeps: where it stands, its latest events, and whose events its readers leave out.

use serde::Deserialize;
use serde_json::Value;
use worker::{Result, SqlStorage, SqlStorageValue};

use crate::clock::now_ms;

/// The number of events that are kept.
const KEPT: i64 = 1_000;
/// The time for which a lease lasts.
const LEASE_MS: u64 = 90_000;

const SCHEMA: &str = "
create table if not exists event (number integer primary key autoincrement, position text not null, frame text not null, of text);
create index if not exists event_position on event (position);
create table if not exists setting (name text primary key, value text not null);
create table if not exists left_out (id integer primary key autoincrement, accounts text not null);
";

/// The storage of a topic.
pub struct Store {
    sql: SqlStorage,
}

/// An event, ready to be sent.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// The position of a reader that has seen it.
    pub position: String,
    /// The text of its frame.
    pub frame: String,
    /// The account whose words or actions it shows.
    pub of: Option<String>,
}

impl Event {
    /// An event of a push.
    pub fn of(mut event: Value) -> Self {
        let fields = event.as_object_mut();
        let of = fields.and_then(|fields| fields.remove("of"));
        Self {
            position: event["position"].as_str().unwrap_or_default().to_owned(),
            of: of.and_then(|of| of.as_str().map(str::to_owned)),
            frame: event.to_string(),
        }
    }

    /// Whether a reader that leaves out accounts is told of the event.
    pub fn is_for(&self, without: &[String]) -> bool {
        self.of.as_ref().is_none_or(|of| !without.contains(of))
    }
}

#[derive(Deserialize)]
struct Text {
    value: String,
}

#[derive(Deserialize)]
struct Number {
    value: f64,
}

impl Store {
    /// Opens the storage, whose tables are made if they are missing.
    pub fn open(sql: SqlStorage) -> Self {
        if let Err(error) = sql.exec(SCHEMA, None) {
            worker::console_error!("the storage of a topic can't be opened: {error}");
        }
        Self { sql }
    }

    fn setting(&self, name: &str) -> Result<Option<String>> {
        let cursor = self
            .sql
            .exec("select value from setting where name = ?", vec![text(name)])?;
        let rows: Vec<Text> = cursor.to_array()?;
        Ok(rows.into_iter().next().map(|row| row.value))
    }

    fn set(&self, name: &str, value: &str) -> Result<()> {
        let statement = "insert into setting (name, value) values (?, ?)
                         on conflict (name) do update set value = excluded.value";
        self.sql.exec(statement, vec![text(name), text(value)])?;
        Ok(())
    }

    /// Notes the topic, and the URL that the origin reaches this worker by.
    pub fn settle(&self, topic: &str, base: &str) -> Result<()> {
        self.set("topic", topic)?;
        self.set("base", base)
    }

    /// The topic's name.
    pub fn topic(&self) -> Result<String> {
        Ok(self.setting("topic")?.unwrap_or_default())
    }

    /// The URL that the origin reaches this worker by.
    pub fn base(&self) -> Result<String> {
        Ok(self.setting("base")?.unwrap_or_default())
    }

    /// The position up to which all events are here; `None` before the first lease.
    pub fn have(&self) -> Result<Option<String>> {
        self.setting("have")
    }

    /// Whether the origin pushes.
    pub fn is_leased(&self) -> Result<bool> {
        let until = self.setting("leased_until")?;
        Ok(until.is_some_and(|until| until.parse().unwrap_or(0) > now_ms()))
    }

    /// Notes that the lease was granted just now.
    pub fn leased(&self) -> Result<()> {
        self.set("leased_until", &(now_ms() + LEASE_MS).to_string())
    }

    /// Notes that there is no lease.
    pub fn leave(&self) -> Result<()> {
        self.set("leased_until", "0")
    }

    /// Forgets all events, and stands at a position.
    pub fn begin_at(&self, position: &str) -> Result<()> {
        self.sql.exec("delete from event", None)?;
        self.set("have", position)
    }

    /// Adds events, after which it stands at a position.
    pub fn append(&self, events: &[Event], position: &str) -> Result<()> {
        for event in events {
            let of = event.of.as_deref().map_or(SqlStorageValue::Null, text);
            let statement = "insert into event (position, frame, of) values (?, ?, ?)";
            let values = vec![text(&event.position), text(&event.frame), of];
            self.sql.exec(statement, values)?;
        }
        let statement = "delete from event where number <= (select max(number) from event) - ?";
        self.sql
            .exec(statement, vec![SqlStorageValue::try_from_i64(KEPT)?])?;
        self.set("have", position)
    }

    /// The events after a position; `None` if it is not known here.
    pub fn after(&self, position: &str) -> Result<Option<Vec<Event>>> {
        let cursor = self.sql.exec(
            "select number as value from event where position = ?",
            vec![text(position)],
        )?;
        let rows: Vec<Number> = cursor.to_array()?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let statement = "select position, frame, of from event where number > ? order by number";
        let number = SqlStorageValue::try_from_i64(row.value as i64)?;
        Ok(Some(self.sql.exec(statement, vec![number])?.to_array()?))
    }

    /// The oldest position that is known here.
    pub fn oldest(&self) -> Result<Option<String>> {
        let statement = "select position as value from event order by number limit 1";
        let rows: Vec<Text> = self.sql.exec(statement, None)?.to_array()?;
        Ok(rows.into_iter().next().map(|row| row.value))
    }

    /// Keeps the accounts that a reader leaves out. 0: there are none.
    pub fn leave_out(&self, accounts: &[String]) -> Result<i64> {
        if accounts.is_empty() {
            return Ok(0);
        }
        let statement = "insert into left_out (accounts) values (?) returning id as value";
        let values = vec![text(&serde_json::to_string(accounts)?)];
        let row: Number = self.sql.exec(statement, values)?.one()?;
        Ok(row.value as i64)
    }

    /// The accounts that a reader leaves out.
    pub fn left_out(&self, id: i64) -> Result<Vec<String>> {
        if id == 0 {
            return Ok(Vec::new());
        }
        let statement = "select accounts as value from left_out where id = ?";
        let values = vec![SqlStorageValue::try_from_i64(id)?];
        let rows: Vec<Text> = self.sql.exec(statement, values)?.to_array()?;
        let row = rows.first();
        Ok(row.map_or_else(Vec::new, |row| {
            serde_json::from_str(&row.value).unwrap_or_default()
        }))
    }

    /// Forgets the accounts that a reader leaves out.
    pub fn forget_left_out(&self, id: i64) -> Result<()> {
        if id != 0 {
            let values = vec![SqlStorageValue::try_from_i64(id)?];
            self.sql.exec("delete from left_out where id = ?", values)?;
        }
        Ok(())
    }
}

fn text(value: &str) -> SqlStorageValue {
    SqlStorageValue::String(value.to_owned())
}
