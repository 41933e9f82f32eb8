//! The connections to the database. One that does not answer in time is given up.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::pool::PoolConnectionMetadata;
use sqlx::postgres::{PgArguments, PgConnection, PgPool, PgRow, Postgres};
use sqlx::query::QueryScalar;
use sqlx::{Connection, Error, FromRow};
use tokio::time::{sleep, timeout};

/// The time limit of an answer. Without it, a connection that was cut silently would be waited for a quarter of an
/// hour.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// The time for which a used connection is not checked, and the time limit of the check of others.
const TRUSTED_FOR: Duration = Duration::from_millis(100);
const ANSWERS_PING_WITHIN: Duration = Duration::from_secs(1);
/// The time for which a question that needs an answer is repeated, with pauses.
const INSISTS_FOR: Duration = Duration::from_secs(10);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Checks a connection that was idle for a while.
pub fn is_alive(
    connection: &mut PgConnection,
    used: PoolConnectionMetadata,
) -> BoxFuture<'_, Result<bool, Error>> {
    async move {
        if used.idle_for < TRUSTED_FOR {
            return Ok(true);
        }
        let ping = timeout(ANSWERS_PING_WITHIN, connection.ping()).await;
        Ok(matches!(ping, Ok(Ok(()))))
    }
    .boxed()
}

/// Runs a statement, and returns all its rows.
///
/// # Errors
/// The database refuses, is gone, or does not answer in time. The connection is then given up.
pub async fn all<O>(
    pool: &PgPool,
    query: QueryScalar<'_, Postgres, O, PgArguments>,
) -> Result<Vec<O>>
where
    O: Send + Unpin,
    (O,): for<'r> FromRow<'r, PgRow>,
{
    let mut connection = pool.acquire().await?;
    match timeout(ANSWERS_WITHIN, query.fetch_all(&mut *connection)).await {
        Ok(rows) => Ok(rows?),
        Err(late) => {
            // Back in the pool, it would keep its place until the network gives up.
            drop(connection.detach());
            Err(late).context("the database does not answer")
        }
    }
}

/// Runs a statement, and returns its only row.
///
/// # Errors
/// As [`all`], or the statement returns no row.
pub async fn one<O>(pool: &PgPool, query: QueryScalar<'_, Postgres, O, PgArguments>) -> Result<O>
where
    O: Send + Unpin,
    (O,): for<'r> FromRow<'r, PgRow>,
{
    let rows = all(pool, query).await?;
    Ok(rows.into_iter().next().ok_or(Error::RowNotFound)?)
}

/// Repeats a question for some seconds until it is answered.
///
/// # Errors
/// The question was not answered.
pub async fn insist<T, F: Future<Output = Result<T>>>(mut ask: impl FnMut() -> F) -> Result<T> {
    let asked = async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(error) => tracing::debug!("asking again: {error:#}"),
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    };
    let answer = timeout(INSISTS_FOR, asked).await;
    answer.context("the database stays away")
}
