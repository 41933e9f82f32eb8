//! Definitions of pipelines: their form, the checks before they are stored, their expressions, and what follows from the
//! steps that have ended. Everything here is pure: the same input gives the same result, whoever asks.

mod check;
mod cost;
mod definition;
mod expression;
mod graph;
mod layout;
mod schema;
mod template;

pub use check::{Checked, FieldProblem, SkillUse, check, digest, is_event_type, origin};
pub use definition::{
    Action, Approval, Asking, Breaker, Budget, Child, Compute, Concurrency, Definition, Do, Edge,
    Effect, Example, FINALLY, Filter, Map, Node, OnItemError, OnLimit, OnOpen, OnTimeout,
    OnUncertain, Permissions, Retry, Until, Verify, Wait, Work, ids,
};
pub use expression::{Expression, Fault, MAX_VALUE_BYTES, Names, Values, fit};
pub use graph::{Outcome, Settled, Verdict, next, taken};
pub use layout::layout;
pub use schema::Schema;
pub use template::{evaluate, expressions};
