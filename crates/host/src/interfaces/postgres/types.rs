//! Values between `spin:postgres` and PostgreSQL, type by type as Spin maps them.

use super::wit::{DbDataType, DbValue, Interval, ParameterValue, RangeBoundKind};
use anyhow::{Context, Result};
use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use postgres_range::{BoundSided, BoundType, Normalizable, Range, RangeBound};
use rust_decimal::Decimal;
use std::error::Error;
use tokio_postgres::{
    Row,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};
use uuid::Uuid;

type SqlError = Box<dyn Error + Sync + Send>;

/// The published name of a column's type.
pub fn column_type(ty: &Type) -> DbDataType {
    match *ty {
        Type::BOOL => DbDataType::Boolean,
        Type::CHAR => DbDataType::Int8,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => DbDataType::Str,
        Type::BYTEA => DbDataType::Binary,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB | Type::JSON => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        ref other => DbDataType::Other(other.name().to_owned()),
    }
}

/// One value of a row.
///
/// # Errors
/// The published type cannot hold the value (a numeric of more than 28 digits, a date beyond
/// year 262,000).
pub fn value(row: &Row, index: usize) -> Result<DbValue> {
    let ty = row.columns()[index].type_();
    match *ty {
        Type::BOOL => get(row, index, DbValue::Boolean),
        Type::CHAR => get(row, index, DbValue::Int8),
        Type::INT2 => get(row, index, DbValue::Int16),
        Type::INT4 => get(row, index, DbValue::Int32),
        Type::INT8 => get(row, index, DbValue::Int64),
        Type::FLOAT4 => get(row, index, DbValue::Floating32),
        Type::FLOAT8 => get(row, index, DbValue::Floating64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => get(row, index, DbValue::Str),
        Type::BYTEA => get(row, index, DbValue::Binary),
        Type::DATE => get(row, index, |v: NaiveDate| DbValue::Date(date(v))),
        Type::TIME => get(row, index, |v: NaiveTime| DbValue::Time(time(v))),
        Type::TIMESTAMP => get(row, index, |v: NaiveDateTime| {
            DbValue::Datetime(datetime(v))
        }),
        Type::TIMESTAMPTZ => get(row, index, |v: DateTime<Utc>| {
            DbValue::Datetime(datetime(v.naive_utc()))
        }),
        Type::UUID => get(row, index, |v: Uuid| DbValue::Uuid(v.to_string())),
        Type::JSONB | Type::JSON => get(row, index, |v: Json| DbValue::Jsonb(v.0.to_vec())),
        Type::NUMERIC => get(row, index, |v: Decimal| DbValue::Decimal(v.to_string())),
        Type::INT4_RANGE => get(row, index, |v| DbValue::RangeInt32(bounds(&v, |v| *v))),
        Type::INT8_RANGE => get(row, index, |v| DbValue::RangeInt64(bounds(&v, |v| *v))),
        Type::NUM_RANGE => get(row, index, |v: Range<Number>| {
            DbValue::RangeDecimal(bounds(&v, |v| v.0.to_string()))
        }),
        Type::INT4_ARRAY => get(row, index, DbValue::ArrayInt32),
        Type::INT8_ARRAY => get(row, index, DbValue::ArrayInt64),
        Type::NUMERIC_ARRAY => get(row, index, |v: Vec<Option<Decimal>>| {
            DbValue::ArrayDecimal(v.into_iter().map(|d| Some(d?.to_string())).collect())
        }),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => {
            get(row, index, DbValue::ArrayStr)
        }
        Type::INTERVAL => get(row, index, |v: PgInterval| DbValue::Interval(v.0)),
        _ => get(row, index, |v: Other| DbValue::Unsupported(v.0.to_vec())),
    }
}

fn get<'r, T: FromSql<'r>>(
    row: &'r Row,
    index: usize,
    convert: impl FnOnce(T) -> DbValue,
) -> Result<DbValue> {
    let value: Option<T> = row
        .try_get(index)
        .with_context(|| format!("column {:?}", row.columns()[index].name()))?;
    Ok(value.map_or(DbValue::DbNull, convert))
}

/// A parameter as the driver takes it.
///
/// # Errors
/// The text is not a UUID, date or decimal number.
pub fn parameter(value: &ParameterValue) -> Result<Box<dyn ToSql + Sync + Send + '_>> {
    Ok(match value {
        ParameterValue::Boolean(v) => Box::new(*v),
        ParameterValue::Int8(v) => Box::new(*v),
        ParameterValue::Int16(v) => Box::new(*v),
        ParameterValue::Int32(v) => Box::new(*v),
        ParameterValue::Int64(v) => Box::new(*v),
        ParameterValue::Floating32(v) => Box::new(*v),
        ParameterValue::Floating64(v) => Box::new(*v),
        ParameterValue::Str(v) => Box::new(v.as_str()),
        ParameterValue::Binary(v) => Box::new(v.as_slice()),
        ParameterValue::Date(v) => Box::new(to_date(*v)?),
        ParameterValue::Time(v) => Box::new(to_time(*v)?),
        ParameterValue::Datetime((y, mo, d, h, mi, s, ns)) => Box::new(NaiveDateTime::new(
            to_date((*y, *mo, *d))?,
            to_time((*h, *mi, *s, *ns))?,
        )),
        ParameterValue::Timestamp(v) => {
            Box::new(DateTime::<Utc>::from_timestamp(*v, 0).context("timestamp out of range")?)
        }
        ParameterValue::Uuid(v) => Box::new(Uuid::parse_str(v).context("invalid UUID")?),
        ParameterValue::Jsonb(v) => Box::new(Json(v)),
        ParameterValue::Decimal(v) => Box::new(to_decimal(v)?),
        ParameterValue::RangeInt32((low, high)) => Box::new(Range::new(
            low.map(|b| to_bound(b.0, b.1)),
            high.map(|b| to_bound(b.0, b.1)),
        )),
        ParameterValue::RangeInt64((low, high)) => Box::new(Range::new(
            low.map(|b| to_bound(b.0, b.1)),
            high.map(|b| to_bound(b.0, b.1)),
        )),
        ParameterValue::RangeDecimal((low, high)) => Box::new(Range::new(
            low.as_ref().map(to_decimal_bound).transpose()?,
            high.as_ref().map(to_decimal_bound).transpose()?,
        )),
        ParameterValue::ArrayInt32(v) => Box::new(v.as_slice()),
        ParameterValue::ArrayInt64(v) => Box::new(v.as_slice()),
        ParameterValue::ArrayDecimal(v) => Box::new(
            v.iter()
                .map(|d| d.as_deref().map(to_decimal).transpose())
                .collect::<Result<Vec<_>>>()?,
        ),
        ParameterValue::ArrayStr(v) => Box::new(v.as_slice()),
        ParameterValue::Interval(v) => Box::new(PgInterval(*v)),
        ParameterValue::DbNull => Box::new(Null),
    })
}

