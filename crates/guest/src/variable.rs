//! The function's variables, from its manifest. Each is read once for each instance.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use serde::Deserialize;

use crate::{Problem, Result};

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

type Known = HashMap<&'static str, Option<Arc<str>>, RandomState>;

/// The variable `platform`, a JSON value with the settings that all functions share.
const PLATFORM: &str = "platform";

/// The members of the variable `platform`. [`variable`] finds each by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Platform {
    public_url: String,
    cors_origins: String,
    trusted_proxies: String,
    rate_limits: String,
    visitor_key: String,
}

impl Platform {
    fn members(self) -> [(&'static str, String); 5] {
        [
            ("public_url", self.public_url),
            ("cors_origins", self.cors_origins),
            ("trusted_proxies", self.trusted_proxies),
            ("rate_limits", self.rate_limits),
            ("visitor_key", self.visitor_key),
        ]
    }
}

/// A variable of the function or of the platform; `None` if neither is set.
pub async fn variable(name: &'static str) -> Option<Arc<str>> {
    if let Some(known) = known(name) {
        return known;
    }
    if known(PLATFORM).is_none() {
        learn_platform(read(PLATFORM).await);
        if let Some(known) = known(name) {
            return known;
        }
    }
    learn(name, read(name).await)
}

fn known(name: &'static str) -> Option<Option<Arc<str>>> {
    KNOWN.with_borrow(|all| all.get(name).cloned())
}

/// Keeps a value for later. An empty one counts as absent.
fn learn(name: &'static str, value: Option<String>) -> Option<Arc<str>> {
    let value: Option<Arc<str>> = value.filter(|text| !text.is_empty()).map(Arc::from);
    KNOWN.with_borrow_mut(|all| all.insert(name, value.clone()));
    value
}

/// Keeps the platform's settings. Components that do queued work have none.
fn learn_platform(json: Option<String>) {
    if let Some(json) = &json {
        match serde_json::from_str::<Platform>(json) {
            Ok(platform) => {
                for (name, value) in platform.members() {
                    learn(name, Some(value));
                }
            }
            // The error's text could quote a secret.
            Err(error) => crate::error!(
                "the variable `platform` is malformed",
                at = format!("line {}, column {}", error.line(), error.column())
            ),
        }
    }
    learn(PLATFORM, json);
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

#[cfg(target_os = "unknown")]
async fn read(name: &str) -> Option<String> {
    crate::workers::variable(name)
}

#[cfg(target_os = "wasi")]
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
    use futures::executor::block_on;

    #[test]
    fn the_platforms_settings_are_found_by_their_names() {
        let json = r#"{"public_url":"https://gather.example","cors_origins":"","trusted_proxies":"10.0.0.0/8",
            "rate_limits":"off","visitor_key":"k"}"#;
        learn_platform(Some(json.to_owned()));
        let found = |name| block_on(variable(name));
        assert_eq!(
            found("public_url").as_deref(),
            Some("https://gather.example")
        );
        assert_eq!(found("rate_limits").as_deref(), Some("off"));
        assert_eq!(found("cors_origins"), None);
        assert_eq!(found("database_url"), None);
    }

    #[test]
    fn a_malformed_platform_sets_nothing() {
        learn_platform(Some(
            r#"{"public_url":"https://gather.example","extra":""}"#.to_owned(),
        ));
        assert_eq!(block_on(variable("public_url")), None);
    }

    #[test]
    fn a_key_is_64_hex_digits() {
        assert_eq!(hex_key(&"0a".repeat(32)), Some([10; 32]));
        assert_eq!(hex_key(&"0a".repeat(31)), None);
        assert_eq!(hex_key(&"zz".repeat(32)), None);
        assert_eq!(hex_key(&"é".repeat(32)), None);
        assert_eq!(hex_key(&"+a".repeat(32)), None);
    }
}
