//! All settings by subsystem: a flag, else an environment variable, else the default. Each command takes those
//! that it uses.

mod address;
mod database;
mod edge;
mod egress;
mod embed;
mod functions;
mod jobs;
mod key;
mod log;
mod mail;
mod model;
mod parse;
mod process;
mod project;
mod provider;
mod realtime;
mod sandbox;
mod webhook;

pub use address::{Address, Listen};
pub use database::DatabaseSettings;
pub use edge::EdgeSettings;
pub use egress::{EgressListen, EgressSettings};
pub use embed::{EmbedListen, EmbedSettings, EmbedUrl};
pub use functions::{FunctionSettings, TrustedProxies};
pub use jobs::JobSettings;
pub use key::Key;
pub use log::{LogFormat, LogSettings};
pub use mail::MailSettings;
pub use model::Model;
pub use parse::{duration, trusted_host};
pub use process::{ComponentSettings, Drain, Grace};
pub use project::{ManifestFile, Project};
pub use provider::Provider;
pub use realtime::{RealtimeLimits, RealtimeListen};
pub use sandbox::{SandboxListen, SandboxSettings};
pub use webhook::WebhookSettings;

/// The headings of settings in the help.
const HEADING: &str = "Configuration (flags over environment over defaults)";
