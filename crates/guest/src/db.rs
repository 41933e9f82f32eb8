//! The database. Rows travel as JSON, so the same struct serves as a row and as an API answer.
//!
//! Handlers write plain SQL with `$1` parameters. A statement that returns rows is wrapped so that each row arrives as
//! one `jsonb` value, which serde decodes. Times are passed and read as RFC 3339 text (`$1::text::timestamptz`), binary
//! data as `encode(column, 'base64')`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use foldhash::fast::RandomState;
use http::request::Parts;
use serde::de::DeserializeOwned;
use spin_sdk::pg::wit::postgres::{DbError, DbValue, Error as PgError, QueryError};

use crate::entry::Entry;
#[cfg(target_os = "unknown")]
use crate::workers::session;
use crate::{Problem, required_variable};
use session::{Row, Session};

/// The number of times that a statement is run which gives way to other transactions. Each takes a second, which is how long
/// PostgreSQL waits before it looks for a deadlock.
const MOST_ATTEMPTS: u32 = 4;

mod argument;
#[cfg(not(target_os = "unknown"))]
mod session;
mod statement;

pub use argument::{Argument, IntoArgument};

/// The arguments of a statement: `args![caller.id, new.body]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::db::IntoArgument::into_argument($value)),*]
    };
}

/// The database, as the function's own role. The first statement opens the connection, and all extractors of a request
/// share it.
#[derive(Clone)]
pub struct Db(Arc<Shared>);

struct Shared {
    url: Arc<str>,
    entry: Entry,
    session: OnceLock<Session>,
    in_transaction: AtomicBool,
}

/// The reason why a statement failed. `?` turns it into a [`Problem`].
#[derive(Debug)]
pub enum Error {
    /// The database can't be reached, or the connection broke: 503 `database-unavailable`.
    Unavailable(String),
    /// A named constraint refused the change. Without [`OnConstraint`] it becomes a 500.
    Constraint {
        /// The constraint's name.
        name: String,
        /// PostgreSQL's message, for the log only.
        message: String,
    },
    /// Any other error is a fault of the function: 500, logged.
    Fault(String),
    /// The problem that [`OnConstraint::on_constraint`] chose.
    Problem(Problem),
}

/// Turns a named constraint into a client error where the statement is called.
pub trait OnConstraint {
    /// The problem to answer with if the constraint of this name refused the change.
    fn on_constraint(self, name: &str, problem: Problem) -> Self;
}

impl<T> OnConstraint for Result<T, Error> {
    fn on_constraint(self, constraint: &str, problem: Problem) -> Self {
        match self {
            Err(Error::Constraint { name, .. }) if name == constraint => {
                Err(Error::Problem(problem))
            }
            other => other,
        }
    }
}

impl Db {
    /// The database of a job, at a URL. The first statement opens the connection.
    pub fn of_job(url: Arc<str>) -> Self {
        // Gather's own host runs jobs, each in an instance of its own.
        Self::at(url, Entry::Alone)
    }

    /// The database at a URL, for work that arrived by `entry`.
    fn at(url: Arc<str>, entry: Entry) -> Self {
        Self(Arc::new(Shared {
            url,
            entry,
            session: OnceLock::new(),
            in_transaction: AtomicBool::new(false),
        }))
    }

    /// The same database with a connection of its own, which goes back when this is dropped. For work that outlasts the
    /// request, or waits for something else between two statements.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::at(self.0.url.clone(), self.0.entry)
    }

    /// The only row of a statement. Returning none is a fault.
    pub async fn one<T: DeserializeOwned>(
        &self,
        sql: &'static str,
        args: Vec<Argument>,
    ) -> Result<T, Error> {
        let row = self.optional(sql, args).await?;
        row.ok_or_else(|| Error::Fault("a statement returned no row".to_owned()))
    }

    /// The row of a statement, if it returned one.
    pub async fn optional<T: DeserializeOwned>(
        &self,
        sql: &'static str,
        args: Vec<Argument>,
    ) -> Result<Option<T>, Error> {
        let rows = self.rows(sql, args).await?;
        rows.first().map(|row| decode(row)).transpose()
    }

    /// All rows of a statement.
    pub async fn many<T: DeserializeOwned>(
        &self,
        sql: &'static str,
        args: Vec<Argument>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.rows(sql, args).await?;
        rows.iter().map(|row| decode(row)).collect()
    }

    /// Runs a statement for its effect, and returns the number of rows that it touched.
    pub async fn execute(&self, sql: &'static str, args: Vec<Argument>) -> Result<u64, Error> {
        let session = self.session().await?;
        let mut attempts = 0;
        loop {
            let outcome = session.execute(sql, &args).await;
            if !self.may_repeat(&outcome, &mut attempts) {
                return Ok(outcome?);
            }
        }
    }

    /// Opens a transaction. Most changes are one statement and do not need this.
    ///
    /// A guest that traps before the end leaves the transaction open. Gather's host rolls it back; other hosts may not.
    pub(crate) async fn begin(&self) -> Result<(), Error> {
        self.execute("begin", Vec::new()).await?;
        self.0.in_transaction.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Commits the transaction that [`Db::begin`] opened.
    pub(crate) async fn commit(&self) -> Result<(), Error> {
        let committed = self.execute("commit", Vec::new()).await;
        self.0.in_transaction.store(false, Ordering::Relaxed);
        committed.map(|_| ())
    }

    /// Rolls back the transaction that [`Db::begin`] opened. A failure is only logged: the connection is broken then,
    /// and the server rolls back by itself.
    pub(crate) async fn roll_back(&self) {
        if let Err(error) = self.execute("rollback", Vec::new()).await {
            crate::warn!("rollback failed", cause = format!("{error:?}"));
        }
        self.0.in_transaction.store(false, Ordering::Relaxed);
    }

    async fn rows(&self, sql: &'static str, args: Vec<Argument>) -> Result<Vec<Row>, Error> {
        let session = self.session().await?;
        let mut attempts = 0;
        loop {
            let outcome = session.query(as_json(sql), &args).await;
            if !self.may_repeat(&outcome, &mut attempts) {
                return Ok(outcome?);
            }
        }
    }

    /// Whether a statement is to be run again, since PostgreSQL has rolled it back in favour of another transaction, so
    /// that it has done nothing. Within a transaction it can't be: what came before it was rolled back, too.
    fn may_repeat<T>(&self, outcome: &Result<T, PgError>, attempts: &mut u32) -> bool {
        let Err(PgError::QueryFailed(QueryError::DbError(error))) = outcome else {
            return false;
        };
        // A serialization failure, or a deadlock.
        let gave_way = ["40001", "40P01"].contains(&error.code.as_str());
        *attempts += 1;
        let repeats =
            gave_way && *attempts < MOST_ATTEMPTS && !self.0.in_transaction.load(Ordering::Relaxed);
        if repeats {
            crate::warn!(
                "gave way to another transaction",
                cause = error.message.clone()
            );
        }
        repeats
    }

    #[cfg(target_family = "wasm")]
    async fn session(&self) -> Result<&Session, Error> {
        if let Some(open) = self.0.session.get() {
            return Ok(open);
        }
        let opened = Session::open(&self.0.url, self.0.entry).await?;
        Ok(self.0.session.get_or_init(|| opened))
    }

    /// Native builds have no host that could open a session.
    #[cfg(not(target_family = "wasm"))]
    async fn session(&self) -> Result<&Session, Error> {
        let none = || {
            let (bytes, entry) = (self.0.url.len(), self.0.entry);
            Error::Unavailable(format!("not a component; {bytes} bytes of URL, {entry:?}"))
        };
        self.0.session.get().ok_or_else(none)
    }
}