fn date(value: NaiveDate) -> (i32, u8, u8) {
    (value.year(), small(value.month()), small(value.day()))
}

fn time(value: NaiveTime) -> (u8, u8, u8, u32) {
    (
        small(value.hour()),
        small(value.minute()),
        small(value.second()),
        value.nanosecond(),
    )
}

fn datetime(value: NaiveDateTime) -> (i32, u8, u8, u8, u8, u8, u32) {
    let (year, month, day) = date(value.date());
    let (hour, minute, second, nanosecond) = time(value.time());
    (year, month, day, hour, minute, second, nanosecond)
}

/// Months, days, hours, minutes and seconds are all below 256.
fn small(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn to_date((year, month, day): (i32, u8, u8)) -> Result<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .with_context(|| format!("invalid date {year}-{month}-{day}"))
}

fn to_time((hour, minute, second, nanosecond): (u8, u8, u8, u32)) -> Result<NaiveTime> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nanosecond)
        .with_context(|| format!("invalid time {hour}:{minute}:{second}"))
}

fn to_decimal(text: impl AsRef<str>) -> Result<Decimal> {
    Decimal::from_str_exact(text.as_ref()).context("invalid decimal number")
}

/// One end of a range in the interface's type.
type Bound<W> = (W, RangeBoundKind);

