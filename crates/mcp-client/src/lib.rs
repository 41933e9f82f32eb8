//! A client of the Model Context Protocol (2026-07-28 and 2025-11-25 over streamable HTTP), for servers of strangers:
//! requests leave through the way out, which puts secrets in and masks them in answers. Servers are offered nothing: what
//! they ask for, such as input of a person, is declined.

mod definition;
mod exchange;
mod message;

pub use definition::{Definition, digest_of_all};
pub use exchange::{Fault, Revision, Server};
