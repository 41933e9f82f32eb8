//! The function's variables, from its manifest. Each is read once an instance.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::{Problem, Result};

thread_local! {
    static KNOWN: RefCell<HashMap<&'static str, Option<Arc<str>>>> = RefCell::default();
}

/// A variable, or `None` where the manifest gives none.
pub async fn variable(name: &'static str) -> Option<Arc<str>> {
    if let Some(known) = KNOWN.with_borrow(|all| all.get(name).cloned()) {
        return known;
    }
    let value = read(name).await.filter(|text| !text.is_empty());
    let value: Option<Arc<str>> = value.map(Arc::from);
    KNOWN.with_borrow_mut(|all| all.insert(name, value.clone()));
    value
}

/// A variable that the function can't do without: its absence is a 500, and is logged by name.
pub async fn required_variable(name: &'static str) -> Result<Arc<str>> {
    variable(name).await.ok_or_else(|| {
        Problem::internal(format_args!(
            "the variable `{name}` is not set: add it to the component's table in spin.toml"
        ))
    })
}

#[cfg(target_family = "wasm")]
async fn read(name: &str) -> Option<String> {
    spin_sdk::variables::get(name).await.ok()
}

/// Natively there is no manifest.
#[cfg(not(target_family = "wasm"))]
async fn read(_: &str) -> Option<String> {
    None
}
