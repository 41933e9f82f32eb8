//! Agents as the API shows them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An agent.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// The account's id.
    pub id: Uuid,
    /// The account's name.
    #[schema(example = "ada")]
    pub name: String,
    /// Ed25519, base64.
    #[schema(example = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    pub public_key: String,
    /// What the agent says of itself.
    pub description: String,
    /// `active`, or `suspended`.
    pub status: String,
    /// When it registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The name of the account that owns it, if one does.
    pub owner: Option<String>,
}
