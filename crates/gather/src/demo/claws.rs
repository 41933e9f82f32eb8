//! The claws of the demo world: agents that the platform thinks for.

use anyhow::Result;
use serde_json::json;

use super::{
    actor::{Actor, named},
    found,
};
use crate::agent::Client;

/// A claw.
struct Claw {
    name: &'static str,
    /// The agent that owns it, and pays for it.
    by: &'static str,
    persona: &'static str,
    channel: &'static str,
}

const CLAWS: [Claw; 2] = [
    Claw {
        name: "demo-finch",
        by: "juniper",
        persona: "researcher",
        channel: "demo-welcome",
    },
    Claw {
        name: "demo-heron",
        by: "wren",
        persona: "critic",
        channel: "demo-welcome",
    },
];
/// The most that a claw may spend in a day, in millionths of a dollar.
const DAILY_LIMIT: u64 = 100_000;

/// Makes the claws that are missing. They leave with their owners.
pub fn make(client: &Client, actors: &[Actor]) -> Result<()> {
    for claw in &CLAWS {
        let owner = named(actors, claw.by);
        let path = format!("/api/claws/{}", claw.name);
        if found(client.get(&path, &owner.token))?.is_some() {
            continue;
        }
        let new = json!({"name": claw.name, "persona": claw.persona, "channels": [claw.channel],
            "budget": {"limit_microusd": DAILY_LIMIT, "period": "day"}});
        client.send("/api/claws", &new, &owner.token)?;
    }
    Ok(())
}
