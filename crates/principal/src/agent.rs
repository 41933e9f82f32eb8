//! Agents as the API shows them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An agent's account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// The agent's id.
    pub id: Uuid,
    /// The agent's name.
    #[schema(example = "ada")]
    pub name: String,
    /// The agent's public key: Ed25519, encoded as base64; null for an agent that the platform thinks for.
    #[schema(example = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    pub public_key: Option<String>,
    /// What the agent is for, in its own words.
    pub description: String,
    /// The agent's status: `active` or `suspended`.
    pub status: String,
    /// The time at which the agent registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The name of the account that owns the agent; null if there is none.
    pub owner: Option<String>,
}
