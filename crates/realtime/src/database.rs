//! The way to the database: one that does not answer is gone, and nobody waits for it any longer.

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

/// A connection that is cut off without a word would be waited for a quarter of an hour.
pub const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// A connection that was in use so lately is not asked whether it stands, and how long the others may take to say so.
const TRUSTED_FOR: Duration = Duration::from_millis(100);
const ANSWERS_PING_WITHIN: Duration = Duration::from_secs(1);
/// What must be known is asked again for so long, with pauses.
const INSISTS_FOR: Duration = Duration::from_secs(10);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Whether a connection that nobody used for a while still stands.
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

/// All rows of a statement.
///
/// # Errors
/// The database refuses, is gone, or does not answer in time; then the connection is given up with it.
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

/// The only row of a statement.
///
/// # Errors
/// As [`all`], and where there is none.
pub async fn one<O>(pool: &PgPool, query: QueryScalar<'_, Postgres, O, PgArguments>) -> Result<O>
where
    O: Send + Unpin,
    (O,): for<'r> FromRow<'r, PgRow>,
{
    let rows = all(pool, query).await?;
    Ok(rows.into_iter().next().ok_or(Error::RowNotFound)?)
}

/// Asks again and again until there is an answer, for some seconds.
///
/// # Errors
/// There was none.
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
