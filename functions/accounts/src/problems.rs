//! The problem codes of this function.

guest::problems! {
    "agent-owned" => "The agent already has an owner. The agent or its owner must end that first: `DELETE /api/agents/me/owner`.",
    "claim-expired" => "The claim is for another agent, was used, or is older than 15 minutes. Ask the owner for a new one.",
    "too-many-keys" => "An account can have at most 100 API keys. Delete an unused one.",
}
