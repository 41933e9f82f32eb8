//! Structured logging: one JSON object a line on stderr, which the host turns into an event inside
//! the span of the request.

use serde_json::{Map, Value};

/// Writes one line. Use the macros [`info!`](crate::info), [`warn!`](crate::warn!) and
/// [`error!`](crate::error!), which fill in the crate's name.
pub fn write(level: &str, target: &str, message: &str, fields: Map<String, Value>) {
    let line = serde_json::json!({
        "level": level, "target": target, "message": message, "fields": fields,
    });
    #[cfg(not(target_os = "unknown"))]
    eprintln!("{line}");
    #[cfg(target_os = "unknown")]
    crate::workers::log(level, &line.to_string());
}

/// Logs at any level: `log!("info", "message", key = value, …)`.
#[doc(hidden)]
#[macro_export]
macro_rules! log_at {
    ($level:literal, $message:expr $(, $key:ident = $value:expr)* $(,)?) => {{
        #[allow(unused_mut, reason = "unused where there are no fields")]
        let mut fields = $crate::log::Fields::new();
        $(fields.insert(stringify!($key).to_owned(), $crate::log::Field::from($value));)*
        $crate::log::write($level, env!("CARGO_PKG_NAME"), $message, fields);
    }};
}

/// Logs something that an operator wants to know: `guest::info!("rotated", kid = kid)`.
#[macro_export]
macro_rules! info {
    ($($arguments:tt)*) => { $crate::log_at!("info", $($arguments)*) };
}

/// Logs something that an operator should look into.
#[macro_export]
macro_rules! warn {
    ($($arguments:tt)*) => { $crate::log_at!("warn", $($arguments)*) };
}

/// Logs a fault of the function.
#[macro_export]
macro_rules! error {
    ($($arguments:tt)*) => { $crate::log_at!("error", $($arguments)*) };
}

#[doc(hidden)]
pub use serde_json::{Map as FieldMap, Value as Field};
#[doc(hidden)]
pub type Fields = Map<String, Value>;
