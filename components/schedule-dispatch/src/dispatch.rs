//! Finds what is due, and has it fired.

use std::time::{Duration, Instant};

use calendar::{Plan, Spec};
use guest::{Db, Failure, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::Summary;

/// The number of schedules in one statement.
const BATCH: i32 = 500;
/// The largest number of missed times that are told as firings.
const MAX_MISSED: usize = 1_000;
/// A time that is late by less than this counts as on time.
const ON_TIME_MS: i64 = 60_000;
/// The number of looks, one after another, of which others had fired all that was found before us.
const MAX_BEATEN: u32 = 10;
/// The time after which another job goes on.
const SLICE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Found {
    found: Due,
}

#[derive(Deserialize)]
struct Due {
    now: i64,
    schedules: Vec<Schedule>,
}

/// A schedule that is due.
#[derive(Debug, Deserialize)]
pub struct Schedule {
    id: Uuid,
    times: Spec,
    due_at: i64,
    catch_up_max: usize,
    catch_up_within_ms: i64,
}

/// What a schedule does now, as `fire_schedules` takes it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Decision {
    id: Uuid,
    due_at: i64,
    fire: Vec<i64>,
    missed: Vec<i64>,
    next_due_at: Option<i64>,
    next_at: Option<i64>,
    unreadable: bool,
}

#[derive(Deserialize)]
struct Fired {
    fired: i32,
}

/// Fires everything that is due.
///
/// # Errors
/// The database can't be reached.
pub async fn run(db: &Db) -> Result<Summary, Failure> {
    let began = Instant::now();
    let mut schedules = 0;
    let mut beaten = 0;
    loop {
        db.execute("select settle($1)", args![BATCH]).await?;
        let found: Found = db
            .one("select due_schedules($1) as found", args![BATCH])
            .await?;
        let Due {
            now,
            schedules: due,
        } = found.found;
        if due.is_empty() {
            break;
        }
        let decisions: Vec<_> = due.into_iter().map(|due| decide(due, now)).collect();
        let fired: Fired = db
            .one(
                "select fire_schedules($1) as fired",
                args![json!(decisions)],
            )
            .await?;
        schedules += u64::try_from(fired.fired).unwrap_or_default();
        beaten = if fired.fired == 0 { beaten + 1 } else { 0 };
        // What is left comes again with the sweep.
        if beaten > MAX_BEATEN || began.elapsed() > SLICE {
            break;
        }
    }
    Ok(Summary::Dispatched { schedules })
}

/// Which of the times that have come fire, and when the schedule is due again.
pub fn decide(schedule: Schedule, now: i64) -> Decision {
    let Schedule { id, due_at, .. } = schedule;
    let Ok(plan) = Plan::new(schedule.times) else {
        return Decision {
            id,
            due_at,
            unreadable: true,
            ..Decision::default()
        };
    };
    let due = plan.due(due_at, now, MAX_MISSED);
    let mut times = due.times;
    let name = id.to_string();
    let mut next = due.next;
    // A time whose delay has not passed is still to come. The first one's has, or it would not be due.
    while times.len() > 1
        && let Some(last) = times.last().copied()
        && last + plan.delay(&name, last) > now
    {
        next = Some(last);
        times.pop();
    }
    let oldest = now.saturating_sub(schedule.catch_up_within_ms);
    let is_on_time = times
        .last()
        .is_some_and(|last| now - last < ON_TIME_MS + plan.delay(&name, *last));
    let most = schedule.catch_up_max.max(usize::from(is_on_time));
    let from = times.len().saturating_sub(most);
    let (late, fire) = times.split_at(from);
    let last = times.last().copied().filter(|_| is_on_time);
    let is_young = |time: &i64| *time >= oldest || Some(*time) == last;
    let (fire, old): (Vec<i64>, Vec<i64>) = fire.iter().partition(|time| is_young(time));
    Decision {
        id,
        due_at,
        fire,
        missed: late.iter().copied().chain(old).collect(),
        next_due_at: next,
        next_at: next.map(|next| next + plan.delay(&name, next)),
        unreadable: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_ten_seconds(max: usize, within_ms: i64) -> Schedule {
        let times = serde_json::from_value(json!({"every_ms": 10_000, "timezone": "UTC"}));
        Schedule {
            id: Uuid::nil(),
            times: times.expect("times"),
            due_at: 10_000,
            catch_up_max: max,
            catch_up_within_ms: within_ms,
        }
    }

    #[test]
    fn after_ten_minutes_of_sleep_one_fires_and_fifty_nine_were_missed() {
        let decision = decide(every_ten_seconds(1, 86_400_000), 600_500);
        assert_eq!((decision.fire, decision.missed.len()), (vec![600_000], 59));
        assert_eq!(decision.next_at, Some(610_000));
    }

    #[test]
    fn the_latest_missed_times_fire_oldest_first_if_they_are_young_enough() {
        let decision = decide(every_ten_seconds(3, 15_000), 600_500);
        assert_eq!(
            (decision.fire, decision.missed.len()),
            (vec![590_000, 600_000], 58)
        );
        let decision = decide(every_ten_seconds(3, 86_400_000), 600_500);
        assert_eq!(decision.fire, [580_000, 590_000, 600_000]);
    }

    #[test]
    fn without_catching_up_only_what_is_on_time_fires() {
        let decision = decide(every_ten_seconds(0, 0), 10_400);
        assert_eq!((decision.fire, decision.missed), (vec![10_000], vec![]));
        let mut once = every_ten_seconds(0, 0);
        once.times =
            serde_json::from_value(json!({"at": [10_000], "timezone": "UTC"})).expect("times");
        let decision = decide(once, 100_000);
        assert_eq!(
            (decision.fire, decision.missed, decision.next_at),
            (vec![], vec![10_000], None)
        );
    }
}
