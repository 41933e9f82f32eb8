//! A2A 1.0: agents and circles that are public, for clients of the Agent2Agent protocol. A task is a turn (of a circle: all
//! that follows from it until the circle rests), and a context is a conversation.

pub mod card;
mod message;
mod news;
pub mod rpc;
mod stream;
mod task;

use guest::{Db, args};
use serde::Deserialize;
use uuid::Uuid;

/// A public agent or circle.
#[derive(Debug, Clone, Deserialize)]
pub struct Door {
    /// The kind: `agents` or `circles`.
    pub kind: String,
    /// The id of the account or of the circle.
    pub id: Uuid,
    pub name: String,
    pub description: String,
    /// The number of its version, which changes with what its card says.
    pub version: String,
}

#[derive(Debug, Deserialize)]
struct Row {
    door: Option<Door>,
}

/// The public agent or circle of this kind with this id or name; `None` if there is none.
async fn door(db: &Db, kind: &str, name: &str) -> guest::Result<Option<Door>> {
    let row: Row = db
        .one("select a2a_door($1, $2) as door", args![kind, name])
        .await?;
    Ok(row.door)
}
