//! `spin:postgres@4.2.0`.

#![expect(
    clippy::result_large_err,
    reason = "the interface's own error is large, and these are not hot when they fail"
)]

mod check;
mod pool;
mod types;

use super::{
    Host,
    spin::postgres::postgres::{
        self as wit, Column, DbError, DbValue, Error, ParameterValue, QueryError, RowSet,
    },
};
use crate::{outbound::Scheme, state::State};
pub use check::check_database;
use futures::{Stream, StreamExt};
use pool::Session;
pub use pool::{Access, OWN_CONNECTIONS, PoolLimits, Pools};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio_postgres::{
    Config, Row, RowStream, Statement, config::Host as ServerHost, error::SqlState, types::ToSql,
};
use types::{column_type, parameter, value};
use wasmtime::{
    StoreContextMut,
    component::{
        Accessor, Destination, FutureReader, Resource, StreamProducer, StreamReader, StreamResult,
        VecBuffer,
    },
};

/// Rows handed to the guest in one step of a stream.
const ROWS_A_STEP: usize = 64;

/// A guest's connection. The session goes back to its pool when the last use ends.
pub struct Connection(Arc<Session>);

/// A connection that is not open yet.
pub struct Builder {
    address: String,
    ca_root: Option<String>,
}

/// The way to the pool of an address, which is checked against `allowed_outbound_hosts`. A function mostly has one
/// address: each instance checks it once.
fn access(state: &mut State, address: String, ca_root: Option<String>) -> Result<Access, Error> {
    if let Some((known, access)) = &state.database
        && *known == address
        && ca_root.is_none()
    {
        return Ok(access.clone());
    }
    let config = allowed(state, &address)?;
    let (component, limits) = (&state.rights.component, state.rights.database);
    let access = state
        .pools
        .access(component, &address, config, ca_root.as_deref(), limits)
        .map_err(|error| unavailable(&error))?;
    if ca_root.is_none() {
        state.database = Some((address, access.clone()));
    }
    Ok(access)
}

/// What an address says, if all of it may be reached.
fn allowed(state: &State, address: &str) -> Result<Config, Error> {
    let config: Config = address.parse().map_err(|_| {
        // The parser's own message may repeat the text, and with it the password.
        Error::ConnectionFailed("the address is no PostgreSQL connection string".into())
    })?;
    let ports = config.get_ports();
    for (index, host) in config.get_hosts().iter().enumerate() {
        let ServerHost::Tcp(host) = host else {
            return Err(Error::ConnectionFailed(
                "unix sockets are not permitted".into(),
            ));
        };
        let port = *ports.get(index).or(ports.first()).unwrap_or(&5432);
        if !state
            .rights
            .allowed_hosts
            .allows(Scheme::Postgres, host, port)
        {
            return Err(Error::ConnectionFailed(format!(
                "address postgres://{host}:{port} is not permitted: add it to \
                 allowed_outbound_hosts of [component.{}]",
                state.rights.component
            )));
        }
    }
    if config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty() {
        return Err(Error::ConnectionFailed(
            "the address must name a host".into(),
        ));
    }
    Ok(config)
}

fn unavailable(error: &anyhow::Error) -> Error {
    tracing::warn!(error = format!("{error:#}"), "no PostgreSQL connection");
    Error::ConnectionFailed(format!("{error:#}"))
}

impl Connection {
    async fn open(pools: &Pools, access: &Access) -> Result<Self, Error> {
        match Session::open(pools, access).await {
            Ok(session) => Ok(Self(Arc::new(session))),
            Err(error) => Err(unavailable(&error)),
        }
    }

