//! The times of a claw's triggers: schedules of its owner that speak to it.

use calendar::{Plan, Spec};
use guest::{Caller, Problem, Result};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::input::{Trigger, TriggerKind};

/// The scope for schedules.
const SCHEDULES: &str = "schedules:write";
/// The scope for messages, which is all that the schedules need.
const MESSAGES: &str = "chat:create";

/// The schedules of triggers, as `claws.set_triggers` takes them.
///
/// # Errors
/// 422 `invalid-input`; 403 for a caller who may make no schedules.
pub fn schedules(caller: &Caller, triggers: &[Trigger]) -> Result<Value> {
    let mut schedules = Vec::new();
    for (place, trigger) in triggers.iter().enumerate() {
        if trigger.on != TriggerKind::Schedule {
            continue;
        }
        if let Some(missing) = [SCHEDULES, MESSAGES]
            .into_iter()
            .find(|scope| !caller.allows(scope))
        {
            return Err(Problem::insufficient_scope(missing));
        }
        schedules.push(schedule(place, trigger)?);
    }
    Ok(Value::from(schedules))
}

fn schedule(place: usize, trigger: &Trigger) -> Result<Value> {
    let spec = Spec {
        cron: trigger.cron.iter().cloned().collect(),
        timezone: trigger.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
        ..Spec::default()
    };
    let times = json!(spec);
    let plan = Plan::new(spec).map_err(|refusal| {
        let field = refusal.field.split('[').next().unwrap_or_default();
        Problem::invalid(format!("triggers[{place}].{field}"), refusal.detail)
    })?;
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let due = plan.after(i64::try_from(now).unwrap_or(i64::MAX));
    let due = due.ok_or_else(|| {
        Problem::invalid(
            format!("triggers[{place}].cron"),
            "has no time that is still to come",
        )
    })?;
    let usual = "It is time for what you do by schedule.";
    Ok(json!({
        "prompt": trigger.prompt.as_deref().unwrap_or(usual),
        "times": times, "due": due, "next": due,
    }))
}
