//! Webhooks of pipelines: requests of other systems that start runs.

use crate::jobs::pipeline_run::world::{World, transform};
use anyhow::{Context, Result};
use e2e::client::refusal;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

struct Sender {
    client: reqwest::Client,
    url: String,
}
