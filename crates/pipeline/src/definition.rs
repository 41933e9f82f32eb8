//! The form of a definition.

mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use rules::{
    Breaker, Budget, Concurrency, Effect, Example, OnError, OnLimit, OnOpen, OnUncertain, Retry,
    Verify,
};

/// A graph of nodes.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    /// The schema of the input; `None` if any input fits.
    pub input: Option<Value>,
    /// The schema of the result; `None` if any result fits.
    pub output: Option<Value>,
    /// The nodes by their ids.
    pub nodes: BTreeMap<String, Node>,
    /// The edges between the nodes.
    pub edges: Vec<Edge>,
    /// The template of the result.
    pub result: Value,
    /// What runs may do in the name of the account that they act for.
    pub permissions: Permissions,
    /// The time after which a run, or the graph that ends it, is ended, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The graph that runs when the others have ended, however they did.
    pub finally: Option<Arc<Definition>>,
    /// The limit of runs that go on at a time.
    pub concurrency: Option<Concurrency>,
    /// What a run may use before it is paused.
    pub budget: Budget,
    /// The time for which runs are kept after their end, in milliseconds.
    pub keep_ms: Option<u64>,
    /// Inputs for those who read the definition.
    pub examples: Vec<Example>,
}

/// What the runs of a version may do at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// The origins that requests may be sent to.
    pub http: Vec<String>,
    /// The scopes with which the platform's own API is called.
    pub scopes: Vec<String>,
}

/// A connection of two nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The node where the edge begins.
    pub from: String,
    /// The node where the edge ends.
    pub to: String,
    /// The outcome for which the edge is taken: `success`, `error`, or a case of a condition.
    #[serde(default = "success")]
    pub on: String,
}

fn success() -> String {
    "success".to_owned()
}

/// A node: what is done, and what holds for every type of work.
#[derive(Debug, Clone)]
pub struct Node {
    /// The work of the node.
    pub work: Work,
    /// What every node may have.
    pub common: Common,
}

/// What every node may have.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Common {
    /// The node runs only if this expression is true; else it is skipped.
    pub when: Option<String>,
    /// The number of attempts, and the pauses between them.
    pub retry: Retry,
    /// The time after which the node is ended, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// What a failure means for the run.
    pub on_error: OnError,
    /// Whether an outgoing request may be sent again if nobody knows whether it arrived.
    pub effect: Option<Effect>,
    /// What happens if nobody knows whether an outgoing request arrived.
    pub on_uncertain: OnUncertain,
    /// The request that finds out whether an outgoing request arrived, if nobody knows.
    pub verify: Option<Verify>,
    /// The schema of the output.
    pub output: Option<Value>,
    /// Whether errors of the node are told without their details.
    pub private: bool,
    /// When requests of the node are held back, since too many have failed.
    pub breaker: Option<Breaker>,
}

/// The work of a node.
#[derive(Debug, Clone)]
pub enum Work {
    /// Chooses the first case that is true.
    Condition(Condition),
    /// Computes a value.
    Transform(Transform),
    /// Has a skill compute a value.
    Compute(Box<Compute>),
    /// Keeps some items of a list.
    Filter(Filter),
    /// Joins branches.
    Merge(Merge),
    /// Waits for the first of several things.
    Wait(Wait),
    /// Asks accounts and teams.
    Approval(Approval),
    /// Runs another pipeline.
    Pipeline(Child),
    /// Runs a graph for each item of a list.
    Map(Box<Map>),
    /// Does something that others notice.
    Action(Action),
    /// Asks an agent or a circle.
    Agent(Box<Asking>),
}

/// The fields of a condition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The cases in their order.
    pub cases: Vec<Case>,
    /// The name of the case if none is true.
    #[serde(rename = "else")]
    pub otherwise: String,
}

/// A case of a condition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The name that edges use.
    pub name: String,
    /// The expression that decides.
    pub when: String,
}

/// The fields of a transformation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// The template of the output.
    pub value: Value,
}

