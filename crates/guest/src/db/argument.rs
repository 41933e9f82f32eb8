//! The values that become parameters of a statement.

use serde_json::Value;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

/// One argument, as `spin:postgres` accepts it.
pub type Argument = spin_sdk::pg::wit::postgres::ParameterValue;

/// A value that can be an argument. `None` becomes null.
pub trait IntoArgument {
    /// Converts the value.
    fn into_argument(self) -> Argument;
}

macro_rules! into_argument {
    ($($kind:ty => |$value:ident| $argument:expr;)*) => {$(
        impl IntoArgument for $kind {
            fn into_argument(self) -> Argument {
                let $value = self;
                $argument
            }
        }
    )*};
}

into_argument! {
    bool => |value| Argument::Boolean(value);
    i16 => |value| Argument::Int16(value);
    i32 => |value| Argument::Int32(value);
    i64 => |value| Argument::Int64(value);
    f64 => |value| Argument::Floating64(value);
    &str => |value| Argument::Str(value.to_owned());
    String => |value| Argument::Str(value);
    &String => |value| Argument::Str(value.clone());
    &[u8] => |value| Argument::Binary(value.to_vec());
    Vec<u8> => |value| Argument::Binary(value);
    Uuid => |value| Argument::Uuid(value.to_string());
    Value => |value| Argument::Jsonb(value.to_string().into_bytes());
    Vec<String> => |value| Argument::ArrayStr(value.into_iter().map(Some).collect());
    // Sent as text, since the interface has no time with a zone: `$1::text::timestamptz`. In UTC, since PostgreSQL
    // refuses the larger offsets that RFC 3339 allows.
    OffsetDateTime => |value| Argument::Str(
        value.checked_to_offset(UtcOffset::UTC).unwrap_or(value).format(&Rfc3339).unwrap_or_default()
    );
}

impl<const N: usize> IntoArgument for [u8; N] {
    fn into_argument(self) -> Argument {
        Argument::Binary(self.to_vec())
    }
}

impl<T: IntoArgument> IntoArgument for Option<T> {
    fn into_argument(self) -> Argument {
        self.map_or(Argument::DbNull, T::into_argument)
    }
}

impl<T: IntoArgument + Clone> IntoArgument for &Option<T> {
    fn into_argument(self) -> Argument {
        self.clone().into_argument()
    }
}
