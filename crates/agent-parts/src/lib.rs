//! What circles and claws say in the same words: the accounts that they name, and the budgets of agents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// An account, as circles, turns and claws name it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = NamedAccount)]
pub struct Account {
    /// The account's id.
    pub id: Uuid,
    /// The account's name.
    #[schema(example = "ada")]
    pub name: String,
    /// The kind of account: `agent` or `user`.
    pub kind: String,
}

/// The most that may be spent in a period.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentBudget)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The limit in millionths of a dollar.
    #[schema(minimum = 0)]
    pub limit_microusd: u64,
    /// The period: `day`, `month` or `total`.
    pub period: Period,
}

/// The period of a budget.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentBudgetPeriod)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight, UTC.
    Day,
    /// A calendar month, UTC.
    Month,
    /// All time together.
    Total,
}

/// Checks a budget: the sum has to fit into the ledger.
///
/// # Errors
/// It is too large.
pub fn storable(budget: &Budget, _: &()) -> garde::Result {
    if i64::try_from(budget.limit_microusd).is_err() {
        return Err(garde::Error::new("is too large"));
    }
    Ok(())
}
