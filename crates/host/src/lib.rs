//! The host: runs the wasm functions of a `spin.toml` as Spin does, with limits.
//!
//! A request comes in at [`server`], finds its component by [`route`], runs in a pooled instance
//! ([`instance`]) and reaches the world only through the interfaces that [`interfaces`] implements.

mod app;
mod engine;
mod function;
mod guest_log;
mod guest_run;
mod interfaces;
pub mod jobs;
mod limits;
mod mail;
pub mod manifest;
mod metrics;
mod metrics_listener;
mod mount;
mod native;
mod outbound;
mod own_answers;
mod problem;
mod refusals;
mod request_body;
mod route;
mod server;
mod state;
mod template;
mod turns;

pub use interfaces::check_database;
pub use limits::Limits;
pub use mail::MailOptions;
pub use manifest::Manifest;
pub use metrics::Metrics;
pub use native::{Native, NativeBody, NativeRoutes};
pub use server::{Host, Options};
