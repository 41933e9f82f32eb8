//! Conversion between JSON and values of the canonical ABI, as the HTTP contract maps them. `skill` has the same
//! mapping as schemas.
//!
//! No depth limits are needed here: a WIT type cannot be recursive, so the type bounds the value.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Number, Value};
use skill::FieldError;
use wasmtime::component::{Type, Val};

/// The largest integer that is a JSON number; larger ones are strings (RFC 8259, section 6).
const MAX_SAFE_INTEGER: i128 = (1 << 53) - 1;

/// Reads the arguments of a function from an object by parameter name. An option may be left out.
///
/// # Errors
/// Some fields do not fit. The error names the first of each argument.
pub fn arguments(
    params: &[(String, Type)],
    mut given: Map<String, Value>,
) -> Result<Vec<Val>, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut values = Vec::with_capacity(params.len());
    for (name, ty) in params {
        let value = match given.remove(name) {
            Some(value) => lower(ty, value).map_err(|fault| fault.at(name)),
            None if matches!(ty, Type::Option(_)) => Ok(Val::Option(None)),
            None => Err(Fault::new("is missing").at(name)),
        };
        match value {
            Ok(value) => values.push(value),
            Err(fault) => errors.push(fault.into_error()),
        }
    }
    for name in given.keys() {
        errors.push(
            Fault::new("is not a parameter of this tool")
                .at(name)
                .into_error(),
        );
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}

/// A value that does not fit its type, with its location.
struct Fault {
    path: String,
    detail: String,
}

impl Fault {
    fn new(detail: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            detail: detail.into(),
        }
    }

    /// Puts the location below a field.
    fn at(mut self, field: &str) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{field}{joint}{}", self.path);
        self
    }

    fn at_index(mut self, index: usize) -> Self {
        let joint = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("[{index}]{joint}{}", self.path);
        self
    }

    fn into_error(self) -> FieldError {
        FieldError {
            field: format!("arguments.{}", self.path),
            detail: self.detail,
        }
    }
}

fn expected<T>(what: &str) -> Result<T, Fault> {
    Err(Fault::new(format!("must be {what}")))
}

fn lower(ty: &Type, value: Value) -> Result<Val, Fault> {
    Ok(match ty {
        Type::Bool => match value {
            Value::Bool(value) => Val::Bool(value),
            _ => return expected("true or false"),
        },
        Type::S8 => Val::S8(integer(&value)?),
        Type::U8 => Val::U8(integer(&value)?),
        Type::S16 => Val::S16(integer(&value)?),
        Type::U16 => Val::U16(integer(&value)?),
        Type::S32 => Val::S32(integer(&value)?),
        Type::U32 => Val::U32(integer(&value)?),
        Type::S64 => Val::S64(wide_integer(&value)?),
        Type::U64 => Val::U64(wide_integer(&value)?),
        Type::Float32 => Val::Float32(narrow(float(&value)?)?),
        Type::Float64 => Val::Float64(float(&value)?),
        Type::Char => Val::Char(character(&value)?),
        Type::String => match value {
            Value::String(value) => Val::String(value),
            _ => return expected("a string"),
        },
        Type::List(list) => lower_list(&list.ty(), value)?,
        Type::Record(record) => {
            let fields: Vec<_> = record
                .fields()
                .map(|field| (field.name.to_owned(), field.ty))
                .collect();
            Val::Record(lower_record(&fields, value)?)
        }
        Type::Tuple(tuple) => lower_tuple(&tuple.types().collect::<Vec<_>>(), value)?,
        Type::Variant(variant) => {
            let cases: Vec<_> = variant.cases().map(|case| (case.name, case.ty)).collect();
            let (name, payload) = lower_case(&cases, value)?;
            Val::Variant(name, payload.map(Box::new))
        }
        Type::Enum(kind) => match value {
            Value::String(name) if kind.names().any(|known| known == name) => Val::Enum(name),
            _ => {
                return expected(&format!(
                    "one of {}",
                    kind.names().collect::<Vec<_>>().join(", ")
                ));
            }
        },
        Type::Option(option) => lower_option(&option.ty(), value)?,
        Type::Result(result) => {
            let cases = [("ok", result.ok()), ("err", result.err())];
            let (name, payload) = lower_case(&cases, value)?;
            let payload = payload.map(Box::new);
            Val::Result(if name == "ok" {
                Ok(payload)
            } else {
                Err(payload)
            })
        }
        Type::Flags(flags) => lower_flags(&flags.names().collect::<Vec<_>>(), value)?,
        _ => return Err(Fault::new("has a type that JSON can't carry")),
    })
}

/// Reads a whole number within the bounds of a type.
fn integer<T: TryFrom<i128>>(value: &Value) -> Result<T, Fault> {
    let number = match value {
        Value::Number(number) => whole(number),
        _ => None,
    };
    fitting(number)
}

