//! The function `greet` of the fixture `adder`, as a plugin of Extism.

use extism_pdk::{FnResult, plugin_fn};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Arguments {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    text: String,
    length: u32,
}

#[plugin_fn]
pub fn greet(arguments: String) -> FnResult<String> {
    let Arguments { name } = serde_json::from_str(&arguments)?;
    let text = format!("Hello, {name}!");
    let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    Ok(serde_json::to_string(&Greeting { text, length })?)
}