impl<S: Sync> FromRequestParts<S> for Db {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if let Some(db) = parts.extensions.get::<Self>() {
            return Ok(db.clone());
        }
        let entry = Entry::of(&parts.extensions);
        let db = Self::at(required_variable("database_url").await?, entry);
        parts.extensions.insert(db.clone());
        Ok(db)
    }
}

/// Wraps a statement. The result is cached by the statement's address, since each statement is a constant of the
/// program.
fn as_json(sql: &'static str) -> &'static str {
    thread_local! {
        static WRAPPED: RefCell<HashMap<(usize, usize), &'static str, RandomState>> = RefCell::default();
    }
    let key = (sql.as_ptr() as usize, sql.len());
    WRAPPED.with_borrow_mut(|all| {
        *all.entry(key)
            .or_insert_with(|| Box::leak(statement::as_json(sql).into_boxed_str()))
    })
}

fn decode<T: DeserializeOwned>(row: &[DbValue]) -> Result<T, Error> {
    match row {
        [DbValue::Jsonb(json)] => serde_json::from_slice(json)
            .map_err(|error| Error::Fault(format!("a row does not fit its type: {error}"))),
        other => Err(Error::Fault(format!(
            "one jsonb expected, not {} values",
            other.len()
        ))),
    }
}

impl From<PgError> for Error {
    fn from(error: PgError) -> Self {
        match error {
            PgError::ConnectionFailed(why) => Self::Unavailable(why),
            PgError::QueryFailed(QueryError::DbError(error)) => Self::of_database(error),
            // The driver reports errors that do not come from the server, such as a broken connection, as plain text.
            PgError::QueryFailed(QueryError::Text(why)) => Self::Unavailable(why),
            PgError::BadParameter(why)
            | PgError::ValueConversionFailed(why)
            | PgError::Other(why) => Self::Fault(why),
        }
    }
}

impl Error {
    fn of_database(error: DbError) -> Self {
        let message = format!("{}: {}", error.code, error.message);
        let constraint = error
            .extras
            .into_iter()
            .find(|(key, _)| key == "constraint");
        match (constraint, error.code.get(..2)) {
            (Some((_, name)), _) => Self::Constraint { name, message },
            // PostgreSQL does not store texts with a zero character, so the client's input can't be stored.
            (None, _) if ["22021", "22P05"].contains(&error.code.as_str()) => Self::Problem(
                Problem::invalid("input", "must not contain a zero character"),
            ),
            // SQLSTATE classes: connection exceptions, rollbacks in favour of other transactions, exhausted resources,
            // operator intervention.
            (None, Some("08" | "40" | "53" | "57")) => Self::Unavailable(message),
            _ => Self::Fault(message),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Problem(problem) => problem,
            Error::Unavailable(why) => {
                crate::error!("database unavailable", cause = why);
                let detail = "The database can't be reached at the moment.";
                Self::unavailable("database-unavailable", detail, 1)
            }
            Error::Constraint { name, message } => {
                Self::internal(format_args!("constraint {name}: {message}"))
            }
            Error::Fault(why) => Self::internal(format_args!("database: {why}")),
        }
    }
}

impl axum::response::IntoResponse for Error {
    fn into_response(self) -> axum::response::Response {
        Problem::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gave_way_to_another_transaction_can_be_sent_again() {
        let deadlock = DbError {
            as_text: String::new(),
            severity: "ERROR".to_owned(),
            code: "40P01".to_owned(),
            message: "deadlock detected".to_owned(),
            detail: None,
            extras: Vec::new(),
        };
        let problem = Problem::from(Error::of_database(deadlock));
        assert_eq!(problem.code(), "database-unavailable");
    }
}
