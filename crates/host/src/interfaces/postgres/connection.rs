//! Statements on a guest's connection, and their rows.

#![expect(
    clippy::result_large_err,
    reason = "the interface's own error is large, and these are not hot when they fail"
)]

use super::{
    pool::{Access, Pools},
    session::{Connection, Session},
    types::{column_type, parameter, value},
    wit::{Column, DbError, DbValue, Error, ParameterValue, QueryError, RowSet},
};
use futures::{Stream, StreamExt};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::oneshot::Sender;
use tokio_postgres::{Row, RowStream, Statement, error::SqlState, types::ToSql};
use tracing::{Instrument, Span};
use wasmtime::{
    StoreContextMut,
    component::{Destination, StreamProducer, StreamResult, VecBuffer},
};

/// The number of rows that the guest gets in one step of a stream.
const ROWS_A_STEP: usize = 64;

pub(super) fn unavailable(error: &anyhow::Error) -> Error {
    tracing::warn!(error = format!("{error:#}"), "no PostgreSQL connection");
    Error::ConnectionFailed(format!("{error:#}"))
}

impl Connection {
    pub(super) async fn open(pools: &Pools, access: &Access) -> Result<Self, Error> {
        match Session::open(pools, access).await {
            Ok(session) => Ok(Self(Arc::new(session))),
            Err(error) => Err(unavailable(&error)),
        }
    }

    pub(super) async fn query(
        &self,
        sql: &str,
        params: &[ParameterValue],
    ) -> Result<RowSet, Error> {
        self.query_within(sql, params).instrument(span(sql)).await
    }

