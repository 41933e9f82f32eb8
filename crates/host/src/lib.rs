//! The host: runs the wasm functions of a `spin.toml` as Spin does, with limits.
//!
//! A request comes in at [`listen`] and [`worker`], finds its component in [`app`], runs in a pooled instance ([`run`],
//! [`instances`], [`function`]) and reaches the world only through the [`interfaces`], whose list stands in [`state`].
//! What a manifest describes is an [`application`], which a host ([`server`]) and a worker of queued work ([`jobs`])
//! share. Modules use those below them only: each of these may be read without the ones above it.

mod access_log;
mod answer;
mod app;
mod application;
mod connection;
mod engine;
mod function;
mod functions;
mod guest_log;
mod guest_run;
mod headers;
mod instance_template;
mod instances;
mod interfaces;
mod job_settings;
pub mod jobs;
mod limits;
mod listen;
mod load;
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
mod run;
mod self_calls;
mod server;
mod state;
mod template;
mod turns;
mod worker;

pub use application::{Application, ApplicationOptions};
pub use functions::Functions;
pub use interfaces::postgres::check_database;
pub use limits::Limits;
pub use mail::MailOptions;
pub use manifest::Manifest;
pub use metrics::Metrics;
pub use native::{Native, NativeBody, NativeRoutes};
pub use server::{Host, Options};
