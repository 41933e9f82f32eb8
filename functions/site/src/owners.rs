//! The choice of an owner in a form: the visitor, a team that the visitor owns, or the platform.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::visitor::Visitor;

/// The value of the field for the platform.
const PLATFORM: &str = "platform";

/// The owners that the visitor can choose.
pub struct Owners {
    teams: Vec<Team>,
    has_platform: bool,
}

#[derive(Debug, Deserialize)]
struct Team {
    id: String,
    name: String,
    role: String,
}

#[derive(Debug, Deserialize)]
struct List {
    items: Vec<Team>,
}

impl Owners {
    /// Reads the visitor's teams.
    ///
    /// # Errors
    /// The teams can't be read.
    pub async fn of(visitor: &Visitor) -> Result<Self, Failure> {
        let teams: List = visitor.get("accounts", "/api/teams?limit=100").await?;
        let mut teams = teams.items;
        teams.retain(|team| team.role == "owner");
        Ok(Self {
            teams,
            has_platform: visitor.may("llm:manage"),
        })
    }

    /// The field `owner`, if there is a choice.
    pub fn field(&self, id: &str) -> Markup {
        html! {
            @if !self.teams.is_empty() || self.has_platform {
                div.field {
                    label for=(id) { "Owner" }
                    select id=(id) name="owner" {
                        option value="" { "You" }
                        @for team in &self.teams { option value=(team.id) { "Team " (team.name) } }
                        @if self.has_platform { option value=(PLATFORM) { "The platform, for everybody" } }
                    }
                }
            }
        }
    }

    /// The queries that name each owner but the visitor.
    pub fn queries(&self) -> Vec<String> {
        let teams = self.teams.iter().map(|team| format!("team_id={}", team.id));
        let platform = self.has_platform.then(|| "platform=true".to_owned());
        teams.chain(platform).collect()
    }
}

/// Adds the chosen owner to the body of a request.
pub fn add(body: &mut Value, owner: &str) {
    match owner {
        "" => {}
        PLATFORM => body["platform"] = json!(true),
        team => body["team_id"] = json!(team),
    }
}
