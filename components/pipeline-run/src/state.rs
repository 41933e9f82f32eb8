//! A run as the database tells it, and the changes that it is told.

use pipeline::{Breaker, Budget};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The state of a run.
#[derive(Debug, Deserialize)]
pub struct State {
    pub epoch: i32,
    pub news: i64,
    pub input: Value,
    pub account: Uuid,
    pub pipeline: Uuid,
    pub version: u32,
    /// Whether the run has reached its time-out.
    pub is_late: bool,
    /// Whether somebody has paused the run.
    pub is_paused: bool,
    /// The error that the run ends with if it is to be cancelled.
    #[serde(default)]
    pub cancels: Option<Value>,
    /// Whether what is open in a run that is to be cancelled is given up.
    #[serde(default)]
    pub is_forced: bool,
    /// Whether it goes on, by the limit of its concurrency key.
    pub is_admitted: bool,
    /// What the run may use, and what it has used so far.
    #[serde(default)]
    pub budget: Budget,
    pub used: Budget,
    /// Outputs of steps that are not done, by their paths.
    #[serde(default)]
    pub stubs: Map<String, Value>,
    /// The skills that the definition calls by name; only told when the run is taken.
    #[serde(default)]
    pub skills: Vec<Skill>,
    pub steps: Vec<Step>,
    /// The signals that no wait has taken, the oldest first.
    pub signals: Vec<Signal>,
}

/// A skill that the definition calls, in the version that all runs of this definition call.
#[derive(Debug, Deserialize)]
pub struct Skill {
    pub name: String,
    /// The version that the definition names.
    pub asked: Option<String>,
    pub version: String,
    /// What the skill may use, such as `http`.
    pub permissions: Vec<String>,
}

/// A step of the run.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    pub path: String,
    pub status: Status,
    pub effect: Effect,
    pub attempts: u32,
    pub input: Value,
    pub output: Value,
    pub error: Value,
    /// The case that a condition chose.
    pub chosen: Option<String>,
    /// The answer that the step waits for, once it has come.
    pub answer: Value,
    /// Whether its time has come.
    pub is_due: bool,
    /// Whether it has reached its time-out.
    pub is_late: bool,
}

impl Step {
    /// A step that begins.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            status: Status::Ready,
            effect: Effect::Pure,
            attempts: 0,
            input: Value::Null,
            output: Value::Null,
            error: Value::Null,
            chosen: None,
            answer: Value::Null,
            is_due: false,
            is_late: false,
        }
    }

    /// The size of the input and the output.
    pub fn bytes(&self) -> usize {
        self.input.to_string().len() + self.output.to_string().len()
    }
}

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ready,
    Running,
    Retrying,
    Waiting,
    Uncertain,
    Succeeded,
    Failed,
    Skipped,
    Cancelled,
    TimedOut,
}

impl Status {
    /// Whether the step has ended.
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled | Self::TimedOut
        )
    }

    /// The status as expressions and the database have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Uncertain => "uncertain",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}

/// What a repetition of a step means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It computes, so it may be repeated.
    Pure,
    /// It is part of the commit.
    Inside,
    /// It leaves the database, and may be sent again.
    Repeatable,
    /// It leaves the database, and must not be sent twice.
    Once,
}

/// A signal that was sent to the run.
#[derive(Debug, Clone, Deserialize)]
pub struct Signal {
    pub id: String,
    pub name: String,
    pub data: Value,
}

/// A change of a step.
#[derive(Debug, Serialize)]
pub struct Change {
    pub path: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status that the step had; `None` if it is new.
    pub was: Option<Status>,
    pub status: Status,
    pub effect: Effect,
    pub attempts: u32,
    pub input: Value,
    pub output: Value,
    pub error: Value,
    pub chosen: Option<String>,
    pub answer: Value,
    /// The breaker that an attempt has to pass, or that is told of its end.
    pub breaker: Option<Breaker>,
    #[serde(flatten)]
    pub more: More,
}

/// What a change of a step brings about beside.
#[derive(Debug, Clone, Default, Serialize)]
pub struct More {
    /// The time in which the step is to be looked at again.
    pub wake_in_ms: Option<f64>,
    /// The time in which the step is given up.
    pub give_up_in_ms: Option<f64>,
    /// The signal that the step takes.
    pub signal: Option<String>,
    /// The notification for inboxes.
    pub notify: Option<Value>,
    /// The question that is asked.
    pub approval: Option<Value>,
    /// The run of another pipeline that is started.
    pub child: Option<Value>,
    /// The event that is emitted.
    pub event: Option<Value>,
    /// The question for an agent or a circle.
    pub ask: Option<Value>,
    /// The events that the step waits for.
    pub subscribe: Option<Value>,
    /// Whether a person is asked to decide about the step.
    pub asks: Option<bool>,
    /// The fuel that the step's skill has used.
    pub fuel: Option<u64>,
    /// The signed statement about the call of the step's skill.
    pub receipt: Option<Value>,
}
