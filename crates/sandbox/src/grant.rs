//! The grants of a call, and its use of them.

use crate::{
    keys,
    refused::{Reach, Reason, RefusedRequest},
};
use serde::{Deserialize, Serialize};
use skill::{Limits, Permissions};

/// The grants of a call.
#[derive(Clone)]
pub struct Grant {
    /// The permissions of the call.
    pub permissions: Permissions,
    /// The limits of the call.
    pub limits: Limits,
    /// The key-value store, if the call has one.
    pub key_value: Option<keys::Granted>,
    /// The requests of the call that are sent.
    pub reach: Reach,
}

/// The use that a call made of its grants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedPermissions {
    /// The origins that the call sent requests to.
    pub http: Vec<String>,
    /// The requests that were not sent, or not answered.
    #[serde(default)]
    pub refused: Vec<RefusedRequest>,
    /// Whether the call opened its key-value store.
    pub kv: bool,
    /// Whether the call asked for the time, real or not.
    pub clock: bool,
    /// Whether the call asked for random numbers, real or not.
    pub random: bool,
}

impl UsedPermissions {
    /// Whether the call has asked for a granted origin that calls of its kind do not reach.
    #[must_use]
    pub fn lacked_network(&self) -> bool {
        let mut refused = self.refused.iter();
        refused.any(|refused| refused.reason == Reason::NoNetwork)
    }
}
