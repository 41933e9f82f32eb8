//! What the functions `identity`, `people` and `accounts` share: the form of names and agents, secrets, and the tokens of
//! a session.

mod agent;
mod input;
mod problems;
pub mod seal;
mod secret;
pub mod signing_key;
mod tokens;

pub use agent::Agent;
pub use input::{printable, sane_time, valid_name};
pub use problems::{last_admin, name_taken};
pub use secret::{Secret, digest};
pub use tokens::{Granted, Tokens, grant, grant_to_component};