/// Reads a whole number as [`integer`] does, or from a string.
fn wide_integer<T: TryFrom<i128>>(value: &Value) -> Result<T, Fault> {
    match value {
        Value::String(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_plain = text == "0" || !digits.starts_with(['0', '+']);
            fitting(is_plain.then(|| text.parse().ok()).flatten())
        }
        // Beyond, a receipt could not tell it from its neighbours: JSON's canonical form has doubles (RFC 8785).
        Value::Number(number)
            if whole(number)
                .is_some_and(|whole| whole.unsigned_abs() > MAX_SAFE_INTEGER as u128) =>
        {
            expected("a string, since it is beyond 2^53 - 1")
        }
        other => integer(other),
    }
}

fn narrow(wide: f64) -> Result<f32, Fault> {
    let narrow = wide as f32;
    if narrow.is_infinite() && wide.is_finite() {
        return expected("a number within the range of 32 bits");
    }
    Ok(narrow)
}

fn fitting<T: TryFrom<i128>>(number: Option<i128>) -> Result<T, Fault> {
    match number.and_then(|number| T::try_from(number).ok()) {
        Some(value) => Ok(value),
        None => expected("a whole number within its type's range"),
    }
}

/// Reads a whole number, which may be written as 1e3 or 5.0.
fn whole(number: &Number) -> Option<i128> {
    let of_float = || {
        let float = number.as_f64()?;
        let is_exact = float.fract() == 0.0 && float.abs() <= MAX_SAFE_INTEGER as f64;
        is_exact.then_some(float as i128)
    };
    number.as_i128().or_else(of_float)
}

fn float(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Number(number) => number
            .as_f64()
            .ok_or_else(|| Fault::new("must be a number")),
        Value::String(text) => match text.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => expected("a number, or one of \"NaN\", \"Infinity\", \"-Infinity\""),
        },
        _ => expected("a number"),
    }
}

fn character(value: &Value) -> Result<char, Fault> {
    let mut chars = value.as_str().unwrap_or_default().chars();
    match (chars.next(), chars.next()) {
        (Some(character), None) => Ok(character),
        _ => expected("a string of one character"),
    }
}

fn lower_list(item: &Type, value: Value) -> Result<Val, Fault> {
    match value {
        Value::String(text) if matches!(item, Type::U8) => match BASE64_STANDARD.decode(text) {
            Ok(bytes) => Ok(Val::List(bytes.into_iter().map(Val::U8).collect())),
            Err(_) => expected("base64"),
        },
        Value::Array(items) if !matches!(item, Type::U8) => {
            let items = items.into_iter().enumerate();
            let items =
                items.map(|(at, value)| lower(item, value).map_err(|fault| fault.at_index(at)));
            Ok(Val::List(items.collect::<Result<_, _>>()?))
        }
        _ if matches!(item, Type::U8) => expected("base64"),
        _ => expected("an array"),
    }
}

fn lower_record(fields: &[(String, Type)], value: Value) -> Result<Vec<(String, Val)>, Fault> {
    let Value::Object(mut given) = value else {
        return expected("an object");
    };
    let mut values = Vec::with_capacity(fields.len());
    for (name, ty) in fields {
        let value = match given.remove(name) {
            Some(value) => lower(ty, value).map_err(|fault| fault.at(name))?,
            None if matches!(ty, Type::Option(_)) => Val::Option(None),
            None => return Err(Fault::new("is missing").at(name)),
        };
        values.push((name.clone(), value));
    }
    match given.keys().next() {
        Some(name) => Err(Fault::new("is not a field of this record").at(name)),
        None => Ok(values),
    }
}

fn lower_tuple(types: &[Type], value: Value) -> Result<Val, Fault> {
    match value {
        Value::Array(items) if items.len() == types.len() => {
            let items = items.into_iter().zip(types).enumerate();
            let items =
                items.map(|(at, (value, ty))| lower(ty, value).map_err(|fault| fault.at_index(at)));
            Ok(Val::Tuple(items.collect::<Result<_, _>>()?))
        }
        _ => expected(&format!("an array of {} items", types.len())),
    }
}

/// Reads a variant: `"case"`, or `{"case": payload}`.
fn lower_case(
    cases: &[(&str, Option<Type>)],
    value: Value,
) -> Result<(String, Option<Val>), Fault> {
    let (name, payload) = match value {
        Value::String(name) => (name, None),
        Value::Object(object) if object.len() == 1 => match object.into_iter().next() {
            Some((name, payload)) => (name, Some(payload)),
            None => return expected("a case"),
        },
        _ => {
            return expected(
                "a string for a case without payload, or an object {\"case\": payload}",
            );
        }
    };
    let Some((_, ty)) = cases.iter().find(|(known, _)| *known == name) else {
        return expected(&format!(
            "one of the cases {}",
            cases
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", ")
        ));
    };
    match (ty, payload) {
        (None, None) => Ok((name, None)),
        (Some(ty), Some(payload)) => {
            let payload = lower(ty, payload).map_err(|fault| fault.at(&name))?;
            Ok((name, Some(payload)))
        }
        (None, Some(_)) => {
            Err(Fault::new("is a case without payload: give its name as a string").at(&name))
        }
        (Some(_), None) => {
            Err(Fault::new("is a case with a payload: give {\"case\": payload}").at(&name))
        }
    }
}

