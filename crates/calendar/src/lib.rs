//! The times of schedules. Everything here is pure: the clock is an argument. Times are milliseconds since 1970.

use std::str::FromStr;

use chrono::{DateTime, Offset, SecondsFormat, Utc};
use chrono_tz::{OffsetComponents, OffsetName, Tz};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Serialize};

/// The most cron expressions of a schedule.
pub const MAX_CRONS: usize = 20;
/// The most fixed times of a schedule.
pub const MAX_TIMES: usize = 1_000;
/// The shortest interval, in milliseconds.
pub const MIN_EVERY_MS: i64 = 1_000;
/// The longest interval, in milliseconds: ten years.
const MAX_EVERY_MS: i64 = 3_653 * 86_400_000;
/// The longest jitter, in milliseconds: a day.
pub const MAX_JITTER_MS: i64 = 86_400_000;
/// The longest cron expression.
const MAX_CRON_BYTES: usize = 200;

/// What a schedule says about its times: one of `cron`, `every_ms` and `at`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Cron expressions, each of which adds its times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cron: Vec<String>,
    /// The interval in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<i64>,
    /// Fixed times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<i64>,
    /// The IANA name of the time zone.
    pub timezone: String,
    /// The first time that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<i64>,
    /// The last time that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<i64>,
    /// The time from which an interval is counted.
    #[serde(default)]
    pub anchor: i64,
    /// The longest delay, by which schedules of one time are spread.
    #[serde(default)]
    pub jitter_ms: i64,
}

/// The reason why a specification has no times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The field, such as `cron[0]`.
    pub field: String,
    /// The kind of problem.
    pub code: Code,
    /// The reason, for people.
    pub detail: String,
}

/// The kind of problem of a specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The text is not a cron expression.
    Cron,
    /// The time zone is unknown.
    Zone,
    /// The fields do not fit together, or are out of range.
    Shape,
}

/// The times of a schedule.
#[derive(Debug, Clone)]
pub struct Plan {
    times: Times,
    zone: Tz,
    spec: Spec,
}

#[derive(Debug, Clone)]
enum Times {
    Cron(Vec<Cron>),
    Every(i64),
    At(Vec<i64>),
}

/// The times that have come, and the one that comes next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Due {
    /// The latest times that have come, the oldest first.
    pub times: Vec<i64>,
    /// Whether there were more than these.
    pub is_cut: bool,
    /// The time that comes next; `None` if there is none.
    pub next: Option<i64>,
}

fn refusal(field: impl Into<String>, code: Code, detail: impl Into<String>) -> Refusal {
    Refusal {
        field: field.into(),
        code,
        detail: detail.into(),
    }
}

