//! The function's variables, from its manifest. Each is read once for each instance.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::{Problem, Result};

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

type Known = HashMap<&'static str, Option<Arc<str>>, RandomState>;

/// A variable; `None` if the manifest does not set it.
pub async fn variable(name: &'static str) -> Option<Arc<str>> {
    if let Some(known) = KNOWN.with_borrow(|all| all.get(name).cloned()) {
        return known;
    }
    let value = read(name).await.filter(|text| !text.is_empty());
    let value: Option<Arc<str>> = value.map(Arc::from);
    KNOWN.with_borrow_mut(|all| all.insert(name, value.clone()));
    value
}

/// A variable that the function requires. Its absence is a 500, and is logged by name.
pub async fn required_variable(name: &'static str) -> Result<Arc<str>> {
    variable(name).await.ok_or_else(|| {
        Problem::internal(format_args!(
            "the variable `{name}` is not set: add it to the component's table in spin.toml"
        ))
    })
}

/// Decodes a secret variable: 32 bytes as 64 hexadecimal digits.
pub fn hex_key(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(target_family = "wasm")]
async fn read(name: &str) -> Option<String> {
    spin_sdk::variables::get(name).await.ok()
}

/// Native builds have no manifest.
#[cfg(not(target_family = "wasm"))]
async fn read(_: &str) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_hex_digits() {
        assert_eq!(hex_key(&"0a".repeat(32)), Some([10; 32]));
        assert_eq!(hex_key(&"0a".repeat(31)), None);
        assert_eq!(hex_key(&"zz".repeat(32)), None);
        assert_eq!(hex_key(&"é".repeat(32)), None);
        assert_eq!(hex_key(&"+a".repeat(32)), None);
    }
}
