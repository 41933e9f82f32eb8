//! The times of schedules, as the npm library `croner` finds them: at random instants, and around changes of the clock.

use anyhow::Result;
use calendar::{Plan, Spec};
use e2e::libraries::{installed, run};
use serde::Deserialize;

/// An expression with the times that the library finds.
#[derive(Debug, Deserialize)]
struct Case {
    cron: String,
    zone: String,
    from: i64,
    times: Vec<i64>,
}

#[tokio::test]
async fn the_times_of_cron_expressions_are_those_of_croner() -> Result<()> {
    let files = "tests/functions/pipelines/calendar";
    let Some(folder) = installed("calendar-libraries", files, &[]).await? else {
        return Ok(());
    };
    let seed = std::env::var("GATHER_CRON_SEED").unwrap_or_else(|_| "7".to_owned());
    let cases: Vec<Case> = serde_json::from_str(&run(&folder, "times.mjs", &[&seed]).await?)?;
    assert!(cases.len() > 1_000, "{}", cases.len());
    let mut different = Vec::new();
    for case in &cases {
        let spec = Spec {
            cron: vec![case.cron.clone()],
            timezone: case.zone.clone(),
            ..Spec::default()
        };
        let plan = Plan::new(spec).map_err(|refusal| anyhow::anyhow!("{refusal:?}: {case:?}"))?;
        let first = plan.after(case.from);
        let found: Vec<i64> = std::iter::successors(first, |time| plan.after(*time))
            .take(case.times.len())
            .collect();
        if found != case.times {
            let local = |times: &[i64]| {
                times
                    .iter()
                    .map(|time| plan.local_text(*time))
                    .collect::<Vec<_>>()
            };
            different.push((case, local(&found), local(&case.times)));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {}: {:#?}",
        different.len(),
        cases.len(),
        different.first()
    );
    Ok(())
}