/// The fields of a transformation by a skill without permissions, which only computes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// The name of the skill.
    pub skill: String,
    /// The version of the skill; the latest one when the definition is published if absent.
    pub version: Option<String>,
    /// The name of the tool.
    pub tool: String,
    /// The template of the arguments, by parameter name; none if absent.
    #[serde(default = "no_arguments")]
    pub arguments: Value,
}

fn no_arguments() -> Value {
    Value::Object(serde_json::Map::new())
}

/// The fields of a filter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The expression of the list.
    pub items: String,
    /// The expression that is true for each `item` to keep.
    #[serde(rename = "where")]
    pub condition: String,
}

/// The fields of a merge.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// The branches that are needed.
    #[serde(default)]
    pub need: Need,
    /// The template of the output; the outputs of the branches by their nodes if absent.
    pub value: Option<Value>,
}

/// The branches that a merge needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Need {
    /// One of the named rules.
    Rule(Rule),
    /// As many as this number; the merge does not wait for others.
    Number(u32),
    /// The default: at least one, when all are settled.
    #[default]
    Default,
}

/// A named rule of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// At least one, when all are settled.
    Any,
    /// All of the branches.
    All,
    /// The first; the merge does not wait for others.
    First,
}

/// The fields of a wait.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The things to wait for; the first that happens ends the wait.
    pub any: Vec<Until>,
}

/// Something that ends a wait.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Until {
    /// A time has passed.
    For {
        /// The time in milliseconds: a number, or an expression.
        for_ms: Value,
    },
    /// A time has come.
    Until {
        /// The expression of the time in RFC 3339.
        until: String,
    },
    /// A signal was sent to the run.
    Signal {
        /// The name of the signal.
        signal: String,
    },
    /// An event has happened that the account may read.
    Event {
        /// The type of the event: `message.created`, or `message.*`.
        event: String,
        /// The topic of the event; every topic that the account may read if absent.
        topic: Option<String>,
        /// The expression that reads `event` and decides; every event counts if absent.
        #[serde(rename = "where")]
        condition: Option<String>,
    },
}

/// The fields of an approval.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The accounts and teams that are asked, as ids or expressions of ids.
    pub who: Value,
    /// The question: a template of a text.
    #[serde(default = "question")]
    pub question: Value,
    /// The facts that are needed to decide: a template of a text.
    #[serde(default)]
    pub detail: Value,
    /// The number of accounts that have to approve.
    #[serde(default = "one")]
    pub need: u32,
    /// The schema of the form to fill in.
    pub form: Option<Value>,
    /// Whether the account that the run acts for may decide, too.
    #[serde(default, rename = "self")]
    pub by_self: bool,
    /// What happens if nobody decides in time.
    #[serde(default)]
    pub on_timeout: OnTimeout,
}

fn question() -> Value {
    Value::from("Shall this run go on?")
}

fn one() -> u32 {
    1
}

/// What happens if nobody decides in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTimeout {
    /// The step fails with `approval-expired`.
    #[default]
    Fail,
    /// It counts as a denial.
    Deny,
}

/// The fields of a node that runs another pipeline.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Child {
    /// The id or the name of a pipeline of the account that the run acts for.
    pub pipeline: String,
    /// The version; the active one if absent.
    pub version: Option<u32>,
    /// The template of the input.
    #[serde(default)]
    pub input: Value,
    /// Whether the node ends with the other run; else it ends at once, with that run's id.
    #[serde(default = "yes")]
    pub wait: bool,
}

fn yes() -> bool {
    true
}

/// The work of a node that runs a graph for each item of a list.
#[derive(Debug, Clone)]
pub struct Map {
    /// The fields beside the graph.
    pub fields: MapFields,
    /// The graph of an item, with the template of its output as `result`.
    pub body: Arc<Definition>,
}

