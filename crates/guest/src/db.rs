//! The database: rows travel as JSON, so the same struct is row and API answer.
//!
//! Handlers write plain SQL with `$1` parameters. A statement that returns rows is wrapped so that
//! each comes as one `jsonb` value, which serde decodes. Times are passed and read as RFC 3339
//! text (`$1::text::timestamptz`), binary as `encode(column, 'base64')`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use foldhash::fast::RandomState;
use http::request::Parts;
use serde::de::DeserializeOwned;
use spin_sdk::pg::wit::postgres::{Connection, DbError, DbValue, Error as PgError, QueryError};

use crate::{Problem, required_variable};

mod argument;
mod statement;

pub use argument::{Argument, IntoArgument};

/// The arguments of a statement: `args![caller.id, new.body]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::db::IntoArgument::into_argument($value)),*]
    };
}

/// The database as the function's own role. The connection is opened with the first statement, and
/// shared by all extractors of one request.
#[derive(Clone)]
pub struct Db(Arc<Shared>);

struct Shared {
    url: Arc<str>,
    connection: OnceLock<Connection>,
    /// How many transactions are open, one within another.
    depth: AtomicU32,
}

/// Why a statement failed. It becomes a [`Problem`] with `?`.
#[derive(Debug)]
pub enum Error {
    /// The database can't be reached, or the connection broke: 503 `database-unavailable`.
    Unavailable(String),
    /// A named constraint refused the change: see [`OnConstraint`]. Otherwise 500.
    Constraint {
        /// The constraint's name.
        name: String,
        /// What PostgreSQL said; for the log only.
        message: String,
    },
    /// Anything else is a fault of ours: 500, logged.
    Fault(String),
    /// What [`OnConstraint::on_constraint`] made of it.
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
    /// A database at an address. The connection is opened with the first statement.
    pub fn at(url: Arc<str>) -> Self {
        Self(Arc::new(Shared {
            url,
            connection: OnceLock::new(),
            depth: AtomicU32::new(0),
        }))
    }

    /// The only row of a statement; none is a fault.
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
        let rows = self.rows(sql, &args)?;
        rows.first().map(|row| decode(row)).transpose()
    }

    /// All rows of a statement.
    pub async fn many<T: DeserializeOwned>(
        &self,
        sql: &'static str,
        args: Vec<Argument>,
    ) -> Result<Vec<T>, Error> {
        let rows = self.rows(sql, &args)?;
        rows.iter().map(|row| decode(row)).collect()
    }

    /// Runs a statement for its effect; answers how many rows it touched.
    pub async fn execute(&self, sql: &'static str, args: Vec<Argument>) -> Result<u64, Error> {
        Ok(self.connection()?.execute(sql, &args)?)
    }

    /// Runs `work` in a transaction on this connection: committed if it answers `Ok`, rolled back
    /// otherwise. Within another transaction it is a savepoint.
    ///
    /// Most changes are one statement and need none. Under Spin, a guest that traps in here leaves
    /// its transaction open; our host rolls it back.
    pub async fn transaction<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&Db) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin()?;
        match work(self).await {
            Ok(value) => {
                self.commit()?;
                Ok(value)
            }
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Opens a transaction, or a savepoint in the one that is open.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        let outermost = self.0.depth.load(Ordering::Relaxed) == 0;
        let sql = if outermost {
            "begin"
        } else {
            "savepoint inner_work"
        };
        self.connection()?.execute(sql, &[])?;
        self.0.depth.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Ends what [`Db::begin`] opened, keeping the changes.
    pub(crate) fn commit(&self) -> Result<(), Error> {
        let outermost = self.0.depth.fetch_sub(1, Ordering::Relaxed) == 1;
        let sql = if outermost {
            "commit"
        } else {
            "release savepoint inner_work"
        };
        self.connection()?.execute(sql, &[])?;
        Ok(())
    }

    /// Ends what [`Db::begin`] opened, undoing the changes. A failure is logged only: the
    /// connection is broken then, and the server rolls back by itself.
    pub(crate) fn roll_back(&self) {
        let outermost = self.0.depth.fetch_sub(1, Ordering::Relaxed) == 1;
        let sql = if outermost {
            "rollback"
        } else {
            "rollback to savepoint inner_work"
        };
        let done = self
            .connection()
            .and_then(|open| Ok(open.execute(sql, &[])?));
        if let Err(error) = done {
            crate::warn!("rollback failed", cause = format!("{error:?}"));
        }
    }

    fn rows(&self, sql: &'static str, args: &[Argument]) -> Result<Vec<Vec<DbValue>>, Error> {
        Ok(self.connection()?.query(as_json(sql), args)?.rows)
    }

    #[cfg(target_family = "wasm")]
    fn connection(&self) -> Result<&Connection, Error> {
        if let Some(open) = self.0.connection.get() {
            return Ok(open);
        }
        let opened = Connection::open(&self.0.url)?;
        Ok(self.0.connection.get_or_init(|| opened))
    }

    /// Natively there is no host to open one.
    #[cfg(not(target_family = "wasm"))]
    fn connection(&self) -> Result<&Connection, Error> {
        let none = || {
            Error::Unavailable(format!(
                "not a component; {} bytes of URL",
                self.0.url.len()
            ))
        };
        self.0.connection.get().ok_or_else(none)
    }
}

impl<S: Sync> FromRequestParts<S> for Db {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if let Some(db) = parts.extensions.get::<Self>() {
            return Ok(db.clone());
        }
        let db = Self::at(required_variable("database_url").await?);
        parts.extensions.insert(db.clone());
        Ok(db)
    }
}

/// Statements with their wrapping, by address: each is a constant of the program.
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
            // The driver gives no structure to what the server did not say: a broken connection.
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
            // PostgreSQL has no text with a zero character: what the client sent cannot be there.
            (None, _) if ["22021", "22P05"].contains(&error.code.as_str()) => Self::Problem(
                Problem::invalid("input", "must not contain a zero character"),
            ),
            // Connection exceptions, transactions given up for others, resources used up, operator's intervention.
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
