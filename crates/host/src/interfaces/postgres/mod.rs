//! `spin:postgres@4.2.0`: databases at the addresses of `allowed_outbound_hosts`, through the pools of the worker.

#![expect(
    clippy::result_large_err,
    reason = "the interface's own error is large, and these are not hot when they fail"
)]

mod check;
mod connection;
pub mod pool;
mod session;
mod types;
mod wit;

use super::{
    connections::Connections,
    interface::{GrantContext, In, Interface, View},
};
use crate::outbound::{AllowedHosts, Scheme};
pub use check::check_database;
use connection::{Rows, columns, unavailable};
use pool::{Access, PoolLimits, Pools};
use session::{Builder, Connection};
use std::sync::Arc;
use tokio_postgres::{Config, config::Host as ServerHost};
use wasm::Data;
use wasmtime::component::{Accessor, FutureReader, Linker, Resource, StreamReader};
use wit::{Column, DbValue, Error, ParameterValue, RowSet};

/// The databases that a component may reach, and the bounds of its connections.
pub struct Grant {
    component: String,
    allowed_hosts: Arc<AllowedHosts>,
    limits: PoolLimits,
    /// Whether calls that hold the instance while they wait are allowed.
    blocking: bool,
}

/// The interface in one instance.
pub struct Postgres {
    grant: Arc<Grant>,
    /// The pools of the worker that the instance lives on.
    pools: Arc<Pools>,
    /// The pool of the database that was connected to last, with its address.
    last: Option<(String, Access)>,
}

impl Interface for Postgres {
    type Grant = Grant;

    fn grant(context: &GrantContext<'_>) -> anyhow::Result<Grant> {
        Ok(Grant {
            component: context.component.id.clone(),
            allowed_hosts: context.allowed_hosts.clone(),
            limits: context.database,
            blocking: context.blocking_database,
        })
    }

    fn new(grant: &Arc<Grant>, connections: &Connections) -> Self {
        Self {
            grant: grant.clone(),
            pools: connections.pools.clone(),
            last: None,
        }
    }

    fn add_to_linker(
        linker: &mut Linker<Data>,
        view: fn(&mut Data) -> View<'_, Self>,
    ) -> wasmtime::Result<()> {
        wit::add_to_linker::<_, In<Self>>(linker, view)
    }
}

impl Postgres {
    /// The pool of an address, which is checked against `allowed_outbound_hosts`. Most functions have one
    /// address: each instance checks it once.
    fn access(&mut self, address: String, ca_root: Option<String>) -> Result<Access, Error> {
        if let Some((known, access)) = &self.last
            && *known == address
            && ca_root.is_none()
        {
            return Ok(access.clone());
        }
        let config = self.grant.allowed(&address)?;
        let Grant {
            component, limits, ..
        } = &*self.grant;
        let access = self
            .pools
            .access(component, &address, config, ca_root.as_deref(), *limits)
            .map_err(|error| unavailable(&error))?;
        if ca_root.is_none() {
            self.last = Some((address, access.clone()));
        }
        Ok(access)
    }

    /// Refuses calls that hold the instance while they wait, if they are not allowed.
    fn may_block(&self) -> Result<(), Error> {
        if self.grant.blocking {
            return Ok(());
        }
        let why = "this call holds the instance while it waits: use the async one of the same name";
        Err(Error::Other(why.to_owned()))
    }
}

impl Grant {
    /// Parses an address, and checks that all of its hosts may be reached.
    fn allowed(&self, address: &str) -> Result<Config, Error> {
        let config: Config = address.parse().map_err(|_| {
            // The parser's own message may repeat the text, and with it the password.
            Error::ConnectionFailed("the address is not a PostgreSQL connection string".into())
        })?;
        let ports = config.get_ports();
        for (index, host) in config.get_hosts().iter().enumerate() {
            let ServerHost::Tcp(host) = host else {
                return Err(Error::ConnectionFailed(
                    "unix sockets are not permitted".into(),
                ));
            };
            let port = *ports.get(index).or(ports.first()).unwrap_or(&5432);
            if !self.allowed_hosts.allows(Scheme::Postgres, host, port) {
                return Err(Error::ConnectionFailed(format!(
                    "address postgres://{host}:{port} is not permitted: add it to \
                     allowed_outbound_hosts of [component.{}]",
                    self.component
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
}

impl wit::Host for View<'_, Postgres> {}

impl wit::HostConnectionBuilder for View<'_, Postgres> {
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

impl View<'_, Postgres> {
    async fn connect(
        &mut self,
        address: String,
        ca_root: Option<String>,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        if let Err(error) = self.own.may_block() {
            return Ok(Err(error));
        }
        let connection = match self.own.access(address, ca_root) {
            Ok(access) => Connection::open(&self.own.pools, &access).await,
            Err(error) => Err(error),
        };
        Ok(match connection {
            Ok(connection) => Ok(self.table.push(connection)?),
            Err(error) => Err(error),
        })
    }
}

impl wit::HostConnection for View<'_, Postgres> {
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
        if let Err(error) = self.own.may_block() {
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
        if let Err(error) = self.own.may_block() {
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
    accessor: &Accessor<T, In<Postgres>>,
    address: String,
    ca_root: Option<String>,
) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
    let found = accessor.with(|mut store| {
        let state = store.get().own;
        let access = state.access(address, ca_root)?;
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
    accessor: &Accessor<T, In<Postgres>>,
    connection: &Resource<Connection>,
) -> wasmtime::Result<Connection> {
    accessor.with(|mut access| Ok(Connection(access.get().table.get(connection)?.0.clone())))
}

impl<T: Send + 'static> wit::HostConnectionBuilderWithStore<T> for In<Postgres> {
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

impl<T: Send + 'static> wit::HostConnectionWithStore<T> for In<Postgres> {
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
        let rows = Rows::new(rows, connection, done);
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
