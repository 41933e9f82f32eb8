//! A month of schedules: what ran on its days, and what is planned.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use maud::{Markup, html};
use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, Month, OffsetDateTime, UtcOffset};

use super::{Firing, List, Schedule, address, api, state};
use crate::failure::Failure;
use crate::ui;
use crate::visitor::Visitor;

/// The number of the latest firings of each schedule that are shown.
const MAX_FIRINGS: usize = 100;

/// What a schedule has done and will do on a day.
#[derive(Debug, Default)]
struct Entry {
    /// The firings by state: their number, the time of the first of them, and its run.
    fired: BTreeMap<String, (i64, String, Option<String>)>,
    /// The times that are still to come.
    planned: Vec<String>,
}

/// The entries of the days, by the position of their schedules.
type Days = BTreeMap<Date, BTreeMap<usize, Entry>>;

/// The first day of a month that is written `2026-11`; of the present one if it is written otherwise.
fn first_day(text: &str) -> Date {
    let parsed = text.split_once('-').and_then(|(year, month)| {
        let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
        let year = year
            .parse()
            .ok()
            .filter(|year| (1970..=9998).contains(year))?;
        Date::from_calendar_date(year, month, 1).ok()
    });
    let today = OffsetDateTime::now_utc().date();
    parsed.unwrap_or_else(|| today.replace_day(1).unwrap_or(today))
}

fn written(first: Date) -> String {
    format!("{}-{:02}", first.year(), u8::from(first.month()))
}

/// The day and the time of day, in UTC.
fn moment(text: &str) -> Option<(Date, String)> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let at = at.to_offset(UtcOffset::UTC);
    Some((at.date(), format!("{:02}:{:02}", at.hour(), at.minute())))
}

/// Reads what the schedules have done, and when they are due next.
async fn read(visitor: &Visitor, schedules: &[Schedule]) -> Result<(Days, bool), Failure> {
    let each = schedules.iter().map(async |schedule| {
        let firings = format!("{}/firings?limit={MAX_FIRINGS}", api(&schedule.id));
        visitor.get::<List<Firing>>("pipelines", &firings).await
    });
    let mut days = Days::new();
    let mut is_whole = true;
    let firings = try_join_all(each).await?;
    for (at, (schedule, firings)) in schedules.iter().zip(firings).enumerate() {
        is_whole &= firings.next.is_none();
        for firing in firings.items {
            let Some((day, time)) = moment(&firing.due_at) else {
                continue;
            };
            let entry = days.entry(day).or_default().entry(at).or_default();
            let fired = entry.fired.entry(firing.status).or_default();
            *fired = (fired.0 + 1, time, firing.run);
        }
        let planned = schedule.next.iter().filter(|_| !schedule.paused);
        for (day, time) in planned.filter_map(|text| moment(text)) {
            let entry = days.entry(day).or_default().entry(at).or_default();
            entry.planned.push(time);
        }
    }
    Ok((days, is_whole))
}

/// Shows a month of these schedules.
pub async fn month(
    visitor: &Visitor,
    schedules: &[Schedule],
    month: &str,
) -> Result<Markup, Failure> {
    let first = first_day(month);
    let (days, is_whole) = read(visitor, schedules).await?;
    let last = first
        .replace_day(first.month().length(first.year()))
        .unwrap_or(first);
    let before = first - Duration::DAY;
    let after = last + Duration::DAY;
    let monday = first - Duration::days(i64::from(first.weekday().number_days_from_monday()));
    let weeks = (0..6)
        .map(|week| monday + Duration::weeks(week))
        .take_while(|monday| *monday <= last);
    let link = |rel: &str, day: Date, label: &str| {
        html! { a.button.quiet rel=(rel) href=(format!("/schedules?month={}", written(day))) { (label) } }
    };
    Ok(html! {
        section aria-labelledby="month" {
            div.spread { h2 #month { (first.month()) " " (first.year()) }
                div.actions { (link("prev", before, "Earlier")) (link("next", after, "Later")) } }
            table.calendar {
                thead { tr { @for name in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] { th scope="col" { (name) } } } }
                tbody { @for monday in weeks { tr { @for day in (0..7).map(|day| monday + Duration::days(day)) {
                    (cell(day, first, days.get(&day), schedules))
                } } } }
            }
            p.meta { "Days and times are UTC. Of each schedule the next five times are shown"
                @if !is_whole { ", and its latest " (MAX_FIRINGS) } "." }
        }
    })
}

fn cell(
    day: Date,
    first: Date,
    entries: Option<&BTreeMap<usize, Entry>>,
    schedules: &[Schedule],
) -> Markup {
    let today = (day == OffsetDateTime::now_utc().date()).then_some("date");
    let is_outside = day.month() != first.month();
    html! {
        td aria-current=[today] .outside[is_outside] .none[entries.is_none()] {
            p.meta { (day.day()) span.narrow { " " (day.month()) } }
            @if let Some(entries) = entries { ul { @for (at, entry) in entries {
                @if let Some(schedule) = schedules.get(*at) { li {
                    a href=(address(&schedule.id)) { bdi { (schedule.name) } }
                    @for (status, (count, time, run)) in &entry.fired {
                        p { @if *count == 1 { (time) " " }
                            @match run.as_deref().filter(|_| *count == 1) {
                                Some(run) => a href=(format!("/runs/{}", ui::encode(run))) { (state(status)) },
                                None => (state(status)),
                            }
                            @if *count > 1 { " " (ui::number(*count)) " times" } }
                    }
                    @if !entry.planned.is_empty() { p { (ui::status("quiet", "planned")) " " (entry.planned.join(", ")) } }
                } }
            } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_as_it_is_written() {
        assert_eq!(written(first_day("2026-02")), "2026-02");
        let present = written(first_day(""));
        for odd in ["2026-13", "2026", "x-1", "99999-01", "2026-00"] {
            assert_eq!(written(first_day(odd)), present, "{odd}");
        }
    }

    #[test]
    fn a_time_is_of_its_day_in_utc() {
        let (day, time) = moment("2026-03-01T00:30:00+02:00").expect("a time");
        assert_eq!(
            (day.to_string().as_str(), time.as_str()),
            ("2026-02-28", "22:30")
        );
    }
}
