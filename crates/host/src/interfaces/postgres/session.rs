//! One connection of a pool while a guest has it, and the state that the guest leaves in it.

use super::pool::{Access, Lease, Pools};
use anyhow::Result;
use deadpool_postgres::Object;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio_postgres::{NoTls, Statement};
use tracing::Span;

/// The number of prepared statements that a connection keeps. A function has some dozens; one that builds its SQL
/// from strings must not fill the server's memory.
const MAX_STATEMENTS: usize = 256;
/// The average number of statements between two counts of the prepared ones.
const COUNT_EVERY: usize = 64;

/// The statements that undo what a guest may have left in a session, except its prepared statements.
const RESET: &str = "close all; set session authorization default; reset all; unlisten *; \
                     select pg_advisory_unlock_all(); discard temp; discard sequences";

/// A guest's connection. The session goes back to its pool when the last use ends.
pub struct Connection(pub Arc<Session>);

/// A connection that is not open yet.
pub struct Builder {
    /// The database's address.
    pub address: String,
    /// The certificate authority of the server, if it is not one of the web's.
    pub ca_root: Option<String>,
}

/// A connection that a guest holds. It goes back to its pool when it is dropped: at once if its
/// session is as it was, after a rollback and reset if it may not be, and never if a statement was
/// cut off in the middle.
pub struct Session {
    lease: Option<Lease>,
    /// Whether the session has a change that the next guest must not find.
    touched: AtomicBool,
    /// Whether a transaction is open.
    transaction: AtomicBool,
    running: AtomicUsize,
    /// The `traceparent` of the guest that has the session, until the database is told.
    trace: Mutex<Option<String>>,
}

impl Session {
    /// Waits for a session of a pool of `pools`.
    ///
    /// # Errors
    /// Nothing answers, the password is wrong, or no connection became free in time. The message
    /// does not contain the password.
    pub async fn open(pools: &Pools, access: &Access) -> Result<Self> {
        Ok(Self {
            lease: Some(pools.lease(access).await?),
            touched: AtomicBool::new(false),
            transaction: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            trace: Mutex::new(trace::traceparent(&Span::current())),
        })
    }

    /// The connection.
    #[must_use]
    pub fn client(&self) -> &deadpool_postgres::ClientWrapper {
        &self.lease.as_ref().expect("taken only on drop").client
    }

    /// The prepared statement for this text, from the connection's cache if it is there.
    ///
    /// # Errors
    /// The server refuses the statement.
    pub async fn prepare(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        match Effect::of(sql) {
            Effect::None => {}
            Effect::Begin => self.transaction.store(true, Ordering::Relaxed),
            Effect::End => self.transaction.store(false, Ordering::Relaxed),
            Effect::Session => self.touched.store(true, Ordering::Relaxed),
        }
        let client = self.client();
        // To count them is to look at each.
        if fastrand::usize(..COUNT_EVERY) == 0 && client.statement_cache.size() > MAX_STATEMENTS {
            client.statement_cache.clear();
        }
        client.prepare_cached(sql).await
    }

    /// Forgets a statement that the server says is stale.
    pub fn forget(&self, sql: &str) {
        drop(self.client().statement_cache.remove(sql, &[]));
    }

    /// Notes that a statement starts. A session that is dropped before the statement's `end` is closed, so that the
    /// next guest does not wait behind what nobody wants any more.
    pub fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a statement has ended.
    pub fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Names the guest's span to the database before the first statement of the session, so that what the statements
    /// enqueue carries it. While traces are exported this replaces what the guest before has left there.
    pub async fn name_trace(&self) {
        let trace = self.trace.lock().ok().and_then(|mut trace| trace.take());
        let Some(trace) = trace else {
            return;
        };
        let set = "select set_config('gather.traceparent', $1, false)";
        let named = async {
            let set = self.client().prepare_cached(set).await?;
            self.client().execute(&set, &[&trace]).await
        };
        if let Err(error) = named.await {
            tracing::debug!(%error, "the database was not told of the trace");
        }
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.transaction.load(Ordering::Relaxed)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else {
            return;
        };
        if self.running.load(Ordering::Relaxed) > 0 {
            let cancel = lease.client.cancel_token();
            drop(Object::take(lease.client));
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { cancel.cancel_query(NoTls).await });
            }
            return;
        }
        let touched = self.touched.load(Ordering::Relaxed);
        let sql = match (self.in_transaction(), touched) {
            (false, false) => return,
            (true, false) => "rollback".to_owned(),
            (false, true) => RESET.to_owned(),
            (true, true) => format!("rollback; {RESET}"),
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    // All of it: its permit is taken until then.
                    let lease = lease;
                    if lease.client.batch_execute(&sql).await.is_err() {
                        drop(Object::take(lease.client));
                    }
                });
            }
            Err(_) => drop(Object::take(lease.client)),
        }
    }
}

/// The effect of a statement on its session. Only one statement is sent at a time, so its first words
/// tell.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    None,
    Begin,
    End,
    /// Any other statement, after which the session is reset.
    Session,
}

impl Effect {
    fn of(sql: &str) -> Self {
        let mut words = without_comments(sql)
            .split(|c: char| !c.is_ascii_alphabetic())
            .map(str::to_ascii_lowercase);
        let first = words.next().unwrap_or_default();
        match first.as_str() {
            "select" | "with" | "insert" | "update" | "delete" | "merge" | "values" | "table" => {
                Self::None
            }
            "begin" | "start" => Self::Begin,
            "savepoint" | "release" => Self::None,
            // `rollback to` a savepoint and `commit and chain` leave a transaction open.
            "commit" | "rollback" | "end" | "abort" => {
                if words.any(|word| word == "to" || word == "chain") {
                    Self::Begin
                } else {
                    Self::End
                }
            }
            _ => Self::Session,
        }
    }
}

fn without_comments(sql: &str) -> &str {
    let mut text = sql.trim_start();
    loop {
        if let Some(rest) = text.strip_prefix("--") {
            text = rest
                .split_once('\n')
                .map_or("", |(_, after)| after)
                .trim_start();
        } else if let Some(rest) = text.strip_prefix("/*") {
            text = rest
                .split_once("*/")
                .map_or("", |(_, after)| after)
                .trim_start();
        } else {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Effect;

    #[test]
    fn a_statements_first_words_tell_its_effect() {
        let check = |effect: Effect, statements: &[&str]| {
            for sql in statements {
                assert_eq!(Effect::of(sql), effect, "{sql}");
            }
        };
        check(
            Effect::None,
            &[
                "select 1",
                "  WITH x as (select 1) table x",
                "-- a\n/* b */ insert into t",
                "savepoint x",
            ],
        );
        check(
            Effect::Begin,
            &[
                "begin",
                "BEGIN;",
                "start transaction",
                "rollback to savepoint x",
                "commit and chain",
            ],
        );
        check(Effect::End, &["commit", "Rollback;", "end", "abort work"]);
        check(
            Effect::Session,
            &[
                "set role x",
                "(select 1)",
                "",
                "--",
                "/*",
                "call x()",
                "listen y",
            ],
        );
    }
}
