//! Scenarios: circles that come along as files, with the personas of their seats.

use axum::Json;
use guest::{Caller, Items, Page, Path, Problem, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use crate::circles::{Mode, Rules};
use crate::definition::Definition;

const FILES: [&str; 4] = [
    include_str!("../scenarios/gamemaster.json"),
    include_str!("../scenarios/worldbuilding.json"),
    include_str!("../scenarios/problem-solving.json"),
    include_str!("../scenarios/storytelling.json"),
];

/// A circle that comes along, ready to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The scenario's name, as `scenario` of a circle.
    #[schema(example = "gamemaster")]
    name: String,
    /// What the scenario is for, in a sentence.
    description: String,
    /// How speakers are chosen.
    pub mode: Mode,
    /// What the circle is for, as its agents are told.
    pub purpose: String,
    /// The rules of its conversations.
    pub rules: Rules,
    /// What each role does there, by the role's name.
    roles: BTreeMap<String, String>,
    /// The agents that are made with the circle.
    pub seats: Vec<ScenarioSeat>,
}

/// An agent of a scenario.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSeat {
    /// The name of the agent's persona.
    name: String,
    /// The agent's role.
    role: String,
    /// The agent's persona.
    persona: Definition,
}

impl ScenarioSeat {
    /// The seat as it is made in a circle: its persona is the caller's.
    pub fn to_make(&self, circle: &str) -> Value {
        let name: String = format!("{circle}-{}", self.name).chars().take(40).collect();
        json!({"name": name.trim_end_matches('-'), "role": self.role, "definition": self.persona})
    }
}

/// A scenario, as it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CircleScenario)]
pub struct Shown {
    #[serde(flatten)]
    scenario: Scenario,
    /// The personas of its agents, each with its name.
    #[schema(value_type = Vec<Object>)]
    personas: Vec<Value>,
}

impl From<Scenario> for Shown {
    fn from(scenario: Scenario) -> Self {
        let named = |seat: &ScenarioSeat| {
            let mut persona = json!(seat.persona);
            persona["name"] = json!(seat.name);
            persona
        };
        Self {
            personas: scenario.seats.iter().map(named).collect(),
            scenario,
        }
    }
}

/// All scenarios.
fn all() -> impl Iterator<Item = Scenario> {
    FILES
        .iter()
        .filter_map(|file| serde_json::from_str(file).ok())
}

/// The scenario with a name.
///
/// # Errors
/// There is none: 422, with the names of all.
pub fn named(name: &str) -> Result<Scenario> {
    let names = || all().map(|one| one.name).collect::<Vec<_>>().join(", ");
    all()
        .find(|one| one.name == name)
        .ok_or_else(|| Problem::invalid("scenario", format!("must be one of: {}", names())))
}

/// Lists the scenarios that come along.
#[utoipa::path(
    get, path = "/api/scenarios", tag = "circles", operation_id = "list_scenarios", params(guest::PageParams),
    responses((status = 200, body = Items<Shown>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(_: Caller, page: Page<usize>) -> Json<Items<Shown>> {
    let rest = all()
        .enumerate()
        .skip(page.after.map_or(0, |at| at.saturating_add(1)));
    let most = usize::try_from(page.fetch()).unwrap_or(usize::MAX);
    let found = page.answer(rest.take(most).collect(), |(at, _)| *at);
    let items = found
        .items
        .into_iter()
        .map(|(_, one)| Shown::from(one))
        .collect();
    Json(Items {
        items,
        next: found.next,
    })
}

/// Reads a scenario.
#[utoipa::path(
    get, path = "/api/scenarios/{scenario}", tag = "circles", operation_id = "read_scenario",
    params(("scenario" = String, Path, description = "The scenario's name.")),
    responses((status = 200, body = Shown), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(_: Caller, Path(name): Path<String>) -> Result<Json<Shown>> {
    let found = all().find(|one| one.name == name);
    found
        .map(|one| Json(Shown::from(one)))
        .ok_or_else(|| Problem::not_found("scenario"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use garde::Validate;

    #[test]
    fn each_file_is_a_scenario_whose_personas_can_be_saved() {
        assert_eq!(all().count(), FILES.len());
        for scenario in all() {
            assert!(scenario.rules.validate().is_ok(), "{}", scenario.name);
            assert!(named(&scenario.name).is_ok());
            for seat in &scenario.seats {
                assert!(seat.persona.validate().is_ok(), "{}", seat.name);
                assert!(seat.persona.check_tools().is_ok(), "{}", seat.name);
                assert!(scenario.roles.contains_key(&seat.role), "{}", seat.role);
                assert!(
                    seat.to_make(&"x".repeat(60))["name"]
                        .as_str()
                        .is_some_and(|name| name.len() <= 40)
                );
            }
        }
        assert!(named("nothing").is_err());
    }
}
