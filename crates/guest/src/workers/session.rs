//! A connection to the database over a socket of Workers.
//!
//! Statements are unnamed and take one round trip, so a pooler may stand between. Workers forbid a request to use another
//! one's socket, so each opens its own.

use std::error::Error as _;

use axum::BoxError;
use bytes::{BufMut, BytesMut};
use spin_sdk::pg::wit::postgres::{DbError, DbValue, Error, QueryError};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config};
use uuid::Uuid;
use worker::postgres_tls::PassthroughTls;
use worker::send::IntoSendFuture;
use worker::{SecureTransport, Socket};

use crate::db::Argument;
use crate::entry::Entry;

/// The values of a row.
pub(crate) type Row = Vec<DbValue>;

/// An open connection.
pub(crate) struct Session(Client);

impl Session {
    /// Opens a connection.
    pub async fn open(url: &str, _: Entry) -> Result<Self, Error> {
        open(url).into_send().await.map(Self)
    }

    /// All rows of a statement, each of which is one `jsonb`.
    pub async fn query(&self, sql: &str, args: &[Argument]) -> Result<Vec<Row>, Error> {
        let values = values(args)?;
        let rows = self.0.query_typed(sql, &typed(&values)).await;
        let rows = rows.map_err(of_driver)?;
        let rows = rows.iter().map(|row| {
            let json: Json = row.try_get(0).map_err(of_driver)?;
            Ok(vec![DbValue::Jsonb(json.0)])
        });
        rows.collect()
    }

    /// Runs a statement for its effect, and returns the number of rows that it touched.
    pub async fn execute(&self, sql: &str, args: &[Argument]) -> Result<u64, Error> {
        let values = values(args)?;
        let touched = self.0.execute_typed(sql, &typed(&values)).await;
        touched.map_err(of_driver)
    }
}

async fn open(url: &str) -> Result<Client, Error> {
    let failed = |why: String| Error::ConnectionFailed(why);
    let config: Config = url
        .parse()
        .map_err(|_| failed("the URL is malformed".to_owned()))?;
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        return Err(failed("the URL has no host".to_owned()));
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let transport = match config.get_ssl_mode() {
        SslMode::Disable => SecureTransport::Off,
        _ => SecureTransport::StartTls,
    };
    let socket = Socket::builder()
        .secure_transport(transport)
        .connect(host, port)
        .map_err(|error| failed(error.to_string()))?;
    let opened = config.connect_raw(socket, PassthroughTls).await;
    let (client, connection) = opened.map_err(|error| failed(described(&error)))?;
    super::spawn(async move {
        // What breaks it off fails the statements that wait for it.
        _ = connection.await;
    });
    Ok(client)
}

type Value = (Box<dyn ToSql + Send + Sync>, Type);

fn typed(values: &[Value]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    let typed = values.iter();
    typed
        .map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone()))
        .collect()
}

fn values(args: &[Argument]) -> Result<Vec<Value>, Error> {
    args.iter().cloned().map(value).collect()
}

fn value(argument: Argument) -> Result<Value, Error> {
    Ok(match argument {
        Argument::Boolean(value) => (Box::new(value), Type::BOOL),
        Argument::Int16(value) => (Box::new(value), Type::INT2),
        Argument::Int32(value) => (Box::new(value), Type::INT4),
        Argument::Int64(value) => (Box::new(value), Type::INT8),
        Argument::Floating64(value) => (Box::new(value), Type::FLOAT8),
        Argument::Str(value) => (Box::new(value), Type::TEXT),
        Argument::Binary(value) => (Box::new(value), Type::BYTEA),
        Argument::Jsonb(value) => (Box::new(Json(value)), Type::JSONB),
        Argument::ArrayStr(value) => (Box::new(value), Type::TEXT_ARRAY),
        Argument::Uuid(value) => {
            let id = Uuid::try_parse(&value);
            let id = id.map_err(|_| Error::BadParameter("an id is malformed".to_owned()))?;
            (Box::new(id), Type::UUID)
        }
        // The server finds out what it is.
        Argument::DbNull => (Box::new(None::<String>), Type::UNKNOWN),
        _ => {
            let why = "no handler has arguments of this kind";
            return Err(Error::BadParameter(why.to_owned()));
        }
    })
}

/// The text of a `jsonb`.
#[derive(Debug)]
struct Json(Vec<u8>);

/// The version of the binary form.
const VERSION: u8 = 1;

impl ToSql for Json {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        out.put_u8(VERSION);
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSONB
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Json {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        match raw {
            [VERSION, text @ ..] => Ok(Self(text.to_vec())),
            _ => Err("a jsonb of another version".into()),
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSONB
    }
}

fn described(error: &tokio_postgres::Error) -> String {
    let cause = error.source().map(ToString::to_string);
    format!("{error}: {}", cause.unwrap_or_default())
}

/// An error of the driver, as `spin:postgres` tells of it.
fn of_driver(error: tokio_postgres::Error) -> Error {
    let as_text = described(&error);
    let Some(said) = error.as_db_error() else {
        return match error.is_closed() {
            true => Error::ConnectionFailed(as_text),
            false => Error::QueryFailed(QueryError::Text(as_text)),
        };
    };
    let constraint = said.constraint();
    Error::QueryFailed(QueryError::DbError(DbError {
        as_text,
        severity: said.severity().to_owned(),
        code: said.code().code().to_owned(),
        message: said.message().to_owned(),
        detail: said.detail().map(str::to_owned),
        extras: constraint
            .map(|name| ("constraint".to_owned(), name.to_owned()))
            .into_iter()
            .collect(),
    }))
}
