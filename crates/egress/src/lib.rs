//! The way out for whatever carries a secret. Functions ask it over HTTP to send a request somewhere; it opens the secret
//! that the request may use, puts it in, and takes it out of the answer; it also hands secrets to the
//! programs of claws that were granted them. It runs nobody's code but the platform's, and is
//! the only process that can open secrets.

mod answer;
mod connections;
mod forward;
mod hand;
mod mask;
mod metrics;
mod place;
mod presence;
mod problem;
pub mod service;
mod target;
mod vault;
