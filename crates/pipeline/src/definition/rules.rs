//! The rules of runs and nodes: limits, budgets, breakers, repetitions, and what a failure means.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Do;

/// The limit of runs with the same key that go on at a time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// The template of the key, which reads `input`; all runs have the same one if absent.
    #[serde(default)]
    pub key: Value,
    /// The number of runs that go on at a time.
    #[serde(default = "one")]
    pub limit: u32,
    /// What happens to a run beyond the limit.
    #[serde(default)]
    pub on_limit: OnLimit,
}

/// What happens to a run beyond the limit of its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLimit {
    /// It waits for its turn.
    #[default]
    Queue,
    /// It is cancelled.
    Skip,
    /// The oldest of the others is cancelled.
    Cancel,
}

/// An input of a pipeline, for those who read the definition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What the example shows.
    #[serde(default)]
    pub name: String,
    /// The input.
    #[serde(default)]
    pub input: Value,
    /// The result of a run with it.
    pub result: Option<Value>,
}

/// What a run may use. What is absent has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// The cost of models, in millionths of a dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// The tokens of models, in and out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The fuel of skills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// The steps that are begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
}

/// When requests of a node are held back, in all runs of its pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// The number of attempts that fail before it opens.
    #[serde(default = "five")]
    pub failures: u32,
    /// The time within which they fail, in milliseconds.
    #[serde(default = "minute")]
    pub within_ms: u64,
    /// The time after which one attempt is let through, in milliseconds.
    #[serde(default = "minute")]
    pub cooldown_ms: u64,
    /// What happens to a step that is held back.
    #[serde(default)]
    pub on_open: OnOpen,
}

fn five() -> u32 {
    5
}

fn minute() -> u64 {
    60_000
}

/// What happens to a step that is held back by a breaker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnOpen {
    /// It fails with `circuit-open`.
    #[default]
    Fail,
    /// It is skipped.
    Skip,
    /// It waits.
    Wait,
}

/// A request that finds out whether another one arrived.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// `http` or `api`.
    #[serde(rename = "do")]
    pub what: Do,
    /// The template of the request's input; its method is GET or HEAD.
    pub input: Value,
    /// The expression that reads the answer as `item`, and is true if the other request has arrived.
    pub arrived: String,
    /// The template of the step's output, which reads the answer as `item`; the answer if absent.
    pub value: Option<Value>,
}

/// The repetitions of failed attempts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// The number of attempts in all.
    pub attempts: u32,
    /// The pause before the second attempt, in milliseconds.
    pub first_ms: u64,
    /// The factor by which each further pause is longer.
    pub factor: f64,
    /// The longest pause, in milliseconds.
    pub max_ms: u64,
    /// The codes of the errors after which another attempt is made; all that may be temporary if absent.
    pub on: Option<Vec<String>>,
}

impl Retry {
    /// Whether another attempt is made after an error `{code}`.
    pub fn allow(&self, error: &Value) -> bool {
        let is_named = |on: &Vec<String>| on.iter().any(|code| error["code"] == **code);
        self.on.as_ref().is_none_or(is_named)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            first_ms: 1_000,
            factor: 2.0,
            max_ms: 300_000,
            on: None,
        }
    }
}

/// What a failure of a node means for the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The run fails, unless an `error` edge leads on.
    #[default]
    Fail,
    /// The `success` edges are taken.
    Continue,
}

/// Whether an outgoing request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It must not be sent twice.
    Once,
    /// It may be sent again.
    Repeatable,
}

/// What happens if nobody knows whether an outgoing request arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUncertain {
    /// The step waits until a person decides.
    #[default]
    Ask,
    /// It is sent again.
    Retry,
    /// The step fails.
    Fail,
}

fn one() -> u32 {
    1
}