    #[tracing::instrument(name = "sql", level = "debug", skip(self, params))]
    async fn query(&self, sql: &str, params: &[ParameterValue]) -> Result<RowSet, Error> {
        let (statement, rows) = self.start(sql, params).await?;
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

    #[tracing::instrument(name = "sql", level = "debug", skip(self, params))]
    async fn execute(&self, sql: &str, params: &[ParameterValue]) -> Result<u64, Error> {
        let (_, rows) = self.start(sql, params).await?;
        self.0.begin();
        let mut rows = std::pin::pin!(rows);
        let mut outcome = Ok(());
        while let Some(row) = rows.next().await {
            if let Err(error) = row {
                outcome = Err(query_failed(error));
            }
        }
        self.0.end();
        outcome.map(|()| rows.rows_affected().unwrap_or(0))
    }

    /// Sends the statement, prepared once for each connection.
    async fn start(
        &self,
        sql: &str,
        params: &[ParameterValue],
    ) -> Result<(Statement, RowStream), Error> {
        self.0.begin();
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

fn is_stale(code: &str) -> bool {
    code == SqlState::FEATURE_NOT_SUPPORTED.code()
        || code == SqlState::INVALID_SQL_STATEMENT_NAME.code()
}

fn columns(statement: &Statement) -> Vec<Column> {
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

impl wit::Host for &mut State {}

impl wit::HostConnectionBuilder for &mut State {
    async fn new(&mut self, address: String) -> wasmtime::Result<Resource<Builder>> {
        Ok(self.table.push(Builder {
            address,
            ca_root: None,
        })?)
    }

    async fn set_ca_root(
        &mut self,
        builder: Resource<Builder>,
        certificate: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.table.get_mut(&builder)?.ca_root = Some(certificate);
        Ok(Ok(()))
    }

    async fn build(
        &mut self,
        builder: Resource<Builder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let builder = self.table.get(&builder)?;
        let (address, ca_root) = (builder.address.clone(), builder.ca_root.clone());
        self.connect(address, ca_root).await
    }

    async fn drop(&mut self, builder: Resource<Builder>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl State {
    /// Refuses the calls that hold the instance while they wait, where they are not answered.
    fn may_block(&self) -> Result<(), Error> {
        if self.rights.blocking_database {
            return Ok(());
        }
        let why = "this call holds the instance while it waits: use the async one of the same name";
        Err(Error::Other(why.to_owned()))
    }

    async fn connect(
        &mut self,
        address: String,
        ca_root: Option<String>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        if let Err(error) = self.may_block() {
            return Ok(Err(error));
        }
        let connection = match access(self, address, ca_root) {
            Ok(access) => Connection::open(&self.pools, &access).await,
            Err(error) => Err(error),
        };
        Ok(match connection {
            Ok(connection) => Ok(self.table.push(connection)?),
            Err(error) => Err(error),
        })
    }
}

impl wit::HostConnection for &mut State {
    async fn open(
        &mut self,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        self.connect(address, None).await
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<RowSet, Error>> {
        if let Err(error) = self.may_block() {
            return Ok(Err(error));
        }
        let connection = self.table.get(&connection)?;
        Ok(connection.query(&statement, &params).await)
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        if let Err(error) = self.may_block() {
            return Ok(Err(error));
        }
        let connection = self.table.get(&connection)?;
        Ok(connection.execute(&statement, &params).await)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

/// Opens a connection without holding the store while it waits.
async fn open_async<T: Send>(
    accessor: &Accessor<T, Host>,
    address: String,
    ca_root: Option<String>,
) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
    let found = accessor.with(|mut store| {
        let state = store.get();
        let access = access(state, address, ca_root)?;
        Ok((state.pools.clone(), access))
    });
    let connection = match found {
        Ok((pools, access)) => Connection::open(&pools, &access).await,
        Err(error) => Err(error),
    };
    match connection {
        Ok(connection) => {
            accessor.with(|mut access| Ok(Ok(access.get().table.push(connection)?)))
        }
        Err(error) => Ok(Err(error)),
    }
}

fn shared<T>(
    accessor: &Accessor<T, Host>,
    connection: &Resource<Connection>,
) -> wasmtime::Result<Connection> {
    accessor.with(|mut access| Ok(Connection(access.get().table.get(connection)?.0.clone())))
}

impl<T: Send + 'static> wit::HostConnectionBuilderWithStore<T> for Host {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        builder: Resource<Builder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let (address, ca_root) = accessor.with(|mut access| {
            let builder = access.get().table.get(&builder)?;
            wasmtime::error::Ok((builder.address.clone(), builder.ca_root.clone()))
        })?;
        open_async(accessor, address, ca_root).await
    }
}

type QueryAnswer = (
    Vec<Column>,
    StreamReader<Vec<DbValue>>,
    FutureReader<Result<(), Error>>,
);

impl<T: Send + 'static> wit::HostConnectionWithStore<T> for Host {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        open_async(accessor, address, None).await
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<QueryAnswer, Error>> {
        let connection = shared(accessor, &connection)?;
        let (statement, rows) = match connection.start(&statement, &params).await {
            Ok(started) => started,
            Err(error) => return Ok(Err(error)),
        };
        let (done, outcome) = tokio::sync::oneshot::channel();
        let rows = Rows {
            rows: Box::pin(rows),
            done: Some(done),
            connection,
        };
        accessor.with(|mut access| {
            let rows = StreamReader::new(&mut access, rows)?;
            let outcome = FutureReader::new(&mut access, async move {
                // Nobody reads the stream any more: the rest of the rows is not wanted.
                wasmtime::error::Ok(outcome.await.unwrap_or(Ok(())))
            })?;
            Ok(Ok((columns(&statement), rows, outcome)))
        })
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let connection = shared(accessor, &connection)?;
        Ok(connection.execute(&statement, &params).await)
    }
}

/// Rows as the server sends them: no more than a step of them is in memory.
struct Rows {
    rows: Pin<Box<RowStream>>,
    done: Option<tokio::sync::oneshot::Sender<Result<(), Error>>>,
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
