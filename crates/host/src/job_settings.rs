//! The settings of components that do queued work, as the manifest has them.

use anyhow::{Context, Result, bail, ensure};
use graphile_worker_crontab_types::{Crontab, CrontabFill};
use serde::Deserialize;

/// The largest number of attempts; the table has the same bound.
const MAX_ATTEMPTS: u32 = 100;
const MAX_CATCH_UP_MS: u64 = 31 * 24 * 60 * 60 * 1000;

/// `[component.<id>.tool.gather.job]`: the component does queued work; its id is the kind of its jobs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSettings {
    /// Whether its jobs, which mostly wait for other services, use up to `concurrency` permits of their own and none of
    /// the worker's.
    #[serde(default)]
    pub own_places: bool,
    /// The number of attempts after which a job is dead.
    #[serde(default = "default_attempts")]
    pub attempts: u32,
    /// The schedule of jobs that begin by themselves, as a crontab's five fields in UTC.
    pub schedule: Option<String>,
    /// The time for which missed times are made up for after a stop of all workers, in ms.
    #[serde(default = "default_catch_up")]
    pub catch_up_ms: u64,
}

fn default_attempts() -> u32 {
    5
}

fn default_catch_up() -> u64 {
    24 * 60 * 60 * 1000
}

/// Checks the settings of a queued component.
///
/// # Errors
/// A setting is wrong. The error is for the author of the manifest.
pub fn check(id: &str, settings: &JobSettings) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        (1..=60).contains(&id.len()) && id.chars().all(plain),
        "the component's id is the kind of its jobs, so it must be 1-60 of a-z 0-9 -"
    );
    ensure!(
        (1..=MAX_ATTEMPTS).contains(&settings.attempts),
        "attempts must be 1 to {MAX_ATTEMPTS}"
    );
    ensure!(
        settings.catch_up_ms <= MAX_CATCH_UP_MS,
        "catch_up_ms must be at most {MAX_CATCH_UP_MS} (31 days)"
    );
    crontab(id, settings).map(drop)
}

/// The schedule of a kind, if it has one.
///
/// # Errors
/// The schedule is not a crontab line.
pub fn crontab(kind: &str, settings: &JobSettings) -> Result<Option<Crontab>> {
    let Some(schedule) = &settings.schedule else {
        return Ok(None);
    };
    let expected =
        "expected five fields in UTC (minute hour day month weekday), such as \"17 * * * *\"";
    ensure!(
        schedule.split_whitespace().count() == 5,
        "schedule = {schedule:?}: {expected}"
    );
    // The parser wants a task's name behind the fields, of a narrower form than a kind's.
    let line = format!("{schedule} task");
    let parsed = graphile_worker_crontab_parser::parse_crontab(&line)
        .ok()
        .with_context(|| format!("schedule = {schedule:?}: {expected}"))?;
    let [one] = parsed.as_slice() else {
        bail!("schedule = {schedule:?}: {expected}");
    };
    let mut crontab = Crontab::new(one.timer.clone(), kind);
    let seconds = u32::try_from(settings.catch_up_ms / 1000).unwrap_or(u32::MAX);
    crontab.options.fill = (seconds > 0).then(|| CrontabFill::seconds(seconds));
    crontab.payload = Some(serde_json::json!({}));
    Ok(Some(crontab))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(schedule: &str) -> JobSettings {
        JobSettings {
            own_places: false,
            attempts: 5,
            schedule: Some(schedule.to_owned()),
            catch_up_ms: 0,
        }
    }

    #[test]
    fn takes_crontab_fields_and_nothing_else() {
        for good in ["* * * * *", "*/5 0-6 1,15 * 1", "17 4 * * *"] {
            check("sweep-up", &settings(good)).unwrap();
        }
        for bad in [
            "",
            "* * * *",
            "61 * * * *",
            "* * * * * *",
            "every minute please now x",
            "* * * * task ?fill=1d",
            "*\n* * * *\n* * * * *",
        ] {
            let error = check("sweep-up", &settings(bad)).unwrap_err();
            assert!(
                format!("{error:#}").contains("five fields"),
                "{bad:?}: {error:#}"
            );
        }
    }

    #[test]
    fn a_kind_is_a_plain_name_with_a_sane_number_of_attempts() {
        let mut settings = settings("* * * * *");
        for bad in ["", "Sweep", "a b", &"a".repeat(61)] {
            assert!(check(bad, &settings).is_err(), "{bad:?}");
        }
        for bad in [0, 101] {
            settings.attempts = bad;
            assert!(check("sweep", &settings).is_err(), "{bad}");
        }
    }
}
