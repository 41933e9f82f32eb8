//! What a call is granted, and what it used of that.

use crate::{
    keys,
    refused::{Reach, Reason, RefusedRequest},
};
use serde::{Deserialize, Serialize};
use skill::{Limits, Permissions};

/// What a call may do and use.
#[derive(Clone)]
pub struct Grant {
    /// What it may do beyond computing.
    pub permissions: Permissions,
    /// What it may use.
    pub limits: Limits,
    /// Its key-value store, where it has one.
    pub key_value: Option<keys::Granted>,
    /// Which of its requests are sent.
    pub reach: Reach,
}

/// What a call used of what can be granted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedPermissions {
    /// Origins that it sent requests to.
    pub http: Vec<String>,
    /// Requests that were not sent, or not answered.
    #[serde(default)]
    pub refused: Vec<RefusedRequest>,
    /// It opened its key-value store.
    pub kv: bool,
    /// It asked for the time, real or not.
    pub clock: bool,
    /// It asked for random numbers, real or not.
    pub random: bool,
}

impl UsedPermissions {
    /// Whether the call has asked for an origin that it was granted, and that calls of its kind do not reach.
    #[must_use]
    pub fn lacked_network(&self) -> bool {
        let mut refused = self.refused.iter();
        refused.any(|refused| refused.reason == Reason::NoNetwork)
    }
}
