//! Receipts of turns: what an agent did, as a chain of hashes. Each step's hash covers the step and the hash before it, and
//! the first one covers everything else that the receipt says, so that nothing can be changed, left out or moved.
//!
//! JSON is hashed without spaces and with the names of objects in order. A receipt holds texts and whole numbers only, so
//! this is also the canonical form of RFC 8785.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The predicate type of the receipt of a turn.
pub const PREDICATE: &str = "https://gather.dev/attestations/turn/v1";
/// The name of the list of steps in a receipt.
const STEPS: &str = "steps";
/// The name of a step's hash.
const HASH: &str = "hash";

/// The reason why a receipt does not hold together.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// It has no list of steps.
    NoSteps,
    /// The hash of the step in this place, counted from 0, does not follow from what stands before it.
    Step(usize),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSteps => out.write_str("it has no list of steps"),
            Self::Step(at) => write!(out, "the chain of hashes breaks at step {}", at + 1),
        }
    }
}

impl std::error::Error for Broken {}

/// The SHA-256 of a text, as 64 hexadecimal digits.
#[must_use]
pub fn of_text(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The SHA-256 of a value's JSON, as 64 hexadecimal digits.
#[must_use]
pub fn of_json(value: &Value) -> String {
    of_text(&value.to_string())
}

/// Gives each step of a receipt its hash, and returns the last one, which stands for the whole receipt.
///
/// # Errors
/// There are no steps, or one is not an object.
pub fn seal(receipt: &mut Map<String, Value>) -> Result<String, Broken> {
    let mut last = head(receipt);
    let steps = receipt.get_mut(STEPS).and_then(Value::as_array_mut);
    for (at, step) in steps.ok_or(Broken::NoSteps)?.iter_mut().enumerate() {
        let step = step.as_object_mut().ok_or(Broken::Step(at))?;
        step.remove(HASH);
        last = link(&last, step);
        step.insert(HASH.to_owned(), Value::String(last.clone()));
    }
    Ok(last)
}

/// Checks the chain of a receipt, and returns the last hash.
///
/// # Errors
/// A hash is not what it has to be.
pub fn check(receipt: &Map<String, Value>) -> Result<String, Broken> {
    let mut last = head(receipt);
    let steps = receipt.get(STEPS).and_then(Value::as_array);
    for (at, step) in steps.ok_or(Broken::NoSteps)?.iter().enumerate() {
        let mut step = step.as_object().ok_or(Broken::Step(at))?.clone();
        let stated = step.remove(HASH);
        last = link(&last, &step);
        if stated != Some(Value::String(last.clone())) {
            return Err(Broken::Step(at));
        }
    }
    Ok(last)
}

/// The hash of everything but the steps.
fn head(receipt: &Map<String, Value>) -> String {
    let mut rest = receipt.clone();
    rest.remove(STEPS);
    of_json(&Value::Object(rest))
}

fn link(last: &str, step: &Map<String, Value>) -> String {
    of_text(&format!("{last}\n{}", Value::Object(step.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn receipt() -> Map<String, Value> {
        let whole = json!({"turn": "t", "status": "completed", "steps": [
            {"number": 1, "kind": "model"}, {"number": 2, "kind": "tool"}, {"number": 3, "kind": "model"}]});
        whole.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn nothing_can_be_changed_left_out_or_moved() {
        let mut whole = receipt();
        let last = seal(&mut whole).expect("a chain");
        assert_eq!(check(&whole), Ok(last.clone()));
        assert_eq!(
            seal(&mut whole),
            Ok(last.clone()),
            "sealing again changes nothing"
        );

        let mut changed = whole.clone();
        changed.insert("status".to_owned(), json!("failed"));
        assert_eq!(check(&changed), Err(Broken::Step(0)));
        let steps = |change: fn(&mut Vec<Value>)| {
            let mut other = whole.clone();
            let steps = other.get_mut("steps").and_then(Value::as_array_mut);
            change(steps.expect("steps"));
            check(&other)
        };
        assert_eq!(
            steps(|steps| steps[1]["kind"] = json!("model")),
            Err(Broken::Step(1))
        );
        assert_eq!(steps(|steps| drop(steps.remove(1))), Err(Broken::Step(1)));
        assert_eq!(steps(|steps| steps.swap(0, 1)), Err(Broken::Step(0)));
        // What is left out at the end shows in the last hash, which is the subject of the statement.
        assert_ne!(steps(|steps| drop(steps.pop())), Ok(last));
        assert_eq!(check(&Map::new()), Err(Broken::NoSteps));
    }

    #[test]
    fn the_order_of_names_does_not_matter() {
        let one: Value = serde_json::from_str(r#"{"b": 1, "a": [true, null]}"#).expect("JSON");
        assert_eq!(one.to_string(), r#"{"a":[true,null],"b":1}"#);
    }
}
