//! A connection to the database, used in the way that suits the host.
//!
//! Gather's host gives an instance one piece of work at a time, so a call may block the instance, which is cheaper. On
//! another host such a call would stop all other requests of the instance, so there every call is asynchronous.

use spin_sdk::pg::wit::postgres::{Connection, DbValue, Error};

use super::Argument;
use crate::entry::Entry;

/// The values of a row.
pub(super) type Row = Vec<DbValue>;

/// An open connection.
pub(super) struct Session {
    connection: Connection,
    entry: Entry,
}

impl Session {
    /// Opens a connection for work that arrived by `entry`.
    #[cfg(target_family = "wasm")]
    pub async fn open(url: &str, entry: Entry) -> Result<Self, Error> {
        let connection = match entry {
            Entry::Alone => Connection::open(url)?,
            Entry::Shared => Connection::open_async(url.to_owned()).await?,
        };
        Ok(Self { connection, entry })
    }

    /// All rows of a statement.
    pub async fn query(&self, sql: &str, args: &[Argument]) -> Result<Vec<Row>, Error> {
        match self.entry {
            Entry::Alone => Ok(self.connection.query(sql, args)?.rows),
            Entry::Shared => {
                let asked = self
                    .connection
                    .query_async(sql.to_owned(), args.to_vec())
                    .await?;
                let (_, rows, outcome) = asked;
                let rows = rows.collect().await;
                // The result after the rows says whether they are complete.
                outcome.await?;
                Ok(rows)
            }
        }
    }

    /// Runs a statement for its effect, and returns the number of rows that it touched.
    pub async fn execute(&self, sql: &str, args: &[Argument]) -> Result<u64, Error> {
        match self.entry {
            Entry::Alone => self.connection.execute(sql, args),
            Entry::Shared => {
                self.connection
                    .execute_async(sql.to_owned(), args.to_vec())
                    .await
            }
        }
    }
}