    async fn query_within(&self, sql: &str, params: &[ParameterValue]) -> Result<RowSet, Error> {
        let (statement, rows) = self.start_within(sql, params).await?;
        self.0.begin();
        let mut rows = std::pin::pin!(rows);
        let mut set = RowSet {
            columns: columns(&statement),
            rows: Vec::new(),
        };
        let mut outcome = Ok(());
        while let Some(row) = rows.next().await {
            match row.map_err(query_failed).and_then(|row| convert(&row)) {
                Ok(row) => set.rows.push(row),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.0.end();
        outcome.map(|()| set)
    }

    pub(super) async fn execute(&self, sql: &str, params: &[ParameterValue]) -> Result<u64, Error> {
        self.execute_within(sql, params).instrument(span(sql)).await
    }

    async fn execute_within(&self, sql: &str, params: &[ParameterValue]) -> Result<u64, Error> {
        let (_, rows) = self.start_within(sql, params).await?;
        self.0.begin();
        let mut rows = std::pin::pin!(rows);
        let mut outcome = Ok(());
        while let Some(row) = rows.next().await {
            if let Err(error) = row {
                outcome = Err(query_failed(error));
                // A connection that is broken says so for ever, without waiting for anything.
                break;
            }
        }
        self.0.end();
        outcome.map(|()| rows.rows_affected().unwrap_or(0))
    }

    /// Sends a statement, which is prepared once for each connection.
    pub(super) async fn start(
        &self,
        sql: &str,
        params: &[ParameterValue],
    ) -> Result<(Statement, RowStream), Error> {
        self.start_within(sql, params).instrument(span(sql)).await
    }

    async fn start_within(
        &self,
        sql: &str,
        params: &[ParameterValue],
    ) -> Result<(Statement, RowStream), Error> {
        self.0.begin();
        self.0.name_trace().await;
        let started = self.start_once(sql, params).await;
        let started = match started {
            // A migration changed what the statement means; outside of a transaction it is safe to
            // prepare it anew.
            Err(Error::QueryFailed(QueryError::DbError(error)))
                if is_stale(&error.code) && !self.0.in_transaction() =>
            {
                self.0.forget(sql);
                self.start_once(sql, params).await
            }
            started => started,
        };
        self.0.end();
        started
    }

    async fn start_once(
        &self,
        sql: &str,
        params: &[ParameterValue],
    ) -> Result<(Statement, RowStream), Error> {
        let statement = self.0.prepare(sql).await.map_err(query_failed)?;
        let params = params
            .iter()
            .map(parameter)
            .collect::<anyhow::Result<Vec<_>>>()
            .map_err(|error| Error::BadParameter(format!("{error:#}")))?;
        if params.len() != statement.params().len() {
            return Err(Error::BadParameter(format!(
                "the statement has {} parameters, {} were given",
                statement.params().len(),
                params.len()
            )));
        }
        let params = params.iter().map(|p| p.as_ref() as &(dyn ToSql + Sync));
        let rows = self
            .0
            .client()
            .query_raw(&statement, params)
            .await
            .map_err(query_failed)?;
        Ok((statement, rows))
    }
}

/// The span of a statement, whose text is a constant of the function: values are its parameters.
fn span(sql: &str) -> Span {
    tracing::debug_span!(
        target: trace::TARGET,
        "sql",
        otel.kind = "client",
        db.system.name = "postgresql",
        db.query.text = sql
    )
}

fn is_stale(code: &str) -> bool {
    code == SqlState::FEATURE_NOT_SUPPORTED.code()
        || code == SqlState::INVALID_SQL_STATEMENT_NAME.code()
}

pub(super) fn columns(statement: &Statement) -> Vec<Column> {
    statement
        .columns()
        .iter()
        .map(|column| Column {
            name: column.name().to_owned(),
            data_type: column_type(column.type_()),
        })
        .collect()
}

fn convert(row: &Row) -> Result<Vec<DbValue>, Error> {
    (0..row.len())
        .map(|index| value(row, index))
        .collect::<anyhow::Result<_>>()
        .map_err(|error| Error::ValueConversionFailed(format!("{error:#}")))
}

fn query_failed(error: tokio_postgres::Error) -> Error {
    let Some(db) = error.as_db_error() else {
        // A parameter of another type than the statement wants is the caller's mistake.
        let chain = format!("{:#}", anyhow::Error::from(error));
        return Error::QueryFailed(QueryError::Text(chain));
    };
    let extras = [
        ("column", db.column()),
        ("constraint", db.constraint()),
        ("routine", db.routine()),
        ("hint", db.hint()),
        ("table", db.table()),
        ("datatype", db.datatype()),
        ("schema", db.schema()),
        ("where_", db.where_()),
    ];
    Error::QueryFailed(QueryError::DbError(DbError {
        as_text: format!("{error:?}"),
        severity: db.severity().to_owned(),
        code: db.code().code().to_owned(),
        message: db.message().to_owned(),
        detail: db.detail().map(str::to_owned),
        extras: extras
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect(),
    }))
}

/// The rows as the server sends them. Only one step of them is in memory.
pub(super) struct Rows {
    rows: Pin<Box<RowStream>>,
    done: Option<Sender<Result<(), Error>>>,
    connection: Connection,
}

impl<D> StreamProducer<D> for Rows {
    type Item = Vec<DbValue>;
    type Buffer = VecBuffer<Vec<DbValue>>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut step = Vec::new();
        let result = loop {
            match self.rows.as_mut().poll_next(cx) {
                Poll::Ready(Some(row)) => match row.map_err(query_failed).and_then(|r| convert(&r))
                {
                    Ok(row) => {
                        step.push(row);
                        if step.len() == ROWS_A_STEP {
                            break StreamResult::Completed;
                        }
                    }
                    Err(error) => {
                        self.end(Err(error));
                        break StreamResult::Dropped;
                    }
                },
                Poll::Ready(None) => {
                    self.end(Ok(()));
                    break StreamResult::Dropped;
                }
                Poll::Pending if !step.is_empty() => break StreamResult::Completed,
                Poll::Pending if finish => break StreamResult::Cancelled,
                Poll::Pending => return Poll::Pending,
            }
        };
        destination.set_buffer(step.into());
        Poll::Ready(Ok(result))
    }
}

impl Rows {
    /// The rows of a statement on `connection`; `done` is told how they end.
    pub(super) fn new(
        rows: RowStream,
        connection: Connection,
        done: Sender<Result<(), Error>>,
    ) -> Self {
        Self {
            rows: Box::pin(rows),
            done: Some(done),
            connection,
        }
    }

    fn end(&mut self, outcome: Result<(), Error>) {
        if let Some(done) = self.done.take() {
            // The guest may have dropped the future; then nobody asks for the outcome.
            drop(done.send(outcome));
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if self.done.is_some() {
            // Cut off in the middle: the connection still receives rows, so it must not be reused.
            self.connection.0.begin();
        }
    }
}