fn lower_option(inner: &Type, value: Value) -> Result<Val, Fault> {
    if value.is_null() {
        return Ok(Val::Option(None));
    }
    let value = if matches!(inner, Type::Option(_)) {
        match value {
            Value::Object(mut object) if object.len() == 1 && object.contains_key("some") => {
                object.remove("some").unwrap_or_default()
            }
            _ => return expected("null, or {\"some\": value}"),
        }
    } else {
        value
    };
    Ok(Val::Option(Some(Box::new(lower(inner, value)?))))
}

fn lower_flags(names: &[&str], value: Value) -> Result<Val, Fault> {
    let Value::Array(items) = value else {
        return expected("an array of flags");
    };
    let mut flags = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::String(name) if names.contains(&name.as_str()) && !flags.contains(&name) => {
                flags.push(name)
            }
            _ => {
                return expected(&format!(
                    "an array of different flags among {}",
                    names.join(", ")
                ));
            }
        }
    }
    Ok(Val::Flags(flags))
}

/// Writes a value as JSON.
///
/// # Errors
/// The value has no JSON form, such as a resource. `skill::inspect` refuses such types.
pub fn lift(ty: &Type, value: Val) -> wasmtime::Result<Value> {
    Ok(match (ty, value) {
        (_, Val::Bool(value)) => Value::Bool(value),
        (_, Val::S8(value)) => value.into(),
        (_, Val::U8(value)) => value.into(),
        (_, Val::S16(value)) => value.into(),
        (_, Val::U16(value)) => value.into(),
        (_, Val::S32(value)) => value.into(),
        (_, Val::U32(value)) => value.into(),
        (_, Val::S64(value)) => lift_wide(value.into()),
        (_, Val::U64(value)) => lift_wide(value.into()),
        (_, Val::Float32(value)) => lift_float(value.into()),
        (_, Val::Float64(value)) => lift_float(value),
        (_, Val::Char(value)) => value.to_string().into(),
        (_, Val::String(value) | Val::Enum(value)) => value.into(),
        (_, Val::Flags(names)) => names.into_iter().map(Value::String).collect(),
        (Type::List(list), Val::List(items)) => lift_list(&list.ty(), items)?,
        (Type::Tuple(tuple), Val::Tuple(items)) => {
            let items = tuple.types().zip(items).map(|(ty, value)| lift(&ty, value));
            Value::Array(items.collect::<wasmtime::Result<_>>()?)
        }
        (Type::Record(record), Val::Record(fields)) => {
            let fields = record.fields().zip(fields);
            let fields = fields.map(|(field, (name, value))| Ok((name, lift(&field.ty, value)?)));
            Value::Object(fields.collect::<wasmtime::Result<_>>()?)
        }
        (Type::Variant(variant), Val::Variant(name, payload)) => {
            let ty = variant
                .cases()
                .find(|case| case.name == name)
                .and_then(|case| case.ty);
            lift_case(name, ty, payload)?
        }
        (Type::Option(_), Val::Option(None)) => Value::Null,
        (Type::Option(option), Val::Option(Some(value))) => {
            let inner = option.ty();
            let value = lift(&inner, *value)?;
            match inner {
                Type::Option(_) => Value::Object(Map::from_iter([("some".to_owned(), value)])),
                _ => value,
            }
        }
        (Type::Result(result), Val::Result(Ok(payload))) => {
            lift_case("ok".to_owned(), result.ok(), payload)?
        }
        (Type::Result(result), Val::Result(Err(payload))) => {
            lift_case("err".to_owned(), result.err(), payload)?
        }
        (_, other) => wasmtime::bail!("a value that JSON can't carry: {other:?}"),
    })
}

fn lift_wide(value: i128) -> Value {
    if value.abs() <= MAX_SAFE_INTEGER {
        Number::from_i128(value).map_or(Value::Null, Value::Number)
    } else {
        Value::String(value.to_string())
    }
}

fn lift_float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

fn lift_list(item: &Type, items: Vec<Val>) -> wasmtime::Result<Value> {
    if !matches!(item, Type::U8) {
        let items = items.into_iter().map(|value| lift(item, value));
        return Ok(Value::Array(items.collect::<wasmtime::Result<_>>()?));
    }
    let bytes: Vec<u8> = items
        .into_iter()
        .filter_map(|item| {
            if let Val::U8(byte) = item {
                Some(byte)
            } else {
                None
            }
        })
        .collect();
    Ok(BASE64_STANDARD.encode(bytes).into())
}

fn lift_case(name: String, ty: Option<Type>, payload: Option<Box<Val>>) -> wasmtime::Result<Value> {
    match (ty, payload) {
        (Some(ty), Some(payload)) => Ok(Value::Object(Map::from_iter([(
            name,
            lift(&ty, *payload)?,
        )]))),
        _ => Ok(name.into()),
    }
}