fn bounds<T: Normalizable + PartialOrd, W>(
    range: &Range<T>,
    convert: impl Fn(&T) -> W,
) -> (Option<Bound<W>>, Option<Bound<W>>) {
    let kind = |bound| match bound {
        BoundType::Inclusive => RangeBoundKind::Inclusive,
        BoundType::Exclusive => RangeBoundKind::Exclusive,
    };
    (
        range.lower().map(|b| (convert(&b.value), kind(b.type_))),
        range.upper().map(|b| (convert(&b.value), kind(b.type_))),
    )
}

fn to_bound<S: BoundSided, T: Normalizable + PartialOrd>(
    value: T,
    kind: RangeBoundKind,
) -> RangeBound<S, T> {
    let kind = match kind {
        RangeBoundKind::Inclusive => BoundType::Inclusive,
        RangeBoundKind::Exclusive => BoundType::Exclusive,
    };
    RangeBound::new(value, kind)
}

fn to_decimal_bound<S: BoundSided>(
    (value, kind): &(String, RangeBoundKind),
) -> Result<RangeBound<S, Number>> {
    Ok(to_bound(Number(to_decimal(value)?), *kind))
}

/// A decimal number that a range can hold.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Number(Decimal);

impl Normalizable for Number {
    fn normalize<S: BoundSided>(bound: RangeBound<S, Self>) -> RangeBound<S, Self> {
        bound
    }
}

impl FromSql<'_> for Number {
    fn from_sql(ty: &Type, raw: &[u8]) -> Result<Self, SqlError> {
        Decimal::from_sql(ty, raw).map(Self)
    }

    fn accepts(ty: &Type) -> bool {
        <Decimal as FromSql>::accepts(ty)
    }
}

impl ToSql for Number {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
        self.0.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <Decimal as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

/// The text of a JSON value, passed on as it is, since PostgreSQL checks it.
#[derive(Debug)]
struct Json<'a>(&'a [u8]);

/// The first byte of a binary jsonb value.
const JSONB_VERSION: u8 = 1;

impl<'a> FromSql<'a> for Json<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, SqlError> {
        match raw.split_first() {
            _ if *ty == Type::JSON => Ok(Self(raw)),
            Some((&JSONB_VERSION, text)) => Ok(Self(text)),
            _ => Err("unknown version of jsonb".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::JSON | Type::JSONB)
    }
}

impl ToSql for Json<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
        if *ty == Type::JSONB {
            out.put_u8(JSONB_VERSION);
        }
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::JSON | Type::JSONB)
    }

    to_sql_checked!();
}

/// Reads a binary interval: microseconds, days, months.
#[derive(Debug)]
struct PgInterval(Interval);

impl FromSql<'_> for PgInterval {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, SqlError> {
        let raw: &[u8; 16] = raw.try_into()?;
        let (micros, rest) = raw.split_first_chunk().ok_or("short interval")?;
        let (days, months) = rest.split_first_chunk().ok_or("short interval")?;
        Ok(Self(Interval {
            micros: i64::from_be_bytes(*micros),
            days: i32::from_be_bytes(*days),
            months: i32::from_be_bytes(months.try_into()?),
        }))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }
}

impl ToSql for PgInterval {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, SqlError> {
        out.put_i64(self.0.micros);
        out.put_i32(self.0.days);
        out.put_i32(self.0.months);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::INTERVAL
    }

    to_sql_checked!();
}

/// A NULL of any type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, SqlError> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value of a type without a published form, as the server sent it.
struct Other<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Other<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, SqlError> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
