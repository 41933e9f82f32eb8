//! What a topic knows while it sleeps: where it stands, its latest events, and whose events its readers leave out.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use worker::{Result, SqlStorage, SqlStorageValue};

use crate::clock::now_ms;

/// The number of events that are kept, and of positions between events.
const KEPT: i64 = 1_000;
/// The time for which a lease lasts.
const LEASE_MS: u64 = 90_000;

const SCHEMA: &str = "
create table if not exists event (number integer primary key autoincrement, position text not null, frame text not null, of text, audience text);
create index if not exists event_position on event (position);
create table if not exists stand (id integer primary key autoincrement, position text not null, number integer not null);
create index if not exists stand_position on stand (position);
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
    /// The only accounts that are told of it; `None` for all readers of the topic.
    #[serde(deserialize_with = "list")]
    pub audience: Option<Vec<String>>,
}

/// A reader, as far as it decides which events it is told of.
pub struct Listener {
    /// The account.
    pub account: String,
    /// The accounts of whose events it is told nothing.
    pub without: Vec<String>,
}

impl Event {
    /// An event of a push.
    pub fn of(mut event: Value) -> Self {
        let fields = event.as_object_mut();
        let (of, audience) = fields.map_or((None, None), |fields| {
            (fields.remove("of"), fields.remove("audience"))
        });
        let audience = audience.filter(|audience| !audience.is_null());
        Self {
            position: event["position"].as_str().unwrap_or_default().to_owned(),
            of: of.and_then(|of| of.as_str().map(str::to_owned)),
            frame: event.to_string(),
            // An audience that can't be read is nobody.
            audience: audience.map(|audience| serde_json::from_value(audience).unwrap_or_default()),
        }
    }

    /// Whether a reader is told of the event.
    pub fn is_for(&self, listener: &Listener) -> bool {
        let audience = self.audience.as_ref();
        let of = self.of.as_ref();
        audience.is_none_or(|audience| audience.contains(&listener.account))
            && of.is_none_or(|of| !listener.without.contains(of))
    }
}

fn list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Vec<String>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let list = text.map(|text| serde_json::from_str(&text));
    list.transpose().map_err(D::Error::custom)
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

    /// Notes that there is no lease, and no reader either.
    pub fn leave(&self) -> Result<()> {
        self.sql.exec("delete from left_out", None)?;
        self.set("leased_until", "0")
    }

    /// Forgets all events, and stands at a position.
    pub fn begin_at(&self, position: &str) -> Result<()> {
        let last = self.last_number()?;
        self.sql.exec("delete from event", None)?;
        self.sql.exec("delete from stand", None)?;
        self.stand_at(position, last)
    }

    /// Adds events, after which it stands at a position.
    pub fn append(&self, events: &[Event], position: &str) -> Result<()> {
        if events.is_empty() && self.have()?.as_deref() == Some(position) {
            return Ok(());
        }
        for event in events {
            let of = event.of.as_deref().map_or(SqlStorageValue::Null, text);
            let audience = event.audience.as_ref().map(serde_json::to_string);
            let audience = audience.transpose()?;
            let audience = audience.as_deref().map_or(SqlStorageValue::Null, text);
            let statement = "insert into event (position, frame, of, audience) values (?, ?, ?, ?)";
            let values = vec![text(&event.position), text(&event.frame), of, audience];
            self.sql.exec(statement, values)?;
        }
        let statement = "delete from event where number <= (select max(number) from event) - ?";
        self.sql
            .exec(statement, vec![SqlStorageValue::try_from_i64(KEPT)?])?;
        self.stand_at(position, self.last_number()?)
    }

    /// Stands at a position, after the event with a number. Readers are told it with `subscribed`, and resume from it.
    fn stand_at(&self, position: &str, number: i64) -> Result<()> {
        let statement = "insert into stand (position, number) values (?, ?)";
        let values = vec![text(position), SqlStorageValue::try_from_i64(number)?];
        self.sql.exec(statement, values)?;
        let statement = "delete from stand where id <= (select max(id) from stand) - ?
                         or number < (select min(number) from event) - 1";
        self.sql
            .exec(statement, vec![SqlStorageValue::try_from_i64(KEPT)?])?;
        self.set("have", position)
    }

    /// The number of the last event, which may not be kept any more.
    fn last_number(&self) -> Result<i64> {
        let statement = "select coalesce((select max(number) from event), (select max(number) from stand), 0) as value";
        let row: Number = self.sql.exec(statement, None)?.one()?;
        Ok(row.value as i64)
    }

    /// The events after a position; `None` if it is not known here.
    pub fn after(&self, position: &str) -> Result<Option<Vec<Event>>> {
        let cursor = self.sql.exec(
            "select number as value from event where position = ?
             union all select number from stand where position = ? order by 1 desc limit 1",
            vec![text(position), text(position)],
        )?;
        let rows: Vec<Number> = cursor.to_array()?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let statement =
            "select position, frame, of, audience from event where number > ? order by number";
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