/// The fields of a map, without its graph.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapFields {
    /// The expression of the list.
    pub items: String,
    /// The number of items that are worked on at a time.
    #[serde(default = "eight")]
    pub parallel: usize,
    /// What a failure of an item means.
    #[serde(default)]
    pub on_item_error: OnItemError,
}

fn eight() -> usize {
    8
}

/// What a failure of an item means for its map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnItemError {
    /// The map fails.
    #[default]
    Fail,
    /// Its place in the output has the error.
    Collect,
}

/// The fields of an action.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The kind of action.
    #[serde(rename = "do")]
    pub what: Do,
    /// The template of the input.
    pub input: Value,
}

/// The fields of a node that asks an agent or a circle.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// The id or the name of an agent that the platform thinks for.
    pub agent: Option<String>,
    /// The id or the name of a claw of the account that the run acts for.
    pub claw: Option<String>,
    /// The id or the name of a circle.
    pub circle: Option<String>,
    /// The template of the prompt.
    pub prompt: Value,
    /// The tools of the agent's persona that it may use, as the persona names them; all of them if absent.
    pub tools: Option<Vec<String>>,
    /// The number of answers of the model, after which the agent stops.
    pub max_turns: Option<u32>,
}

impl Asking {
    /// The one who is asked: `agent`, `claw` or `circle`, with the id or the name. `None` unless it is exactly one.
    pub fn addressee(&self) -> Option<(&'static str, &String)> {
        let all = [
            ("agent", &self.agent),
            ("claw", &self.claw),
            ("circle", &self.circle),
        ];
        let mut named = all
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, name.as_ref()?)));
        let first = named.next();
        first.filter(|_| named.next().is_none())
    }
}

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Do {
    /// Emits an event.
    Event,
    /// Writes a message to a channel.
    Message,
    /// Calls the platform's own API in the name of the account that the run acts for.
    Api,
    /// Sends a request to another host.
    Http,
    /// Writes to the inboxes of accounts.
    Notify,
    /// Calls a tool of a skill.
    Skill,
}

impl Do {
    /// Whether the action leaves the database, so that a crash can hide whether it happened.
    pub fn is_outgoing(self) -> bool {
        !matches!(self, Self::Notify | Self::Event)
    }
}

impl Work {
    /// The name of the type in definitions.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Condition(_) => "condition",
            Self::Transform(_) | Self::Compute(_) => "transform",
            Self::Filter(_) => "filter",
            Self::Merge(_) => "merge",
            Self::Wait(_) => "wait",
            Self::Approval(_) => "approval",
            Self::Pipeline(_) => "pipeline",
            Self::Map(_) => "map",
            Self::Action(_) => "action",
            Self::Agent(_) => "agent",
        }
    }
}

/// The beginning of the paths of steps in `finally`.
pub const FINALLY: &str = "finally.";

impl Definition {
    /// The node of a step, whose path is such as `fetch` or `each[17].fetch`.
    pub fn node(&self, path: &str) -> Option<&Node> {
        if let Some(rest) = path.strip_prefix(FINALLY) {
            return self.finally.as_ref()?.node(rest);
        }
        let (first, rest) = match path.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let (id, is_item) = match first.split_once('[') {
            Some((id, _)) => (id, true),
            None => (first, false),
        };
        let node = self.nodes.get(id)?;
        match (rest, &node.work) {
            (None, _) => (!is_item).then_some(node),
            (Some(rest), Work::Map(map)) if is_item => map.body.node(rest),
            _ => None,
        }
    }

    /// The nodes that no edge leads on from.
    pub fn last_nodes(&self) -> Vec<&String> {
        let leads_on = |id: &&String| self.edges.iter().any(|edge| edge.from == **id);
        self.nodes.keys().filter(|id| !leads_on(id)).collect()
    }
}

/// The accounts or teams that a value names.
pub fn ids(value: &Value) -> Option<Vec<Uuid>> {
    let one = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    match value {
        Value::Array(items) => items.iter().map(one).collect(),
        other => one(other).map(|id| vec![id]),
    }
}