impl Plan {
    /// Reads a specification.
    ///
    /// # Errors
    /// The first field that can't be used.
    pub fn new(spec: Spec) -> Result<Self, Refusal> {
        let zone = Tz::from_str(&spec.timezone).map_err(|_| {
            let detail = "must be the name of an IANA time zone, such as Europe/Berlin";
            refusal("timezone", Code::Zone, detail)
        })?;
        let given = [
            !spec.cron.is_empty(),
            spec.every_ms.is_some(),
            !spec.at.is_empty(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(refusal(
                "cron",
                Code::Shape,
                "must be the only one of `cron`, `every_ms` and `at`, one of which is needed",
            ));
        }
        if !(0..=MAX_JITTER_MS).contains(&spec.jitter_ms) {
            return Err(refusal("jitter_ms", Code::Shape, "must be a day at most"));
        }
        let times = if let Some(every) = spec.every_ms {
            if !(MIN_EVERY_MS..=MAX_EVERY_MS).contains(&every) {
                let detail = "must be at least 1,000 and at most ten years";
                return Err(refusal("every_ms", Code::Shape, detail));
            }
            Times::Every(every)
        } else if spec.at.is_empty() {
            Times::Cron(crons(&spec.cron)?)
        } else {
            if spec.at.len() > MAX_TIMES {
                return Err(refusal("at", Code::Shape, "has more than 1,000 times"));
            }
            let mut at = spec.at.clone();
            at.sort_unstable();
            at.dedup();
            Times::At(at)
        };
        Ok(Self { times, zone, spec })
    }

    /// The first time after this one.
    pub fn after(&self, ms: i64) -> Option<i64> {
        let ms = self
            .spec
            .starts_at
            .map_or(ms, |start| ms.max(start.saturating_sub(1)));
        let next = match &self.times {
            Times::Cron(crons) => {
                let from = self.local(ms)?;
                let next = crons
                    .iter()
                    .filter_map(|cron| cron.find_next_occurrence(&from, false).ok());
                next.map(|time| time.timestamp_millis()).min()
            }
            Times::Every(every) => {
                let passed = ms.saturating_sub(self.spec.anchor).div_euclid(*every);
                let next = passed.checked_add(1)?.checked_mul(*every)?;
                next.checked_add(self.spec.anchor)
            }
            Times::At(times) => times.iter().copied().find(|time| *time > ms),
        };
        next.filter(|next| self.spec.ends_at.is_none_or(|end| *next <= end))
    }

    /// The last time before this one.
    fn before(&self, ms: i64) -> Option<i64> {
        let ms = self
            .spec
            .ends_at
            .map_or(ms, |end| ms.min(end.saturating_add(1)));
        let last = match &self.times {
            Times::Cron(crons) => {
                // The search goes by whole seconds, of which this one may have begun.
                let from =
                    self.local(ms.checked_add(999)?.div_euclid(1_000).checked_mul(1_000)?)?;
                let last = crons
                    .iter()
                    .filter_map(|cron| cron.find_previous_occurrence(&from, false).ok());
                last.map(|time| time.timestamp_millis()).max()
            }
            Times::Every(every) => {
                let passed = ms
                    .saturating_sub(1)
                    .saturating_sub(self.spec.anchor)
                    .div_euclid(*every);
                passed.checked_mul(*every)?.checked_add(self.spec.anchor)
            }
            Times::At(times) => times.iter().rev().copied().find(|time| *time < ms),
        };
        last.filter(|last| self.spec.starts_at.is_none_or(|start| *last >= start))
    }

    /// The times from `first`, which is one of them, to `now`: the latest `most` of them.
    pub fn due(&self, first: i64, now: i64, most: usize) -> Due {
        let mut due = Due::default();
        let mut at = Some(first);
        while let Some(time) = at.filter(|time| *time <= now) {
            if due.times.len() > most.saturating_mul(2) {
                return self.latest(now, most);
            }
            due.times.push(time);
            at = self.after(time);
        }
        due.next = at;
        if due.times.len() > most {
            due.is_cut = true;
            due.times.drain(..due.times.len() - most);
        }
        due
    }

    /// The latest times up to now, for somebody who has missed very many.
    fn latest(&self, now: i64, most: usize) -> Due {
        let mut times = Vec::new();
        let mut at = self.before(now.saturating_add(1));
        while let Some(time) = at.filter(|_| times.len() < most) {
            times.push(time);
            at = self.before(time);
        }
        times.reverse();
        Due {
            times,
            is_cut: true,
            next: self.after(now),
        }
    }

    /// The delay of a time, from 0 to the longest jitter. It is the same whenever it is asked for.
    pub fn delay(&self, name: &str, time: i64) -> i64 {
        // FNV-1a, which spreads well enough and never changes.
        let bytes = name.bytes().chain(time.to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let range = u64::try_from(self.spec.jitter_ms).unwrap_or_default() + 1;
        i64::try_from((hash ^ (hash >> 32)) % range).unwrap_or_default()
    }

    fn local(&self, ms: i64) -> Option<DateTime<Tz>> {
        Some(DateTime::<Utc>::from_timestamp_millis(ms)?.with_timezone(&self.zone))
    }

    /// The time in the schedule's zone, in RFC 3339.
    pub fn local_text(&self, ms: i64) -> String {
        let local = self.local(ms);
        local.map_or_else(String::new, |time| {
            time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
        })
    }

    /// The changes of the clock between some times, for people.
    pub fn notes(&self, times: &[i64]) -> Vec<String> {
        let local: Vec<_> = times.iter().filter_map(|ms| self.local(*ms)).collect();
        let pairs = local.iter().zip(local.iter().skip(1));
        let changed = pairs.filter(|(a, b)| a.offset().fix() != b.offset().fix());
        let note = changed.map(|(a, b)| {
            let is_forward =
                b.offset().fix().local_minus_utc() > a.offset().fix().local_minus_utc();
            let word = if is_forward { "forward" } else { "back" };
            let summer = |time: &DateTime<Tz>| {
                let name = time.offset().abbreviation().unwrap_or("");
                let is_summer = !time.offset().dst_offset().is_zero();
                format!("{}{name}", if is_summer { "summer time " } else { "" })
            };
            format!(
                "Between {} and {} the clock goes {word}: {} to {} ({}, {}).",
                a.format("%F %T"),
                b.format("%F %T"),
                a.offset().fix(),
                b.offset().fix(),
                summer(a),
                summer(b)
            )
        });
        note.collect()
    }
}

fn crons(texts: &[String]) -> Result<Vec<Cron>, Refusal> {
    if texts.len() > MAX_CRONS {
        return Err(refusal("cron", Code::Shape, "has more than 20 expressions"));
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build();
    let read = texts.iter().enumerate().map(|(at, text)| {
        let field = format!("cron[{at}]");
        if text.len() > MAX_CRON_BYTES || ![5, 6].contains(&text.split_whitespace().count()) {
            let detail = "must have five fields, or six with seconds";
            return Err(refusal(field, Code::Cron, detail));
        }
        parser
            .parse(text)
            .map_err(|error| refusal(field, Code::Cron, error.to_string()))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ms(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text)
            .expect("a time")
            .timestamp_millis()
    }

    fn plan(spec: Value) -> Plan {
        Plan::new(serde_json::from_value(spec).expect("a specification")).expect("a plan")
    }

    fn next(plan: &Plan, from: &str, count: usize) -> Vec<String> {
        let mut at = ms(from);
        let mut out = Vec::new();
        while out.len() < count {
            let Some(time) = plan.after(at) else { break };
            at = time;
            out.push(plan.local_text(time));
        }
        out
    }

    #[test]
    fn a_skipped_time_fires_after_the_gap_and_one_that_comes_twice_fires_once() {
        for (zone, cron, from, expected) in [
            (
                "Europe/Berlin",
                "30 2 * * *",
                "2026-03-28T12:00:00Z",
                ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
            ),
            (
                "Europe/Berlin",
                "30 2 * * *",
                "2026-10-24T12:00:00Z",
                ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
            ),
            (
                "America/New_York",
                "30 2 * * *",
                "2026-03-07T12:00:00Z",
                ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"],
            ),
            (
                "Australia/Lord_Howe",
                "15 2 * * *",
                "2026-10-03T00:00:00Z",
                ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"],
            ),
            (
                "Africa/Cairo",
                "30 0 * * *",
                "2026-04-23T12:00:00Z",
                ["2026-04-24T01:00:00+03:00", "2026-04-25T00:30:00+03:00"],
            ),
            // Steps follow the time that has passed.
            (
                "Europe/Berlin",
                "0 * * * *",
                "2026-10-25T00:00:00Z",
                ["2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"],
            ),
            (
                "UTC",
                "0 0 L * *",
                "2028-02-01T00:00:00Z",
                ["2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"],
            ),
            (
                "UTC",
                "0 9 * * MON#1",
                "2026-11-29T00:00:00Z",
                ["2026-12-07T09:00:00Z", "2027-01-04T09:00:00Z"],
            ),
        ] {
            let plan = plan(json!({"cron": [cron], "timezone": zone}));
            assert_eq!(next(&plan, from, 2), expected, "{zone} {cron}");
        }
    }

    #[test]
    fn intervals_and_lists_end_where_they_are_told_to() {
        let every =
            plan(json!({"every_ms": 60_000, "anchor": 500, "timezone": "UTC", "ends_at": 120_500}));
        assert_eq!(
            (every.after(0), every.after(500), every.after(120_500)),
            (Some(500), Some(60_500), None)
        );
        let at = plan(json!({"at": [30, 10, 20, 10], "timezone": "UTC", "starts_at": 15}));
        assert_eq!(
            (at.after(0), at.after(20), at.after(30)),
            (Some(20), Some(30), None)
        );
    }

    #[test]
    fn what_has_come_is_bounded_and_the_latest() {
        let every = plan(json!({"every_ms": 1_000, "timezone": "UTC"}));
        let due = every.due(1_000, 3_500, 10);
        assert_eq!(
            (due.times, due.is_cut, due.next),
            (vec![1_000, 2_000, 3_000], false, Some(4_000))
        );
        let day = 86_400_000;
        for plan in [
            every,
            plan(json!({"cron": ["* * * * * *"], "timezone": "Europe/Berlin"})),
        ] {
            let due = plan.due(1_000, 3_650 * day, 3);
            let last = 3_650 * day;
            assert_eq!(due.times, [last - 2_000, last - 1_000, last]);
            assert_eq!((due.is_cut, due.next), (true, Some(last + 1_000)));
        }
    }

    #[test]
    fn the_delay_is_within_the_jitter_and_always_the_same() {
        let plan = plan(json!({"every_ms": 1_000, "timezone": "UTC", "jitter_ms": 500}));
        let delays: Vec<_> = (0..100).map(|time| plan.delay("a", time)).collect();
        assert!(delays.iter().all(|delay| (0..=500).contains(delay)));
        assert!(delays.iter().any(|delay| *delay != delays[0]));
        assert_eq!(delays[7], plan.delay("a", 7));
    }

    #[test]
    fn what_is_no_plan_is_refused_with_its_field() {
        for (spec, field, code) in [
            (
                json!({"cron": ["* *"], "timezone": "UTC"}),
                "cron[0]",
                Code::Cron,
            ),
            (
                json!({"cron": ["61 * * * *"], "timezone": "UTC"}),
                "cron[0]",
                Code::Cron,
            ),
            (
                json!({"cron": ["* * * * * * 2030"], "timezone": "UTC"}),
                "cron[0]",
                Code::Cron,
            ),
            (
                json!({"cron": ["* * * * *"], "timezone": "Mars/Base"}),
                "timezone",
                Code::Zone,
            ),
            (
                json!({"every_ms": 999, "timezone": "UTC"}),
                "every_ms",
                Code::Shape,
            ),
            (
                json!({"every_ms": 1000, "at": [1], "timezone": "UTC"}),
                "cron",
                Code::Shape,
            ),
            (json!({"timezone": "UTC"}), "cron", Code::Shape),
        ] {
            let spec: Spec = serde_json::from_value(spec.clone()).expect("a specification");
            let refusal = Plan::new(spec).expect_err("no plan");
            assert_eq!((refusal.field.as_str(), refusal.code), (field, code));
        }
        let never = plan(json!({"cron": ["0 0 30 2 *"], "timezone": "UTC"}));
        assert_eq!(never.after(0), None);
    }

    #[test]
    fn changes_of_the_clock_are_pointed_out() {
        let plan = plan(json!({"cron": ["30 2 * * *"], "timezone": "Europe/Berlin"}));
        let times = [
            ms("2026-03-28T01:30:00Z"),
            ms("2026-03-29T01:00:00Z"),
            ms("2026-03-30T00:30:00Z"),
        ];
        let notes = plan.notes(&times);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].contains("goes forward: +01:00 to +02:00"),
            "{notes:?}"
        );
    }
}
